//! How far a decoded frame is from its original.

pub mod audio;
pub mod bands;
pub mod image;

use crate::codec::Frame;
use crate::error::{Error, Result};

/// Refuses two frames that cannot be compared sample by sample.
///
/// Sample types may differ: both are brought to one scale.
fn same_shape(what: &str, reference: &Frame, other: &Frame) -> Result<()> {
    let shape = |f: &Frame| format!("{:?} x {} {:?}", f.extent, f.channels, f.layout);
    if reference.layout != other.layout
        || reference.channels != other.channels
        || reference.extent != other.extent
    {
        return Err(Error::shape(what, shape(reference), shape(other)));
    }
    Ok(())
}

/// `10 log10(signal / noise)`, infinite without noise even where there is no signal either.
fn ratio_db(signal: f64, noise: f64) -> f64 {
    if noise > 0.0 { 10.0 * (signal / noise).log10() } else { f64::INFINITY }
}
