//! Functions of registers: exp, and the units between two linear layers.

use super::lanes::Lanes;

/// What lies between the two linear layers of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x Φ(x)`, with the error function (Hendrycks and Gimpel 2016).
    Gelu,
    /// The same by a hyperbolic tangent, their second form.
    GeluTanh,
    /// What is negative becomes zero.
    Relu,
}

impl Activation {
    /// Of two registers; with `coarse`, to a few ten-thousandths.
    #[inline(always)]
    pub(super) fn of<L: Lanes>(self, x: L::F, y: L::F, coarse: bool) -> (L::F, L::F) {
        match self {
            Self::Gelu if coarse => (gelu_coarse::<L>(x), gelu_coarse::<L>(y)),
            Self::Gelu => (gelu::<L>(x), gelu::<L>(y)),
            Self::GeluTanh => (gelu_tanh::<L>(x), gelu_tanh::<L>(y)),
            Self::Relu => (L::max(x, L::splat(0.0)), L::max(y, L::splat(0.0))),
        }
    }
}

/// Adding it to a float below 2^22 leaves the nearest whole number in the low bits.
const MAGIC: f32 = 12_582_912.0;

/// `e^x` to 2 units in the last place; below -87 it is about 1e-38, above 88 about 1e38.
///
/// Source: Moshier, Cephes, `expf`.
#[inline(always)]
fn exp<L: Lanes>(x: L::F) -> L::F {
    let x = L::max(L::min(x, L::splat(88.0)), L::splat(-87.0));
    let power = L::fma(x, L::splat(std::f32::consts::LOG2_E), L::splat(MAGIC));
    let whole = L::sub(power, L::splat(MAGIC));
    // ln 2 in two parts, the first exact.
    let rest = L::fma(whole, L::splat(-0.693_359_4), x);
    let rest = L::fma(whole, L::splat(2.121_944_4e-4), rest);
    let mut p = L::splat(1.987_569_1e-4);
    p = L::fma(p, rest, L::splat(1.398_199_9e-3));
    p = L::fma(p, rest, L::splat(8.333_452e-3));
    p = L::fma(p, rest, L::splat(4.166_579_6e-2));
    p = L::fma(p, rest, L::splat(1.666_666_6e-1));
    p = L::fma(p, rest, L::splat(0.5));
    p = L::fma(L::mul(rest, rest), p, L::add(rest, L::splat(1.0)));
    L::scale(p, power)
}

/// `e^x` of what is not above zero, to 3e-7 of it, and to 4e-6 where products are not fused; below -87 it is
/// about 1e-38. A polynomial through the nodes of Chebyshev.
#[inline(always)]
pub(super) fn exp_of_negative<L: Lanes>(x: L::F) -> L::F {
    let x = L::max(x, L::splat(-87.0));
    let power = L::fma(x, L::splat(std::f32::consts::LOG2_E), L::splat(MAGIC));
    let whole = L::sub(power, L::splat(MAGIC));
    // Rounding of ln 2 is felt only where the result is small.
    let rest = L::fma(whole, L::splat(-std::f32::consts::LN_2), x);
    let mut p = L::splat(8.369_184e-3);
    p = L::fma(p, rest, L::splat(4.191_776e-2));
    p = L::fma(p, rest, L::splat(1.666_650_5e-1));
    p = L::fma(p, rest, L::splat(4.999_886_8e-1));
    p = L::fma(p, rest, L::splat(1.0));
    p = L::fma(p, rest, L::splat(1.0));
    L::scale(p, power)
}

/// Source: the rational approximation of Eigen's `erf`, good to 3e-7.
#[inline(always)]
fn erf<L: Lanes>(x: L::F) -> L::F {
    let x = L::max(L::min(x, L::splat(4.0)), L::splat(-4.0));
    let square = L::mul(x, x);
    let mut p = L::splat(-2.726_142_4e-10);
    p = L::fma(p, square, L::splat(2.770_681_6e-8));
    p = L::fma(p, square, L::splat(-2.101_024e-6));
    p = L::fma(p, square, L::splat(-5.692_506_3e-5));
    p = L::fma(p, square, L::splat(-7.349_906e-4));
    p = L::fma(p, square, L::splat(-2.954_6e-3));
    p = L::fma(p, square, L::splat(-1.609_603_4e-2));
    let mut q = L::splat(-1.456_607_2e-5);
    q = L::fma(q, square, L::splat(-2.133_740_6e-4));
    q = L::fma(q, square, L::splat(-1.682_827_3e-3));
    q = L::fma(q, square, L::splat(-7.373_329e-3));
    q = L::fma(q, square, L::splat(-1.426_470_6e-2));
    L::div(L::mul(x, p), q)
}

#[inline(always)]
fn gelu<L: Lanes>(x: L::F) -> L::F {
    let half = L::mul(x, L::splat(0.5));
    L::fma(half, erf::<L>(L::mul(x, L::splat(std::f32::consts::FRAC_1_SQRT_2))), half)
}

/// For what is quantised next, in steps far larger than the error: 1e-4, and of numbers beyond 3.7 another
/// ten-thousandth of them. A polynomial of the square, around the middle of its range.
#[inline(always)]
fn gelu_coarse<L: Lanes>(x: L::F) -> L::F {
    let held = L::max(L::min(x, L::splat(3.7)), L::splat(-3.7));
    let square = L::fma(L::mul(held, held), L::splat(2.0 / (3.7 * 3.7)), L::splat(-1.0));
    let mut p = L::splat(3.578_057e-3);
    p = L::fma(p, square, L::splat(-1.096_636_5e-2));
    p = L::fma(p, square, L::splat(1.903_457_4e-2));
    p = L::fma(p, square, L::splat(-3.243_011_6e-2));
    p = L::fma(p, square, L::splat(5.472_115e-2));
    p = L::fma(p, square, L::splat(-8.824_74e-2));
    p = L::fma(p, square, L::splat(1.894_221_2e-1));
    L::mul(x, L::fma(held, p, L::splat(0.5)))
}

#[inline(always)]
fn gelu_tanh<L: Lanes>(x: L::F) -> L::F {
    // x (1 + tanh y) / 2 = x / (1 + e^-2y), y = sqrt(2 / pi) (x + 0.044715 x^3)
    let square = L::mul(x, x);
    let slope = L::fma(square, L::splat(-1.595_769 * 0.044_715), L::splat(-1.595_769));
    L::div(x, L::add(L::splat(1.0), exp::<L>(L::mul(x, slope))))
}

/// The sum of the floats of a register.
#[inline(always)]
pub(super) fn sum<L: Lanes>(a: L::F) -> f32 {
    fold::<L>(a, |a, b| a + b)
}

/// The lowest of a register.
#[inline(always)]
pub(super) fn lowest<L: Lanes>(a: L::F) -> f32 {
    fold::<L>(a, f32::min)
}

/// The largest of a register.
#[inline(always)]
pub(super) fn highest<L: Lanes>(a: L::F) -> f32 {
    fold::<L>(a, f32::max)
}

#[inline(always)]
fn fold<L: Lanes>(a: L::F, call: impl Fn(f32, f32) -> f32) -> f32 {
    let mut values = [0.0; 16];
    // SAFETY: no register holds more.
    unsafe { L::store(a, values.as_mut_ptr()) }
    // Halves onto each other: a chain through all of them would be waited for.
    let mut count = L::N;
    while count > 1 {
        count /= 2;
        for i in 0..count {
            values[i] = call(values[i], values[i + count]);
        }
    }
    values[0]
}

/// The activation of every number.
#[inline(always)]
pub(super) fn each<L: Lanes>(activation: Activation, x: &mut [f32]) {
    let mut pair = [0.0f32; 32];
    for part in x.chunks_mut(2 * L::N) {
        pair[..part.len()].copy_from_slice(part);
        // SAFETY: no register holds more than half of it.
        unsafe {
            let at = pair.as_mut_ptr();
            let (a, b) = activation.of::<L>(L::load(at), L::load(at.add(L::N)), false);
            L::store(a, at);
            L::store(b, at.add(L::N));
        }
        part.copy_from_slice(&pair[..part.len()]);
    }
}
