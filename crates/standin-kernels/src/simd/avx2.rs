use std::arch::x86_64::*;

use super::{LANES, Lanes, Simd};

/// AVX2 with fused multiply-add: a vector is two registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The instruction set, where this processor has it.
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

type Pair = [__m256; 2];

/// All bits of the first of eight lanes, all eight where there are more.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn first(count: usize) -> __m256i {
    // SAFETY: the caller knows that the processor has AVX2.
    unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) }
}

macro_rules! each_half {
    ($intrinsic:ident($($vector:ident),+)) => {
        // SAFETY: `self` exists, so `detect` found AVX2 and FMA.
        unsafe { [$intrinsic($($vector[0]),+), $intrinsic($($vector[1]),+)] }
    };
}

impl Simd for Avx2 {
    type Vector = Pair;

    #[inline(always)]
    fn splat(self, value: f32) -> Pair {
        // SAFETY: `self` exists, so `detect` found AVX2.
        unsafe { [_mm256_set1_ps(value); 2] }
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> Pair {
        // SAFETY: `self` exists, so `detect` found AVX2; `from` is sixteen numbers, both halves inside.
        unsafe { [_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(LANES / 2))] }
    }

    #[inline(always)]
    fn store(self, vector: Pair, into: &mut Lanes) {
        // SAFETY: `self` exists, so `detect` found AVX2; `into` is sixteen numbers, both halves inside.
        unsafe {
            _mm256_storeu_ps(into.as_mut_ptr(), vector[0]);
            _mm256_storeu_ps(into.as_mut_ptr().add(LANES / 2), vector[1]);
        }
    }

    #[inline(always)]
    fn load_first(self, from: &[f32]) -> Pair {
        let count = from.len().min(LANES);
        // SAFETY: `self` exists, so `detect` found AVX2; lanes past the end of `from` are not read.
        unsafe {
            [
                _mm256_maskload_ps(from.as_ptr(), first(count)),
                _mm256_maskload_ps(from.as_ptr().wrapping_add(LANES / 2), first(count.saturating_sub(LANES / 2))),
            ]
        }
    }

    #[inline(always)]
    fn store_first(self, vector: Pair, into: &mut [f32]) {
        let count = into.len().min(LANES);
        let high = into.as_mut_ptr().wrapping_add(LANES / 2);
        // SAFETY: `self` exists, so `detect` found AVX2; lanes past the end of `into` are not written.
        unsafe {
            _mm256_maskstore_ps(into.as_mut_ptr(), first(count), vector[0]);
            _mm256_maskstore_ps(high, first(count.saturating_sub(LANES / 2)), vector[1]);
        }
    }

    #[inline(always)]
    fn multiply_add(self, a: Pair, b: Pair, c: Pair) -> Pair {
        each_half!(_mm256_fmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn add(self, a: Pair, b: Pair) -> Pair {
        each_half!(_mm256_add_ps(a, b))
    }

    #[inline(always)]
    fn subtract(self, a: Pair, b: Pair) -> Pair {
        each_half!(_mm256_sub_ps(a, b))
    }

    #[inline(always)]
    fn multiply(self, a: Pair, b: Pair) -> Pair {
        each_half!(_mm256_mul_ps(a, b))
    }

    #[inline(always)]
    fn divide(self, a: Pair, b: Pair) -> Pair {
        each_half!(_mm256_div_ps(a, b))
    }

    #[inline(always)]
    fn maximum(self, a: Pair, b: Pair) -> Pair {
        each_half!(_mm256_max_ps(a, b))
    }

    #[inline(always)]
    fn minimum(self, a: Pair, b: Pair) -> Pair {
        each_half!(_mm256_min_ps(a, b))
    }

    #[inline(always)]
    fn where_positive(self, of: Pair, then: Pair) -> Pair {
        // SAFETY: `self` exists, so `detect` found AVX2.
        unsafe {
            let zero = _mm256_setzero_ps();
            [
                _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(of[0], zero), then[0]),
                _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(of[1], zero), then[1]),
            ]
        }
    }

    #[inline(always)]
    fn power_of_two(self, shifted: Pair) -> Pair {
        // SAFETY: `self` exists, so `detect` found AVX2.
        unsafe {
            let bias = _mm256_set1_epi32(127);
            let low = _mm256_add_epi32(_mm256_castps_si256(shifted[0]), bias);
            let high = _mm256_add_epi32(_mm256_castps_si256(shifted[1]), bias);
            let (low, high) = (_mm256_slli_epi32::<23>(low), _mm256_slli_epi32::<23>(high));
            [_mm256_castsi256_ps(low), _mm256_castsi256_ps(high)]
        }
    }
}
