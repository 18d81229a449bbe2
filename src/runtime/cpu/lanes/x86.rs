//! Registers of x86: 128, 256 and 512 bits.

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
        _mm_mulhrs_epi16,
        _mm_and_si128
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
        _mm256_mulhrs_epi16,
        _mm256_and_si256
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
        _mm512_mulhrs_epi16,
        _mm512_and_si512
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
