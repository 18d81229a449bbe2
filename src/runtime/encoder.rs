//! Frames to latents: pictures strip by strip, sounds chunk by chunk.

use std::sync::Arc;

use crate::codec::{Arithmetic, Bundle, Frame, Kind, Latent, Layout, Quality, Span, plain};
use crate::error::{Error, Result};
use crate::signal::{Analysis, Ends, cells, mirror};

use super::cpu::{FixedEncoder, Simd};

/// Rows of cells that are transformed at once: what a strip needs stays near the caches, and an
/// 8192 x 8192 picture needs megabytes, not gigabytes.
const STRIP: usize = 16;

/// Encodes the frames of one stream.
///
/// A picture stands alone. A sound carries its state from chunk to chunk: however it is cut, its
/// cells are those of the whole, a few behind the input.
#[derive(Debug)]
pub struct Encoder {
    bundle: Arc<Bundle>,
    channels: usize,
    quality: Quality,
    threads: usize,
    fixed: Option<FixedEncoder>,
    sound: Option<Sound>,
}

/// The state of a sound between two chunks.
#[derive(Debug)]
struct Sound {
    rate: u32,
    analyses: Vec<Analysis>,
    /// The last samples of each channel, at most one cell: what is mirrored at the end.
    tails: Vec<Vec<f32>>,
    /// Time steps pushed.
    pushed: u64,
    /// Cells given out.
    position: u64,
}

impl Encoder {
    /// An encoder of the first `channels` channels at `quality`.
    ///
    /// # Errors
    /// `Shape` if `channels` is not the end of one of the bundle's groups; `Bundle` if the bundle
    /// cannot stream (a sound codec with periodic ends encodes whole sounds only).
    pub fn new(bundle: Arc<Bundle>, channels: usize, quality: Quality) -> Result<Self> {
        if !bundle.groups.contains(&channels) {
            let expected = format!("one of {:?}", bundle.groups);
            return Err(Error::shape("channels", expected, channels));
        }
        if bundle.kind == Kind::Audio && (bundle.ends == Ends::Periodic || bundle.padding > 0) {
            let reason = "sound with periodic ends has no streams; use `plain::encode`";
            return Err(Error::bundle(&bundle.card.name, reason));
        }
        let fixed = (bundle.arithmetic == Arithmetic::Fixed)
            .then(|| FixedEncoder::new(&bundle, channels, quality, Simd::best()));
        Ok(Self { bundle, channels, quality, threads: 1, fixed, sound: None })
    }

    /// The bundle.
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// Changes the quality from the next frame on.
    pub fn set_quality(&mut self, quality: Quality) {
        self.quality = quality;
        if let Some(fixed) = &mut self.fixed {
            fixed.set_quality(&self.bundle, quality);
        }
    }

    /// Encodes a picture on up to this many threads; one at first. Latents do not depend on it.
    pub fn set_threads(&mut self, threads: usize) {
        self.threads = threads.max(1);
    }

    /// Chooses the instruction set of fixed-point pictures; the widest at first. Latents do not
    /// depend on it, and one that the machine lacks becomes [`Simd::Portable`].
    pub fn set_simd(&mut self, simd: Simd) {
        if self.fixed.is_some() {
            self.fixed = Some(FixedEncoder::new(&self.bundle, self.channels, self.quality, simd));
        }
    }

    /// Forgets the sound so far: the next chunk starts anew.
    pub fn reset(&mut self) {
        self.sound = None;
    }

    /// Encodes a picture, or the next chunk of a sound; `end` says that the sound ends with it.
    ///
    /// Shape: a chunk gives the cells that are complete, which may be none.
    ///
    /// # Errors
    /// `Shape` if the frame does not fit the bundle or the chunks before it.
    pub fn push(&mut self, frame: &Frame, end: bool) -> Result<Latent> {
        match self.bundle.kind {
            Kind::Image => {
                let mut latent = Latent {
                    codec: self.bundle.codec_id(),
                    channels: 0,
                    grid: Vec::new(),
                    extent: Vec::new(),
                    span: Span::default(),
                    quality: self.quality,
                    values: Vec::new(),
                };
                self.picture_into(frame, &mut latent)?;
                Ok(latent)
            }
            Kind::Audio => self.chunk(frame, end),
        }
    }

    /// [`Self::push`] of a picture into a latent that was used before: where nothing grew, nothing
    /// is allocated.
    ///
    /// # Errors
    /// `Shape` if the frame does not fit the bundle, or is sound.
    pub fn picture_into(&mut self, frame: &Frame, latent: &mut Latent) -> Result<()> {
        let [height, width] = match (self.bundle.kind, &frame.extent[..]) {
            (Kind::Image, &[height, width]) if !frame.is_audio() => [height, width],
            _ => return Err(Error::shape("frame kind", "a picture, and a codec of them", "sound")),
        };
        let grid = [height, width].map(|e| cells(e, self.bundle.cell()));
        latent.codec = self.bundle.codec_id();
        latent.channels = self.channels;
        latent.grid.clear();
        latent.grid.extend(grid);
        latent.extent.clone_from(&frame.extent);
        latent.span = Span::default();
        latent.quality = self.quality;
        latent.values.resize(self.channels * grid[0] * grid[1], 0);
        match &mut self.fixed {
            Some(fixed) => fixed.encode(frame, self.threads, &mut latent.values),
            None => self.float(frame, &grid, &mut latent.values),
        }
        Ok(())
    }

    fn float(&self, frame: &Frame, grid: &[usize; 2], values: &mut [i16]) {
        let cells = grid[0] * grid[1];
        // Periodic ends tie every row to every other.
        let strip = if self.bundle.ends == Ends::Periodic { grid[0].max(1) } else { STRIP };
        for top in (0..grid[0]).step_by(strip) {
            let rows = top..(top + strip).min(grid[0]);
            let reals = plain::encode_rows(&self.bundle, frame, rows.clone(), self.channels);
            let count = rows.len() * grid[1];
            let coded = plain::quantize(&self.bundle, &reals, count, self.quality);
            for (c, from) in coded.chunks_exact(count.max(1)).enumerate() {
                values[c * cells + top * grid[1]..][..count].copy_from_slice(from);
            }
        }
    }

    fn chunk(&mut self, frame: &Frame, end: bool) -> Result<Latent> {
        let Layout::Audio { rate } = frame.layout else {
            return Err(Error::shape("frame kind", "audio", "image"));
        };
        let grid = plain::grid(&self.bundle, &[frame.channels, 0])?;
        let cell = self.bundle.cell();
        let sound = self.sound.get_or_insert_with(|| Sound {
            rate,
            analyses: vec![Analysis::new(self.bundle.levels); frame.channels],
            tails: vec![Vec::new(); frame.channels],
            pushed: 0,
            position: 0,
        });
        if sound.analyses.len() != frame.channels || sound.rate != rate {
            let expected = format!("{} channels at {} Hz", sound.analyses.len(), sound.rate);
            let actual = format!("{} channels at {rate} Hz", frame.channels);
            return Err(Error::shape("chunk of a sound", expected, actual));
        }
        sound.push(frame, cell, end);
        let steps = sound.analyses.iter().map(Analysis::ready).min().unwrap_or(0);
        let taken: Vec<Vec<f32>> = sound.analyses.iter_mut().map(|a| a.take(steps)).collect();
        let (rows, inputs) = (grid[0], self.bundle.inputs);
        let mut values = vec![0; self.channels * rows * steps];
        for row in 0..rows {
            let bands = taken[row * inputs..(row + 1) * inputs].concat();
            let mut reals = vec![0.0; self.channels * steps];
            self.bundle.analysis.apply(&bands, steps, &self.bundle.bias, &mut reals);
            let coded = plain::quantize(&self.bundle, &reals, steps, self.quality);
            for (c, from) in coded.chunks_exact(steps.max(1)).enumerate() {
                values[(c * rows + row) * steps..][..steps].copy_from_slice(from);
            }
        }
        let position = sound.position;
        sound.position += steps as u64;
        let samples = match end {
            true => (sound.pushed - position * cell as u64) as usize,
            false => steps * cell,
        };
        if end {
            self.sound = None;
        }
        Ok(Latent {
            codec: self.bundle.codec_id(),
            channels: self.channels,
            grid: vec![rows, steps],
            extent: vec![frame.channels, samples],
            span: Span { position, reset: position == 0, end },
            quality: self.quality,
            values,
        })
    }
}

impl Sound {
    fn push(&mut self, frame: &Frame, cell: usize, end: bool) {
        let channels = frame.channels;
        self.pushed += frame.extent[0] as u64;
        let missing = (cell - (self.pushed % cell as u64) as usize) % cell;
        for (c, (analysis, tail)) in self.analyses.iter_mut().zip(&mut self.tails).enumerate() {
            let samples: Vec<f32> =
                (0..frame.extent[0]).map(|t| frame.value(t * channels + c)).collect();
            analysis.push(&samples);
            tail.extend_from_slice(&samples);
            tail.drain(..tail.len().saturating_sub(cell));
            if end {
                let n = tail.len();
                let beyond: Vec<f32> = (0..missing).map(|i| tail[mirror(n + i, n)]).collect();
                analysis.push(&beyond);
                analysis.finish();
            }
        }
    }
}
