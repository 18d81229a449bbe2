//! Registers of 64-bit ARM: 128 bits, with and without products of bytes.

use std::arch::aarch64::*;

use super::{Lanes, Neon, NeonDot};

/// Implements what both have in common.
macro_rules! floats {
    () => {
        const N: usize = 4;
        // Of 32 registers, 24 sums, 4 of weights, and one of inputs.
        const PANEL: usize = 4;
        const DEEP: usize = 1;
        const SMALL_ROWS: usize = 6;
        const TOGETHER: usize = Self::GROUP;
        const ROOM: f32 = f32::INFINITY;
        const STEPS: i32 = 255;
        // Bytes with a sign.
        const LOWEST: i32 = -128;

        type F = float32x4_t;
        type I = int32x4_t;
        type Small = i8;

        #[inline(always)]
        fn splat(x: f32) -> float32x4_t {
            // SAFETY: every 64-bit ARM has the instruction.
            unsafe { vdupq_n_f32(x) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> float32x4_t {
            // SAFETY: the caller's.
            unsafe { vld1q_f32(from) }
        }

        #[inline(always)]
        unsafe fn store(a: float32x4_t, to: *mut f32) {
            // SAFETY: the caller's.
            unsafe { vst1q_f32(to, a) }
        }

        #[inline(always)]
        fn prefetch(_line: *const u8) {
            // The hint has no stable name.
        }

        #[inline(always)]
        fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: every 64-bit ARM has the instruction.
            unsafe { vaddq_f32(a, b) }
        }

        #[inline(always)]
        fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: every 64-bit ARM has the instruction.
            unsafe { vsubq_f32(a, b) }
        }

        #[inline(always)]
        fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: every 64-bit ARM has the instruction.
            unsafe { vmulq_f32(a, b) }
        }

        #[inline(always)]
        fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: every 64-bit ARM has the instruction.
            unsafe { vdivq_f32(a, b) }
        }

        #[inline(always)]
        fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: every 64-bit ARM has the instruction.
            unsafe { vmaxq_f32(a, b) }
        }

        #[inline(always)]
        fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: every 64-bit ARM has the instruction.
            unsafe { vminq_f32(a, b) }
        }

        #[inline(always)]
        fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
            // SAFETY: every 64-bit ARM has the instruction.
            unsafe { vfmaq_f32(c, a, b) }
        }

        #[inline(always)]
        fn scale(a: float32x4_t, power: float32x4_t) -> float32x4_t {
            // SAFETY: every 64-bit ARM has the instructions.
            unsafe {
                let exponent = vshlq_n_s32::<23>(vreinterpretq_s32_f32(power));
                vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(a), exponent))
            }
        }

        #[inline(always)]
        fn no_sums() -> int32x4_t {
            // SAFETY: every 64-bit ARM has the instruction.
            unsafe { vdupq_n_s32(0) }
        }

        #[inline(always)]
        fn floats(a: int32x4_t) -> float32x4_t {
            // SAFETY: every 64-bit ARM has the instruction.
            unsafe { vcvtq_f32_s32(a) }
        }

        #[inline(always)]
        unsafe fn round(a: float32x4_t, to: *mut i8) {
            // SAFETY: every 64-bit ARM has the instructions; the caller has the room.
            unsafe {
                let words = vqmovn_s32(vcvtnq_s32_f32(a));
                let bytes = vqmovn_s16(vcombine_s16(words, words));
                let four = vget_lane_s32::<0>(vreinterpret_s32_s8(bytes));
                to.cast::<i32>().write_unaligned(four);
            }
        }
    };
}

impl Lanes for Neon {
    const GROUP: usize = 2;
    floats!();

    #[inline(always)]
    unsafe fn dot(
        sums: int32x4_t,
        weights: *const i8,
        _stride: usize,
        inputs: *const i8,
    ) -> int32x4_t {
        // SAFETY: every 64-bit ARM has the instructions; the caller has the numbers.
        unsafe {
            let inputs = vdup_n_s16(inputs.cast::<i16>().read_unaligned());
            vpadalq_s16(sums, vmull_s8(vld1_s8(weights), vreinterpret_s8_s16(inputs)))
        }
    }
}

impl Lanes for NeonDot {
    const GROUP: usize = 4;
    floats!();

    #[inline(always)]
    unsafe fn dot(
        mut sums: int32x4_t,
        weights: *const i8,
        _stride: usize,
        inputs: *const i8,
    ) -> int32x4_t {
        // The instruction has no stable name.
        // SAFETY: the machine has it, see `super::super::prepare`; it only changes the sums. The caller
        // has the numbers.
        unsafe {
            let weights = vld1q_s8(weights);
            let inputs = vdupq_n_s32(inputs.cast::<i32>().read_unaligned());
            std::arch::asm!(
                "sdot {sums:v}.4s, {weights:v}.16b, {inputs:v}.16b",
                sums = inout(vreg) sums,
                weights = in(vreg) weights,
                inputs = in(vreg) inputs,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sums
    }
}
