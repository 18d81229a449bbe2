//! Tokens of a latent or picture: patches, a linear layer, positions.

use super::buffer::Buffer;
use super::dispatch::Isa;
use super::features::Features;
use super::linear::{Linear, Matrix, SmallRows, Then};

/// How a model makes tokens.
///
/// Source: Dosovitskiy et al. 2021, equation 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Embed {
    /// What is read of each cell.
    pub features: Features,
    /// Height and width of a patch, in cells.
    pub patch: [usize; 2],
    /// Shape: `[channels * features * height * width, width]`.
    pub layer: Matrix,
    /// Tokens before those of patches, whole: classes, with their positions.
    pub before: Vec<f32>,
    /// Added to the tokens of patches, `[patches, width]`; empty if nothing is, and any grid will do.
    pub positions: Vec<f32>,
}

/// What tokens are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cells<'a> {
    /// Shape: `[channels, height, width]`.
    Floats(&'a [f32]),
    /// Whole numbers, and what one of each channel is worth.
    Latent(&'a [i16], &'a [f32]),
}

impl Cells<'_> {
    /// About how many bits the numbers of each patch take: one for its sign and size, more for larger ones.
    pub fn bits(self, [height, width]: [usize; 2], [high, wide]: [usize; 2]) -> Vec<f32> {
        let (rows, columns) = (height / high, width / wide);
        let mut bits = vec![0.0; rows * columns];
        let mut add = |i: usize, size: f32| {
            let (row, column) = (i / width % height / high, i % width / wide);
            if row < rows && column < columns {
                bits[row * columns + column] += (1.0 + size).log2();
            }
        };
        match self {
            Self::Floats(values) => values.iter().enumerate().for_each(|(i, x)| add(i, x.abs())),
            Self::Latent(values, _) => {
                let sizes = values.iter().enumerate();
                sizes.for_each(|(i, &x)| add(i, f32::from(x.unsigned_abs())));
            }
        }
        bits
    }
}

#[derive(Debug)]
pub(super) struct CompiledEmbed<L: Isa> {
    features: Features,
    /// Whether channels that are missing add nothing.
    vanish: bool,
    patch: [usize; 2],
    /// One for each feature, as numbers of one size are quantised together; the first has the bias.
    layers: Vec<Linear<L>>,
    before: Vec<f32>,
    positions: Vec<f32>,
}

impl<L: Isa> CompiledEmbed<L> {
    pub fn new(embed: &Embed, small: bool) -> Self {
        let [high, wide] = embed.patch;
        let (area, count, width) = (high * wide, embed.features.read.len(), embed.layer.outputs());
        let layers = (0..count).map(|f| {
            let of = |(i, row)| (i / area % count == f).then_some(row);
            let rows = embed.layer.weights.chunks_exact(width).enumerate().filter_map(of);
            let bias = if f == 0 { embed.layer.bias.clone() } else { vec![0.0; width] };
            Linear::new(&Matrix { weights: rows.flatten().copied().collect(), bias }, small)
        });
        Self {
            features: embed.features.clone(),
            vanish: embed.features.vanish(),
            patch: embed.patch,
            layers: layers.collect(),
            before: embed.before.clone(),
            positions: embed.positions.clone(),
        }
    }

    /// Tokens of a grid of cells; channels that are missing cost nothing in floats. Of `kept` patches only, if
    /// there are any: they stand behind `before`, and behind them is room for the others.
    pub fn run(
        &self,
        cells: Cells<'_>,
        [height, width]: [usize; 2],
        kept: Option<&[usize]>,
    ) -> Result<Vec<f32>, String> {
        let outputs = self.layers[0].outputs();
        let [high, wide] = self.patch;
        let [rows, columns] = [height / high, width / wide];
        let patches = rows * columns;
        if patches == 0 {
            return Err(format!("has patches of {high}x{wide} cells, {height}x{width} is smaller"));
        }
        if !self.positions.is_empty() && self.positions.len() != patches * outputs {
            let needed = self.positions.len() / outputs;
            return Err(format!(
                "has positions for {needed} patches, {height}x{width} has {patches}"
            ));
        }
        let every: Vec<usize> = (0..patches).collect();
        let kept = kept.unwrap_or(&every);
        let (area, size) = (high * wide, height * width);
        let given = match cells {
            Cells::Floats(values) => values.len() / size,
            Cells::Latent(values, _) => values.len() / size,
        };
        let whole = self.layers[0].is_small() || !self.vanish;
        let channels = if whole { self.layers[0].inputs() / area } else { given };
        let inputs = channels * area;
        // A channel of the kept patches, functions of it, and rows of all channels for each function.
        let mut one = vec![0.0; kept.len() * area];
        let mut seen = vec![0.0; self.layers.len() * one.len()];
        let mut gathered = Buffer::<f32>::new(self.layers.len() * kept.len() * inputs);
        let mut scratch = Buffer::default();
        for c in 0..channels {
            for (&patch, to) in kept.iter().zip(one.chunks_exact_mut(area)) {
                let corner = c * size + patch / columns * high * width + patch % columns * wide;
                for (y, to) in to.chunks_exact_mut(wide).enumerate() {
                    let from = corner + y * width;
                    match cells {
                        _ if c >= given => to.fill(0.0),
                        Cells::Floats(values) => to.copy_from_slice(&values[from..][..wide]),
                        Cells::Latent(values, worth) => {
                            let line = to.iter_mut().zip(&values[from..][..wide]);
                            line.for_each(|(to, x)| *to = f32::from(*x) * worth[c]);
                        }
                    }
                }
            }
            let planes = if self.features.is_plain() {
                &one
            } else {
                self.features.run::<L>(&one, &mut scratch, &mut seen);
                &seen
            };
            let rows = gathered.chunks_exact_mut(inputs);
            for (row, from) in rows.zip(planes.chunks_exact(area)) {
                row[c * area..][..area].copy_from_slice(from);
            }
        }
        let mut tokens = self.before.clone();
        let before = tokens.len();
        tokens.resize(before + patches * outputs, 0.0);
        let room = &mut tokens[before..][..kept.len() * outputs];
        if !self.positions.is_empty() {
            for (token, patch) in room.chunks_exact_mut(outputs).zip(kept) {
                token.copy_from_slice(&self.positions[patch * outputs..][..outputs]);
            }
        }
        let mut small = SmallRows::default();
        for (f, layer) in self.layers.iter().enumerate() {
            let rows = &gathered[f * kept.len() * inputs..][..kept.len() * inputs];
            layer.apply(rows, inputs, &mut small, room, Then::Add);
        }
        Ok(tokens)
    }
}
