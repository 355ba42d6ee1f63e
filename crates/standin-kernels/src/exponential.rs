use crate::simd::Simd;

/// 1.5·2²³: added to a number below 2²² in size it leaves the number's integer part in the low bits.
const SHIFT: f32 = 12_582_912.0;

/// ln 2 in two parts, the first exact in few bits, so that n·ln 2 is subtracted without rounding.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// eˣ within 2 units in the last place, x kept between −87 and 88: eˣ = 2ⁿ·eʳ with n the integer nearest to x/ln 2 and
/// |r| ≤ ln 2/2, eʳ by the polynomial of the Cephes library's `expf`.
#[inline(always)]
pub(crate) fn exponential<S: Simd>(simd: S, x: S::Vector) -> S::Vector {
    let x = simd.minimum(simd.maximum(x, simd.splat(-87.0)), simd.splat(88.0));
    let shifted = simd.multiply_add(x, simd.splat(std::f32::consts::LOG2_E), simd.splat(SHIFT));
    let n = simd.subtract(shifted, simd.splat(SHIFT));
    let r = simd.multiply_add(n, simd.splat(-LN_2_HIGH), x);
    let r = simd.multiply_add(n, simd.splat(-LN_2_LOW), r);
    let mut series = simd.splat(1.987_569_1e-4);
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        series = simd.multiply_add(series, r, simd.splat(coefficient));
    }
    let remainder = simd.add(simd.multiply_add(series, simd.multiply(r, r), r), simd.splat(1.0));
    simd.multiply(remainder, simd.power_of_two(shifted))
}

/// σ(z) = 1/(1 + e⁻ᶻ).
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, z: S::Vector) -> S::Vector {
    let one = simd.splat(1.0);
    simd.divide(one, simd.add(one, exponential(simd, simd.subtract(simd.splat(0.0), z))))
}
