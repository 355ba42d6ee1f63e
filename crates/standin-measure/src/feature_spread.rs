use rayon::prelude::*;
use standin_encode::Embedding;

use crate::context::{Comparison, Context, Side};
use crate::error::{require_euclidean, require_rows};
use crate::linear;
use crate::registry::Measure;
use crate::uncertainty::influence_variance;
use crate::{Against, Estimate, Result, normal};

/// Rows that one task adds up.
const ROWS: usize = 1024;

/// The feature spread: the mean over features of their standard deviation (with n − 1), in the features' unit. 0 where
/// a generator makes one image again and again (mode collapse).
///
/// Of n images a standard deviation is smaller by a factor of about 1 − 1/(4n) than that of the population: compare at
/// similar sizes. **Interval**: normal by the infinitesimal jackknife; image x has influence
/// mean over features j of ((xⱼ − μⱼ)² − σⱼ²)/(2σⱼ).
///
/// O(n·d) time, O(d) memory for every 1024 images.
///
/// # Errors
/// If there are fewer than 2 images.
pub fn feature_spread(set: &Embedding) -> Result<Estimate> {
    require_rows("the feature spread", set.rows(), 2)?;
    let (d, means) = (set.dimension(), linear::mean(set));
    let deviations = deviations(set, &means);
    let influence = |row: &[f32]| {
        let part = |((&x, mean), deviation): ((&f32, &f64), &f64)| {
            let square = (f64::from(x) - mean).powi(2);
            if *deviation > 0.0 { (square / deviation - deviation) / 2.0 } else { 0.0 }
        };
        row.iter().zip(&means).zip(&deviations).map(part).sum::<f64>() / d as f64
    };
    let influences: Vec<f64> = set.values().par_chunks(d).map(influence).collect();
    let value = deviations.iter().sum::<f64>() / d as f64;
    let estimate = normal(value, influence_variance(&influences).sqrt(), set.rows(), "infinitesimal jackknife");
    Ok(Estimate { low: estimate.low.max(0.0), ..estimate })
}

/// Standard deviation of every feature.
fn deviations(set: &Embedding, means: &[f64]) -> Vec<f64> {
    let d = set.dimension();
    let parts: Vec<Vec<f64>> = set
        .values()
        .par_chunks(ROWS * d)
        .map(|part| {
            let mut squares = vec![0.0; d];
            for row in part.chunks_exact(d) {
                for ((square, &x), mean) in squares.iter_mut().zip(row).zip(means) {
                    *square += (f64::from(x) - mean).powi(2);
                }
            }
            squares
        })
        .collect();
    let total = |feature: usize| parts.iter().map(|part| part[feature]).sum::<f64>();
    (0..d).map(|feature| (total(feature) / (set.rows() - 1) as f64).sqrt()).collect()
}

#[derive(Debug)]
pub(crate) struct FeatureSpread;

impl Measure for FeatureSpread {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        // Of codes it serves as a sign of collapse, and says nothing by itself.
        let of = |side| {
            context.outcome(&[side], || {
                require_euclidean("the feature spread", context.rows(side))?;
                feature_spread(context.rows(side))
            })
        };
        let [synthetic, reference] = [Side::Synthetic, Side::Reference].map(|side| context.size(side));
        Ok(vec![Comparison {
            against: Against::Nothing,
            outcome: of(Side::Synthetic)?,
            reference: (reference > 0).then(|| of(Side::Reference)).transpose()?,
            parameters: format!("{synthetic} synthetic, {reference} holdout in the reference"),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embed, gaussian};

    #[test]
    fn values_by_hand() {
        let found = feature_spread(&embed(vec![1.0, 5.0, 2.0, 5.0, 3.0, 5.0], 2)).unwrap();
        assert!((found.value - 0.5).abs() < 1e-15);
        let copies = feature_spread(&embed(vec![0.1; 30], 3)).unwrap();
        assert!(copies.value < 1e-8 && copies.high < 1e-8);
    }

    #[test]
    fn spread_has_the_unit_of_the_features() {
        let set = gaussian(100, 5, 1.0, 3.0, 1);
        let wider = embed(set.values().iter().map(|x| 8.0 * x).collect(), 5);
        let (one, other) = (feature_spread(&set).unwrap(), feature_spread(&wider).unwrap());
        assert!((8.0 * one.value - other.value).abs() < 1e-9 && (8.0 * one.low - other.low).abs() < 1e-9);
    }

    /// The mean standard deviation of n normal values is σ·(1 − 1/(4n)) to second order.
    #[test]
    fn the_interval_covers_the_truth() {
        let runs = 400;
        let truth = 2.0 * (1.0 - 1.0 / (4.0 * 150.0));
        let covered = (0..runs)
            .filter(|&run| {
                let found = feature_spread(&gaussian(150, 3, 2.0, 1.0, run)).unwrap();
                found.low <= truth && truth <= found.high
            })
            .count();
        let share = covered as f64 / runs as f64;
        assert!((0.92..=0.98).contains(&share), "{share}");
    }
}
