//! Fixed-point pictures on the processor, with the widest registers it has.
//!
//! One source serves every instruction set: arrays of 8, 16 or 32 values that the compiler turns
//! into registers, in functions compiled once for each set. All give what
//! [`crate::codec::plain`] gives, bit for bit.

mod encode;
mod lanes;
mod lift;
mod pixels;
mod plan;

use self::encode::{Job, Out, Scratch, encode};
#[cfg(target_arch = "aarch64")]
use self::lanes::Neon;
#[cfg(target_arch = "x86_64")]
use self::lanes::{Avx2, Avx512, Ssse3};
use self::lanes::{Isa, Portable};
use self::pixels::Pixels;
use self::plan::Plan;
use crate::codec::fixed::CELL;
use crate::codec::{Bundle, Frame, Quality};
use crate::signal::cells;

/// Instruction sets that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simd {
    /// Whatever every machine of the kind has.
    Portable,
    /// 128 bits, x86.
    Ssse3,
    /// 256 bits, x86.
    Avx2,
    /// 512 bits, x86.
    Avx512,
    /// 128 bits, 64-bit ARM.
    Neon,
}

impl Simd {
    /// All that this machine has, the narrowest first.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("ssse3") {
                all.push(Self::Ssse3);
            }
            if is_x86_feature_detected!("avx2") {
                all.push(Self::Avx2);
            }
            if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
                all.push(Self::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        all.push(Self::Neon);
        all
    }

    /// The widest that this machine has.
    pub fn best() -> Self {
        Self::all().pop().unwrap_or(Self::Portable)
    }

    /// Its name, as reports print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Ssse3 => "ssse3",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        }
    }
}

/// An encoder of pictures in fixed point, with its plan and its memory.
#[derive(Debug)]
pub(super) struct FixedEncoder {
    plan: Plan,
    memory: Memory,
}

/// The memory of each thread, by the instruction set.
#[derive(Debug)]
enum Memory {
    Portable(Threads<Portable, 8>),
    #[cfg(target_arch = "x86_64")]
    Ssse3(Threads<Ssse3, 8>),
    #[cfg(target_arch = "x86_64")]
    Avx2(Threads<Avx2, 16>),
    #[cfg(target_arch = "x86_64")]
    Avx512(Threads<Avx512, 32>),
    #[cfg(target_arch = "aarch64")]
    Neon(Threads<Neon, 8>),
}

type Threads<I, const N: usize> = Vec<Scratch<<I as Isa<N>>::V, N>>;

impl FixedEncoder {
    pub fn new(bundle: &Bundle, channels: usize, quality: Quality, simd: Simd) -> Self {
        // Kernels run only on machines that have them: `all` has asked.
        let simd = if Simd::all().contains(&simd) { simd } else { Simd::Portable };
        let memory = match simd {
            #[cfg(target_arch = "x86_64")]
            Simd::Ssse3 => Memory::Ssse3(Vec::new()),
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2 => Memory::Avx2(Vec::new()),
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512 => Memory::Avx512(Vec::new()),
            #[cfg(target_arch = "aarch64")]
            Simd::Neon => Memory::Neon(Vec::new()),
            _ => Memory::Portable(Vec::new()),
        };
        Self { plan: Plan::new(bundle, channels, quality), memory }
    }

    pub fn set_quality(&mut self, bundle: &Bundle, quality: Quality) {
        self.plan.set_quality(bundle, quality);
    }

    /// Latents of a picture, `[channels, cells]`, by up to `threads` threads.
    pub fn encode(&mut self, frame: &Frame, threads: usize, values: &mut [i16]) {
        let extent = [frame.extent[0], frame.extent[1]];
        let [height, width] = extent.map(|e| cells(e, CELL));
        if height == 0 || width == 0 {
            return;
        }
        let pixels = Pixels::of(frame);
        let threads = threads.clamp(1, height);
        if threads == 1 {
            let job =
                Job { pixels, extent, rows: 0..height, out: Out::All(values, height * width) };
            return self.run(&mut [job]);
        }
        // Channels lie apart, so each job takes its rows of every one.
        let mut jobs: Vec<Job<'_>> = (0..threads)
            .map(|k| k * height / threads..(k + 1) * height / threads)
            .map(|rows| Job { pixels, extent, rows, out: Out::Parts(Vec::new()) })
            .collect();
        for mut channel in values.chunks_exact_mut(height * width) {
            for job in &mut jobs {
                let (part, rest) = channel.split_at_mut(job.rows.len() * width);
                if let Out::Parts(parts) = &mut job.out {
                    parts.push(part);
                }
                channel = rest;
            }
        }
        self.run(&mut jobs);
    }

    fn run(&mut self, jobs: &mut [Job<'_>]) {
        let plan = &self.plan;
        match &mut self.memory {
            Memory::Portable(s) => each::<Portable, 8>(plan, s, jobs, encode::<Portable, 8>),
            #[cfg(target_arch = "x86_64")]
            Memory::Ssse3(s) => each::<Ssse3, 8>(plan, s, jobs, run::ssse3),
            #[cfg(target_arch = "x86_64")]
            Memory::Avx2(s) => each::<Avx2, 16>(plan, s, jobs, run::avx2),
            #[cfg(target_arch = "x86_64")]
            Memory::Avx512(s) => each::<Avx512, 32>(plan, s, jobs, run::avx512),
            #[cfg(target_arch = "aarch64")]
            Memory::Neon(s) => each::<Neon, 8>(plan, s, jobs, run::neon),
        }
    }
}

/// Runs every job, the first on this thread and each other on one of its own.
fn each<I: Isa<N>, const N: usize>(
    plan: &Plan,
    scratch: &mut Threads<I, N>,
    jobs: &mut [Job<'_>],
    kernel: fn(&Plan, &mut Scratch<I::V, N>, &mut Job<'_>),
) {
    scratch.resize_with(jobs.len().max(scratch.len()), Scratch::new::<I>);
    if let [job] = jobs {
        return kernel(plan, &mut scratch[0], job);
    }
    std::thread::scope(|scope| {
        let mut pairs = jobs.iter_mut().zip(scratch.iter_mut());
        let own = pairs.next();
        for (job, scratch) in pairs {
            scope.spawn(move || kernel(plan, scratch, job));
        }
        if let Some((job, scratch)) = own {
            kernel(plan, scratch, job);
        }
    });
}

/// The kernels as each instruction set compiles them.
#[allow(unsafe_code)]
mod run {
    #[cfg(target_arch = "aarch64")]
    use super::Neon;
    #[cfg(target_arch = "x86_64")]
    use super::{Avx2, Avx512, Ssse3};
    use super::{Isa, Job, Plan, Scratch, encode};

    macro_rules! compiled {
        ($name:ident, $isa:ident, $lanes:literal, $features:literal) => {
            pub(super) fn $name(plan: &Plan, s: &mut Memory<$isa, $lanes>, job: &mut Job<'_>) {
                #[target_feature(enable = $features)]
                fn inner(plan: &Plan, s: &mut Memory<$isa, $lanes>, job: &mut Job<'_>) {
                    encode::<$isa, $lanes>(plan, s, job);
                }
                // SAFETY: `FixedEncoder::new` chose this kernel because the machine has its features.
                unsafe { inner(plan, s, job) }
            }
        };
    }

    type Memory<I, const N: usize> = Scratch<<I as Isa<N>>::V, N>;

    #[cfg(target_arch = "x86_64")]
    compiled!(ssse3, Ssse3, 8, "ssse3");
    #[cfg(target_arch = "x86_64")]
    compiled!(avx2, Avx2, 16, "avx2");
    #[cfg(target_arch = "x86_64")]
    compiled!(avx512, Avx512, 32, "avx512bw,avx512vl");
    #[cfg(target_arch = "aarch64")]
    compiled!(neon, Neon, 8, "neon");
}
