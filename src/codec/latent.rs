//! Latents: what the encoder makes and everything else reads.

use std::fmt;
use std::str::FromStr;

use super::quality::Quality;
use crate::error::{Error, Result};

/// Names the numbers of a latent: transform, ends, projection, order, steps, deviations.
///
/// Heads bind to it and streams carry it; two bundles with the same id make the same latents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodecId(pub [u8; 8]);

impl fmt::Display for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl FromStr for CodecId {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let wrong = || Error::shape("codec id", "16 hexadecimal digits", s);
        if s.len() != 16 || !s.is_ascii() {
            return Err(wrong());
        }
        let mut id = [0; 8];
        for (byte, i) in id.iter_mut().zip((0..16).step_by(2)) {
            *byte = u8::from_str_radix(&s[i..i + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(id))
    }
}

/// Where a latent stands in its sound; the default for pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First cell, counted from the start of the stream.
    pub position: u64,
    /// The sound starts here, with mirrored samples before it.
    pub reset: bool,
    /// The sound ends here, with mirrored samples behind it.
    pub end: bool,
}

impl Span {
    /// A sound that is all there.
    pub const WHOLE: Self = Self { position: 0, reset: true, end: true };
}

/// Integer latents of one frame, channels in order of importance.
///
/// Shape: `values` is `[channels, grid...]`; `grid` is `[height, width]` in cells for pictures and
/// `[rows, steps]` for sound, one row for each group of channels that the bundle codes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latent {
    /// The codec that made it.
    pub codec: CodecId,
    /// Channels present: a prefix of the bundle's.
    pub channels: usize,
    /// Cells per axis.
    pub grid: Vec<usize>,
    /// Pixels per axis, or channels and time steps, of the frame.
    pub extent: Vec<usize>,
    /// Place in the sound.
    pub span: Span,
    /// Rate control used.
    pub quality: Quality,
    /// The values, channel by channel.
    pub values: Vec<i16>,
}

impl Latent {
    /// Cells of the grid.
    pub fn cells(&self) -> usize {
        self.grid.iter().product()
    }

    /// The values of one channel.
    ///
    /// # Panics
    /// If there is no such channel.
    pub fn channel(&self, channel: usize) -> &[i16] {
        let n = self.cells();
        &self.values[channel * n..(channel + 1) * n]
    }

    /// Keeps the first `channels` channels: a coarser latent of the same frame.
    pub fn truncate(&mut self, channels: usize) {
        if channels < self.channels {
            self.channels = channels;
            self.values.truncate(channels * self.cells());
        }
    }
}
