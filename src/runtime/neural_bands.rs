//! Bands of pictures by a neural decoder, tile by tile.

use std::ops::Range;
use std::sync::Arc;

use super::neural::Neural;
use super::neural_card::Role;
use super::tiles::Axis;
use crate::codec::{Bundle, Latent};
use crate::error::{Error, Result};

/// Cells of a tile, along each axis: more cost memory, fewer are computed more often.
const TILE: usize = 160;
/// Cells of the largest picture that a decoder may take at once, if it needs to.
const WHOLE: usize = 1 << 18;

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
            return Err(Error::Limit {
                what,
                limit: WHOLE as u64,
                actual: latent.cells() as u64,
            });
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
        self.neural.run(&self.input, grid, condition, &mut self.bands)?;
        if self.neural.card().role == Role::Residual {
            self.linear.resize(b.inner() * cells, 0.0);
            b.synthesis.apply(&self.reals, cells, &b.offset, &mut self.linear);
            self.bands.iter_mut().zip(&self.linear).for_each(|(y, linear)| *y += linear);
        }
        Ok(())
    }
}
