//! Bands of pictures by a neural decoder, tile by tile.

use std::ops::Range;
use std::sync::Arc;

use super::neural::Neural;
use super::neural_card::Role;
use super::tiles::Axis;
use crate::codec::{Bundle, Latent};
use crate::error::{Error, Result};
use crate::wide::wide;

/// Cells of a tile, along each axis: more leave the cache, fewer are computed more often.
const TILE: usize = 96;
/// Cells of the largest picture that a decoder may take at once, if it needs to: attention over all of them takes a
/// gigabyte.
const WHOLE: usize = 1 << 14;

/// Makes the bands of pictures of one bundle, and keeps the memory for it.
#[derive(Debug)]
pub(super) struct NeuralBands {
    neural: Arc<Neural>,
    /// A channel of a tile.
    integers: Vec<i16>,
    /// Channels of a tile that are read, as reals: `[channels, cells]`.
    reals: Vec<f32>,
    /// The same in deviations, zero beyond the prefix: the model's input.
    input: Vec<f32>,
    /// Bands of the linear decoder: `[inner, cells]`.
    linear: Vec<f32>,
    /// Bands: `[inner, cells]`.
    bands: Vec<f32>,
}

impl NeuralBands {
    pub fn new(bundle: &Bundle, neural: Arc<Neural>) -> Result<Self> {
        neural.check(bundle)?;
        let none = Vec::new;
        let (reals, input, linear, bands) = (none(), none(), none(), none());
        Ok(Self { neural, integers: Vec::new(), reals, input, linear, bands })
    }

    /// The model.
    pub fn neural(&self) -> &Neural {
        &self.neural
    }

    /// Tiles of the rows of a picture, of which as many rows are kept as `unit` says a multiple of,
    /// and `margin` rows more on each side are as they should be.
    ///
    /// # Errors
    /// `Limit` if the picture is too large for a decoder that must take it whole.
    pub fn rows(&self, latent: &Latent, margin: usize, unit: usize) -> Result<Axis> {
        let card = self.neural.card();
        if card.reach.is_none() && latent.cells() > WHOLE {
            let what = format!(
                "cells of a picture that {} must take at once, as it has no tamis.reach (use the \
                 linear decoder, --preview),",
                card.name
            );
            return Err(Error::Limit { what, limit: WHOLE as u64, actual: latent.cells() as u64 });
        }
        Ok(Axis::new(latent.grid[0], card.reach.map(|reach| reach + margin), TILE, unit))
    }

    /// Gives the bands of the rows `want` of a picture to `put`, piece by piece: the number of the
    /// band, the row, the first column, and the values. The model sees the rows `read`.
    ///
    /// # Errors
    /// `Bundle` if the model fails.
    pub fn each(
        &mut self,
        bundle: &Bundle,
        latent: &Latent,
        channels: usize,
        (read, want): (Range<usize>, Range<usize>),
        mut put: impl FnMut(usize, usize, usize, &[f32]),
    ) -> Result<()> {
        let columns = Axis::new(latent.grid[1], self.neural.card().reach, TILE, 1);
        for (read_columns, columns) in columns.tiles() {
            let (high, wide) = (read.len(), read_columns.len());
            self.tile(bundle, latent, channels, read.clone(), read_columns.clone())?;
            let skip = columns.start - read_columns.start;
            for (band, values) in self.bands.chunks_exact(high * wide).enumerate() {
                for row in want.clone() {
                    let at = (row - read.start) * wide + skip;
                    put(band, row, columns.start, &values[at..][..columns.len()]);
                }
            }
        }
        Ok(())
    }

    /// Bands of a tile, of which the outermost are only right where the picture ends too.
    fn tile(
        &mut self,
        b: &Bundle,
        latent: &Latent,
        channels: usize,
        rows: Range<usize>,
        columns: Range<usize>,
    ) -> Result<()> {
        let cells = rows.len() * columns.len();
        self.reals.resize(channels * cells, 0.0);
        self.input.clear();
        for (c, reals) in self.reals.chunks_exact_mut(cells).enumerate() {
            self.integers.clear();
            let lines = latent.channel(c).chunks_exact(latent.grid[1]);
            for line in lines.skip(rows.start).take(rows.len()) {
                self.integers.extend_from_slice(&line[columns.clone()]);
            }
            b.quantizer.dequantize(&self.integers, b.steps[c], latent.quality, reals);
            self.input.extend(reals.iter().map(|z| z / b.deviation[c]));
        }
        self.input.resize(b.channels() * cells, 0.0);
        self.bands.resize(b.inner() * cells, 0.0);
        let kept = channels as f32 / b.channels() as f32;
        let condition = [latent.quality.factor().log2() / 4.0, kept];
        let grid = [rows.len(), columns.len()];
        let needed = [1, b.inner(), grid[0], grid[1]];
        self.neural.run(&self.input, grid, condition, needed, &mut self.bands)?;
        if self.neural.card().role == Role::Residual {
            self.linear.resize(b.inner() * cells, 0.0);
            b.synthesis.apply(&self.reals, cells, &b.offset, &mut self.linear);
            self.bands.iter_mut().zip(&self.linear).for_each(|(y, linear)| *y += linear);
        }
        Ok(())
    }
}

wide! {
    /// The nearest whole numbers, half to even, as far as 16 bits go.
    pub(super) fn round(values: &[f32], to: &mut [i16]) {
        /// Added and taken away again, it leaves a whole number: an instruction that rounds would be
        /// a call on machines whose processors are not known.
        const ROUND: f32 = 12_582_912.0;
        for (to, &x) in to.iter_mut().zip(values) {
            *to = (x.clamp(-32768.0, 32767.0) + ROUND - ROUND) as i16;
        }
    }
}

#[cfg(all(test, feature = "onnx"))]
#[path = "../../tests/common/onnx.rs"]
mod onnx;

#[cfg(all(test, feature = "onnx"))]
mod tests {
    use super::*;
    use crate::codec::{Frame, Quality, plain};
    use crate::runtime::find_bundle;

    /// Bands of every row, asked for as the decoder of floats does: with some beyond the tile.
    fn bands(bundle: &Bundle, latent: &Latent, reach: &[(&str, &str)], margin: usize) -> Vec<f32> {
        let (codec, channels) = (bundle.codec_id().to_string(), bundle.channels().to_string());
        let mut properties = vec![("tamis.decoder", codec.as_str()), ("tamis.role", "residual")];
        properties.push(("tamis.channels", &channels));
        properties.extend(reach);
        let file = onnx::local(bundle.channels(), bundle.inner(), 30.0, &properties);
        let neural = Neural::from_onnx("local", &file).expect("a good model");
        let mut all = NeuralBands::new(bundle, Arc::new(neural)).expect("the same codec");
        let (high, wide) = (latent.grid[0], latent.grid[1]);
        let mut out = vec![f32::NAN; bundle.inner() * high * wide];
        for (read, keep) in all.rows(latent, margin, 4).expect("small").tiles() {
            let want = keep.start.saturating_sub(margin)..(keep.end + margin).min(high);
            all.each(bundle, latent, 30, (read, want), |band, row, column, values| {
                let to = &mut out[(band * high + row) * wide + column..][..values.len()];
                // What was there before is the margin of another tile: the same but for rounding.
                for (to, &from) in to.iter_mut().zip(values) {
                    assert!(to.is_nan() || (*to - from).abs() <= 1e-4 * (1.0 + from.abs()));
                    *to = from;
                }
            })
            .expect("runs");
        }
        out
    }

    #[test]
    fn bands_round_to_the_nearest() {
        let mut to = [0; 6];
        round(&[0.5, 1.5, -2.5, 7.4999, 1e9, -1e9], &mut to);
        assert_eq!(to, [0, 2, -2, 7, 32767, -32768]);
    }

    #[test]
    fn tiles_give_what_the_whole_picture_does() {
        let bundle = find_bundle("rgb").expect("shipped");
        let mut seen = 0;
        for (rows, columns) in [(9, 330), (171, 12), (100, 163)] {
            let (height, width) = (8 * rows - 3, 8 * columns - 5);
            let samples = (0..3 * height * width).map(|i| ((i * i) >> 7) as u8).collect();
            let frame = Frame::rgb(height, width, samples).expect("a frame");
            let latent = plain::encode(&bundle, &frame, 36, Quality::DEFAULT).expect("fits");
            let whole = bands(&bundle, &latent, &[], 0);
            let scale = whole.iter().fold(0.0f32, |m, x| m.max(x.abs()));
            assert!(whole.iter().all(|x| x.is_finite()) && scale > 100.0);
            for margin in [0, 4] {
                let tiles = bands(&bundle, &latent, &[("tamis.reach", "2")], margin);
                let off = whole.iter().zip(&tiles).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off <= 1e-4 * scale, "{rows} x {columns}: off by {off} of {scale}");
            }
            // The test would see a reach that is too small.
            let short = bands(&bundle, &latent, &[("tamis.reach", "1")], 0);
            seen +=
                usize::from(whole.iter().zip(&short).any(|(a, b)| (a - b).abs() > 1e-3 * scale));
        }
        assert!(seen > 0);
    }
}
