use standin_encode::{Embedding, Neighbours, nearest};

use crate::context::{Comparison, Context, Side};
use crate::error::require_rows;
use crate::registry::Measure;
use crate::{Against, Estimate, Result, wilson};

/// The authentic share, AuthPct (Alaa et al., "How Faithful is your Synthetic Data?", ICML 2022): a synthetic image is
/// authentic if it is farther from its nearest training image than that image is from its own nearest in the training
/// set.
///
/// A new real image is *not* authentic in about half of all cases, so the value means something only beside the same
/// share for holdout images. **Interval**: Wilson over synthetic images, the training set as given.
///
/// Two neighbour searches: O((s + t)·t·d) time.
///
/// # Errors
/// If the protocols differ, there is no synthetic image, or fewer than 2 training images.
pub fn authenticity(synthetic: &Embedding, train: &Embedding) -> Result<Estimate> {
    require_rows("authenticity", synthetic.rows(), 1)?;
    Ok(share(&nearest(synthetic, train, 1, false)?, &nearest(train, train, 1, true)?))
}

fn share(to_train: &Neighbours, within_train: &Neighbours) -> Estimate {
    let authentic = |&image: &usize| {
        let closest = to_train.indices(image)[0];
        to_train.distances(image)[0] > within_train.distances(closest)[0]
    };
    let share = wilson((0..to_train.len()).filter(authentic).count(), to_train.len());
    Estimate { method: "Wilson over synthetic images, training set as given".into(), ..share }
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
        let size = |side| context.rows(side).rows();
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
        // At .5 from 0 (≤ 1: not), at 2 from 0 (> 1), at 3 from 5 (≤ 4: not), at 5 from 5 (> 4).
        let share = authenticity(&embed(vec![-0.5, -2.0, 8.0, 10.0], 1), &train).unwrap();
        assert_eq!(share.value, 0.5);
    }

    #[test]
    fn copies_are_not_authentic() {
        let train = gaussian(100, 3, 1.0, 0.0, 1);
        assert_eq!(authenticity(&train, &train).unwrap().value, 0.0);
    }
}
