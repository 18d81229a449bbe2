//! Where items go: containers, pictures and sounds, arrays, MCAP, JSON lines.

mod container;
mod frames;
mod json;
mod mcap;
mod npy;

pub use container::Container;
pub use frames::{Frames, OPEN, Picture, stem};
pub use json::{JsonLines, prediction_json};
pub(crate) use mcap::ENCODING;
pub use mcap::{Mcap, Messages};
pub use npy::Npy;
