//! Which instruction set a kernel runs with, and on how many threads.

#[cfg(target_arch = "aarch64")]
use super::lanes::Neon;
#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512, Ssse3};
use super::lanes::{Isa, Portable};

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

/// Work that is the same for every instruction set. What describes it is shared by all threads.
pub(super) trait Kernel: Sync {
    /// What a thread keeps from picture to picture.
    type Scratch<I: Isa<N>, const N: usize>: std::fmt::Debug + Send;
    /// What a thread does at a time.
    type Job<'a>: Send;

    fn scratch<I: Isa<N>, const N: usize>() -> Self::Scratch<I, N>;

    /// To be inlined, or it is not compiled for its instruction set.
    fn run<I: Isa<N>, const N: usize>(
        &self,
        scratch: &mut Self::Scratch<I, N>,
        job: &mut Self::Job<'_>,
    );
}

/// The memory of each thread, by the instruction set.
#[derive(Debug)]
pub(super) enum Threads<K: Kernel> {
    Portable(Vec<K::Scratch<Portable, 8>>),
    #[cfg(target_arch = "x86_64")]
    Ssse3(Vec<K::Scratch<Ssse3, 8>>),
    #[cfg(target_arch = "x86_64")]
    Avx2(Vec<K::Scratch<Avx2, 16>>),
    #[cfg(target_arch = "x86_64")]
    Avx512(Vec<K::Scratch<Avx512, 32>>),
    #[cfg(target_arch = "aarch64")]
    Neon(Vec<K::Scratch<Neon, 8>>),
}

impl<K: Kernel> Threads<K> {
    /// Threads with the instructions asked for, or portable ones if the machine lacks them.
    pub fn new(simd: Simd) -> Self {
        // Kernels run only on machines that have them: `all` has asked.
        match if Simd::all().contains(&simd) { simd } else { Simd::Portable } {
            #[cfg(target_arch = "x86_64")]
            Simd::Ssse3 => Self::Ssse3(Vec::new()),
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2 => Self::Avx2(Vec::new()),
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512 => Self::Avx512(Vec::new()),
            #[cfg(target_arch = "aarch64")]
            Simd::Neon => Self::Neon(Vec::new()),
            _ => Self::Portable(Vec::new()),
        }
    }

    /// Runs every job, the first on this thread and each other on one of its own.
    pub fn run(&mut self, kernel: &K, jobs: &mut [K::Job<'_>]) {
        match self {
            Self::Portable(s) => each::<K, Portable, 8>(kernel, s, jobs, K::run),
            #[cfg(target_arch = "x86_64")]
            Self::Ssse3(s) => each::<K, Ssse3, 8>(kernel, s, jobs, compiled::ssse3),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(s) => each::<K, Avx2, 16>(kernel, s, jobs, compiled::avx2),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(s) => each::<K, Avx512, 32>(kernel, s, jobs, compiled::avx512),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(s) => each::<K, Neon, 8>(kernel, s, jobs, compiled::neon),
        }
    }
}

type Run<K, I, const N: usize> =
    fn(&K, &mut <K as Kernel>::Scratch<I, N>, &mut <K as Kernel>::Job<'_>);

fn each<K: Kernel, I: Isa<N>, const N: usize>(
    kernel: &K,
    scratch: &mut Vec<K::Scratch<I, N>>,
    jobs: &mut [K::Job<'_>],
    run: Run<K, I, N>,
) {
    scratch.resize_with(jobs.len().max(scratch.len()), K::scratch::<I, N>);
    if let [job] = jobs {
        return run(kernel, &mut scratch[0], job);
    }
    std::thread::scope(|scope| {
        let mut pairs = jobs.iter_mut().zip(scratch.iter_mut());
        let own = pairs.next();
        for (job, scratch) in pairs {
            scope.spawn(move || run(kernel, scratch, job));
        }
        if let Some((job, scratch)) = own {
            run(kernel, scratch, job);
        }
    });
}

/// The kernels as each instruction set compiles them.
#[allow(unsafe_code)]
mod compiled {
    use super::Kernel;
    #[cfg(target_arch = "aarch64")]
    use super::Neon;
    #[cfg(target_arch = "x86_64")]
    use super::{Avx2, Avx512, Ssse3};

    macro_rules! compiled {
        ($name:ident, $isa:ident, $lanes:literal, $features:literal) => {
            pub(super) fn $name<K: Kernel>(
                kernel: &K,
                scratch: &mut K::Scratch<$isa, $lanes>,
                job: &mut K::Job<'_>,
            ) {
                #[target_feature(enable = $features)]
                fn inner<K: Kernel>(
                    kernel: &K,
                    scratch: &mut K::Scratch<$isa, $lanes>,
                    job: &mut K::Job<'_>,
                ) {
                    kernel.run::<$isa, $lanes>(scratch, job);
                }
                // SAFETY: `Threads::new` chose this one because the machine has its features.
                unsafe { inner(kernel, scratch, job) }
            }
        };
    }

    #[cfg(target_arch = "x86_64")]
    compiled!(ssse3, Ssse3, 8, "ssse3");
    #[cfg(target_arch = "x86_64")]
    compiled!(avx2, Avx2, 16, "avx2");
    #[cfg(target_arch = "x86_64")]
    compiled!(avx512, Avx512, 32, "avx512bw,avx512vl");
    #[cfg(target_arch = "aarch64")]
    compiled!(neon, Neon, 8, "neon");
}
