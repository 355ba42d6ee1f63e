use standin_encode::{Embedding, Neighbours, nearest};

use crate::context::{Comparison, Context, Side};
use crate::error::require_rows;
use crate::registry::Measure;
use crate::share::wilson_with_variance;
use crate::{Against, Estimate, Result, jackknife_variance};

/// The authentic share, AuthPct (Alaa et al., "How Faithful is your Synthetic Data?", ICML 2022): a synthetic image is
/// authentic if it is farther from its nearest training image than that image is from its own nearest in the training
/// set.
///
/// A new real image is *not* authentic in about half of all cases, so the value means something only beside the same
/// share for holdout images. **Interval**: jackknife over both sets. Without its nearest training
/// image a synthetic one is compared with the second nearest, and without that one's nearest with a larger distance; both
/// are known from the same searches. Wilson with the number of trials that has the jackknife's variance.
///
/// Two neighbour searches: O((s + t)·t·d) time.
///
/// # Errors
/// If the protocols differ, there are fewer than 2 synthetic or 3 training images.
pub fn authenticity(synthetic: &Embedding, train: &Embedding) -> Result<Estimate> {
    require_rows("authenticity", synthetic.rows(), 2)?;
    Ok(share(&nearest(synthetic, train, 2, false)?, &nearest(train, train, 2, true)?))
}

/// The share from the two nearest training images of every synthetic and every training image.
fn share(to_train: &Neighbours, within_train: &Neighbours) -> Estimate {
    let n = to_train.len();
    let mut authentic = vec![0.0; n];
    // What leaving a training image out adds to the number of authentic images.
    let mut change = vec![0.0; within_train.len()];
    for (image, authentic) in authentic.iter_mut().enumerate() {
        let (&[first, second, ..], &[near, far, ..]) = (to_train.indices(image), to_train.distances(image)) else {
            unreachable!("two neighbours were searched");
        };
        let own = |centre: usize, without: usize| {
            let rank = usize::from(within_train.indices(centre)[0] == without);
            within_train.distances(centre)[rank]
        };
        let value = |authentic: bool| f64::from(u8::from(authentic));
        *authentic = value(near > own(first, usize::MAX));
        change[first] += value(far > own(second, first)) - *authentic;
        let neighbour = within_train.indices(first)[0];
        change[neighbour] += value(near > own(first, neighbour)) - *authentic;
    }
    let total: f64 = authentic.iter().sum();
    let count = n as f64;
    let without_synthetic: Vec<f64> = authentic.iter().map(|value| (total - value) / (count - 1.0)).collect();
    let without_train: Vec<f64> = change.iter().map(|change| (total + change) / count).collect();
    let variance = jackknife_variance(&without_synthetic) + jackknife_variance(&without_train);
    wilson_with_variance(total / count, variance, n, "jackknife over both sets")
}

#[derive(Debug)]
pub(crate) struct Authenticity;

impl Measure for Authenticity {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        let of = |generated| {
            context.outcome(&[generated, Side::AllTrain], || {
                Ok(share(
                    &*context.neighbours(generated, Side::AllTrain)?,
                    &*context.neighbours(Side::AllTrain, Side::AllTrain)?,
                ))
            })
        };
        let size = |side| context.size(side);
        Ok(vec![Comparison {
            against: Against::Train,
            outcome: of(Side::Synthetic)?,
            reference: Some(of(Side::AllHoldout)?),
            parameters: format!(
                "Euclidean; {} synthetic, {} training, {} holdout in the reference",
                size(Side::Synthetic),
                size(Side::AllTrain),
                size(Side::AllHoldout)
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
        // Nearest distances within the training set: 1, 1, 4.
        let train = embed(vec![0.0, 1.0, 5.0], 1);
        // At 0.5 from 0 (≤ 1: not), at 2 from 0 (> 1), at 3 from 5 (≤ 4: not), at 5 from 5 (> 4).
        let share = authenticity(&embed(vec![-0.5, -2.0, 8.0, 10.0], 1), &train).unwrap();
        assert_eq!(share.value, 0.5);
    }

    #[test]
    fn copies_are_not_authentic() {
        let train = gaussian(100, 3, 1.0, 0.0, 1);
        assert_eq!(authenticity(&train, &train).unwrap().value, 0.0);
    }

    #[test]
    fn leaving_one_out_is_followed_exactly() {
        let (synthetic, train) = (gaussian(40, 2, 1.0, 0.0, 5), gaussian(30, 2, 1.0, 0.0, 6));
        let value = |s: &Embedding, t: &Embedding| authenticity(s, t).unwrap().value;
        let without = |set: &Embedding| -> Vec<Embedding> {
            let rest = |out| (0..set.rows()).filter(|&at| at != out).collect::<Vec<_>>();
            (0..set.rows()).map(|out| set.select(&rest(out))).collect()
        };
        let by_synthetic: Vec<f64> = without(&synthetic).iter().map(|rest| value(rest, &train)).collect();
        let by_train: Vec<f64> = without(&train).iter().map(|rest| value(&synthetic, rest)).collect();
        let variance = jackknife_variance(&by_synthetic) + jackknife_variance(&by_train);
        let expected = wilson_with_variance(value(&synthetic, &train), variance, 40, "jackknife over both sets");
        let found = authenticity(&synthetic, &train).unwrap();
        assert!((found.low - expected.low).abs() < 1e-9 && (found.high - expected.high).abs() < 1e-9);
        assert_eq!(found.method, expected.method);
    }

    #[test]
    fn the_interval_covers_the_average_share() {
        let runs = 300;
        let estimates: Vec<Estimate> = (0..runs)
            .map(|run| {
                let set = |size, role: u64| gaussian(size, 2, 1.0, 0.0, 2 * run + role);
                authenticity(&set(300, 0), &set(60, 1)).unwrap()
            })
            .collect();
        let average = estimates.iter().map(|estimate| estimate.value).sum::<f64>() / runs as f64;
        let covered = estimates.iter().filter(|e| e.low <= average && average <= e.high).count();
        let share = covered as f64 / runs as f64;
        assert!(share >= 0.93, "{share}");
    }
}
