//! What is done to rows between layers: normalised, and quantised.

use super::dispatch::{Isa, Kernel};
use super::lanes::Small as _;
use super::linear::{SmallRows, small_stride};
use super::math;

/// Layer normalisation.
///
/// Source: Ba, Kiros and Hinton 2016, equation 3.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Norm {
    /// Shape: `[width]`.
    pub gain: Vec<f32>,
    /// Shape: `[width]`.
    pub bias: Vec<f32>,
    /// Added to the variance.
    pub epsilon: f32,
}

impl Norm {
    /// Shape: rows `[n, width]` -> out `[n, width]`.
    pub(super) fn run<L: Isa>(&self, rows: &[f32], out: &mut [f32]) {
        assert!(rows.len() == out.len(), "shape of a norm");
        L::call(Normalise { norm: self, from: Some(rows), out });
    }

    /// The same in place.
    pub(super) fn run_in_place<L: Isa>(&self, rows: &mut [f32]) {
        L::call(Normalise { norm: self, from: None, out: rows });
    }
}

struct Normalise<'a> {
    norm: &'a Norm,
    /// As many rows; in place without.
    from: Option<&'a [f32]>,
    out: &'a mut [f32],
}

/// Sums that are added up beside each other: one alone would be waited for.
const BESIDE: usize = 4;

impl Kernel for Normalise<'_> {
    #[inline(always)]
    fn run<L: Isa>(self) {
        let Norm { gain, bias, epsilon } = self.norm;
        let width = gain.len();
        let whole = width - width % L::N;
        let most = width - width % (BESIDE * L::N);
        assert!(bias.len() == width && self.out.len().is_multiple_of(width), "shape of a norm");
        assert!(self.from.is_none_or(|from| from.len() == self.out.len()), "shape of a norm");
        for (at, row) in self.out.chunks_exact_mut(width).enumerate() {
            let to = row.as_mut_ptr();
            let x = self.from.map_or(to.cast_const(), |from| from[at * width..].as_ptr());
            // SAFETY: registers end within the row, and gain and bias are as long.
            unsafe {
                let mut sums = [L::splat(0.0); BESIDE];
                for i in (0..most).step_by(BESIDE * L::N) {
                    for j in 0..BESIDE {
                        sums[j] = L::add(sums[j], L::load(x.add(i + j * L::N)));
                    }
                }
                for i in (most..whole).step_by(L::N) {
                    sums[0] = L::add(sums[0], L::load(x.add(i)));
                }
                let mut sum = added::<L>(sums);
                for i in whole..width {
                    sum += *x.add(i);
                }
                let mean = sum / width as f32;
                let mut squares = [L::splat(0.0); BESIDE];
                for i in (0..most).step_by(BESIDE * L::N) {
                    for j in 0..BESIDE {
                        let d = L::sub(L::load(x.add(i + j * L::N)), L::splat(mean));
                        squares[j] = L::fma(d, d, squares[j]);
                    }
                }
                for i in (most..whole).step_by(L::N) {
                    let d = L::sub(L::load(x.add(i)), L::splat(mean));
                    squares[0] = L::fma(d, d, squares[0]);
                }
                let mut square = added::<L>(squares);
                for i in whole..width {
                    let d = *x.add(i) - mean;
                    square += d * d;
                }
                let scale = 1.0 / (square / width as f32 + epsilon).sqrt();
                for i in (0..whole).step_by(L::N) {
                    let d = L::sub(L::load(x.add(i)), L::splat(mean));
                    let d = L::mul(d, L::splat(scale));
                    let y = L::fma(d, L::load(gain.as_ptr().add(i)), L::load(bias.as_ptr().add(i)));
                    L::store(y, to.add(i));
                }
                for i in whole..width {
                    *to.add(i) = (*x.add(i) - mean) * scale * gain[i] + bias[i];
                }
            }
        }
    }
}

#[inline(always)]
fn added<L: Isa>([a, b, c, d]: [L::F; BESIDE]) -> f32 {
    math::sum::<L>(L::add(L::add(a, b), L::add(c, d)))
}

/// Quantises every row by its lowest and highest value: `value ≈ (whole - zero) * scale`. After an
/// activation almost all of a row lies on one side of zero: of a range around zero half were lost.
///
/// Shape: rows `[n, width]`.
pub(super) fn quantise<L: Isa>(rows: &[f32], width: usize, out: &mut SmallRows<L::Small>) {
    L::call(Quantise::<L> { rows, width, out });
}

struct Quantise<'a, L: Isa> {
    rows: &'a [f32],
    width: usize,
    out: &'a mut SmallRows<L::Small>,
}

impl<I: Isa> Kernel for Quantise<'_, I> {
    #[inline(always)]
    fn run<L: Isa>(self) {
        let width = self.width;
        let stride = small_stride::<I>(width);
        let whole = width - width % I::N;
        let count = self.rows.len() / width;
        self.out.values.fit(count * stride);
        self.out.scales.fit(count);
        self.out.zeros.fit(count);
        for i in 0..count {
            let row = &self.rows[i * width..][..width];
            let out = &mut self.out.values[i * stride..][..stride];
            let (x, to) = (row.as_ptr(), out.as_mut_ptr());
            // SAFETY: registers end within the row and its quantised twin, which is no shorter.
            unsafe {
                let (mut low, mut high) = (I::splat(0.0), I::splat(0.0));
                for i in (0..whole).step_by(I::N) {
                    let value = I::load(x.add(i));
                    (low, high) = (I::min(low, value), I::max(high, value));
                }
                let (mut low, mut high) = (math::lowest::<I>(low), math::highest::<I>(high));
                for value in &row[whole..] {
                    (low, high) = (low.min(*value), high.max(*value));
                }
                let steps = I::STEPS as f32;
                let scale = (high - low) / steps;
                let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
                let zero = (-low * inverse).round_ties_even() + I::LOWEST as f32;
                self.out.scales[i] = scale;
                self.out.zeros[i] = zero;
                // Zero is a whole number, so the ends may lie half a step outside.
                let (least, most) = (I::LOWEST as f32, I::LOWEST as f32 + steps);
                for i in (0..whole).step_by(I::N) {
                    let value = I::fma(I::load(x.add(i)), I::splat(inverse), I::splat(zero));
                    let held = I::min(I::max(value, I::splat(least)), I::splat(most));
                    I::round(held, to.add(i));
                }
                for i in whole..stride {
                    let value = row.get(i).map_or(0.0, |x| x * inverse) + zero;
                    out[i] = I::Small::of(value.clamp(least, most).round_ties_even() as i32);
                }
            }
        }
    }
}
