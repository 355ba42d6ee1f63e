use standin_encode::{Embedding, nearest};

use crate::Result;

/// How near to a training image new real images come by chance: the distances of holdout images to their nearest
/// training images, ascending.
///
/// No fixed distance tells a copy: what is near depends on data and encoder. An image that nobody copied is
/// exchangeable with the holdout images, and so are their distances (Vovk et al., "Algorithmic Learning in a Random
/// World", 2005).
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    distances: Vec<f64>,
}

/// A distance below which an image counts as a copy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Threshold {
    /// The distance.
    pub(crate) distance: f64,
    /// How often an image that nobody copied is below it: (1 + holdout images below) / (1 + holdout images).
    pub(crate) rate: f64,
}

impl Chance {
    /// One neighbour search, O(h·t·d) time; none without holdout images.
    pub(crate) fn of(train: &Embedding, holdout: &Embedding) -> Result<Self> {
        let mut distances = if holdout.is_empty() { Vec::new() } else { nearest(holdout, train, 1, false)?.at_rank(1) };
        distances.sort_unstable_by(f64::total_cmp);
        Ok(Self { distances })
    }

    /// The distances, ascending.
    pub(crate) fn distances(&self) -> &[f64] {
        &self.distances
    }

    /// The conformal p-value (1 + holdout images at least as near) / (1 + holdout images).
    pub(crate) fn p_value(&self, distance: f64) -> f64 {
        let as_near = self.distances.partition_point(|&chance| chance <= distance);
        (1 + as_near) as f64 / (1 + self.distances.len()) as f64
    }

    /// The largest threshold that images which nobody copied are below at most as often as `rate`, that is with a
    /// p-value of at most `rate`; the smallest holdout distance where there are too few holdout images for that rate;
    /// none without them.
    pub(crate) fn threshold(&self, rate: f64) -> Option<Threshold> {
        let trials = 1 + self.distances.len();
        let allowed = (rate * trials as f64).floor() as usize;
        let last = self.distances.len().checked_sub(1)?;
        let distance = self.distances[allowed.saturating_sub(1).min(last)];
        let below = self.distances.partition_point(|&chance| chance < distance);
        Some(Threshold { distance, rate: (1 + below) as f64 / trials as f64 })
    }
}

/// p-values adjusted by Benjamini and Hochberg (JRSS B 1995), in the order given: rejecting those at most q leaves an
/// expected share of false discoveries of at most q. Valid for conformal p-values that share their holdout images,
/// which depend on each other positively (Bates et al., "Testing for outliers with conformal p-values", Annals of
/// Statistics 2023).
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_unstable_by(|&a, &b| p_values[a].total_cmp(&p_values[b]).then(a.cmp(&b)));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least: f64 = 1.0;
    for (rank, &at) in order.iter().enumerate().rev() {
        least = least.min(p_values[at] * p_values.len() as f64 / (rank + 1) as f64);
        adjusted[at] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embed, gaussian};

    /// `scipy.stats.false_discovery_control([0.01, 0.5, 0.02, 0.03, 0.9])`.
    #[test]
    fn adjusted_p_values_equal_scipy() {
        let adjusted = benjamini_hochberg(&[0.01, 0.5, 0.02, 0.03, 0.9]);
        for (found, expected) in adjusted.iter().zip([0.05, 0.625, 0.05, 0.05, 0.9]) {
            assert!((found - expected).abs() < 1e-15, "{adjusted:?}");
        }
        assert!(benjamini_hochberg(&[]).is_empty());
    }

    #[test]
    fn below_the_threshold_p_values_are_at_most_the_rate() {
        let train = embed(vec![0.0], 1);
        let chance = Chance::of(&train, &embed((1..=99).map(|x| x as f32).collect(), 1)).unwrap();
        let threshold = chance.threshold(0.05).unwrap();
        assert_eq!(threshold, Threshold { distance: 5.0, rate: 0.05 });
        assert!(chance.p_value(4.999) <= 0.05 && chance.p_value(5.0) > 0.05);
        assert_eq!(chance.threshold(0.001).unwrap(), Threshold { distance: 1.0, rate: 0.01 });
        assert_eq!(Chance::of(&train, &embed(Vec::new(), 1)).unwrap().threshold(0.05), None);
    }

    #[test]
    fn new_images_are_below_the_threshold_as_often_as_its_rate() {
        let runs = 300;
        let mut below = 0;
        for run in 0..runs {
            let set = |size, role: u64| gaussian(size, 3, 1.0, 0.0, 3 * run + role);
            let (train, new) = (set(50, 0), set(40, 2));
            let threshold = Chance::of(&train, &set(79, 1)).unwrap().threshold(0.05).unwrap();
            assert_eq!(threshold.rate, 0.05);
            let distances = nearest(&new, &train, 1, false).unwrap().at_rank(1);
            below += distances.iter().filter(|&&distance| distance < threshold.distance).count();
        }
        let share = below as f64 / (40 * runs) as f64;
        assert!((0.042..=0.058).contains(&share), "{share}");
    }
}
