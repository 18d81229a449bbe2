//! Pictures and sound by GStreamer: one chain of elements, as a config describes it.
//!
//! GStreamer can run programs and write files, and a config must not. So a description is read here ([`Description`]), by
//! a grammar that knows elements, properties and caps and nothing else, and every element in it must be on a list in the
//! code. GStreamer never sees the text: its elements are made one by one, of the names on the list.
//!
//! The library is needed only with the feature `gstreamer`; descriptions are read without it too.

mod allowed;
mod describe;
mod hide;
mod launch;
mod rules;
#[cfg(test)]
mod tests;
mod wish;

#[cfg(not(feature = "gstreamer"))]
mod absent;
#[cfg(feature = "gstreamer")]
mod build;
#[cfg(feature = "gstreamer")]
mod inbox;
#[cfg(feature = "gstreamer")]
mod numbers;
#[cfg(feature = "gstreamer")]
mod picture;
#[cfg(feature = "gstreamer")]
mod player;
#[cfg(feature = "gstreamer")]
mod sound;
#[cfg(feature = "gstreamer")]
mod source;

#[cfg(not(feature = "gstreamer"))]
pub use absent::{check, installed, open};
pub use allowed::{ALLOWED, Group};
pub use describe::{Description, Part};
pub use hide::Hidden;
pub use launch::Launch;
#[cfg(feature = "gstreamer")]
pub use source::{GstSource, check, installed, open};
pub use wish::{Media, Wish};

/// What this machine's GStreamer can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The library's version.
    pub version: String,
    /// The elements on the list that are there, by what they do.
    pub elements: Vec<(Group, Vec<&'static str>)>,
}
