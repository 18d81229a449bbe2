//! Linear layers: a matrix, packed once, in floats or in whole numbers of 8 bits.

use super::buffer::Buffer;
use super::dispatch::{Isa, Kernel};
use super::lanes::Small as _;
use super::math::Activation;
use super::rows;
use super::tile::{self, Floats, Smalls, To};

/// Inputs multiplied before sums go back to memory: so much of all rows and of a panel stays in caches.
const PART: usize = 384;

/// What happens to a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Store,
    Activate(Activation),
    /// The same, coarsely: for what is quantised next.
    Coarse(Activation),
    /// Added to what is there.
    Add,
}

/// A matrix and a bias, as a model holds them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix {
    /// Shape: `[inputs, outputs]`.
    pub weights: Vec<f32>,
    /// Shape: `[outputs]`.
    pub bias: Vec<f32>,
}

impl Matrix {
    /// Length of what goes in.
    pub fn inputs(&self) -> usize {
        self.weights.len() / self.bias.len()
    }

    /// Length of what comes out.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }
}

/// A layer in the order in which an instruction set reads it: panels of columns, one after the other.
#[derive(Debug)]
pub(super) struct Linear<L: Isa> {
    inputs: usize,
    outputs: usize,
    bias: Buffer<f32>,
    weights: Weights<L>,
}

#[derive(Debug)]
enum Weights<L: Isa> {
    Floats(Buffer<f32>),
    Smalls {
        weights: Buffer<L::Small>,
        /// What one is worth, by the column.
        worth: Buffer<f32>,
        /// Their sum in each column, as inputs do not stand for zero by zeros.
        sums: Buffer<f32>,
    },
}

/// Rows that a layer reads, quantised.
#[derive(Debug)]
pub(super) struct SmallRows<S> {
    pub values: Buffer<S>,
    /// What a number of each row is worth, and which stands for zero.
    pub scales: Buffer<f32>,
    pub zeros: Buffer<f32>,
}

impl<S> Default for SmallRows<S> {
    fn default() -> Self {
        Self { values: Buffer::default(), scales: Buffer::default(), zeros: Buffer::default() }
    }
}

/// Numbers of a row of `inputs`, quantised: as many as are multiplied at once.
pub(super) fn small_stride<L: Isa>(inputs: usize) -> usize {
    inputs.next_multiple_of(tile::part::<L>())
}

/// Rows of a layer's input.
#[derive(Debug)]
pub(super) enum Rows<'a, L: Isa> {
    Floats(&'a [f32]),
    Smalls(&'a SmallRows<L::Small>),
}

/// Inputs whose products of bytes a sum of 32 bits holds for certain.
const MOST: usize = 1 << 16;

impl<L: Isa> Linear<L> {
    /// Quantised if that is wanted and sums hold it.
    pub fn new(matrix: &Matrix, small: bool) -> Self {
        match small && matrix.inputs() <= MOST {
            true => Self::smalls(matrix),
            false => Self::floats(matrix),
        }
    }

    pub fn floats(matrix: &Matrix) -> Self {
        let (inputs, outputs) = (matrix.inputs(), matrix.outputs());
        let width = L::PANEL * L::N;
        let padded = outputs.next_multiple_of(width);
        let mut weights = Buffer::new(inputs * padded);
        for (k, row) in matrix.weights.chunks_exact(outputs).enumerate() {
            for (j, &x) in row.iter().enumerate() {
                weights[(j / width * inputs + k) * width + j % width] = x;
            }
        }
        Self {
            inputs,
            outputs,
            bias: padded_bias(matrix, padded),
            weights: Weights::Floats(weights),
        }
    }

    /// Quantised per output channel, symmetrically.
    pub fn smalls(matrix: &Matrix) -> Self {
        let (inputs, outputs) = (matrix.inputs(), matrix.outputs());
        let width = L::PANEL * L::N;
        let padded = outputs.next_multiple_of(width);
        let stride = small_stride::<L>(inputs);
        let groups = stride / L::GROUP;
        let mut weights = Buffer::new(stride * padded);
        let (mut worth, mut sums) = (Buffer::<f32>::new(padded), Buffer::<f32>::new(padded));
        worth[..outputs].copy_from_slice(&worths::<L>(matrix));
        for (k, row) in matrix.weights.chunks_exact(outputs).enumerate() {
            for (j, &x) in row.iter().enumerate() {
                let value = if worth[j] > 0.0 { (x / worth[j]).round() as i32 } else { 0 };
                let at = (j / width * groups + k / L::GROUP) * width + j % width;
                weights[at * L::GROUP + k % L::GROUP] = L::Small::of(value);
                sums[j] += value as f32;
            }
        }
        let weights = Weights::Smalls { weights, worth, sums };
        Self { inputs, outputs, bias: padded_bias(matrix, padded), weights }
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Whether it reads quantised rows.
    pub fn is_small(&self) -> bool {
        matches!(self.weights, Weights::Smalls { .. })
    }

    /// `out = then(x * weights + bias)`; a quantised layer quantises what it reads, into `small`.
    ///
    /// Shape: x `[n, inputs]` -> out `[n, outputs]`; floats as in [`Self::run`].
    pub fn apply(
        &self,
        x: &[f32],
        inputs: usize,
        small: &mut SmallRows<L::Small>,
        out: &mut [f32],
        then: Then,
    ) {
        if self.is_small() {
            rows::quantise::<L>(x, inputs, small);
            self.run(Rows::Smalls(small), inputs, out, then);
        } else {
            self.run(Rows::Floats(x), inputs, out, then);
        }
    }

    /// `out = then(rows * weights + bias)`. Rows may be shorter than the matrix is high: what is missing
    /// is zero.
    ///
    /// Shape: rows `[n, inputs]` -> out `[n, outputs]`.
    ///
    /// # Panics
    /// If the lengths do not agree, or rows are of the other kind than the weights.
    pub fn run(&self, rows: Rows<'_, L>, inputs: usize, out: &mut [f32], then: Then) {
        L::call(Job { linear: self, rows, inputs, out, then });
    }
}

/// What a step of whole numbers is worth in each column: so much that no weight is beyond 127, and that the
/// sums on the way hold the largest inputs: see [`ROOM`](super::lanes::Lanes::ROOM).
pub(super) fn worths<L: Isa>(matrix: &Matrix) -> Vec<f32> {
    let outputs = matrix.outputs();
    let mut worths = vec![0f32; outputs];
    for row in matrix.weights.chunks_exact(outputs) {
        for (worth, x) in worths.iter_mut().zip(row) {
            *worth = worth.max(x.abs() / 127.0);
        }
    }
    // Rounding may add half a step to every weight.
    let room = L::ROOM - (L::DEEP * L::TOGETHER) as f32 / 2.0;
    for part in matrix.weights.chunks(tile::part::<L>() * outputs) {
        for first in (0..L::GROUP).step_by(L::TOGETHER) {
            let mut signs = vec![[0f32; 2]; outputs];
            for (k, row) in part.chunks_exact(outputs).enumerate() {
                if k % L::GROUP / L::TOGETHER == first / L::TOGETHER {
                    for ([above, below], x) in signs.iter_mut().zip(row) {
                        *above += x.max(0.0);
                        *below += (-x).max(0.0);
                    }
                }
            }
            for (worth, [above, below]) in worths.iter_mut().zip(signs) {
                *worth = worth.max(above.max(below) / room);
            }
        }
    }
    worths
}

fn padded_bias(matrix: &Matrix, padded: usize) -> Buffer<f32> {
    let mut bias = Buffer::new(padded);
    bias[..matrix.bias.len()].copy_from_slice(&matrix.bias);
    bias
}

struct Job<'a, L: Isa> {
    linear: &'a Linear<L>,
    rows: Rows<'a, L>,
    inputs: usize,
    out: &'a mut [f32],
    then: Then,
}

impl<I: Isa> Kernel for Job<'_, I> {
    #[inline(always)]
    fn run<L: Isa>(self) {
        // The kernel is called by the instruction set that packed the layer: `L` is `I`.
        let Linear { inputs, outputs, bias, weights } = self.linear;
        let width = I::PANEL * I::N;
        let count = self.out.len() / outputs;
        assert!(self.inputs <= *inputs && self.out.len() == count * outputs, "shape of a layer");
        if count == 0 {
            return;
        }
        let activation = match self.then {
            Then::Activate(activation) => Some((activation, false)),
            Then::Coarse(activation) => Some((activation, true)),
            _ => None,
        };
        let mut to = |first: usize, begins: bool, ends: bool| To {
            bias: if begins { bias[first..first + width].as_ptr() } else { std::ptr::null() },
            out: self.out[first..].as_mut_ptr(),
            stride: *outputs,
            columns: width.min(outputs - first),
            add: !begins || self.then == Then::Add,
            activation: if ends { activation } else { None },
        };
        match (&self.rows, weights) {
            (Rows::Floats(rows), Weights::Floats(weights)) => {
                assert!(rows.len() >= count * self.inputs, "rows of a layer");
                // Without inputs there is still a bias.
                let parts = self.inputs.div_ceil(PART).max(1);
                for part in 0..parts {
                    let from = part * self.inputs / parts;
                    let until = (part + 1) * self.inputs / parts;
                    for first in (0..*outputs).step_by(width) {
                        let panel = &weights[first * inputs..(first + width) * inputs];
                        let a = Floats {
                            rows: rows[from.min(rows.len())..].as_ptr(),
                            stride: self.inputs,
                            inputs: until - from,
                            panel: panel[from * width..].as_ptr(),
                            ahead: panel.as_ptr().wrapping_add((*inputs + from) * width),
                        };
                        let to = to(first, part == 0, part + 1 == parts);
                        // SAFETY: there are `count` rows of inputs and of outputs, from the column of
                        // this panel on; the panel and the bias are padded to its width.
                        unsafe { tile::floats::<I>(count, a, to) }
                    }
                }
            }
            (Rows::Smalls(rows), Weights::Smalls { weights, worth, sums }) => {
                let stride = small_stride::<I>(*inputs);
                assert!(rows.values.len() >= count * stride, "rows of a layer");
                assert!(rows.scales.len() >= count && rows.zeros.len() >= count, "rows of a layer");
                assert!(self.inputs == *inputs, "rows of a layer");
                for first in (0..*outputs).step_by(width) {
                    let panel = &weights[first * stride..(first + width) * stride];
                    let a = Smalls {
                        rows: rows.values.as_ptr(),
                        stride,
                        parts: stride / tile::part::<I>(),
                        panel: panel.as_ptr(),
                        ahead: panel.as_ptr().wrapping_add(panel.len()),
                        worth: worth[first..first + width].as_ptr(),
                        weights: sums[first..first + width].as_ptr(),
                        scales: rows.scales.as_ptr(),
                        zeros: rows.zeros.as_ptr(),
                    };
                    // SAFETY: as above, and there is a scale for every row.
                    unsafe { tile::smalls::<I>(count, &a, to(first, true, true)) }
                }
            }
            _ => panic!("rows and weights of a layer are of one kind"),
        }
    }
}
