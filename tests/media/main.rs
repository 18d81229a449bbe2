//! Readers and writers of media, on small data made here.
#![cfg(feature = "pipeline")]
#![allow(clippy::unwrap_used)]

mod odd;
mod picture;
mod sound;
mod stream;
