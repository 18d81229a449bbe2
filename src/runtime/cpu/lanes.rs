//! Sixteen-bit lanes: arrays that the compiler turns into registers.
//!
//! Saturating sums and shifts of arrays become single instructions by themselves. The rounding
//! product does not (a fifth of the speed), so it alone is written per instruction set.

use crate::signal::fixed;

/// One register of `N` values.
pub(super) type Lane<const N: usize> = [i16; N];

/// An instruction set with registers of `N` 16-bit values.
pub(super) trait Isa<const N: usize> {
    /// `a * c / 32768`, rounded half up; `c` is never -32768. See [`fixed::mul`].
    fn mul(a: Lane<N>, c: i16) -> Lane<N>;
}

/// Nothing is assumed.
pub(super) struct Portable;

impl Isa<8> for Portable {
    #[inline(always)]
    fn mul(a: Lane<8>, c: i16) -> Lane<8> {
        a.map(|x| fixed::mul(x, c))
    }
}

/// Implements [`Isa`] by one intrinsic; the type must only be used where its features are enabled.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! isa {
    ($name:ident, $lanes:literal, $arch:ident, $register:ident, $product:ident, $splat:ident, $doc:literal) => {
        #[doc = $doc]
        pub(super) struct $name;

        impl Isa<$lanes> for $name {
            #[inline(always)]
            #[allow(unsafe_code)]
            fn mul(a: Lane<$lanes>, c: i16) -> Lane<$lanes> {
                use std::arch::$arch::{$product, $register, $splat};
                use std::mem::transmute;
                // SAFETY: arrays and registers have the same size and every bit pattern is a value;
                // `super::run` reaches this type only after the machine was seen to have it.
                unsafe {
                    let a = transmute::<Lane<$lanes>, $register>(a);
                    transmute::<$register, Lane<$lanes>>($product(a, $splat(c)))
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
isa!(Ssse3, 8, x86_64, __m128i, _mm_mulhrs_epi16, _mm_set1_epi16, "x86 of 2006 and later.");
#[cfg(target_arch = "x86_64")]
isa!(Avx2, 16, x86_64, __m256i, _mm256_mulhrs_epi16, _mm256_set1_epi16, "x86 of 2013 and later.");
#[cfg(target_arch = "x86_64")]
isa!(
    Avx512,
    32,
    x86_64,
    __m512i,
    _mm512_mulhrs_epi16,
    _mm512_set1_epi16,
    "x86 servers, AVX-512BW."
);
#[cfg(target_arch = "aarch64")]
isa!(Neon, 8, aarch64, int16x8_t, vqrdmulhq_s16, vdupq_n_s16, "Every 64-bit ARM.");

/// Values shifted right by `bits`, with their sign.
#[inline(always)]
pub(super) fn shift<const N: usize>(a: Lane<N>, bits: u32) -> Lane<N> {
    each(|i| a[i] >> bits)
}

/// A plain loop, which the compiler sees through where it does not through `array::from_fn`.
#[inline(always)]
fn each<const N: usize>(value: impl Fn(usize) -> i16) -> Lane<N> {
    let mut out = [0; N];
    for (i, x) in out.iter_mut().enumerate() {
        *x = value(i);
    }
    out
}

#[inline(always)]
pub(super) fn add<const N: usize>(a: Lane<N>, b: Lane<N>) -> Lane<N> {
    each(|i| a[i].saturating_add(b[i]))
}

#[inline(always)]
pub(super) fn sub<const N: usize>(a: Lane<N>, b: Lane<N>) -> Lane<N> {
    each(|i| a[i].saturating_sub(b[i]))
}

/// Turns `N` rows of `N` values into `N` columns, by interleaving halves log2 N times.
#[inline(always)]
pub(super) fn transpose<const N: usize>(rows: &[Lane<N>; N]) -> [Lane<N>; N] {
    let mut x = *rows;
    let mut left = N / 2;
    while left > 0 {
        let mut y = [[0; N]; N];
        for i in 0..N / 2 {
            let (p, q) = (x[i], x[i + N / 2]);
            for j in 0..N / 2 {
                y[2 * i][2 * j] = p[j];
                y[2 * i][2 * j + 1] = q[j];
                y[2 * i + 1][2 * j] = p[N / 2 + j];
                y[2 * i + 1][2 * j + 1] = q[N / 2 + j];
            }
        }
        x = y;
        left /= 2;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_swaps_rows_and_columns() {
        let rows: [Lane<16>; 16] =
            std::array::from_fn(|r| std::array::from_fn(|c| (16 * r + c) as i16));
        let columns = transpose(&rows);
        for (r, row) in rows.iter().enumerate() {
            for (c, value) in row.iter().enumerate() {
                assert_eq!(columns[c][r], *value);
            }
        }
    }
}
