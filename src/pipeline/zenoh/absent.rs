//! What stands for Zenoh when the feature `zenoh` is off: every use says which feature to turn on.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{Congestion, Link};
use crate::error::{Error, Result};
use crate::pipeline::line::{Sink, Source};

fn absent(at: &str) -> Error {
    Error::config(at, "this tamis was built without Zenoh; build it with `--features zenoh`")
}

/// Always fails.
///
/// # Errors
/// `Config`.
pub fn source(
    _name: &str,
    _link: &Link,
    _groups: Option<usize>,
    _stop: Arc<AtomicBool>,
) -> Result<Box<dyn Source>> {
    Err(absent("source.kind"))
}

/// Always fails.
///
/// # Errors
/// `Config`.
pub fn sink(_link: Link, _congestion: Congestion, _wait: Duration) -> Result<Box<dyn Sink>> {
    Err(absent("sink.kind"))
}
