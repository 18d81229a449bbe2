//! Blocks from sound of GStreamer, which comes in small pieces.

use std::time::Duration;

use gstreamer as gst;

use crate::codec::{Frame, Layout, Samples};
use crate::error::{Error, Result};
use crate::pipeline::media::check_sound_shape;

/// Samples of one shape that follow each other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    rate: u32,
    channels: usize,
    samples: Samples,
}

impl Piece {
    /// Interleaved samples.
    pub fn new(rate: u32, channels: usize, samples: Samples) -> Self {
        Self { rate, channels, samples }
    }

    fn steps(&self) -> usize {
        self.samples.len() / self.channels.max(1)
    }

    /// How long it lasts.
    pub fn lasts(&self) -> Duration {
        Duration::from_secs_f64(self.steps() as f64 / f64::from(self.rate.max(1)))
    }

    /// Puts another behind it; gives that back if it is of another shape.
    fn join(&mut self, more: Self) -> Option<Self> {
        if (self.rate, self.channels) != (more.rate, more.channels) {
            return Some(more);
        }
        match (&mut self.samples, more.samples) {
            (Samples::I16(all), Samples::I16(more)) => all.extend(more),
            (Samples::F32(all), Samples::F32(more)) => all.extend(more),
            (_, samples) => return Some(Self { samples, ..more }),
        }
        None
    }

    fn frame(self) -> Result<Frame> {
        let (layout, steps) = (Layout::Audio { rate: self.rate }, self.steps());
        Frame::new(layout, self.channels, vec![steps], self.samples)
    }
}

/// A block, when it begins, and whether its sound ends with it.
#[derive(Debug)]
pub(super) struct Block {
    pub frame: Result<Frame>,
    pub at: Duration,
    pub end: bool,
}

/// Gathers pieces to blocks. The last is held until more comes: it must say that it is the last.
#[derive(Debug)]
pub(super) struct Gather {
    /// Steps that make a block.
    steps: usize,
    held: Option<(Piece, Duration)>,
}

impl Gather {
    /// Blocks of at least so many steps.
    pub fn new(steps: usize) -> Self {
        Self { steps, held: None }
    }

    /// Puts a piece captured at `at` behind what is there; the block that is then due.
    pub fn put(&mut self, piece: Piece, at: Duration) -> Option<Block> {
        let Some((held, since)) = &mut self.held else {
            self.held = Some((piece, at));
            return None;
        };
        let since = *since;
        let whole = held.steps() >= self.steps;
        let (next, end) = match whole {
            true if (held.rate, held.channels) == (piece.rate, piece.channels) => (piece, false),
            true => (piece, true),
            // Another shape is another sound.
            false => (held.join(piece)?, true),
        };
        let (held, _) = self.held.replace((next, at))?;
        Some(Block { frame: held.frame(), at: since, end })
    }

    /// The sound ends here: what is held.
    pub fn end(&mut self) -> Option<Block> {
        let (held, at) = self.held.take()?;
        Some(Block { frame: held.frame(), at, end: true })
    }
}

/// The piece that a sample holds.
///
/// # Errors
/// `Input` if it is damaged or none.
pub(super) fn piece(sample: &gst::Sample, name: &str) -> Result<Piece> {
    let none = |reason: &str| Error::input(name, reason);
    let caps = sample.caps().and_then(|c| c.structure(0));
    let caps = caps.ok_or_else(|| none("a sound without a format came"))?;
    let number = |key| caps.get::<i32>(key).ok().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let (rate, channels) = (number("rate"), number("channels") as usize);
    check_sound_shape(name, rate, channels)?;
    let buffer = sample.buffer().ok_or_else(|| none("a sample without a sound came"))?;
    let map = buffer.map_readable().map_err(|_| none("a sound came that cannot be read"))?;
    let bytes = map.as_slice();
    let samples = match caps.get::<&str>("format") {
        Ok("S16LE") => {
            let (values, _) = bytes.as_chunks();
            Samples::I16(values.iter().map(|b| i16::from_le_bytes(*b)).collect())
        }
        Ok("F32LE") => {
            let (values, _) = bytes.as_chunks();
            Samples::F32(values.iter().map(|b| f32::from_le_bytes(*b)).collect())
        }
        _ => return Err(none("a sound came in a format that was not asked for")),
    };
    if !samples.len().is_multiple_of(channels) {
        return Err(none("a sound came that ends within a step"));
    }
    Ok(Piece::new(rate, channels, samples))
}
