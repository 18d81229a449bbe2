//! Cameras by Video4Linux, straight from the kernel: no system library.
//!
//! [`CameraSource`] keeps one camera playing for ever. It knows cameras by what they are, not by the number that the
//! kernel happened to give them ([`find`]), and talks to them through [`Video`]: [`Device`] is a real one.
//!
//! Source: `linux/videodev2.h`, and the kernel's userspace API guide to Video for Linux.

mod abi;
mod choose;
mod device;
pub mod find;
mod mjpeg;
mod offers;
mod picture;
mod source;
#[allow(unsafe_code)]
mod sys;
#[cfg(test)]
mod tests;
mod video;
mod watch;

pub use device::Device;
pub use source::CameraSource;
pub use video::{Colour, Fourcc, Mode, Shape, Shot, Video, Wish};
