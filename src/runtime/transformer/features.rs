//! What a model reads of a cell: its number, and functions of it.

use super::buffer::Buffer;
use super::dispatch::{Isa, Kernel};
use super::lanes::Portable;

/// Numbers that go through all steps before the next ones do, so that they stay in the nearest cache.
const PART: usize = 512;

/// Functions of one number, reckoned step by step.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Value 0 is the number, step `i` makes value `i + 1` of values before it.
    pub steps: Vec<Step>,
    /// The values that are read.
    pub read: Vec<usize>,
}

/// One step, of values by their places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// The same for every number.
    Constant(f32),
    /// Of one value.
    Of(Unary, usize),
    /// Of two.
    Both(Binary, usize, usize),
}

/// Functions of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// Without its sign.
    Abs,
    /// `e^x`
    Exp,
    /// The natural logarithm.
    Log,
    /// With the other sign.
    Neg,
    /// What is negative becomes zero.
    Relu,
    /// -1, 0 or 1.
    Sign,
    /// The square root.
    Sqrt,
    /// The hyperbolic tangent.
    Tanh,
}

/// Functions of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a / b`
    Div,
    /// The larger.
    Max,
    /// The smaller.
    Min,
    /// `a b`
    Mul,
    /// `a^b`
    Pow,
    /// `a - b`
    Sub,
}

impl Default for Features {
    fn default() -> Self {
        Self { steps: Vec::new(), read: vec![0] }
    }
}

impl Features {
    /// Whether the number itself is all that is read.
    pub fn is_plain(&self) -> bool {
        self.read == [0]
    }

    /// Whether all that is read of zero is zero.
    pub(super) fn vanish(&self) -> bool {
        self.of(&[0.0]).iter().all(|&y| y == 0.0)
    }

    /// Shape: `[n]` -> `[features, n]`.
    pub(crate) fn of(&self, x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; self.read.len() * x.len()];
        self.run::<Portable>(x, &mut Buffer::default(), &mut out);
        out
    }

    /// Shape: `x [n]` -> `out [features, n]`.
    pub(super) fn run<L: Isa>(&self, x: &[f32], scratch: &mut Buffer<f32>, out: &mut [f32]) {
        assert!(out.len() == self.read.len() * x.len(), "features of every number");
        scratch.fit((self.steps.len() + 1) * PART);
        L::call(Run { features: self, x, values: scratch, out });
    }
}

struct Run<'a> {
    features: &'a Features,
    x: &'a [f32],
    values: &'a mut [f32],
    out: &'a mut [f32],
}

impl Kernel for Run<'_> {
    #[inline(always)]
    fn run<L: Isa>(self) {
        let Self { features, x, values, out } = self;
        for (at, part) in x.chunks(PART).enumerate() {
            let n = part.len();
            values[..n].copy_from_slice(part);
            for (i, step) in features.steps.iter().enumerate() {
                let (made, rest) = values.split_at_mut((i + 1) * PART);
                let (to, value) = (&mut rest[..n], |v: usize| &made[v * PART..][..n]);
                match *step {
                    Step::Constant(c) => to.fill(c),
                    Step::Of(f, a) => of(f, value(a), to),
                    Step::Both(f, a, b) => both(f, value(a), value(b), to),
                }
            }
            for (k, &v) in features.read.iter().enumerate() {
                out[k * x.len() + at * PART..][..n].copy_from_slice(&values[v * PART..][..n]);
            }
        }
    }
}

#[inline(always)]
fn of(f: Unary, x: &[f32], to: &mut [f32]) {
    match f {
        Unary::Abs => each(x, to, f32::abs),
        Unary::Exp => each(x, to, f32::exp),
        // The quick one knows no exceptions.
        Unary::Log if x.iter().fold(true, |all, &x| all & usual(x)) => each(x, to, log),
        Unary::Log => each(x, to, f32::ln),
        Unary::Neg => each(x, to, |x| -x),
        Unary::Relu => each(x, to, |x| x.max(0.0)),
        Unary::Sign => each(x, to, |x| f32::from(i8::from(x > 0.0) - i8::from(x < 0.0))),
        Unary::Sqrt => each(x, to, f32::sqrt),
        Unary::Tanh => each(x, to, f32::tanh),
    }
}

#[inline(always)]
fn each(x: &[f32], to: &mut [f32], f: impl Fn(f32) -> f32) {
    to.iter_mut().zip(x).for_each(|(to, &x)| *to = f(x));
}

#[inline(always)]
fn both(f: Binary, a: &[f32], b: &[f32], to: &mut [f32]) {
    match f {
        Binary::Add => pairs(a, b, to, |a, b| a + b),
        Binary::Div => pairs(a, b, to, |a, b| a / b),
        Binary::Max => pairs(a, b, to, f32::max),
        Binary::Min => pairs(a, b, to, f32::min),
        Binary::Mul => pairs(a, b, to, |a, b| a * b),
        Binary::Pow => pairs(a, b, to, f32::powf),
        Binary::Sub => pairs(a, b, to, |a, b| a - b),
    }
}

#[inline(always)]
fn pairs(a: &[f32], b: &[f32], to: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    to.iter_mut().zip(a.iter().zip(b)).for_each(|(to, (&a, &b))| *to = f(a, b));
}

/// Whether it is positive, finite and has all its digits.
#[inline(always)]
fn usual(x: f32) -> bool {
    (f32::MIN_POSITIVE..=f32::MAX).contains(&x)
}

/// The natural logarithm of what is [`usual`], without a branch, to 2 units in the last place.
///
/// Source: Moshier, Cephes, `logf`.
#[inline(always)]
fn log(x: f32) -> f32 {
    /// The square root of a half.
    const LEAST: u32 = 0x3f35_04f3;
    // x = m 2^e, m from the root of a half to that of two.
    let e = x.to_bits().wrapping_sub(LEAST) as i32 >> 23;
    let m = f32::from_bits(x.to_bits().wrapping_sub((e as u32) << 23)) - 1.0;
    let e = e as f32;
    let mut p = 7.037_683_6e-2;
    p = p * m - 1.151_461e-1;
    p = p * m + 1.167_699_9e-1;
    p = p * m - 1.242_014_1e-1;
    p = p * m + 1.424_932_3e-1;
    p = p * m - 1.666_805_8e-1;
    p = p * m + 2.000_071_5e-1;
    p = p * m - 2.499_999_4e-1;
    p = p * m + 3.333_333e-1;
    let square = m * m;
    // ln 2 in two parts, the first exact.
    m + (p * m * square - 0.5 * square - 2.121_944_4e-4 * e) + 0.693_359_4 * e
}

#[cfg(test)]
mod tests {
    use super::*;
    use Binary::{Add, Mul};

    #[test]
    fn logarithms_are_close() {
        let mut x: Vec<f32> = (1..20_000).map(|i| (i as f32 * 0.001).powi(3)).collect();
        x.extend([f32::MIN_POSITIVE, f32::MAX, 1.0, 1.0 - 1e-7, 1.0 + 1e-7, std::f32::consts::E]);
        for x in x {
            let (found, truth) = (log(x), f64::from(x).ln());
            let off = (f64::from(found) - truth).abs();
            assert!(off <= 2.5e-7 * truth.abs().max(1e-3), "{x}: {found} for {truth}");
        }
    }

    #[test]
    fn functions_are_those_of_single_numbers_however_many_there_are() {
        let all = [
            (Unary::Abs, f32::abs as fn(f32) -> f32),
            (Unary::Exp, f32::exp),
            (Unary::Log, f32::ln),
            (Unary::Neg, |x| -x),
            (Unary::Relu, |x| x.max(0.0)),
            (Unary::Sign, |x| if x == 0.0 { 0.0 } else { x.signum() }),
            (Unary::Sqrt, f32::sqrt),
            (Unary::Tanh, f32::tanh),
        ];
        for n in [1, PART, PART + 3] {
            let x: Vec<f32> = (0..n).map(|i| (i as f32 - 5.0) / 7.0).collect();
            for (f, truth) in all {
                let found = Features { steps: vec![Step::Of(f, 0)], read: vec![1, 0] }.of(&x);
                assert_eq!(found[n..], x);
                for (&x, y) in x.iter().zip(found) {
                    let t = truth(x);
                    let same =
                        (y - t).abs() <= 1e-6 * t.abs() || y == t || y.is_nan() && t.is_nan();
                    assert!(same, "{f:?} {x}: {y} for {t}");
                }
            }
        }
    }

    fn energy() -> Features {
        let steps = vec![
            Step::Of(Unary::Abs, 0),
            Step::Constant(8.0),
            Step::Both(Mul, 1, 2),
            Step::Constant(1.0),
            Step::Both(Add, 3, 4),
            Step::Of(Unary::Log, 5),
        ];
        Features { steps, read: vec![0, 6] }
    }

    #[test]
    fn zero_stays_zero_or_not() {
        assert!(energy().vanish() && Features::default().vanish());
        let one = Features { steps: vec![Step::Constant(1.0)], read: vec![0, 1] };
        assert!(!one.vanish() && !one.is_plain() && Features::default().is_plain());
    }
}
