//! What is released of the private images: the number of images of each class, and for each of M random networks the sum
//! over each class of their embeddings, everything with Gaussian noise.
//!
//! An embedding has length at most 1, and an image is in one class: adding or removing it moves the counts by 1 and each
//! network's sums by at most 1 in Euclidean norm. The networks are drawn without looking at any image. So each network is one
//! Gaussian release, and so are the counts; their composition is one Gaussian of μ² = Σ 1/zᵢ², which the noise is divided to
//! meet.

use standin_privacy::{Budget, Event, Ledger, NoiseSource, gaussian};

use crate::Result;

/// Part of μ² spent on the counts; the sums of all networks share the rest.
const COUNT_SHARE: f64 = 0.02;

/// A margin on the calibrated noise, for rounding in the accountant and in sums of f64.
const ROUNDING: f64 = 1.0 + 1e-7;

/// Noise multipliers of the counts and of each network's sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Multipliers {
    pub(crate) counts: f64,
    pub(crate) sums: f64,
}

impl Multipliers {
    /// For `networks` releases of sums within a budget.
    ///
    /// # Errors
    /// If no noise meets the budget.
    pub(crate) fn of(budget: Budget, networks: usize) -> Result<Self> {
        let sigma = gaussian::sigma(budget.epsilon, budget.delta, 1.0)? * ROUNDING;
        let sums = sigma * (networks as f64 / (1.0 - COUNT_SHARE)).sqrt();
        Ok(Self { counts: sigma / COUNT_SHARE.sqrt(), sums })
    }
}

/// The noisy number of images of each class, at least 1.
///
/// # Errors
/// If the noise cannot be drawn.
pub(crate) fn counts(
    members: &[Vec<usize>],
    multipliers: Multipliers,
    noise: &mut NoiseSource,
    ledger: &mut Ledger,
) -> Result<Vec<f64>> {
    let mut counts: Vec<f64> = members.iter().map(|of_class| of_class.len() as f64).collect();
    noise.add_gaussian(multipliers.counts, &mut counts)?;
    ledger.record(Event::NoisedHistogram { noise_multiplier: multipliers.counts }, 1)?;
    Ok(counts.into_iter().map(|count| count.max(1.0)).collect())
}

/// The noisy mean embedding of each class, `classes × width`, from the sums of one network. Means longer than 1 are scaled to
/// length 1, which no true mean exceeds.
///
/// # Errors
/// If the noise cannot be drawn.
pub(crate) fn means(
    mut sums: Vec<f64>,
    counts: &[f64],
    multipliers: Multipliers,
    noise: &mut NoiseSource,
    ledger: &mut Ledger,
) -> Result<Vec<f32>> {
    noise.add_gaussian(multipliers.sums, &mut sums)?;
    ledger.record(Event::Gaussian { noise_multiplier: multipliers.sums }, 1)?;
    let width = sums.len() / counts.len();
    for (row, count) in sums.chunks_exact_mut(width).zip(counts) {
        let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
        let scale = count.max(length).recip();
        row.iter_mut().for_each(|value| *value *= scale);
    }
    Ok(sums.into_iter().map(|value| value as f32).collect())
}

#[cfg(test)]
mod tests {
    use standin_data::Seed;
    use standin_privacy::{Adjacency, NoiseOrigin, Unit};

    use super::*;

    fn ledger() -> Ledger {
        Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Reproducible)
    }

    /// The composition written out: 1/z² of all releases add to 1/σ² of the analytic Gaussian mechanism.
    #[test]
    fn all_releases_together_spend_the_budget() {
        for (epsilon, networks) in [(0.5, 1), (1.0, 40), (10.0, 100)] {
            let budget = Budget { epsilon, delta: 1e-6 };
            let multipliers = Multipliers::of(budget, networks).unwrap();
            let mut noise = NoiseSource::reproducible(Seed::new(1));
            let mut ledger = ledger();
            let counts = counts(&[vec![0; 30], vec![0; 50]], multipliers, &mut noise, &mut ledger).unwrap();
            for _ in 0..networks {
                means(vec![0.0; 6], &counts, multipliers, &mut noise, &mut ledger).unwrap();
            }
            let together = multipliers.counts.powi(-2) + networks as f64 * multipliers.sums.powi(-2);
            let expected = gaussian::epsilon(together.powf(-0.5), 1.0, 1e-6).unwrap();
            let found = ledger.guarantee(1e-6, Vec::new()).unwrap().epsilon;
            assert!(found <= epsilon && found > 0.999 * epsilon, "{found} of {epsilon}");
            assert!((found / expected - 1.0).abs() < 1e-6, "{found} for {expected}");
        }
    }

    /// The variance of 6000 values is known to 1.8 % in one deviation.
    #[test]
    fn means_carry_the_noise_that_is_recorded() {
        let multipliers = Multipliers { counts: 1.0, sums: 3.0 };
        let mut noise = NoiseSource::reproducible(Seed::new(2));
        let means = means(vec![0.0; 6000], &[1e4], multipliers, &mut noise, &mut ledger()).unwrap();
        let variance = means.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / 6000.0;
        assert!((variance / (3e-4f64).powi(2) - 1.0).abs() < 0.073, "{variance}");
    }
}
