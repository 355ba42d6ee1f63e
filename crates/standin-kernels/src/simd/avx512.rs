use std::arch::x86_64::*;

use super::{LANES, Lanes, Simd};

/// AVX-512, with AVX2 and fused multiply-add: a vector is one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// The instruction set, where this processor has it.
    pub(crate) fn detect() -> Option<Self> {
        let found =
            is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        found.then_some(Self(()))
    }
}

/// A bit for each of the first lanes.
#[inline(always)]
fn first(count: usize) -> __mmask16 {
    if count < LANES { (1 << count) - 1 } else { !0 }
}

macro_rules! operation {
    ($name:ident, $intrinsic:ident, $($vector:ident),+) => {
        #[inline(always)]
        fn $name(self, $($vector: __m512),+) -> __m512 {
            // SAFETY: `self` exists, so `detect` found AVX-512.
            unsafe { $intrinsic($($vector),+) }
        }
    };
}

impl Simd for Avx512 {
    type Vector = __m512;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: `self` exists, so `detect` found AVX-512.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> __m512 {
        // SAFETY: `self` exists, so `detect` found AVX-512; `from` is sixteen numbers.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, vector: __m512, into: &mut Lanes) {
        // SAFETY: `self` exists, so `detect` found AVX-512; `into` is sixteen numbers.
        unsafe { _mm512_storeu_ps(into.as_mut_ptr(), vector) }
    }

    #[inline(always)]
    fn load_first(self, from: &[f32]) -> __m512 {
        // SAFETY: `self` exists, so `detect` found AVX-512; lanes past the end of `from` are not read.
        unsafe { _mm512_maskz_loadu_ps(first(from.len()), from.as_ptr()) }
    }

    #[inline(always)]
    fn store_first(self, vector: __m512, into: &mut [f32]) {
        // SAFETY: `self` exists, so `detect` found AVX-512; lanes past the end of `into` are not written.
        unsafe { _mm512_mask_storeu_ps(into.as_mut_ptr(), first(into.len()), vector) }
    }

    operation!(multiply_add, _mm512_fmadd_ps, a, b, c);
    operation!(add, _mm512_add_ps, a, b);
    operation!(subtract, _mm512_sub_ps, a, b);
    operation!(multiply, _mm512_mul_ps, a, b);
    operation!(divide, _mm512_div_ps, a, b);
    operation!(maximum, _mm512_max_ps, a, b);
    operation!(minimum, _mm512_min_ps, a, b);

    #[inline(always)]
    fn where_positive(self, of: __m512, then: __m512) -> __m512 {
        // SAFETY: `self` exists, so `detect` found AVX-512.
        unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(of, _mm512_setzero_ps()), then) }
    }

    #[inline(always)]
    fn power_of_two(self, shifted: __m512) -> __m512 {
        // SAFETY: `self` exists, so `detect` found AVX-512.
        unsafe {
            let biased = _mm512_add_epi32(_mm512_castps_si512(shifted), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased))
        }
    }

    #[inline(always)]
    fn deinterleave(self, low: __m512, high: __m512) -> (__m512, __m512) {
        // SAFETY: `self` exists, so `detect` found AVX-512.
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
            (_mm512_permutex2var_ps(low, even, high), _mm512_permutex2var_ps(low, odd, high))
        }
    }

    // Four rounds of interleaving: of rows one apart and two apart within each quarter of a register, then of quarters.
    #[inline(always)]
    fn transpose(self, rows: [__m512; LANES]) -> [__m512; LANES] {
        // SAFETY: `self` exists, so `detect` found AVX-512.
        unsafe {
            let mut pairs = rows;
            for at in (0..LANES).step_by(2) {
                pairs[at] = _mm512_unpacklo_ps(rows[at], rows[at + 1]);
                pairs[at + 1] = _mm512_unpackhi_ps(rows[at], rows[at + 1]);
            }
            let mut fours = pairs;
            for at in (0..LANES).step_by(4) {
                fours[at] = _mm512_shuffle_ps::<0x44>(pairs[at], pairs[at + 2]);
                fours[at + 1] = _mm512_shuffle_ps::<0xee>(pairs[at], pairs[at + 2]);
                fours[at + 2] = _mm512_shuffle_ps::<0x44>(pairs[at + 1], pairs[at + 3]);
                fours[at + 3] = _mm512_shuffle_ps::<0xee>(pairs[at + 1], pairs[at + 3]);
            }
            let mut eights = fours;
            for half in (0..LANES).step_by(8) {
                for at in half..half + 4 {
                    eights[at] = _mm512_shuffle_f32x4::<0x88>(fours[at], fours[at + 4]);
                    eights[at + 4] = _mm512_shuffle_f32x4::<0xdd>(fours[at], fours[at + 4]);
                }
            }
            let mut columns = eights;
            for at in 0..8 {
                columns[at] = _mm512_shuffle_f32x4::<0x88>(eights[at], eights[at + 8]);
                columns[at + 8] = _mm512_shuffle_f32x4::<0xdd>(eights[at], eights[at + 8]);
            }
            columns
        }
    }
}
