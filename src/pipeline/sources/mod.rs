//! Where items come from: files and folders, standard input, cameras, microphones, GStreamer, scenes made in code.

#[cfg(target_os = "linux")]
pub mod alsa;
#[cfg(target_os = "linux")]
mod away;
mod clock;
mod depth;
mod feed;
mod files;
mod find;
pub mod gst;
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod ioctl;
mod known;
mod made;
mod mcap;
mod numbered;
mod paced;
mod packets;
mod pixels;
mod socket;
pub mod synthetic;
#[cfg(any(target_os = "linux", feature = "gstreamer"))]
mod times;
#[cfg(target_os = "linux")]
mod usb;
#[cfg(target_os = "linux")]
pub mod v4l2;
mod watch;

pub use depth::Depth;
pub use feed::{Feed, Raw, Reading};
pub use files::Files;
pub use find::{Found, find_files};
pub use known::{Known, Progress};
pub use made::{SceneSource, ToneSource};
pub use mcap::{holds_packets, recording};
pub use numbered::Numbered;
pub use paced::Paced;
pub use pixels::Pixels;
pub use socket::{Peer, Socket};
pub use watch::Watch;

/// How long those that wait sleep before they look whether they are stopped.
const NAP: std::time::Duration = std::time::Duration::from_millis(50);
