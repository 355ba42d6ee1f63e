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

macro_rules! operation {
    ($name:ident, $intrinsic:ident, $first:ident $(, $vector:ident)*) => {
        #[inline(always)]
        fn $name(self, $first: Quad $(, $vector: Quad)*) -> Quad {
            // SAFETY: `self` exists, so `detect` found NEON.
            std::array::from_fn(|at| unsafe { $intrinsic($first[at] $(, $vector[at])*) })
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
        // SAFETY: `self` exists, so `detect` found NEON; `from` is sixteen numbers, all four quarters inside.
        std::array::from_fn(|at| unsafe { vld1q_f32(from.as_ptr().add(WIDTH * at)) })
    }

    #[inline(always)]
    fn store(self, vector: Quad, into: &mut Lanes) {
        for (at, quarter) in vector.into_iter().enumerate() {
            // SAFETY: `self` exists, so `detect` found NEON; `into` is sixteen numbers, all four quarters inside.
            unsafe { vst1q_f32(into.as_mut_ptr().add(WIDTH * at), quarter) }
        }
    }

    #[inline(always)]
    fn multiply_add(self, a: Quad, b: Quad, c: Quad) -> Quad {
        // SAFETY: `self` exists, so `detect` found NEON.
        std::array::from_fn(|at| unsafe { vfmaq_f32(c[at], a[at], b[at]) })
    }

    operation!(add, vaddq_f32, a, b);
    operation!(subtract, vsubq_f32, a, b);
    operation!(multiply, vmulq_f32, a, b);
    operation!(divide, vdivq_f32, a, b);

    // `vmaxq` gives the number that is none; choosing by comparison gives `b`, as the other instruction sets do.
    #[inline(always)]
    fn maximum(self, a: Quad, b: Quad) -> Quad {
        // SAFETY: `self` exists, so `detect` found NEON.
        std::array::from_fn(|at| unsafe { vbslq_f32(vcgtq_f32(a[at], b[at]), a[at], b[at]) })
    }

    #[inline(always)]
    fn minimum(self, a: Quad, b: Quad) -> Quad {
        // SAFETY: `self` exists, so `detect` found NEON.
        std::array::from_fn(|at| unsafe { vbslq_f32(vcltq_f32(a[at], b[at]), a[at], b[at]) })
    }

    #[inline(always)]
    fn power_of_two(self, shifted: Quad) -> Quad {
        shifted.map(|quarter| {
            // SAFETY: `self` exists, so `detect` found NEON.
            unsafe {
                let biased = vaddq_s32(vreinterpretq_s32_f32(quarter), vdupq_n_s32(127));
                vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased))
            }
        })
    }
}
