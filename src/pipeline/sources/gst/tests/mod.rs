//! Tests of descriptions, and with the feature `gstreamer` of what they play.

#![allow(clippy::unwrap_used)]

mod grammar;
mod secrets;

#[cfg(feature = "gstreamer")]
mod real;
#[cfg(feature = "gstreamer")]
mod sounds;
