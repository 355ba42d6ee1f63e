use std::collections::HashMap;

use standin_encode::{Embedding, Neighbours, nearest};

use crate::context::{Comparison, Context, Side};
use crate::error::require_rows;
use crate::registry::Measure;
use crate::share::wilson_at;
use crate::{Against, Error, Estimate, Result};

/// The DCR share, from the distances to the closest records: P(d_T < d_H) + ½·P(d_T = d_H) for a synthetic image's
/// distances to its nearest training and holdout image. ½ where nothing is copied, towards 1 where training images are
/// favoured.
///
/// It averages over all synthetic images, so a few copies hide in it: passing does not mean safe (Yao et al., "The DCR
/// Delusion", 2025).
///
/// **Interval**: Wilson with an effective number of images. Synthetic images that share their nearest real image win or
/// lose together, and who was drawn into T and who into H is chance as well. Where nothing is copied every division of
/// the N = |T| + |H| real images into equal halves is equally likely, and with w images nearest to a real one the share
/// then varies by N/(N−1)·Σ(w − n/N)²/(4n²); n_eff is the n of a binomial share with that variance, at most n.
///
/// Two neighbour searches: O(s·(t + h)·d) time.
///
/// # Errors
/// If the protocols differ, a set is empty, or T and H differ in size: the larger would win by its size.
pub fn dcr_share(synthetic: &Embedding, train: &Embedding, holdout: &Embedding) -> Result<Estimate> {
    if train.rows() != holdout.rows() {
        return Err(Error::Unequal { measure: "the DCR share", train: train.rows(), holdout: holdout.rows() });
    }
    require_rows("the DCR share", synthetic.rows(), 1)?;
    Ok(share(&nearest(synthetic, train, 1, false)?, &nearest(synthetic, holdout, 1, false)?, 2 * train.rows()))
}

/// The share from nearest neighbours in two sets that have `real` images together.
fn share(to_train: &Neighbours, to_holdout: &Neighbours, real: usize) -> Estimate {
    let n = to_train.len();
    let mut wins = 0.0;
    let mut clusters: HashMap<(bool, usize), f64> = HashMap::new();
    for image in 0..n {
        let (train, holdout) = (to_train.distances(image)[0], to_holdout.distances(image)[0]);
        wins += if train < holdout { 1.0 } else { f64::from(u8::from(train == holdout)) / 2.0 };
        let nearest =
            if train <= holdout { (true, to_train.indices(image)[0]) } else { (false, to_holdout.indices(image)[0]) };
        *clusters.entry(nearest).or_default() += 1.0;
    }
    // Sums of whole numbers: the map's order does not matter.
    let squares: f64 = clusters.values().map(|size| size * size).sum();
    let (count, pool) = (n as f64, real as f64);
    let spread = (squares - count * count / pool) * pool / (pool - 1.0);
    let effective = if spread > count { count * count / spread } else { count };
    let value = wins / count;
    let (low, high) = wilson_at(value, effective);
    Estimate {
        value,
        low,
        high,
        n,
        method: "Wilson with an effective n (images with one nearest real image count together)".into(),
    }
}

#[derive(Debug)]
pub(crate) struct DcrShare;

impl Measure for DcrShare {
    /// For reference every holdout image looks for its nearest *other* holdout image; one image less on that side moves
    /// the share by 1/(4h) above ½.
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        let between = |generated| {
            context.outcome(&[generated, Side::Train, Side::Holdout], || {
                Ok(share(
                    &*context.neighbours(generated, Side::Train)?,
                    &*context.neighbours(generated, Side::Holdout)?,
                    2 * context.rows(Side::Train).rows(),
                ))
            })
        };
        Ok(vec![Comparison {
            against: Against::Train,
            outcome: between(Side::Synthetic)?,
            reference: context.reference(|| between(Side::Holdout))?,
            parameters: format!(
                "Euclidean, against as many holdout images; {} synthetic, {} real on each side",
                context.size(Side::Synthetic),
                context.size(Side::Train)
            ),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embed, gaussian};

    #[test]
    fn values_by_hand() {
        let (train, holdout) = (embed(vec![0.0, 10.0], 1), embed(vec![4.0, 20.0], 1));
        // Nearer to 0, a tie between 0 and 4, nearer to 4, nearer to 10.
        let share = dcr_share(&embed(vec![1.0, 2.0, 5.0, 9.0], 1), &train, &holdout).unwrap();
        assert_eq!(share.value, 2.5 / 4.0);
        // Of four real images 0 is nearest twice, 4 and 10 once: Σ(w − 1)² = 2, times 4/3, is below n.
        assert_eq!((share.low, share.high), wilson_at(share.value, 4.0));
        let share = dcr_share(&embed(vec![1.0; 4], 1), &train, &holdout).unwrap();
        // One is nearest four times: 16/((16 − 4)·4/3) = 1.
        assert_eq!((share.low, share.high), wilson_at(share.value, 1.0));
    }

    #[test]
    fn exchanging_train_and_holdout_mirrors_the_share() {
        let (s, t, h) = (gaussian(300, 3, 1.0, 0.0, 1), gaussian(200, 3, 1.0, 0.0, 2), gaussian(200, 3, 1.0, 0.0, 3));
        let (one, other) = (dcr_share(&s, &t, &h).unwrap(), dcr_share(&s, &h, &t).unwrap());
        assert!((one.value + other.value - 1.0).abs() < 1e-12);
        assert!((one.low + other.high - 1.0).abs() < 1e-12);
    }

    #[test]
    fn sets_of_different_size_are_refused() {
        let (t, h) = (gaussian(20, 2, 1.0, 0.0, 1), gaussian(21, 2, 1.0, 0.0, 2));
        assert!(matches!(dcr_share(&t, &t, &h), Err(Error::Unequal { train: 20, holdout: 21, .. })));
    }

    /// Five synthetic images for every real one: an interval that took them as independent would be far too short.
    #[test]
    fn under_the_null_the_interval_covers_one_half() {
        let runs = 300;
        let covered = (0..runs)
            .filter(|run| {
                let set = |size, role: u64| gaussian(size, 2, 1.0, 0.0, 3 * run + role);
                let share = dcr_share(&set(500, 0), &set(50, 1), &set(50, 2)).unwrap();
                share.low <= 0.5 && 0.5 <= share.high
            })
            .count();
        let share = covered as f64 / runs as f64;
        assert!((0.92..=0.98).contains(&share), "{share}");
    }
}
