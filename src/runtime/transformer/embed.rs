//! Tokens of a latent or picture: patches, a linear layer, positions.

use super::buffer::Buffer;
use super::dispatch::Isa;
use super::linear::{Linear, Matrix, Rows, Then};

/// How a model makes tokens.
///
/// Source: Dosovitskiy et al. 2021, equation 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Embed {
    /// Height and width of a patch, in cells.
    pub patch: [usize; 2],
    /// Shape: `[channels * height * width, width]`.
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
    patch: [usize; 2],
    layer: Linear<L>,
    before: Vec<f32>,
    positions: Vec<f32>,
}

impl<L: Isa> CompiledEmbed<L> {
    pub fn new(embed: &Embed) -> Self {
        Self {
            patch: embed.patch,
            layer: Linear::floats(&embed.layer),
            before: embed.before.clone(),
            positions: embed.positions.clone(),
        }
    }

    /// Tokens of a grid of cells; channels that are missing cost nothing.
    pub fn run(&self, cells: Cells<'_>, [height, width]: [usize; 2]) -> Result<Vec<f32>, String> {
        let outputs = self.layer.outputs();
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
        let area = height * width;
        let channels = match cells {
            Cells::Floats(values) => values.len() / area.max(1),
            Cells::Latent(values, _) => values.len() / area.max(1),
        };
        let each = channels * high * wide;
        let mut gathered = Buffer::<f32>::new(patches * each);
        let mut to = gathered.iter_mut();
        for row in 0..rows {
            for column in 0..columns {
                for c in 0..channels {
                    for y in 0..high {
                        let from = c * area + (row * high + y) * width + column * wide;
                        match cells {
                            Cells::Floats(values) => {
                                let line = &values[from..from + wide];
                                to.by_ref().zip(line).for_each(|(to, x)| *to = *x);
                            }
                            // Dequantised as it is gathered: it costs nothing here.
                            Cells::Latent(values, worth) => {
                                let line = &values[from..from + wide];
                                let each = to.by_ref().zip(line);
                                each.for_each(|(to, x)| *to = f32::from(*x) * worth[c]);
                            }
                        }
                    }
                }
            }
        }
        let mut tokens = self.before.clone();
        let before = tokens.len();
        match self.positions.is_empty() {
            true => tokens.resize(before + patches * outputs, 0.0),
            false => tokens.extend(&self.positions),
        }
        self.layer.run(Rows::Floats(&gathered), each, &mut tokens[before..], Then::Add);
        Ok(tokens)
    }
}
