//! What stands for GStreamer when the feature `gstreamer` is off: every use says which feature to turn on.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{Description, Installed, Launch, Wish};
use crate::error::{Error, Result};
use crate::pipeline::line::Source;

fn absent() -> Error {
    let reason = "this tamis was built without GStreamer; install libgstreamer1.0-dev and libgstreamer-plugins-base1.0-dev \
                  and build it with `--features gstreamer`, or pipe what gst-launch-1.0 gives into kind = \"socket\"";
    Error::config("source.kind", reason)
}

/// Fails, with what is wrong with the description if something is.
///
/// # Errors
/// `Config`.
pub fn check(launch: &Launch, wish: &Wish) -> Result<()> {
    wish.check()?;
    Description::read(launch)?;
    Err(absent())
}

/// Always fails.
///
/// # Errors
/// `Config`.
pub fn open(
    _name: &str,
    _launch: &Launch,
    _wish: Wish,
    _silence: Option<Duration>,
    _stop: Arc<AtomicBool>,
) -> Result<Box<dyn Source>> {
    Err(absent())
}

/// Nothing.
pub fn installed() -> Option<Result<Installed>> {
    None
}
