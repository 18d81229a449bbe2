//! Registers of 16-bit values: what the kernels need of an instruction set, and nothing else.
//!
//! Arrays that the compiler turns into registers by itself were tried first: it tears them apart
//! where they are carried from step to step, and lost half of the speed (docs/benchmarks.md).

use crate::signal::fixed;

/// An instruction set with registers of `N` 16-bit values.
pub(super) trait Isa<const N: usize>: Copy + std::fmt::Debug + 'static {
    /// One register.
    type V: Copy + std::fmt::Debug + Send + Sync + 'static;

    fn of(values: [i16; N]) -> Self::V;
    fn values(a: Self::V) -> [i16; N];
    fn splat(value: i16) -> Self::V;

    /// Sums and differences saturate.
    fn add(a: Self::V, b: Self::V) -> Self::V;
    fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b / 32768`, rounded half up; not for twice -32768. See [`fixed::mul`].
    fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// Shift to the right, with the sign.
    fn shift(a: Self::V, bits: u32) -> Self::V;
    fn and(a: Self::V, b: Self::V) -> Self::V;

    /// Sums of neighbours, those of `a` before those of `b`; sums that overflow are not defined.
    fn pairs(a: Self::V, b: Self::V) -> Self::V;

    /// Red, green and blue of `2 N` pixels of three bytes.
    ///
    /// # Panics
    /// If there are not `6 N` bytes.
    fn part(pixels: &[u8]) -> [[Self::V; 3]; 2];

    /// `N` pixels of three bytes, from red, green and blue, held to 0 and 255.
    ///
    /// # Panics
    /// If there are not `3 N` bytes.
    fn join(colours: [Self::V; 3], to: &mut [u8]);

    /// The `piece`-th 8 values of every eighth row from `row` on, one behind the other.
    fn pieces(rows: &[Self::V; N], row: usize, piece: usize) -> Self::V;

    /// Interleaves values of 16, 32 and 64 bits within each 8 values: of their lower halves, and of
    /// their upper halves.
    fn zip16(a: Self::V, b: Self::V) -> (Self::V, Self::V);
    fn zip32(a: Self::V, b: Self::V) -> (Self::V, Self::V);
    fn zip64(a: Self::V, b: Self::V) -> (Self::V, Self::V);
}

/// Turns `N` rows of `N` values into `N` columns.
#[inline(always)]
pub(super) fn transpose<I: Isa<N>, const N: usize>(rows: &[I::V; N], columns: &mut [I::V; N]) {
    for piece in 0..N / 8 {
        let columns = &mut columns[8 * piece..][..8];
        let x0 = I::pieces(rows, 0, piece);
        let x1 = I::pieces(rows, 1, piece);
        let x2 = I::pieces(rows, 2, piece);
        let x3 = I::pieces(rows, 3, piece);
        let x4 = I::pieces(rows, 4, piece);
        let x5 = I::pieces(rows, 5, piece);
        let x6 = I::pieces(rows, 6, piece);
        let x7 = I::pieces(rows, 7, piece);
        let ((a0, b0), (a1, b1)) = (I::zip16(x0, x1), I::zip16(x2, x3));
        let ((a2, b2), (a3, b3)) = (I::zip16(x4, x5), I::zip16(x6, x7));
        let ((c0, d0), (c1, d1)) = (I::zip32(a0, a1), I::zip32(a2, a3));
        let ((e0, f0), (e1, f1)) = (I::zip32(b0, b1), I::zip32(b2, b3));
        (columns[0], columns[1]) = I::zip64(c0, c1);
        (columns[2], columns[3]) = I::zip64(d0, d1);
        (columns[4], columns[5]) = I::zip64(e0, e1);
        (columns[6], columns[7]) = I::zip64(f0, f1);
    }
}

/// Nothing is assumed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

impl Isa<8> for Portable {
    type V = [i16; 8];

    #[inline(always)]
    fn of(values: [i16; 8]) -> [i16; 8] {
        values
    }

    #[inline(always)]
    fn values(a: [i16; 8]) -> [i16; 8] {
        a
    }

    #[inline(always)]
    fn splat(value: i16) -> [i16; 8] {
        [value; 8]
    }

    #[inline(always)]
    fn add(a: [i16; 8], b: [i16; 8]) -> [i16; 8] {
        each(|i| a[i].saturating_add(b[i]))
    }

    #[inline(always)]
    fn sub(a: [i16; 8], b: [i16; 8]) -> [i16; 8] {
        each(|i| a[i].saturating_sub(b[i]))
    }

    #[inline(always)]
    fn mul(a: [i16; 8], b: [i16; 8]) -> [i16; 8] {
        each(|i| fixed::mul(a[i], b[i]))
    }

    #[inline(always)]
    fn shift(a: [i16; 8], bits: u32) -> [i16; 8] {
        each(|i| a[i] >> bits)
    }

    #[inline(always)]
    fn and(a: [i16; 8], b: [i16; 8]) -> [i16; 8] {
        each(|i| a[i] & b[i])
    }

    #[inline(always)]
    fn pairs(a: [i16; 8], b: [i16; 8]) -> [i16; 8] {
        each(|i| {
            let (from, at) = (if i < 4 { a } else { b }, 2 * (i % 4));
            from[at].wrapping_add(from[at + 1])
        })
    }

    #[inline(always)]
    fn part(pixels: &[u8]) -> [[[i16; 8]; 3]; 2] {
        let (pixels, _) = pixels[..48].as_chunks::<3>();
        let mut out = [[[0; 8]; 3]; 2];
        for (i, pixel) in pixels.iter().enumerate() {
            for (c, &value) in pixel.iter().enumerate() {
                out[i / 8][c][i % 8] = i16::from(value);
            }
        }
        out
    }

    #[inline(always)]
    fn join(colours: [[i16; 8]; 3], to: &mut [u8]) {
        for (i, pixel) in to[..24].as_chunks_mut::<3>().0.iter_mut().enumerate() {
            for (to, from) in pixel.iter_mut().zip(&colours) {
                *to = from[i].clamp(0, 255) as u8;
            }
        }
    }

    #[inline(always)]
    fn pieces(rows: &[[i16; 8]; 8], row: usize, _piece: usize) -> [i16; 8] {
        rows[row]
    }

    #[inline(always)]
    fn zip16(a: [i16; 8], b: [i16; 8]) -> ([i16; 8], [i16; 8]) {
        zip::<1>(a, b)
    }

    #[inline(always)]
    fn zip32(a: [i16; 8], b: [i16; 8]) -> ([i16; 8], [i16; 8]) {
        zip::<2>(a, b)
    }

    #[inline(always)]
    fn zip64(a: [i16; 8], b: [i16; 8]) -> ([i16; 8], [i16; 8]) {
        zip::<4>(a, b)
    }
}

/// A plain loop, which the compiler sees through where it does not through `array::from_fn`.
#[inline(always)]
fn each(value: impl Fn(usize) -> i16) -> [i16; 8] {
    let mut out = [0; 8];
    for (i, x) in out.iter_mut().enumerate() {
        *x = value(i);
    }
    out
}

/// Interleaves runs of `R` values.
#[inline(always)]
fn zip<const R: usize>(a: [i16; 8], b: [i16; 8]) -> ([i16; 8], [i16; 8]) {
    // Place i of the result is place i % R of a run; runs are of a and b in turn.
    let from = |i: usize, first: usize| {
        let at = first + i / (2 * R) * R + i % R;
        if (i / R).is_multiple_of(2) { a[at] } else { b[at] }
    };
    (each(|i| from(i, 0)), each(|i| from(i, 4)))
}

/// Registers of 128 bits, x86 of 2006 and later.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Ssse3;

/// Registers of 256 bits, x86 of 2013 and later.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2;

/// Registers of 512 bits, x86 servers.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx512;

/// Registers of 128 bits, 64-bit ARM.
#[cfg(target_arch = "aarch64")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Neon;

/// Implements the methods that are one instruction each.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! plain_methods {
    ($lanes:literal, $v:ty, $splat:ident, $add:ident, $sub:ident, $mul:ident, $and:ident) => {
        type V = $v;

        #[inline(always)]
        fn of(values: [i16; $lanes]) -> $v {
            // SAFETY: the same size, and every bit pattern is a value.
            unsafe { transmute::<[i16; $lanes], $v>(values) }
        }

        #[inline(always)]
        fn values(a: $v) -> [i16; $lanes] {
            // SAFETY: the same size, and every bit pattern is a value.
            unsafe { transmute::<$v, [i16; $lanes]>(a) }
        }

        #[inline(always)]
        fn splat(value: i16) -> $v {
            // SAFETY: the machine has the instruction, see `super::dispatch`.
            unsafe { $splat(value) }
        }

        #[inline(always)]
        fn add(a: $v, b: $v) -> $v {
            // SAFETY: the machine has the instruction, see `super::dispatch`.
            unsafe { $add(a, b) }
        }

        #[inline(always)]
        fn sub(a: $v, b: $v) -> $v {
            // SAFETY: the machine has the instruction, see `super::dispatch`.
            unsafe { $sub(a, b) }
        }

        #[inline(always)]
        fn mul(a: $v, b: $v) -> $v {
            // SAFETY: the machine has the instruction, see `super::dispatch`.
            unsafe { $mul(a, b) }
        }

        #[inline(always)]
        fn and(a: $v, b: $v) -> $v {
            // SAFETY: the machine has the instruction, see `super::dispatch`.
            unsafe { $and(a, b) }
        }
    };
}

/// Implements the three methods that interleave.
#[cfg(target_arch = "x86_64")]
macro_rules! zips {
    ($v:ty, $($name:ident $low:ident $high:ident),*) => {$(
        #[inline(always)]
        fn $name(a: $v, b: $v) -> ($v, $v) {
            // SAFETY: the machine has the instruction, see `super::dispatch`.
            unsafe { ($low(a, b), $high(a, b)) }
        }
    )*};
}

/// The kernels reach these types only on machines that have their instructions: `super::dispatch`.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86;

#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code)]
mod arm;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_swaps_rows_and_columns() {
        let rows: [[i16; 8]; 8] =
            std::array::from_fn(|r| std::array::from_fn(|c| (8 * r + c) as i16));
        let mut columns = [[0; 8]; 8];
        transpose::<Portable, 8>(&rows, &mut columns);
        for (r, row) in rows.iter().enumerate() {
            for (c, value) in row.iter().enumerate() {
                assert_eq!(columns[c][r], *value);
            }
        }
    }
}
