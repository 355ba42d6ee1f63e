#[cfg(target_arch = "aarch64")]
use crate::simd::Neon;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Scalar, Simd};

/// Work written once for every instruction set.
///
/// `run` is to be marked `#[inline(always)]`, with all that it calls in its loops: only then is it compiled for the
/// instructions it runs on.
pub(crate) trait Kernel {
    /// What it gives.
    type Output;

    /// The work. `ROWS` is the number of rows of a register tile that suits the number of registers; with 8 rows there
    /// is room for two vectors to a row, else for one.
    fn run<S: Simd, const ROWS: usize>(self, simd: S) -> Self::Output;
}

/// An instruction set of this processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instructions {
    /// Any processor.
    Scalar(Scalar),
    /// x86-64 since 2013.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// x86-64 servers, and desktops since Zen 4.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// 64-bit ARM.
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Kernel>(kernel: K, simd: Avx2) -> K::Output {
    kernel.run::<_, 6>(simd)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn run_avx512<K: Kernel>(kernel: K, simd: Avx512) -> K::Output {
    kernel.run::<_, 8>(simd)
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn run_neon<K: Kernel>(kernel: K, simd: Neon) -> K::Output {
    kernel.run::<_, 6>(simd)
}

impl Instructions {
    /// Every set that this processor has, the fastest first. The standard library looks once and remembers.
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let found = [Avx512::detect().map(Self::Avx512), Avx2::detect().map(Self::Avx2)];
        #[cfg(target_arch = "aarch64")]
        let found = [Neon::detect().map(Self::Neon)];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let found = [None];
        found.into_iter().flatten().chain([Self::Scalar(Scalar)])
    }

    /// The fastest set of this processor.
    pub(crate) fn best() -> Self {
        Self::available().next().unwrap_or(Self::Scalar(Scalar))
    }

    /// Does the work with these instructions.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Scalar(simd) => kernel.run::<_, 4>(simd),
            // SAFETY: a value of `Avx2` exists, so the processor has AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => unsafe { run_avx2(kernel, simd) },
            // SAFETY: a value of `Avx512` exists, so the processor has AVX-512, and with it AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => unsafe { run_avx512(kernel, simd) },
            // SAFETY: a value of `Neon` exists, so the processor has NEON.
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => unsafe { run_neon(kernel, simd) },
        }
    }
}
