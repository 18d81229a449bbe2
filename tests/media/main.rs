//! Readers and writers of media, on small data made here.
#![cfg(feature = "pipeline")]
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod bands;
mod odd;
mod picture;
mod sound;
mod stream;
