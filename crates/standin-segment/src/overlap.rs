use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many voxels of one label the prediction and the reference have, apart and together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlap {
    /// Voxels with the label in the prediction.
    pub predicted: u64,
    /// Voxels with the label in the reference.
    pub reference: u64,
    /// Voxels with the label in both.
    pub both: u64,
}

impl Overlap {
    /// The Dice coefficient 2|P ∩ R| / (|P| + |R|), in [0, 1]; `None` if the label is in neither (Dice 1945).
    pub fn dice(&self) -> Option<f64> {
        let total = self.predicted + self.reference;
        (total > 0).then(|| 2.0 * self.both as f64 / total as f64)
    }

    /// The Jaccard index |P ∩ R| / |P ∪ R|, in [0, 1]; `None` if the label is in neither (Jaccard 1901).
    pub fn jaccard(&self) -> Option<f64> {
        let union = self.predicted + self.reference - self.both;
        (union > 0).then(|| self.both as f64 / union as f64)
    }
}

/// The overlap of each label other than 0 that is in `prediction` or `reference`: voxels of one grid in one order.
///
/// One pass over the voxels; memory grows with the number of labels.
///
/// # Panics
/// If the two differ in length.
pub fn overlaps(prediction: &[u32], reference: &[u32]) -> BTreeMap<u32, Overlap> {
    assert_eq!(prediction.len(), reference.len(), "prediction and reference are volumes of one grid");
    let mut overlaps: BTreeMap<u32, Overlap> = BTreeMap::new();
    for (&predicted, &referred) in prediction.iter().zip(reference) {
        if predicted != 0 {
            let overlap = overlaps.entry(predicted).or_default();
            overlap.predicted += 1;
            overlap.both += u64::from(predicted == referred);
        }
        if referred != 0 {
            overlaps.entry(referred).or_default().reference += 1;
        }
    }
    overlaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_counts_each_label_by_itself() {
        let overlaps = overlaps(&[0, 1, 1, 2, 2, 5], &[1, 1, 0, 2, 1, 0]);
        assert_eq!(overlaps[&1], Overlap { predicted: 2, reference: 3, both: 1 });
        assert_eq!(overlaps[&2], Overlap { predicted: 2, reference: 1, both: 1 });
        assert_eq!(overlaps[&5], Overlap { predicted: 1, reference: 0, both: 0 });
        assert_eq!(overlaps[&1].dice(), Some(0.4));
        assert_eq!(overlaps[&1].jaccard(), Some(0.25));
        assert!(!overlaps.contains_key(&0));
    }

    #[test]
    fn jaccard_follows_from_dice() {
        for both in 0..=7 {
            let overlap = Overlap { predicted: 7, reference: 12, both };
            let (dice, jaccard) = (overlap.dice().unwrap(), overlap.jaccard().unwrap());
            assert!((jaccard - dice / (2.0 - dice)).abs() < 1e-15);
        }
    }

    #[test]
    fn an_empty_prediction_scores_zero_and_two_empty_ones_nothing() {
        let empty = Overlap { predicted: 0, reference: 9, both: 0 };
        assert_eq!((empty.dice(), empty.jaccard()), (Some(0.0), Some(0.0)));
        assert_eq!((Overlap::default().dice(), Overlap::default().jaccard()), (None, None));
    }
}
