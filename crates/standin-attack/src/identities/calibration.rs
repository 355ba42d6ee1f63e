//! How good a match an identity has that nobody saw.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use standin_data::Seed;
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// The share of unseen identities, those with the best matches, from which the tail is learnt, and how many there must be.
const TAIL: f64 = 0.1;
const TAIL_AT_LEAST: usize = 10;

/// The matches of holdout identities.
pub(super) struct Calibration {
    /// For each identity, its images in random order: the best similarity among the first, the first two, ….
    best_of_first: Vec<Vec<f64>>,
    /// By number of images that are compared.
    nulls: BTreeMap<usize, Null>,
    rate: f64,
    seed: Seed,
}

/// Probability that an identity nobody saw has as good a match.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PValue {
    /// Exact, and never below 1/(h + 1).
    pub(super) exact: f64,
    /// The same where some unseen identity has as good a match, and extrapolated beyond.
    pub(super) tail: f64,
}

/// The best matches of identities that nobody saw.
struct Null {
    /// Their similarities.
    ascending: Vec<f64>,
    tail: Option<Tail>,
}

/// How the similarities go on beyond the best: with an exponential tail.
struct Tail {
    from: f64,
    /// Probability of more than `from`.
    share: f64,
    /// Upper 95 % bound on how far `from` is exceeded on average.
    scale: f64,
}

impl Null {
    fn new(mut similarities: Vec<f64>) -> Self {
        similarities.sort_unstable_by(f64::total_cmp);
        Self { tail: Tail::of(&similarities), ascending: similarities }
    }

    fn p_value(&self, similarity: f64) -> PValue {
        let at_least = at_least(&self.ascending, similarity);
        let exact = p_value(at_least, self.ascending.len());
        let tail = match &self.tail {
            Some(tail) if at_least == 0 => tail.p_value(similarity).min(exact),
            _ => exact,
        };
        PValue { exact, tail }
    }
}

impl Tail {
    /// None with fewer than 100 values.
    fn of(ascending: &[f64]) -> Option<Self> {
        let beyond = (ascending.len() as f64 * TAIL) as usize;
        if beyond < TAIL_AT_LEAST {
            return None;
        }
        let (rest, beyond) = ascending.split_at(ascending.len() - beyond);
        let from = *rest.last()?;
        let total: f64 = beyond.iter().map(|value| value - from).sum();
        let low = ChiSquared::new(2.0 * beyond.len() as f64).ok()?.inverse_cdf(0.05);
        // Twice the sum of exponential excesses over their mean has a χ² distribution.
        (total > 0.0).then(|| Self { from, share: p_value(beyond.len(), ascending.len()), scale: 2.0 * total / low })
    }

    fn p_value(&self, similarity: f64) -> f64 {
        self.share * (-(similarity - self.from) / self.scale).exp()
    }
}

impl Calibration {
    /// From the similarities of every holdout identity's images to what they match best.
    pub(super) fn new(holdout: &[Vec<f64>], rate: f64, seed: Seed) -> Self {
        let best_of_first: Vec<Vec<f64>> = holdout
            .iter()
            .enumerate()
            .map(|(identity, images)| {
                let mut best = f64::NEG_INFINITY;
                let in_turn = shuffled(images, seed.derive(&format!("holdout {identity}"))).into_iter();
                in_turn
                    .map(|similarity| {
                        best = best.max(similarity);
                        best
                    })
                    .collect()
            })
            .collect();
        let most = best_of_first.iter().map(Vec::len).max().unwrap_or(0);
        let nulls = (1..=most).map(|images| {
            (images, Null::new(best_of_first.iter().filter_map(|best| best.get(images - 1).copied()).collect()))
        });
        Self { nulls: nulls.collect(), best_of_first, rate, seed }
    }

    pub(super) fn identities(&self) -> usize {
        self.best_of_first.len()
    }

    /// Whether a p-value can be as small as this.
    pub(super) fn reaches(&self, rate: f64) -> bool {
        1.0 / (self.identities() as f64 + 1.0) <= rate
    }

    /// The null distribution for an identity with so many images, and how many of them it is for: as many as leave enough holdout
    /// identities for the rate.
    fn null(&self, images: usize) -> (usize, &Null) {
        let enough = |null: &Null| 1.0 / (null.ascending.len() as f64 + 1.0) <= self.rate;
        let fitting = self.nulls.range(..=images).rev().find(|(_, null)| enough(null));
        let (&compared, null) = fitting.or_else(|| self.nulls.first_key_value()).expect("there is a holdout identity");
        (compared, null)
    }

    /// A p-value for each identity, from the similarities of its images.
    pub(super) fn p_values(&self, identities: &[Vec<f64>]) -> Vec<PValue> {
        let of_one = |(identity, images): (usize, &Vec<f64>)| {
            let (compared, null) = self.null(images.len());
            let images = shuffled(images, self.seed.derive(&format!("identity {identity}")));
            // A group that is not full has worse matches by chance than those it is compared with.
            let groups = images.chunks(compared);
            let number = groups.len() as f64;
            let best = groups.flatten().copied().fold(f64::NEG_INFINITY, f64::max);
            let PValue { exact, tail } = null.p_value(best);
            PValue { exact: (exact * number).min(1.0), tail: (tail * number).min(1.0) }
        };
        identities.iter().enumerate().map(of_one).collect()
    }

    /// A p-value for each holdout identity, by the others.
    pub(super) fn own_p_values(&self) -> Vec<f64> {
        let of_one = |best_of_first: &Vec<f64>| {
            let (compared, null) = self.null(best_of_first.len());
            let best = best_of_first[compared.min(best_of_first.len()) - 1];
            p_value(at_least(&null.ascending, best) - 1, null.ascending.len() - 1)
        };
        self.best_of_first.iter().map(of_one).collect()
    }
}

fn shuffled(images: &[f64], seed: Seed) -> Vec<f64> {
    let mut images = images.to_vec();
    images.shuffle(&mut seed.rng());
    images
}

/// Values of ascending ones that are not below.
fn at_least(ascending: &[f64], value: f64) -> usize {
    ascending.len() - ascending.partition_point(|&known| known < value)
}

/// Conformal: (1 + those at least as good) / (1 + all).
fn p_value(at_least: usize, all: usize) -> f64 {
    (1 + at_least) as f64 / (1 + all) as f64
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    fn exact(found: &[PValue]) -> Vec<f64> {
        found.iter().map(|found| found.exact).collect()
    }

    #[test]
    fn values_by_hand() {
        let holdout = [0.1, 0.2, 0.3, 0.4].map(|similarity| vec![similarity]);
        let calibration = Calibration::new(&holdout, 0.2, Seed::new(1));
        let p = exact(&calibration.p_values(&[vec![0.05], vec![0.3], vec![0.5], vec![0.25, 0.5]]));
        // With two images each is compared by itself, and the better p-value counts twice.
        assert_eq!(p, [1.0, 0.6, 0.2, 0.4]);
        assert_eq!(calibration.own_p_values(), [1.0, 0.75, 0.5, 0.25]);
        assert!(calibration.reaches(0.2) && !calibration.reaches(0.19));
    }

    /// Identities with 1 to 12 images each, whose matches get better with their number.
    fn identities(count: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut rng = Seed::new(seed).rng();
        (0..count)
            .map(|_| {
                let (images, own): (usize, f64) = (rng.random_range(1..=12), rng.random());
                (0..images).map(|_| own + rng.random::<f64>()).collect()
            })
            .collect()
    }

    #[test]
    fn p_values_of_unseen_identities_are_not_too_small() {
        let mut below = [0; 3];
        let rates = [0.01, 0.05, 0.2];
        for repetition in 0..40 {
            let calibration = Calibration::new(&identities(400, repetition), 0.01, Seed::new(repetition));
            let p_values = exact(&calibration.p_values(&identities(500, 1_000 + repetition)));
            for (below, rate) in below.iter_mut().zip(rates) {
                *below += p_values.iter().filter(|&&p| p <= rate).count();
            }
        }
        for (below, rate) in below.into_iter().zip(rates) {
            let share = f64::from(below as u32) / (40.0 * 500.0);
            // Groups make p-values larger than need be, never smaller; the repetitions' calibrations vary.
            assert!(share < rate * 1.15 + 0.002 && share > rate * 0.4, "{share} at {rate}");
        }
    }

    #[test]
    fn identities_with_more_images_than_any_unseen_one_are_still_compared() {
        let calibration = Calibration::new(&identities(300, 1), 0.01, Seed::new(1));
        let p_values = exact(&calibration.p_values(&[vec![0.5; 100], vec![5.0; 100]]));
        assert!(p_values[0] == 1.0 && p_values[1] < 0.2, "{p_values:?}");
    }

    #[test]
    fn a_tail_by_hand() {
        // The best tenth exceeds 0.9 by 0.01, 0.02, …, 0.1: 0.055 on average; the 5 % quantile of χ² with 20 degrees is 10.851.
        let similarities: Vec<f64> = (1..=100).map(|at| f64::from(at) / 100.0).collect();
        let null = Null::new(similarities.clone());
        let tail = null.tail.as_ref().unwrap();
        let scale = 2.0 * 0.55 / 10.850_811;
        assert!((tail.from - 0.9).abs() < 1e-12 && (tail.scale - scale).abs() < 1e-6, "{}", tail.scale);
        let (at_best, beyond) = (null.p_value(1.0), null.p_value(1.5));
        assert_eq!((at_best.exact, at_best.tail), (2.0 / 101.0, 2.0 / 101.0));
        assert_eq!(beyond.exact, 1.0 / 101.0);
        assert!((beyond.tail - 11.0 / 101.0 * (-0.6 / scale).exp()).abs() < 1e-8, "{beyond:?}");
        assert!(Null::new(similarities[..99].to_vec()).tail.is_none());
        assert!(Null::new(vec![0.5; 200]).tail.is_none());
    }

    #[test]
    fn extrapolated_p_values_of_unseen_identities_are_not_too_small() {
        // Best matches of independent images fall off no more slowly than exponentially, as cosines of features do.
        let draw = |count: usize, seed: u64| -> Vec<Vec<f64>> {
            let mut rng = Seed::new(seed).rng();
            (0..count).map(|_| vec![-(-rng.random::<f64>().ln()).ln()]).collect()
        };
        let rates = [1e-3, 1e-4];
        let (repetitions, of_each) = (200, 2_000);
        let mut below = [0; 2];
        for repetition in 0..repetitions {
            let calibration = Calibration::new(&draw(200, repetition), 0.01, Seed::new(repetition));
            let p_values = calibration.p_values(&draw(of_each, 10_000 + repetition));
            for (below, rate) in below.iter_mut().zip(rates) {
                *below += p_values.iter().filter(|p| p.tail <= rate).count();
            }
        }
        for (below, rate) in below.into_iter().zip(rates) {
            let share = below as f64 / (repetitions as f64 * of_each as f64);
            assert!(share < rate && share > rate * 0.05, "{share} at {rate}");
        }
    }
}
