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
    ($lanes:literal, $v:ty, $splat:ident, $add:ident, $sub:ident, $mul:ident) => {
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
mod x86 {
    use std::arch::x86_64::*;
    use std::mem::transmute;

    use super::{Avx2, Avx512, Isa, Ssse3};

    /// Of 12 bytes, 4 pixels, from byte `S` on: red and blue of each, then green of each and 0.
    const fn order(s: i8) -> [i8; 16] {
        let mut out = [-1; 16];
        let mut i = 0;
        while i < 4 {
            out[2 * i] = s + 3 * i as i8;
            out[2 * i + 1] = s + 3 * i as i8 + 2;
            out[8 + 2 * i] = s + 3 * i as i8 + 1;
            i += 1;
        }
        out
    }

    /// The first four pixels of 16 bytes, and the last four: 12 bytes each.
    const FIRST: [i8; 16] = order(0);
    const LAST: [i8; 16] = order(4);

    /// Of red, green, blue and nothing of 4 pixels, the pixels.
    const JOIN: [i8; 16] = [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, -1, -1, -1, -1];

    /// The first 12 bytes of every 16.
    #[inline(always)]
    fn twelve(pieces: &[[u8; 16]], to: &mut [u8]) {
        let last = pieces.len() - 1;
        for (i, piece) in pieces[..last].iter().enumerate() {
            // Four more, which the next ones overwrite: one instruction.
            to[12 * i..12 * i + 16].copy_from_slice(piece);
        }
        to[12 * last..12 * last + 12].copy_from_slice(&pieces[last][..12]);
    }

    /// 16 bytes from `at` on.
    #[inline(always)]
    fn one(pixels: &[u8], at: usize) -> [u8; 16] {
        let mut out = [0; 16];
        out.copy_from_slice(&pixels[at..at + 16]);
        out
    }

    #[inline(always)]
    fn two(pixels: &[u8], low: usize, high: usize) -> [[u8; 16]; 2] {
        [one(pixels, low), one(pixels, high)]
    }

    impl Isa<8> for Ssse3 {
        plain_methods!(
            8,
            __m128i,
            _mm_set1_epi16,
            _mm_adds_epi16,
            _mm_subs_epi16,
            _mm_mulhrs_epi16
        );
        zips!(
            __m128i,
            zip16 _mm_unpacklo_epi16 _mm_unpackhi_epi16,
            zip32 _mm_unpacklo_epi32 _mm_unpackhi_epi32,
            zip64 _mm_unpacklo_epi64 _mm_unpackhi_epi64
        );

        #[inline(always)]
        fn shift(a: __m128i, bits: u32) -> __m128i {
            // SAFETY: the machine has the instruction, see `super::dispatch`.
            unsafe { _mm_sra_epi16(a, _mm_cvtsi32_si128(bits as i32)) }
        }

        #[inline(always)]
        fn pairs(a: __m128i, b: __m128i) -> __m128i {
            // SAFETY: the machine has the instruction, see `super::dispatch`.
            unsafe { _mm_hadd_epi16(a, b) }
        }

        #[inline(always)]
        fn part(pixels: &[u8]) -> [[__m128i; 3]; 2] {
            let p = &pixels[..48];
            // SAFETY: the machine has the instructions, see `super::dispatch`; arrays and registers have
            // the same size, and every bit pattern is a value.
            unsafe {
                let first = transmute::<[i8; 16], __m128i>(FIRST);
                let last = transmute::<[i8; 16], __m128i>(LAST);
                let a = _mm_shuffle_epi8(transmute::<[u8; 16], __m128i>(one(p, 0)), first);
                let b = _mm_shuffle_epi8(transmute::<[u8; 16], __m128i>(one(p, 12)), first);
                let c = _mm_shuffle_epi8(transmute::<[u8; 16], __m128i>(one(p, 24)), first);
                let d = _mm_shuffle_epi8(transmute::<[u8; 16], __m128i>(one(p, 32)), last);
                let (rb0, rb1) = (_mm_unpacklo_epi64(a, b), _mm_unpacklo_epi64(c, d));
                let (g0, g1) = (_mm_unpackhi_epi64(a, b), _mm_unpackhi_epi64(c, d));
                let byte = _mm_set1_epi16(255);
                [
                    [_mm_and_si128(rb0, byte), g0, _mm_srli_epi16::<8>(rb0)],
                    [_mm_and_si128(rb1, byte), g1, _mm_srli_epi16::<8>(rb1)],
                ]
            }
        }

        #[inline(always)]
        fn join([red, green, blue]: [__m128i; 3], to: &mut [u8]) {
            // SAFETY: the machine has the instructions, see `super::dispatch`; arrays and registers have
            // the same size, and every bit pattern is a value.
            unsafe {
                let order = transmute::<[[i8; 16]; 1], __m128i>([JOIN; 1]);
                let rb = _mm_packus_epi16(red, blue);
                let g = _mm_packus_epi16(green, _mm_setzero_si128());
                let (rg, b) = (_mm_unpacklo_epi32(rb, g), _mm_unpackhi_epi32(rb, g));
                let low = _mm_shuffle_epi8(_mm_unpacklo_epi64(rg, b), order);
                let high = _mm_shuffle_epi8(_mm_unpackhi_epi64(rg, b), order);
                let low = transmute::<__m128i, [[u8; 16]; 1]>(low);
                let high = transmute::<__m128i, [[u8; 16]; 1]>(high);
                twelve(&[low[0], high[0]], &mut to[..24]);
            }
        }

        #[inline(always)]
        fn pieces(rows: &[__m128i; 8], row: usize, _piece: usize) -> __m128i {
            rows[row]
        }
    }

    impl Isa<16> for Avx2 {
        plain_methods!(
            16,
            __m256i,
            _mm256_set1_epi16,
            _mm256_adds_epi16,
            _mm256_subs_epi16,
            _mm256_mulhrs_epi16
        );
        zips!(
            __m256i,
            zip16 _mm256_unpacklo_epi16 _mm256_unpackhi_epi16,
            zip32 _mm256_unpacklo_epi32 _mm256_unpackhi_epi32,
            zip64 _mm256_unpacklo_epi64 _mm256_unpackhi_epi64
        );

        #[inline(always)]
        fn shift(a: __m256i, bits: u32) -> __m256i {
            // SAFETY: the machine has the instruction, see `super::dispatch`.
            unsafe { _mm256_sra_epi16(a, _mm_cvtsi32_si128(bits as i32)) }
        }

        #[inline(always)]
        fn pairs(a: __m256i, b: __m256i) -> __m256i {
            // SAFETY: the machine has the instructions, see `super::dispatch`.
            unsafe { _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi16(a, b)) }
        }

        #[inline(always)]
        fn part(pixels: &[u8]) -> [[__m256i; 3]; 2] {
            let p = &pixels[..96];
            // SAFETY: the machine has the instructions, see `super::dispatch`; arrays and registers have
            // the same size, and every bit pattern is a value.
            unsafe {
                let first = transmute::<[[i8; 16]; 2], __m256i>([FIRST; 2]);
                let last = transmute::<[[i8; 16]; 2], __m256i>([FIRST, LAST]);
                let a = transmute::<[[u8; 16]; 2], __m256i>(two(p, 0, 24));
                let b = transmute::<[[u8; 16]; 2], __m256i>(two(p, 12, 36));
                let c = transmute::<[[u8; 16]; 2], __m256i>(two(p, 48, 72));
                let d = transmute::<[[u8; 16]; 2], __m256i>(two(p, 60, 80));
                let (a, b) = (_mm256_shuffle_epi8(a, first), _mm256_shuffle_epi8(b, first));
                let (c, d) = (_mm256_shuffle_epi8(c, first), _mm256_shuffle_epi8(d, last));
                let (rb0, rb1) = (_mm256_unpacklo_epi64(a, b), _mm256_unpacklo_epi64(c, d));
                let (g0, g1) = (_mm256_unpackhi_epi64(a, b), _mm256_unpackhi_epi64(c, d));
                let byte = _mm256_set1_epi16(255);
                [
                    [_mm256_and_si256(rb0, byte), g0, _mm256_srli_epi16::<8>(rb0)],
                    [_mm256_and_si256(rb1, byte), g1, _mm256_srli_epi16::<8>(rb1)],
                ]
            }
        }

        #[inline(always)]
        fn join([red, green, blue]: [__m256i; 3], to: &mut [u8]) {
            // SAFETY: the machine has the instructions, see `super::dispatch`; arrays and registers have
            // the same size, and every bit pattern is a value.
            unsafe {
                let order = transmute::<[[i8; 16]; 2], __m256i>([JOIN; 2]);
                let rb = _mm256_packus_epi16(red, blue);
                let g = _mm256_packus_epi16(green, _mm256_setzero_si256());
                let (rg, b) = (_mm256_unpacklo_epi32(rb, g), _mm256_unpackhi_epi32(rb, g));
                let low = _mm256_shuffle_epi8(_mm256_unpacklo_epi64(rg, b), order);
                let high = _mm256_shuffle_epi8(_mm256_unpackhi_epi64(rg, b), order);
                let low = transmute::<__m256i, [[u8; 16]; 2]>(low);
                let high = transmute::<__m256i, [[u8; 16]; 2]>(high);
                twelve(&[low[0], high[0], low[1], high[1]], &mut to[..48]);
            }
        }

        #[inline(always)]
        fn pieces(rows: &[__m256i; 16], row: usize, piece: usize) -> __m256i {
            let at = rows.as_ptr().cast::<__m128i>();
            assert!(row < 8 && piece < 2);
            // SAFETY: the machine has the instructions, see `super::dispatch`; row and piece are inside.
            unsafe {
                let (low, high) = (at.add(2 * row + piece), at.add(2 * (row + 8) + piece));
                _mm256_set_m128i(_mm_load_si128(high), _mm_load_si128(low))
            }
        }
    }

    impl Isa<32> for Avx512 {
        plain_methods!(
            32,
            __m512i,
            _mm512_set1_epi16,
            _mm512_adds_epi16,
            _mm512_subs_epi16,
            _mm512_mulhrs_epi16
        );
        zips!(
            __m512i,
            zip16 _mm512_unpacklo_epi16 _mm512_unpackhi_epi16,
            zip32 _mm512_unpacklo_epi32 _mm512_unpackhi_epi32,
            zip64 _mm512_unpacklo_epi64 _mm512_unpackhi_epi64
        );

        #[inline(always)]
        fn shift(a: __m512i, bits: u32) -> __m512i {
            // SAFETY: the machine has the instruction, see `super::dispatch`.
            unsafe { _mm512_sra_epi16(a, _mm_cvtsi32_si128(bits as i32)) }
        }

        #[inline(always)]
        fn pairs(a: __m512i, b: __m512i) -> __m512i {
            // SAFETY: the machine has the instructions, see `super::dispatch`.
            unsafe {
                let one = _mm512_set1_epi16(1);
                let (a, b) = (_mm512_madd_epi16(a, one), _mm512_madd_epi16(b, one));
                let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
                _mm512_permutexvar_epi64(order, _mm512_packs_epi32(a, b))
            }
        }

        #[inline(always)]
        fn part(pixels: &[u8]) -> [[__m512i; 3]; 2] {
            let p = &pixels[..192];
            // SAFETY: the machine has the instructions, see `super::dispatch`; arrays and registers have
            // the same size, and every bit pattern is a value.
            unsafe {
                type Bytes = [[[u8; 16]; 2]; 2];
                let first = transmute::<[[i8; 16]; 4], __m512i>([FIRST; 4]);
                let last = transmute::<[[i8; 16]; 4], __m512i>([FIRST, FIRST, FIRST, LAST]);
                let a = transmute::<Bytes, __m512i>([two(p, 0, 24), two(p, 48, 72)]);
                let b = transmute::<Bytes, __m512i>([two(p, 12, 36), two(p, 60, 84)]);
                let c = transmute::<Bytes, __m512i>([two(p, 96, 120), two(p, 144, 168)]);
                let d = transmute::<Bytes, __m512i>([two(p, 108, 132), two(p, 156, 176)]);
                let (a, b) = (_mm512_shuffle_epi8(a, first), _mm512_shuffle_epi8(b, first));
                let (c, d) = (_mm512_shuffle_epi8(c, first), _mm512_shuffle_epi8(d, last));
                let (rb0, rb1) = (_mm512_unpacklo_epi64(a, b), _mm512_unpacklo_epi64(c, d));
                let (g0, g1) = (_mm512_unpackhi_epi64(a, b), _mm512_unpackhi_epi64(c, d));
                let byte = _mm512_set1_epi16(255);
                [
                    [_mm512_and_si512(rb0, byte), g0, _mm512_srli_epi16::<8>(rb0)],
                    [_mm512_and_si512(rb1, byte), g1, _mm512_srli_epi16::<8>(rb1)],
                ]
            }
        }

        #[inline(always)]
        fn join([red, green, blue]: [__m512i; 3], to: &mut [u8]) {
            // SAFETY: the machine has the instructions, see `super::dispatch`; arrays and registers have
            // the same size, and every bit pattern is a value.
            unsafe {
                let order = transmute::<[[i8; 16]; 4], __m512i>([JOIN; 4]);
                let rb = _mm512_packus_epi16(red, blue);
                let g = _mm512_packus_epi16(green, _mm512_setzero_si512());
                let (rg, b) = (_mm512_unpacklo_epi32(rb, g), _mm512_unpackhi_epi32(rb, g));
                let low = _mm512_shuffle_epi8(_mm512_unpacklo_epi64(rg, b), order);
                let high = _mm512_shuffle_epi8(_mm512_unpackhi_epi64(rg, b), order);
                let low = transmute::<__m512i, [[u8; 16]; 4]>(low);
                let high = transmute::<__m512i, [[u8; 16]; 4]>(high);
                twelve(
                    &[low[0], high[0], low[1], high[1], low[2], high[2], low[3], high[3]],
                    &mut to[..96],
                );
            }
        }

        #[inline(always)]
        fn pieces(rows: &[__m512i; 32], row: usize, piece: usize) -> __m512i {
            let at = rows.as_ptr().cast::<__m128i>();
            assert!(row < 8 && piece < 4);
            // SAFETY: the machine has the instructions, see `super::dispatch`; row and piece are inside.
            unsafe {
                let at = at.add(4 * row + piece);
                let (a, b) = (_mm_load_si128(at), _mm_load_si128(at.add(32)));
                let (c, d) = (_mm_load_si128(at.add(64)), _mm_load_si128(at.add(96)));
                let low = _mm512_castsi256_si512(_mm256_set_m128i(b, a));
                _mm512_inserti64x4::<1>(low, _mm256_set_m128i(d, c))
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code)]
mod arm {
    use std::arch::aarch64::*;
    use std::mem::transmute;

    use super::{Isa, Neon};

    impl Isa<8> for Neon {
        plain_methods!(8, int16x8_t, vdupq_n_s16, vqaddq_s16, vqsubq_s16, vqrdmulhq_s16);

        #[inline(always)]
        fn shift(a: int16x8_t, bits: u32) -> int16x8_t {
            // SAFETY: every 64-bit ARM has the instruction.
            unsafe { vshlq_s16(a, vdupq_n_s16(-(bits as i16))) }
        }

        #[inline(always)]
        fn pairs(a: int16x8_t, b: int16x8_t) -> int16x8_t {
            // SAFETY: every 64-bit ARM has the instruction.
            unsafe { vpaddq_s16(a, b) }
        }

        #[inline(always)]
        fn part(pixels: &[u8]) -> [[int16x8_t; 3]; 2] {
            let p = &pixels[..48];
            // SAFETY: every 64-bit ARM has the instructions; 48 bytes are read of as many.
            unsafe {
                let uint8x16x3_t(r, g, b) = vld3q_u8(p.as_ptr());
                let low = |v: uint8x16_t| vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(v)));
                let high = |v: uint8x16_t| vreinterpretq_s16_u16(vmovl_high_u8(v));
                [[low(r), low(g), low(b)], [high(r), high(g), high(b)]]
            }
        }

        #[inline(always)]
        fn join([red, green, blue]: [int16x8_t; 3], to: &mut [u8]) {
            let to = &mut to[..24];
            // SAFETY: every 64-bit ARM has the instructions; 24 bytes are written of as many.
            unsafe {
                let colours = uint8x8x3_t(vqmovun_s16(red), vqmovun_s16(green), vqmovun_s16(blue));
                vst3_u8(to.as_mut_ptr(), colours);
            }
        }

        #[inline(always)]
        fn pieces(rows: &[int16x8_t; 8], row: usize, _piece: usize) -> int16x8_t {
            rows[row]
        }

        #[inline(always)]
        fn zip16(a: int16x8_t, b: int16x8_t) -> (int16x8_t, int16x8_t) {
            // SAFETY: every 64-bit ARM has the instructions.
            unsafe { (vzip1q_s16(a, b), vzip2q_s16(a, b)) }
        }

        #[inline(always)]
        fn zip32(a: int16x8_t, b: int16x8_t) -> (int16x8_t, int16x8_t) {
            // SAFETY: every 64-bit ARM has the instructions; every bit pattern is a value.
            unsafe {
                let (a, b) = (vreinterpretq_s32_s16(a), vreinterpretq_s32_s16(b));
                (vreinterpretq_s16_s32(vzip1q_s32(a, b)), vreinterpretq_s16_s32(vzip2q_s32(a, b)))
            }
        }

        #[inline(always)]
        fn zip64(a: int16x8_t, b: int16x8_t) -> (int16x8_t, int16x8_t) {
            // SAFETY: every 64-bit ARM has the instructions; every bit pattern is a value.
            unsafe {
                let (a, b) = (vreinterpretq_s64_s16(a), vreinterpretq_s64_s16(b));
                (vreinterpretq_s16_s64(vzip1q_s64(a, b)), vreinterpretq_s16_s64(vzip2q_s64(a, b)))
            }
        }
    }
}

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
