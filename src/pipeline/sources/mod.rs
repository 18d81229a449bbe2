//! Where items come from: files and folders, standard input, scenes made in code.

mod feed;
mod files;
mod find;
mod made;
mod mcap;
mod paced;
mod packets;
pub mod synthetic;

pub use feed::{Feed, Raw, Reading};
pub use files::Files;
pub use find::{Found, find_files};
pub use made::{SceneSource, ToneSource};
pub use mcap::{holds_packets, recording};
pub use paced::Paced;
