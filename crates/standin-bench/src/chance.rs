//! Draws from what is known of a figure.

use rand_distr::{Distribution, StandardNormal};
use standin_data::Seed;
use standin_measure::Estimate;
use statrs::distribution::{ContinuousCDF, Normal};

/// Draws behind every chance the summary states.
pub(crate) const DRAWS: usize = 2000;

/// The level of the intervals that estimates carry, and of those made from them.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// The standard normal quantile at the upper end of a two-sided interval.
pub(crate) fn two_sided_quantile(confidence: f64) -> f64 {
    Normal::standard().inverse_cdf((1.0 + confidence) / 2.0)
}

/// [`DRAWS`] values an estimate may stand for: normal on either side of the value, as wide as its interval there (split
/// normal).
pub(crate) fn draws(seed: Seed, estimate: &Estimate) -> Vec<f64> {
    let quantile = two_sided_quantile(CONFIDENCE);
    let mut rng = seed.rng();
    let draw = |_| {
        let z: f64 = StandardNormal.sample(&mut rng);
        let side = if z < 0.0 { estimate.value - estimate.low } else { estimate.high - estimate.value };
        estimate.value + z / quantile * side.max(0.0)
    };
    (0..DRAWS).map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_fall_outside_the_interval_as_often_as_it_says() {
        let estimate = Estimate { value: 0.9, low: 0.7, high: 0.92, n: 10, method: "test".into() };
        let drawn = draws(Seed::new(7), &estimate);
        let below = drawn.iter().filter(|draw| **draw < 0.7).count() as f64 / DRAWS as f64;
        let above = drawn.iter().filter(|draw| **draw > 0.92).count() as f64 / DRAWS as f64;
        assert!((0.015..0.037).contains(&below) && (0.015..0.037).contains(&above), "{below} {above}");
        assert_eq!(drawn, draws(Seed::new(7), &estimate));
    }
}
