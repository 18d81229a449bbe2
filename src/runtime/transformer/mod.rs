//! Transformers: the blocks of an encoder as one operation, in floats or whole numbers of 8 bits.
//!
//! Kernels are written once over [`lanes::Lanes`] and compiled for each instruction set. Plain loops over
//! indices it must be: closures and iterators around registers are not inlined into what is compiled for
//! the instruction set, and cost most of the speed. Unsafe is what loads and stores registers: every kernel
//! checks the lengths of its slices first, and says so where it relies on them.

#[allow(unsafe_code, clippy::needless_range_loop)]
mod attention;
#[allow(unsafe_code)]
mod buffer;
#[allow(unsafe_code)]
mod dispatch;
mod embed;
mod encoder;
mod features;
#[allow(unsafe_code)]
mod lanes;
#[allow(unsafe_code)]
mod linear;
#[allow(unsafe_code)]
mod math;
#[allow(unsafe_code, clippy::needless_range_loop)]
mod rows;
mod score;
#[cfg(test)]
mod tests;
mod thin;
#[allow(unsafe_code, clippy::needless_range_loop)]
mod tile;

pub(crate) use embed::Cells;
pub use embed::Embed;
pub(crate) use encoder::Prepared;
pub use encoder::{Block, Order, Transformer};
pub use features::{Binary, Features, Step, Unary};
pub use linear::Matrix;
pub use math::Activation;
pub use rows::Norm;
pub(crate) use thin::Thinning;

use attention::Attention;
use dispatch::{Isa, Kernel};
use encoder::Compiled;
use lanes::Portable;
#[cfg(target_arch = "x86_64")]
use lanes::{Avx2, Avx512};
#[cfg(target_arch = "aarch64")]
use lanes::{Neon, NeonDot};

use super::cpu::Simd;
use super::precision::LayerPlace;

/// Prepares an encoder for an instruction set, or for portable code if the machine lacks it. `small`
/// says of a layer whether it is quantised.
pub(crate) fn prepare(
    encoder: &Transformer,
    simd: Simd,
    small: impl Fn(LayerPlace) -> bool,
) -> Box<dyn Prepared> {
    // Kernels run only on machines that have them.
    match if Simd::all().contains(&simd) { simd } else { Simd::Portable } {
        #[cfg(target_arch = "x86_64")]
        Simd::Avx512 if vnni() => Box::new(Compiled::<Avx512>::new(encoder, small)),
        #[cfg(target_arch = "x86_64")]
        Simd::Avx2 | Simd::Avx512 if is_x86_feature_detected!("fma") => {
            Box::new(Compiled::<Avx2>::new(encoder, small))
        }
        #[cfg(target_arch = "aarch64")]
        Simd::Neon if std::arch::is_aarch64_feature_detected!("dotprod") => {
            Box::new(Compiled::<NeonDot>::new(encoder, small))
        }
        #[cfg(target_arch = "aarch64")]
        Simd::Neon => Box::new(Compiled::<Neon>::new(encoder, small)),
        _ => Box::new(Compiled::<Portable>::new(encoder, small)),
    }
}

/// Whether the machine has all that the widest kernels are compiled for.
#[cfg(target_arch = "x86_64")]
fn vnni() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("fma")
}

/// Rows of tokens, normalised.
pub(crate) fn normalise(norm: &Norm, rows: &[f32]) -> Vec<f32> {
    let mut out = rows.to_vec();
    norm.run_in_place::<Portable>(&mut out);
    out
}

/// Attention of tokens to each other: `[n, 3 width]` -> `[n, width]`.
pub(crate) fn attend(qkv: &[f32], width: usize, heads: usize, scale: f32) -> Vec<f32> {
    let mut qkv = qkv.to_vec();
    for row in qkv.chunks_exact_mut(3 * width) {
        row[..width].iter_mut().for_each(|q| *q *= scale);
    }
    let mut out = vec![0.0; qkv.len() / 3];
    let (qkv, scratch) = (&qkv[..], &mut attention::Scratch::default());
    let out_of = &mut out;
    Portable::call(Attention { qkv, width, heads, out: out_of, bias: None, map: None, scratch });
    out
}

/// An activation, number by number.
pub(crate) fn activate(activation: Activation, x: &[f32]) -> Vec<f32> {
    struct Activate<'a>(Activation, &'a mut Vec<f32>);
    impl Kernel for Activate<'_> {
        #[inline(always)]
        fn run<L: Isa>(self) {
            math::each::<L>(self.0, self.1);
        }
    }
    let mut out = x.to_vec();
    Portable::call(Activate(activation, &mut out));
    out
}
