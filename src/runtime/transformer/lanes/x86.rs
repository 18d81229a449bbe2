//! Registers of x86: 256 and 512 bits.

use std::arch::x86_64::*;

use super::{Avx2, Avx512, Lanes};

/// Implements the methods that are one instruction each.
macro_rules! plain_methods {
    ($f:ty, $splat:ident, $load:ident, $store:ident, $fma:ident, $($name:ident $op:ident),*) => {
        #[inline(always)]
        fn splat(x: f32) -> $f {
            // SAFETY: the machine has the instruction, see `super::super::dispatch`.
            unsafe { $splat(x) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> $f {
            // SAFETY: the caller's.
            unsafe { $load(from) }
        }

        #[inline(always)]
        unsafe fn store(a: $f, to: *mut f32) {
            // SAFETY: the caller's.
            unsafe { $store(to, a) }
        }

        #[inline(always)]
        fn fma(a: $f, b: $f, c: $f) -> $f {
            // SAFETY: the machine has the instruction, see `super::super::dispatch`.
            unsafe { $fma(a, b, c) }
        }

        #[inline(always)]
        fn prefetch(line: *const u8) {
            // SAFETY: a hint, for any address.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) }
        }
        $(
        #[inline(always)]
        fn $name(a: $f, b: $f) -> $f {
            // SAFETY: the machine has the instruction, see `super::super::dispatch`.
            unsafe { $op(a, b) }
        }
        )*
    };
}

/// Products of the weights and inputs of a group, two and two added in 16 bits.
///
/// # Safety
/// As [`Lanes::dot`], for one group.
#[inline(always)]
unsafe fn pairs(weights: *const i8, inputs: *const i8) -> __m256i {
    // SAFETY: the machine has the instructions, see `super::super::dispatch`; the caller has the numbers.
    unsafe {
        let inputs = _mm256_set1_epi32(inputs.cast::<i32>().read_unaligned());
        _mm256_maddubs_epi16(inputs, _mm256_loadu_si256(weights.cast()))
    }
}

impl Lanes for Avx2 {
    const N: usize = 8;
    const PANEL: usize = 2;
    const GROUP: usize = 4;
    const DEEP: usize = 4;
    // What is multiplied at once takes the registers of two rows.
    const SMALL_ROWS: usize = 4;
    const TOGETHER: usize = 2;
    // Of weights like noise that leaves steps about a quarter coarser than one instruction alone needs,
    // of weights that are all alike steps four times as coarse.
    const ROOM: f32 = (i16::MAX as i32 / Self::STEPS) as f32;
    // The instruction multiplies bytes without a sign by bytes with one, and holds the sum of two
    // products in 16 bits: of 7 bits and 8 they cannot overflow.
    const STEPS: i32 = 127;
    const LOWEST: i32 = 0;

    type F = __m256;
    type I = __m256i;
    type Small = i8;

    plain_methods!(
        __m256, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps,
        add _mm256_add_ps, sub _mm256_sub_ps, mul _mm256_mul_ps, div _mm256_div_ps,
        max _mm256_max_ps, min _mm256_min_ps
    );

    #[inline(always)]
    fn scale(a: __m256, power: __m256) -> __m256 {
        // SAFETY: the machine has the instructions, see `super::super::dispatch`.
        unsafe {
            let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(power));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), exponent))
        }
    }

    #[inline(always)]
    fn no_sums() -> __m256i {
        // SAFETY: the machine has the instruction, see `super::super::dispatch`.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn dot(sums: __m256i, weights: *const i8, stride: usize, inputs: *const i8) -> __m256i {
        // Products are added in 16 bits, in which weights leave room for them: it saves most of the
        // widening, half of all multiplications.
        // SAFETY: the machine has the instructions, see `super::super::dispatch`; the caller has the
        // numbers.
        unsafe {
            let low = _mm256_add_epi16(
                pairs(weights, inputs),
                pairs(weights.add(stride), inputs.add(Self::GROUP)),
            );
            let high = _mm256_add_epi16(
                pairs(weights.add(2 * stride), inputs.add(2 * Self::GROUP)),
                pairs(weights.add(3 * stride), inputs.add(3 * Self::GROUP)),
            );
            let wide = _mm256_madd_epi16(_mm256_add_epi16(low, high), _mm256_set1_epi16(1));
            _mm256_add_epi32(sums, wide)
        }
    }

    #[inline(always)]
    fn floats(a: __m256i) -> __m256 {
        // SAFETY: the machine has the instruction, see `super::super::dispatch`.
        unsafe { _mm256_cvtepi32_ps(a) }
    }

    #[inline(always)]
    unsafe fn round(a: __m256, to: *mut i8) {
        // SAFETY: the machine has the instructions, the caller the room.
        unsafe {
            let whole = _mm256_cvtps_epi32(a);
            let low = _mm256_castsi256_si128(whole);
            let words = _mm_packs_epi32(low, _mm256_extracti128_si256::<1>(whole));
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(words, words));
        }
    }
}

impl Lanes for Avx512 {
    const N: usize = 16;
    const PANEL: usize = 4;
    const GROUP: usize = 4;
    const DEEP: usize = 1;
    const SMALL_ROWS: usize = 6;
    const TOGETHER: usize = 4;
    const ROOM: f32 = f32::INFINITY;
    // The instruction multiplies bytes without a sign by bytes with one.
    const STEPS: i32 = 255;
    const LOWEST: i32 = 0;

    type F = __m512;
    type I = __m512i;
    type Small = i8;

    plain_methods!(
        __m512, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps,
        add _mm512_add_ps, sub _mm512_sub_ps, mul _mm512_mul_ps, div _mm512_div_ps,
        max _mm512_max_ps, min _mm512_min_ps
    );

    #[inline(always)]
    fn scale(a: __m512, power: __m512) -> __m512 {
        // SAFETY: the machine has the instructions, see `super::super::dispatch`.
        unsafe {
            let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(power));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), exponent))
        }
    }

    #[inline(always)]
    fn no_sums() -> __m512i {
        // SAFETY: the machine has the instruction, see `super::super::dispatch`.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn dot(sums: __m512i, weights: *const i8, _stride: usize, inputs: *const i8) -> __m512i {
        // SAFETY: the machine has the instruction, see `super::super::dispatch`; the caller has the
        // numbers.
        unsafe {
            let inputs = _mm512_set1_epi32(inputs.cast::<i32>().read_unaligned());
            _mm512_dpbusd_epi32(sums, inputs, _mm512_loadu_si512(weights.cast()))
        }
    }

    #[inline(always)]
    fn floats(a: __m512i) -> __m512 {
        // SAFETY: the machine has the instruction, see `super::super::dispatch`.
        unsafe { _mm512_cvtepi32_ps(a) }
    }

    #[inline(always)]
    unsafe fn round(a: __m512, to: *mut i8) {
        // SAFETY: the machine has the instructions, the caller the room.
        unsafe {
            let whole = _mm512_cvtps_epi32(a);
            _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(whole));
        }
    }
}
