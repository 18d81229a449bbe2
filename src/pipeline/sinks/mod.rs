//! Where items go: containers, pictures and sounds, JSON lines.

mod container;
mod frames;
mod json;

pub use container::Container;
pub use frames::{Frames, OPEN, Picture, stem};
pub use json::{JsonLines, prediction_json};
