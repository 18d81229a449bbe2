//! Registers of 64-bit ARM: 128 bits.

use std::arch::aarch64::*;
use std::mem::transmute;

use super::{Isa, Neon};

impl Isa<8> for Neon {
    plain_methods!(8, int16x8_t, vdupq_n_s16, vqaddq_s16, vqsubq_s16, vqrdmulhq_s16, vandq_s16);

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
