use standin_encode::{Embedding, Neighbours, nearest};

use crate::context::{BETWEEN, Comparison, Context, Side};
use crate::error::require_rows;
use crate::halves::{Spread, divide};
use crate::registry::Measure;
use crate::share::share_from_halves;
use crate::{Against, Estimate, Result};

/// The authentic share, AuthPct (Alaa et al., "How Faithful is your Synthetic Data?", ICML 2022): a synthetic image is
/// authentic if it is farther from its nearest training image than that image is from its own nearest in the training
/// set.
///
/// A new real image is authentic in a third of all cases in one dimension and in more in higher ones, never in all, so
/// the value means something only beside the same share for holdout images. **Interval**: for the expected share at these numbers of
/// images, over both sets drawn anew; the variance is that between random halves of both sets (see the module `halves`),
/// the interval Clopper–Pearson with the number of independent trials that would vary as much.
///
/// Two neighbour searches: O((s + t)·t·d) time, O(s + t) memory.
///
/// # Errors
/// If the protocols differ, there are fewer than 2 synthetic or 3 training images.
pub fn authenticity(synthetic: &Embedding, train: &Embedding) -> Result<Estimate> {
    require_rows("authenticity", synthetic.rows(), 2)?;
    require_rows("authenticity", train.rows(), 3)?;
    let known = BETWEEN.min(train.rows() - 1);
    Ok(share(&nearest(synthetic, train, known, false)?, &nearest(train, train, known, true)?))
}

/// The share from the nearest training images of every synthetic and every training image.
fn share(to_train: &Neighbours, within_train: &Neighbours) -> Estimate {
    let whole = of_part(to_train, within_train, 0, &vec![0; to_train.len()], &vec![0; within_train.len()]);
    let sizes = [within_train.len(), to_train.len()];
    let divisions =
        divide(
            sizes,
            |[train, synthetic]| [[0, 1].map(|half| of_part(to_train, within_train, half, synthetic, train))],
        );
    let spread = Spread::of(divisions.into_iter().map(|[halves]| halves), sizes[0].min(sizes[1]) as f64);
    share_from_halves(whole, &spread, to_train.len())
}

/// The share in one part of both sets. Where no neighbour known is in the part, the farthest known stands in.
fn of_part(to_train: &Neighbours, within_train: &Neighbours, part: u8, synthetic: &[u8], train: &[u8]) -> f64 {
    let first = |indices: &[usize]| indices.iter().position(|&at| train[at] == part).unwrap_or(indices.len() - 1);
    let (mut images, mut authentic) = (0_usize, 0_usize);
    for (image, _) in synthetic.iter().enumerate().filter(|&(_, &own)| own == part) {
        let nearest = first(to_train.indices(image));
        let centre = to_train.indices(image)[nearest];
        let neighbour = first(within_train.indices(centre));
        images += 1;
        authentic += usize::from(to_train.distances(image)[nearest] > within_train.distances(centre)[neighbour]);
    }
    authentic as f64 / images as f64
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
            reference: context.reference(|| of(Side::AllHoldout))?,
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
    fn halves_are_those_of_searching_again() {
        let (synthetic, train) = (gaussian(40, 2, 1.0, 0.0, 5), gaussian(30, 2, 1.0, 0.0, 6));
        let found =
            share(&nearest(&synthetic, &train, 30, false).unwrap(), &nearest(&train, &train, 29, true).unwrap());
        let select = |set: &Embedding, halves: &[u8], half| {
            set.select(&(0..set.rows()).filter(|&at| halves[at] == half).collect::<Vec<_>>())
        };
        let again = divide([30, 40], |[t, s]| {
            [[0, 1].map(|half| authenticity(&select(&synthetic, s, half), &select(&train, t, half)).unwrap().value)]
        });
        let spread = Spread::of(again.into_iter().map(|[halves]| halves), 30.0);
        assert_eq!(found, share_from_halves(found.value, &spread, 40));
    }
}
