//! Where items come from: files and folders, standard input, cameras, GStreamer, scenes made in code.

mod clock;
mod feed;
mod files;
mod find;
pub mod gst;
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
pub mod v4l2;
mod watch;

pub use feed::{Feed, Raw, Reading};
pub use files::Files;
pub use find::{Found, find_files};
pub use made::{SceneSource, ToneSource};
pub use mcap::{holds_packets, recording};
pub use numbered::Numbered;
pub use paced::Paced;
pub use pixels::Pixels;
pub use socket::{Peer, Socket};
pub use watch::{Known, Watch};

/// How long those that wait sleep before they look whether they are stopped.
const NAP: std::time::Duration = std::time::Duration::from_millis(50);
