//! The mechanism of GS-WGAN (Chen, Orekondy & Fritz 2020), and its guarantee as derived here.
//!
//! # What is released
//! Every unit (an image, or all images of a person) is put into one of K subsets, each with the same probability,
//! independently of all others, and each subset has a critic. A release begins with B generated images. Every subset takes
//! part with probability q, independently; a critic that takes part gives the gradient of its score at each of the B images,
//! each reduced to its lowest frequencies and clipped to norm C. The sum over these critics, B rows of as many coefficients, is
//! released with Gaussian noise of standard deviation z·C·√B on every value.
//!
//! # What is promised
//! A subset that takes part adds a matrix of norm at most C√B, so that with respect to adding or removing *a whole subset* a
//! release is a Poisson-subsampled Gaussian mechanism of rate q and noise multiplier z, and T of them compose to (ε′, δ′) by
//! the usual accountant.
//!
//! An image added to the private set changes its critic altogether: one subset is replaced by another. That is one subset
//! removed and one added, so that what was promised for subsets holds twice over, as for a group of two: the mechanism is
//! (2ε′, (1 + e^ε′)·δ′)-private for adding or removing one unit. For a target (ε, δ) the noise is therefore calibrated to
//! ε′ = ε/2 and δ′ = δ/(1 + e^(ε/2)).
//!
//! # What this needs
//! - Whether a subset takes part must not be seen in anything else. In the published algorithm a critic trains when it is
//!   drawn, so that later releases, which depend on how often each critic has trained, tell which were drawn, and the
//!   amplification by sampling is not proven. Here critics train in a fixed rotation whatever is drawn: what a critic is
//!   at a step depends on its subset, the releases before and coins of its own. The steps then compose adaptively.
//! - Where a unit is put must not depend on other units: subsets are drawn, not cut to equal size.
//! - The published accountant takes 2C as the sensitivity of each generated image's gradient and samples one subset of K
//!   as if that were Poisson sampling; the images of one batch share a critic, which is why √B enters here.

use rand::RngExt;
use rayon::prelude::*;
use standin_data::Seed;
use standin_nn::Records;
use standin_privacy::{Budget, Guarantee, Ledger, NoiseSource};

use crate::Result;

/// A margin on the noise for what rounding to f32 and back adds to a clipped norm.
const ROUNDING: f64 = 1.0 + 1e-5;

/// The images of each of `subsets` subsets. A unit's subset depends on the seed and its place alone.
pub(crate) fn assigned(records: &Records, subsets: usize, seed: Seed) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); subsets];
    for unit in 0..records.units() {
        let mut rng = seed.rng();
        rng.set_stream(unit as u64);
        members[rng.random_range(0..subsets)].extend(records.members(unit));
    }
    members
}

/// What the accountant is to give for whole subsets, so that `budget` holds for each unit.
pub(crate) fn of_subsets(Budget { epsilon, delta }: Budget) -> Budget {
    Budget { epsilon: epsilon / 2.0, delta: delta / (1.0 + (epsilon / 2.0).exp()) }
}

/// The guarantee for each unit, from a ledger of releases in which the subsets were sampled.
///
/// # Errors
/// If the accountant fails.
pub(crate) fn guarantee(ledger: &Ledger, budget: Budget) -> Result<Guarantee> {
    let not_covered = [
        "the number of units",
        "the choice of hyper-parameters",
        "the classes' names",
        "losses and other figures shown during training",
    ];
    let of_subsets = of_subsets(budget);
    let not_covered = not_covered.iter().map(|&part| part.to_owned()).collect();
    let whole = ledger.guarantee(of_subsets.delta, not_covered)?;
    Ok(Guarantee {
        epsilon: 2.0 * whole.epsilon,
        // Not above δ where ε′ ≤ ε/2, as calibrated.
        delta: budget.delta.max((1.0 + whole.epsilon.exp()) * of_subsets.delta),
        mechanism: format!("{} on the clipped gradients of the critics of disjoint subsets", whole.mechanism),
        accountant: format!(
            "{} at δ = {:e} for whole subsets, then twice that: one subset is removed and another added when a unit is",
            whole.accountant, of_subsets.delta
        ),
        sampler: format!("{}, of subsets", whole.sampler),
        ..whole
    })
}

/// Each row scaled to norm `bound` at most; one that is no number becomes 0.
pub(crate) fn clipped(rows: &[f64], width: usize, bound: f64) -> Vec<f64> {
    let clip = |row: &[f64]| -> Vec<f64> {
        let norm = row.iter().map(|value| value.powi(2)).sum::<f64>().sqrt();
        if !norm.is_finite() {
            return vec![0.0; row.len()];
        }
        let factor = if norm > bound { bound / norm } else { 1.0 };
        row.iter().map(|value| value * factor).collect()
    };
    rows.chunks_exact(width).flat_map(clip).collect()
}

/// How one release is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    /// C.
    pub(crate) bound: f64,
    /// B, generated images.
    pub(crate) images: usize,
    /// Values of an image's gradient.
    pub(crate) values: usize,
    /// q.
    pub(crate) rate: f64,
    /// z.
    pub(crate) noise_multiplier: f64,
}

impl Release {
    /// C√B: the norm of what one subset adds at most.
    pub(crate) fn sensitivity(&self) -> f64 {
        self.bound * (self.images as f64).sqrt()
    }

    /// The noisy mean over critics of their clipped gradients, `images × values`, the sum divided by the expected number of
    /// critics. `gradients` gives those of the critic of a subset, or nothing for an empty subset.
    ///
    /// # Errors
    /// If the rate or the noise is outside its range.
    pub(crate) fn make(
        &self,
        subsets: usize,
        noise: &mut NoiseSource,
        gradients: impl Fn(usize) -> Option<Vec<f64>> + Sync,
    ) -> Result<Vec<f64>> {
        let mut sum = vec![0.0; self.images * self.values];
        let chosen = noise.sample(self.rate, subsets)?;
        // Computed in parallel and added in order, some at a time.
        for chosen in chosen.chunks(64) {
            let parts: Vec<Option<Vec<f64>>> = chosen.par_iter().map(|&subset| gradients(subset)).collect();
            for part in parts.into_iter().flatten() {
                let rows = clipped(&part, self.values, self.bound);
                sum.iter_mut().zip(rows).for_each(|(sum, value)| *sum += value);
            }
        }
        noise.add_gaussian(self.noise_multiplier * self.sensitivity() * ROUNDING, &mut sum)?;
        let expected = self.rate * subsets as f64;
        sum.iter_mut().for_each(|value| *value /= expected);
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use rand_distr::StandardNormal;
    use standin_privacy::{Adjacency, Event, NoiseOrigin, Unit, calibrate};

    use super::*;

    #[test]
    fn a_unit_added_changes_one_subset_alone() {
        let (before, after) = (Records::each(500), Records::each(501));
        let (before, after) = (assigned(&before, 20, Seed::new(1)), assigned(&after, 20, Seed::new(1)));
        let changed: Vec<usize> = (0..20).filter(|&subset| before[subset] != after[subset]).collect();
        assert_eq!(changed.len(), 1);
        assert_eq!(after[changed[0]].last(), Some(&500));
        assert_eq!(before.iter().map(Vec::len).sum::<usize>(), 500);
        // A binomial of 500 and 1/20: mean 25, deviation 4.9.
        assert!(before.iter().all(|members| (5..=45).contains(&members.len())));
    }

    fn release() -> Release {
        Release { bound: 0.7, images: 5, values: 11, rate: 1.0, noise_multiplier: 1e-9 }
    }

    fn gradients(seed: u64, scale: f64) -> Vec<f64> {
        let mut rng = Seed::new(seed).rng();
        (0..55).map(|_| scale * rng.sample::<f64, _>(StandardNormal)).collect()
    }

    fn difference(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }

    /// Everyone takes part, almost without noise, and the mean is over 8 critics.
    #[test]
    fn a_subset_added_moves_a_release_by_its_sensitivity_at_most_and_one_replaced_by_twice_that() {
        let make = |of_last: Option<Vec<f64>>| {
            let mut noise = NoiseSource::reproducible(Seed::new(4));
            let of = |subset| if subset < 7 { Some(gradients(subset as u64, 3.0)) } else { of_last.clone() };
            release().make(8, &mut noise, of).unwrap()
        };
        let without = make(None);
        let mut largest = 0.0f64;
        for scale in [1e-3, 1.0, 1e6] {
            for seed in 20..30 {
                let with = make(Some(gradients(seed, scale)));
                let moved = 8.0 * difference(&with, &without);
                assert!(moved <= release().sensitivity() * (1.0 + 1e-9), "{moved}");
                largest = largest.max(moved);
                let opposite = make(Some(gradients(seed, -scale)));
                assert!(8.0 * difference(&with, &opposite) <= 2.0 * release().sensitivity() * (1.0 + 1e-9));
            }
        }
        assert!(largest > 0.999 * release().sensitivity(), "the bound is attained: {largest}");
        assert!(make(Some(vec![f64::NAN; 55])).iter().all(|value| value.is_finite()));
    }

    /// 4 deviations of the variance's estimate over 20 × 55 values.
    #[test]
    fn a_release_has_the_noise_that_is_accounted() {
        let release = Release { rate: 0.5, noise_multiplier: 2.0, ..release() };
        let values: Vec<f64> = (0..20)
            .flat_map(|seed| release.make(8, &mut NoiseSource::reproducible(Seed::new(seed)), |_| None).unwrap())
            .collect();
        let variance = values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
        let expected = (2.0 * 0.7 * 5f64.sqrt() / 4.0).powi(2);
        assert!((variance / expected - 1.0).abs() < 4.0 * (2.0 / 1100f64).sqrt(), "{variance} for {expected}");
    }

    /// The conversion written out again, from the events.
    #[test]
    fn the_guarantee_is_that_of_a_group_of_two_subsets() {
        let budget = Budget { epsilon: 3.0, delta: 1e-5 };
        let target = of_subsets(budget);
        let mut ledger = Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Reproducible);
        let noise_multiplier = calibrate::noise_multiplier(target, 0.1, 200, &ledger).unwrap();
        ledger.record(Event::PoissonSubsampledGaussian { sampling_rate: 0.1, noise_multiplier }, 200).unwrap();
        let guarantee = guarantee(&ledger, budget).unwrap();
        let of_one = ledger.epsilon(1e-5 / (1.0 + 1.5f64.exp())).unwrap().high;
        assert_eq!(guarantee.epsilon, 2.0 * of_one);
        assert!(guarantee.epsilon <= 3.0 && guarantee.epsilon > 2.99, "{}", guarantee.epsilon);
        assert!((1.0 + of_one.exp()) * target.delta <= guarantee.delta);
        assert!(guarantee.statement().contains("of subsets"));
    }

    /// Two subsets' worth of pure Gaussian noise: the group bound must not be below the exact one for twice the distance.
    #[test]
    fn the_bound_for_two_subsets_is_no_smaller_than_the_exact_one() {
        let budget = Budget { epsilon: 2.0, delta: 1e-5 };
        let target = of_subsets(budget);
        let sigma = standin_privacy::gaussian::sigma(target.epsilon, target.delta, 1.0).unwrap();
        let exact = standin_privacy::gaussian::epsilon(sigma, 2.0, budget.delta).unwrap();
        assert!(exact <= budget.epsilon, "{exact}");
    }
}
