//! Fixed-point pictures on the processor, with the widest registers it has.
//!
//! One source serves every instruction set: kernels over registers of 8, 16 or 32 values, compiled
//! once for each set. All give what [`crate::codec::plain`] gives, bit for bit.

mod decode;
mod dispatch;
mod encode;
mod lanes;
mod lift;
mod pixels;

pub use self::dispatch::Simd;

use std::ops::Range;

use self::decode::{BackPlan, Input};
use self::dispatch::Threads;
use self::encode::{ABOVE, Out};
use self::pixels::Pixels;
use super::plan::Plan;
use crate::codec::fixed::CELL;
use crate::codec::{Bundle, FrameRef, Latent, Quality};
use crate::signal::cells;

/// An encoder of pictures in fixed point, with its plan and its memory.
#[derive(Debug)]
pub(super) struct FixedEncoder {
    plan: Plan,
    threads: Threads<Plan>,
}

impl FixedEncoder {
    pub fn new(bundle: &Bundle, channels: usize, quality: Quality, simd: Simd) -> Self {
        Self { plan: Plan::new(bundle, channels, quality, 0.0), threads: Threads::new(simd) }
    }

    pub fn set_quality(&mut self, bundle: &Bundle, quality: Quality, thrift: f32) {
        self.plan.set_quality(bundle, quality, thrift);
    }

    /// Latents of a picture, `[channels, cells]`, by up to `threads` threads.
    pub fn encode(&mut self, frame: FrameRef<'_>, threads: usize, values: &mut [i16]) {
        let extent = [frame.extent[0], frame.extent[1]];
        let [height, width] = extent.map(|e| cells(e, CELL));
        if height == 0 || width == 0 {
            return;
        }
        let pixels = Pixels::of(frame);
        // The first job has no rows above it to start with, so it takes as many more.
        let rest = height.saturating_sub(ABOVE);
        let threads = threads.clamp(1, rest.max(1));
        if threads == 1 {
            let job = encode::Job {
                pixels,
                extent,
                rows: 0..height,
                out: Out::All(values, height * width),
            };
            return self.threads.run(&self.plan, &mut [job]);
        }
        // Channels lie apart, so each job takes its rows of every one.
        let cut = |k| if k == 0 { 0 } else { height - rest + k * rest / threads };
        let mut jobs: Vec<encode::Job<'_>> = (0..threads)
            .map(|k| cut(k)..cut(k + 1))
            .map(|rows| encode::Job { pixels, extent, rows, out: Out::Parts(Vec::new()) })
            .collect();
        for mut channel in values.chunks_exact_mut(height * width) {
            for job in &mut jobs {
                let (part, rest) = channel.split_at_mut(job.rows.len() * width);
                if let Out::Parts(parts) = &mut job.out {
                    parts.push(part);
                }
                channel = rest;
            }
        }
        self.threads.run(&self.plan, &mut jobs);
    }
}

/// A decoder of pictures in fixed point, with its plan and its memory.
#[derive(Debug)]
pub(super) struct FixedDecoder {
    plan: BackPlan,
    steps: Vec<f32>,
    threads: Threads<BackPlan>,
}

impl FixedDecoder {
    /// Rows of cells of which [`Self::push_bands`] takes multiples.
    pub const ROWS: usize = decode::ROWS;

    /// A decoder that reads so many channels of every latent.
    pub fn new(bundle: &Bundle, channels: usize, simd: Simd) -> Self {
        Self {
            plan: BackPlan::new(bundle, channels),
            steps: Vec::with_capacity(channels),
            threads: Threads::new(simd),
        }
    }

    /// Channels that are read of every latent.
    pub fn channels(&self) -> usize {
        self.plan.channels
    }

    /// Bytes of a picture, one a pixel if `gray`, else as many as the bundle has inputs.
    pub fn decode(&mut self, bundle: &Bundle, latent: &Latent, gray: bool, out: &mut [u8]) {
        if out.is_empty() {
            return;
        }
        self.steps.clear();
        let factor = latent.quality.factor();
        self.steps.extend(bundle.steps[..self.plan.channels].iter().map(|step| step * factor));
        let from = Input::Latent(latent, &self.steps);
        let (grid, extent) =
            ([latent.grid[0], latent.grid[1]], [latent.extent[0], latent.extent[1]]);
        let job = decode::Job { from, grid, extent, rows: 0..grid[0], gray, out };
        self.threads.run(&self.plan, &mut [job]);
    }

    /// Puts some rows of cells of a picture of `grid` cells through the inverse transform, behind
    /// those before: `bands` are `[inner, rows, width]`. Samples come a few rows behind and all with
    /// the last.
    ///
    /// # Panics
    /// If rows are not from one multiple of [`Self::ROWS`] to another or to the end.
    pub fn push_bands(
        &mut self,
        bands: &[i16],
        rows: Range<usize>,
        grid: [usize; 2],
        extent: [usize; 2],
        gray: bool,
        out: &mut [u8],
    ) {
        let whole = |row: usize| row.is_multiple_of(Self::ROWS);
        assert!(
            whole(rows.start) && (whole(rows.end) || rows.end == grid[0]),
            "rows are no strips"
        );
        if out.is_empty() || rows.is_empty() {
            return;
        }
        let job = decode::Job { from: Input::Bands(bands), grid, extent, rows, gray, out };
        self.threads.run(&self.plan, &mut [job]);
    }
}
