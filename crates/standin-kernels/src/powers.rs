use crate::instructions::{Instructions, Kernel};
use crate::simd::Simd;

/// log₂ e, and ln 2 in two parts, the first exact in few bits, so that n · ln 2 is subtracted without rounding.
const LOG_2_E: f64 = std::f64::consts::LOG2_E;
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// 1.5 · 2⁵²: added to a number below 2⁵¹ in size it leaves the number's integer part in the low bits.
const SHIFT: f64 = 6_755_399_441_055_744.0;

/// 1/k! for k from 13 down to 2: the series of eʳ for |r| ≤ ln 2/2 ends below 10⁻¹⁷.
const SERIES: [f64; 12] = [
    1.605_904_383_682_161_3e-10,
    2.087_675_698_786_81e-9,
    2.505_210_838_544_172e-8,
    2.755_731_922_398_589e-7,
    2.755_731_922_398_589_3e-6,
    2.480_158_730_158_73e-5,
    1.984_126_984_126_984e-4,
    1.388_888_888_888_889e-3,
    8.333_333_333_333_333e-3,
    4.166_666_666_666_666_4e-2,
    1.666_666_666_666_666_6e-1,
    0.5,
];

/// Replaces each x by eˣ, to some units in the last place for x ≤ 0; below −700, where it is under 10⁻³⁰⁴, by e⁻⁷⁰⁰.
///
/// Without branches, so that several numbers are computed at a time: eˣ = 2ⁿ eʳ with n the integer nearest to x / ln 2.
pub fn exponentials(values: &mut [f64]) {
    Instructions::best().run(Powers(values));
}

struct Powers<'a>(&'a mut [f64]);

impl Kernel for Powers<'_> {
    type Output = ();

    /// Compiled for each kind of processor, whose compiler finds the vectors itself.
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, _: S) {
        for value in self.0 {
            let x = value.max(-700.0);
            let shifted = x * LOG_2_E + SHIFT;
            let n = shifted - SHIFT;
            let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
            let series = SERIES.iter().fold(0.0, |sum, coefficient| sum * r + coefficient);
            let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
            *value = power * (1.0 + (r + r * r * series));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_the_standard_library() {
        let mut given: Vec<f64> = (0..200_000).map(|at| f64::from(at) * -0.0034).collect();
        given.extend([0.0, -0.0, -1e-300, -1e-9, -f64::MIN_POSITIVE, -699.9, 1.0]);
        let mut found = given.clone();
        exponentials(&mut found);
        for (x, found) in given.iter().zip(&found) {
            let expected = x.exp();
            assert!((found / expected - 1.0).abs() < 2e-15, "e^{x} is {expected} and not {found}");
        }
        let mut far = [-1e4, f64::NEG_INFINITY];
        exponentials(&mut far);
        assert!(far.iter().all(|power| (0.0..1e-300).contains(power)));
    }
}
