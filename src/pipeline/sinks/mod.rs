//! Where items go: containers, pictures and sounds, arrays, MCAP, JSON lines, events.

mod container;
mod events;
mod frames;
mod json;
mod mcap;
mod names;
mod npy;
mod output;
mod stored;

pub use container::Container;
pub use events::{Events, Which};
pub use frames::{Frames, OPEN, Picture, stem};
pub use json::{JsonLines, prediction_json};
pub(crate) use mcap::ENCODING;
pub use mcap::{Mcap, Messages};
pub use names::Names;
pub use npy::Npy;
pub use output::{Output, PART, make_folder_of, with_ending, write_whole};
pub use stored::Stored;
