//! Tokens of a latent or picture: patches, a linear layer, positions.

use super::buffer::Buffer;
use super::dispatch::Isa;
use super::features::Features;
use super::linear::{Linear, Matrix, Rows, Then};

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
    layer: Linear<L>,
    before: Vec<f32>,
    positions: Vec<f32>,
}

impl<L: Isa> CompiledEmbed<L> {
    pub fn new(embed: &Embed) -> Self {
        Self {
            features: embed.features.clone(),
            vanish: embed.features.vanish(),
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
        let given = match cells {
            Cells::Floats(values) => values.len() / area.max(1),
            Cells::Latent(values, _) => values.len() / area.max(1),
        };
        let cell = self.features.read.len() * high * wide;
        let channels = if self.vanish { given } else { self.layer.inputs() / cell };
        let each = channels * cell;
        let mut gathered = Buffer::<f32>::new(patches * each);
        let (mut dequantised, mut seen) =
            (vec![0.0; area], vec![0.0; self.features.read.len() * area]);
        let mut scratch = Buffer::default();
        for c in 0..channels {
            let plane = match cells {
                _ if c >= given => {
                    dequantised.fill(0.0);
                    &dequantised
                }
                Cells::Floats(values) => &values[c * area..][..area],
                Cells::Latent(values, worth) => {
                    let line = dequantised.iter_mut().zip(&values[c * area..][..area]);
                    line.for_each(|(to, x)| *to = f32::from(*x) * worth[c]);
                    &dequantised
                }
            };
            let planes = if self.features.is_plain() {
                plane
            } else {
                self.features.run::<L>(plane, &mut scratch, &mut seen);
                &seen
            };
            for (f, plane) in planes.chunks_exact(area).enumerate() {
                for (patch, to) in gathered.chunks_exact_mut(each).enumerate() {
                    let corner = patch / columns * high * width + patch % columns * wide;
                    let to = &mut to[c * cell + f * high * wide..][..high * wide];
                    for (y, to) in to.chunks_exact_mut(wide).enumerate() {
                        to.copy_from_slice(&plane[corner + y * width..][..wide]);
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
