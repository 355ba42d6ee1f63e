use serde::{Deserialize, Serialize};
use standin_encode::{Embedding, nearest};

use crate::Result;
use crate::chance::Chance;

/// A synthetic image beside the training image nearest to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NearCopy {
    /// Index of the synthetic image.
    pub synthetic: usize,
    /// Index of the training image.
    pub train: usize,
    /// Their Euclidean distance in feature space.
    pub distance: f64,
    /// (1 + holdout images at least as near to their nearest training image) / (1 + holdout images).
    pub p_value: f64,
}

/// The `k` synthetic images nearest to a training image, nearest first, each beside that training image.
///
/// No fixed distance tells a copy: what is near depends on data and encoder. The holdout images, which nobody copied,
/// say how near to a training image one comes by chance: the p-value is conformal (Vovk et al., "Algorithmic Learning in
/// a Random World", 2005), valid for one synthetic image chosen beforehand if it is exchangeable with the holdout images.
/// It is never below 1/(1 + h), and among s images the smallest is below p by chance about s·p times: many p-values
/// at the floor are a finding, one is not. Without holdout images it is 1.
///
/// Exact and streamed: O((s + h)·t·d) time, O(s + h) memory.
///
/// # Errors
/// If the protocols differ, or there are synthetic but no training images.
pub fn near_copies(train: &Embedding, holdout: &Embedding, synthetic: &Embedding, k: usize) -> Result<Vec<NearCopy>> {
    let chance = Chance::of(train, holdout)?;
    let found = nearest(synthetic, train, 1, false)?;
    let mut copies: Vec<NearCopy> = (0..found.len())
        .map(|image| {
            let distance = found.distances(image)[0];
            NearCopy { synthetic: image, train: found.indices(image)[0], distance, p_value: chance.p_value(distance) }
        })
        .collect();
    copies.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.synthetic.cmp(&b.synthetic)));
    copies.truncate(k);
    Ok(copies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embed, gaussian};

    #[test]
    fn values_by_hand() {
        let (train, holdout) = (embed(vec![0.0, 10.0], 1), embed(vec![1.0, 8.0, 14.0], 1));
        let copies = near_copies(&train, &holdout, &embed(vec![5.0, 10.0, 2.0, -1.0], 1), 3).unwrap();
        assert_eq!(
            copies,
            [(1, 1, 0.0, 1), (3, 0, 1.0, 2), (2, 0, 2.0, 3)].map(|(synthetic, train, distance, rank)| NearCopy {
                synthetic,
                train,
                distance,
                p_value: f64::from(rank) / 4.0
            })
        );
    }

    #[test]
    fn without_copies_p_values_are_uniform() {
        let set = |size, seed| gaussian(size, 4, 1.0, 0.0, seed);
        let copies = near_copies(&set(800, 1), &set(999, 2), &set(1500, 3), 1500).unwrap();
        let mut values: Vec<f64> = copies.iter().map(|copy| copy.p_value).collect();
        values.sort_unstable_by(f64::total_cmp);
        let away = |(rank, value): (usize, &f64)| (value - (rank as f64 + 0.5) / 1500.0).abs();
        let largest = values.iter().enumerate().map(away).fold(0.0, f64::max);
        // The two-sample Kolmogorov–Smirnov bound at 1 %.
        assert!(largest < 1.63 * (1.0 / 999.0 + 1.0 / 1500.0_f64).sqrt(), "{largest}");
    }

    #[test]
    fn no_holdout_means_no_evidence() {
        let train = gaussian(5, 2, 1.0, 0.0, 1);
        let copies = near_copies(&train, &embed(Vec::new(), 2), &train, 5).unwrap();
        assert!(copies.iter().all(|copy| copy.p_value == 1.0 && copy.distance == 0.0));
    }
}
