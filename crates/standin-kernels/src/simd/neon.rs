use std::arch::aarch64::*;

use super::{LANES, Lanes, Simd};

/// NEON: a vector is four registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neon(());

impl Neon {
    /// The instruction set, where this processor has it.
    pub(crate) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

type Quad = [float32x4_t; 4];

/// Numbers in a register.
const WIDTH: usize = LANES / 4;

/// a·b + c, in the order of the other instruction sets.
///
/// # Safety
/// The processor has NEON.
#[inline(always)]
unsafe fn multiply_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
    // SAFETY: the caller knows that the processor has NEON.
    unsafe { vfmaq_f32(c, a, b) }
}

/// The greater, `b` where either is not a number, for which `vmaxq_f32` would give that.
///
/// # Safety
/// The processor has NEON.
#[inline(always)]
unsafe fn greater(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    // SAFETY: the caller knows that the processor has NEON.
    unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
}

/// The lesser, `b` where either is not a number.
///
/// # Safety
/// The processor has NEON.
#[inline(always)]
unsafe fn lesser(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    // SAFETY: the caller knows that the processor has NEON.
    unsafe { vbslq_f32(vcltq_f32(a, b), a, b) }
}

/// `then` where `of` is above zero, else zero.
///
/// # Safety
/// The processor has NEON.
#[inline(always)]
unsafe fn where_positive(of: float32x4_t, then: float32x4_t) -> float32x4_t {
    // SAFETY: the caller knows that the processor has NEON.
    unsafe { vbslq_f32(vcgtzq_f32(of), then, vdupq_n_f32(0.0)) }
}

macro_rules! operation {
    ($name:ident, $intrinsic:ident, $first:ident $(, $vector:ident)*) => {
        #[inline(always)]
        fn $name(self, $first: Quad $(, $vector: Quad)*) -> Quad {
            let mut result = $first;
            for at in 0..4 {
                // SAFETY: `self` exists, so `detect` found NEON.
                result[at] = unsafe { $intrinsic($first[at] $(, $vector[at])*) };
            }
            result
        }
    };
}

impl Simd for Neon {
    type Vector = Quad;

    #[inline(always)]
    fn splat(self, value: f32) -> Quad {
        // SAFETY: `self` exists, so `detect` found NEON.
        unsafe { [vdupq_n_f32(value); 4] }
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> Quad {
        let mut result = self.splat(0.0);
        for (at, quarter) in result.iter_mut().enumerate() {
            // SAFETY: `self` exists, so `detect` found NEON; `from` is sixteen numbers, all four quarters inside.
            *quarter = unsafe { vld1q_f32(from.as_ptr().add(WIDTH * at)) };
        }
        result
    }

    #[inline(always)]
    fn store(self, vector: Quad, into: &mut Lanes) {
        for (at, quarter) in vector.into_iter().enumerate() {
            // SAFETY: `self` exists, so `detect` found NEON; `into` is sixteen numbers, all four quarters inside.
            unsafe { vst1q_f32(into.as_mut_ptr().add(WIDTH * at), quarter) }
        }
    }

    operation!(multiply_add, multiply_add, a, b, c);
    operation!(add, vaddq_f32, a, b);
    operation!(subtract, vsubq_f32, a, b);
    operation!(multiply, vmulq_f32, a, b);
    operation!(divide, vdivq_f32, a, b);

    operation!(maximum, greater, a, b);
    operation!(minimum, lesser, a, b);

    operation!(where_positive, where_positive, of, then);

    #[inline(always)]
    fn power_of_two(self, shifted: Quad) -> Quad {
        let mut result = shifted;
        for quarter in &mut result {
            // SAFETY: `self` exists, so `detect` found NEON.
            unsafe {
                let biased = vaddq_s32(vreinterpretq_s32_f32(*quarter), vdupq_n_s32(127));
                *quarter = vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased));
            }
        }
        result
    }
}
