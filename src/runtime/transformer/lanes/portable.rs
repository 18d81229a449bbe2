//! Plain arrays, of four as every machine has registers for.

use super::{Lanes, Portable};

type F = [f32; 4];

/// Whole numbers below 2^22 in the low bits of a float.
const MAGIC: f32 = 12_582_912.0;

#[inline(always)]
fn each(a: F, b: F, call: impl Fn(f32, f32) -> f32) -> F {
    [call(a[0], b[0]), call(a[1], b[1]), call(a[2], b[2]), call(a[3], b[3])]
}

impl Lanes for Portable {
    const N: usize = 4;
    const PANEL: usize = 2;
    const GROUP: usize = 2;
    const DEEP: usize = 1;
    const SMALL_ROWS: usize = 6;
    const TOGETHER: usize = 2;
    const ROOM: f32 = f32::INFINITY;
    const STEPS: i32 = 255;
    const LOWEST: i32 = 0;

    type F = F;
    type I = [i32; 4];
    type Small = i16;

    #[inline(always)]
    fn splat(x: f32) -> F {
        [x; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> F {
        // SAFETY: the caller's.
        unsafe { from.cast::<F>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(a: F, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe { to.cast::<F>().write_unaligned(a) }
    }

    #[inline(always)]
    fn prefetch(_line: *const u8) {}

    #[inline(always)]
    fn add(a: F, b: F) -> F {
        each(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(a: F, b: F) -> F {
        each(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(a: F, b: F) -> F {
        each(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(a: F, b: F) -> F {
        each(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn max(a: F, b: F) -> F {
        each(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(a: F, b: F) -> F {
        each(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn fma(a: F, b: F, c: F) -> F {
        // Rounded twice: one call of libm for each would take an age.
        Self::add(Self::mul(a, b), c)
    }

    #[inline(always)]
    fn scale(a: F, power: F) -> F {
        each(a, power, |a, p| f32::from_bits(a.to_bits().wrapping_add(p.to_bits() << 23)))
    }

    #[inline(always)]
    fn no_sums() -> [i32; 4] {
        [0; 4]
    }

    #[inline(always)]
    unsafe fn dot(
        mut sums: [i32; 4],
        weights: *const i16,
        _stride: usize,
        inputs: *const i16,
    ) -> [i32; 4] {
        // SAFETY: the caller's.
        let (weights, inputs) = unsafe {
            (
                weights.cast::<[i16; 8]>().read_unaligned(),
                inputs.cast::<[i16; 2]>().read_unaligned(),
            )
        };
        let (weights, [a, b]) = (weights.map(i32::from), inputs.map(i32::from));
        for i in 0..4 {
            sums[i] += weights[2 * i] * a + weights[2 * i + 1] * b;
        }
        sums
    }

    #[inline(always)]
    fn floats(a: [i32; 4]) -> F {
        a.map(|x| x as f32)
    }

    #[inline(always)]
    unsafe fn round(a: F, to: *mut i16) {
        let bits = each(a, a, |a, _| a + MAGIC);
        // The magic number's own low bits are zero.
        // SAFETY: the caller's.
        unsafe { to.cast::<[i16; 4]>().write_unaligned(bits.map(|b| b.to_bits() as i16)) }
    }
}
