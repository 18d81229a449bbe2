//! Kernels as each instruction set compiles them.

#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{Lanes, Portable};
#[cfg(target_arch = "aarch64")]
use super::lanes::{Neon, NeonDot};

/// A piece of work, written once.
pub(super) trait Kernel {
    /// To be inlined, or it is not compiled for its instruction set.
    fn run<L: Isa>(self);
}

/// Instruction sets that can call a kernel.
pub(super) trait Isa: Lanes + Send + Sync + std::fmt::Debug {
    /// Every kernel is one function of its own: inlined into a larger one, its registers spill.
    fn call<K: Kernel>(kernel: K);
}

impl Isa for Portable {
    #[inline(never)]
    fn call<K: Kernel>(kernel: K) {
        kernel.run::<Self>();
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! compiled {
    ($isa:ident, $features:literal) => {
        impl Isa for $isa {
            fn call<K: Kernel>(kernel: K) {
                #[target_feature(enable = $features)]
                #[inline(never)]
                fn inner<K: Kernel>(kernel: K) {
                    kernel.run::<$isa>();
                }
                // SAFETY: `super::prepare` chose this one because the machine has its features.
                unsafe { inner(kernel) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
compiled!(Avx2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
compiled!(Avx512, "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma");
#[cfg(target_arch = "aarch64")]
compiled!(Neon, "neon");
#[cfg(target_arch = "aarch64")]
compiled!(NeonDot, "neon,dotprod");
