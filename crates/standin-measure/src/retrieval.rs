use rand::seq::index::sample;
use standin_data::Seed;
use standin_encode::{Embedding, Neighbours, nearest};

use crate::context::{Comparison, Context, Side};
use crate::error::require_rows;
use crate::occupancy::plausible;
use crate::registry::Measure;
use crate::{Against, Estimate, Result};

const METHOD: &str = "exact, number of different images among uniform draws";

/// The image retrieval score, IRS∞ (Dombrowski et al., "Image Generation Diversity Issues and How to Tame Them", CVPR
/// 2025): the share of the training images that a generator has learnt, if it draws uniformly from those it has.
///
/// Every query retrieves its nearest training image. Of n queries, k different images are retrieved; the value is the
/// likeliest number of images from which n uniform draws give k different ones, divided by the number of training
/// images, above which it cannot be. **Interval**: all numbers for which k is neither too small nor too great at 2.5 %
/// each, by the exact distribution of k.
///
/// Real images do not retrieve uniformly either: some training images are the nearest of many. So a value means
/// something beside that of as many new real images only; their quotient is [`retrieval_adjusted`]. The interval is
/// about the draw of the queries, given the training images.
///
/// One neighbour search: O(n·t·d) time.
///
/// # Errors
/// If the protocols differ or a set is empty.
pub fn retrieval(queries: &Embedding, train: &Embedding) -> Result<Estimate> {
    require_rows("the image retrieval score", queries.rows(), 1)?;
    let found = nearest(queries, train, 1, false)?;
    Ok(score(&found, &(0..queries.rows()).collect::<Vec<_>>(), train.rows()))
}

/// The image retrieval score of generated images divided by that of as many real images that the generator did not
/// see: 1 for a generator as various as the population, 0 for one that has learnt a single image.
///
/// The larger of both sets is thinned at random to the size of the smaller. **Interval**: from those of both scores,
/// halves combined as if independent on the logarithmic scale (MOVER: Zou and Donner, Statistics in Medicine 2008).
///
/// # Errors
/// As for [`retrieval`].
pub fn retrieval_adjusted(
    generated: &Embedding,
    train: &Embedding,
    holdout: &Embedding,
    seed: Seed,
) -> Result<Estimate> {
    let n = generated.rows().min(holdout.rows());
    require_rows("the image retrieval score", n, 1)?;
    let of = |set: &Embedding, purpose| -> Result<Estimate> {
        Ok(score(&nearest(set, train, 1, false)?, &drawn(set.rows(), n, seed.derive(purpose)), train.rows()))
    };
    Ok(quotient(&of(generated, "generated")?, &of(holdout, "holdout")?))
}

fn drawn(rows: usize, size: usize, seed: Seed) -> Vec<usize> {
    sample(&mut seed.rng(), rows, size).into_vec()
}

fn score(found: &Neighbours, queries: &[usize], images: usize) -> Estimate {
    let mut retrieved = vec![false; images];
    queries.iter().for_each(|&query| retrieved[found.indices(query)[0]] = true);
    let distinct = retrieved.into_iter().filter(|&retrieved| retrieved).count();
    let share = |learnt: usize| learnt as f64 / images as f64;
    let [low, likeliest, high] = plausible(distinct, queries.len(), images).map(share);
    Estimate { value: likeliest, low, high, n: queries.len(), method: METHOD.into() }
}

fn quotient(score: &Estimate, reference: &Estimate) -> Estimate {
    let value = score.value / reference.value;
    let half = |end: f64, of_score: f64, other: f64, of_reference: f64| {
        let (by_score, by_reference) = ((end / of_score).ln(), (other / of_reference).ln());
        by_score.hypot(by_reference)
    };
    Estimate {
        value,
        low: value * (-half(score.low, score.value, reference.high, reference.value)).exp(),
        high: value * half(score.high, score.value, reference.low, reference.value).exp(),
        n: score.n,
        method: format!("both scores' intervals combined; each: {METHOD}"),
    }
}

/// The score as it is, or divided by that of holdout images.
#[derive(Debug)]
pub(crate) enum Retrieval {
    Plain,
    Adjusted,
}

impl Measure for Retrieval {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        let seed = context.seed().derive("retrieval");
        let (synthetic, holdout) = (context.size(Side::Synthetic), context.size(Side::AllHoldout));
        let n = if holdout > 0 { synthetic.min(holdout) } else { synthetic };
        let of = |side: Side| -> Result<Estimate> {
            let rows = drawn(context.size(side), n, seed.derive(&format!("{side:?}")));
            Ok(score(&*context.neighbours(side, Side::AllTrain)?, &rows, context.size(Side::AllTrain)))
        };
        // As many queries are drawn from the synthetic as from the holdout set, so both must be large enough.
        let mut sides = vec![Side::Synthetic, Side::AllTrain];
        if holdout > 0 || matches!(self, Self::Adjusted) {
            sides.push(Side::AllHoldout);
        }
        let on = |side| context.outcome(&sides, || of(side));
        let (outcome, reference) = match self {
            Self::Plain => (on(Side::Synthetic)?, (holdout > 0).then(|| on(Side::AllHoldout)).transpose()?),
            Self::Adjusted => {
                let both = || Ok(quotient(&of(Side::Synthetic)?, &of(Side::AllHoldout)?));
                (context.outcome(&sides, both)?, None)
            }
        };
        Ok(vec![Comparison {
            against: Against::Train,
            outcome,
            reference,
            parameters: format!("{n} queries of {synthetic} synthetic, {} training", context.size(Side::AllTrain)),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{covered, embed, gaussian};
    use rand::RngExt;

    /// One row for each of `images` images, far apart.
    fn places(images: impl Iterator<Item = usize>) -> Embedding {
        embed(images.flat_map(|image| [(image % 40) as f32, (image / 40) as f32]).collect(), 2)
    }

    fn drawn_from(learnt: usize, queries: usize, seed: u64) -> Embedding {
        let mut rng = Seed::new(seed).derive("queries").rng();
        places((0..queries).map(move |_| rng.random_range(0..learnt)))
    }

    #[test]
    fn a_generator_that_has_learnt_part_of_the_images_is_found_out() {
        let train = places(0..400);
        for learnt in [100, 300] {
            let truth = learnt as f64 / 400.0;
            let share = covered(300, truth, |run| retrieval(&drawn_from(learnt, 250, run), &train).unwrap());
            assert!((0.92..=0.98).contains(&share), "{share} of {learnt}");
        }
    }

    #[test]
    fn the_adjusted_score_covers_the_quotient() {
        let train = places(0..1200);
        let share = covered(300, 0.5, |run| {
            let (generated, holdout) = (drawn_from(300, 500, 2 * run), drawn_from(600, 400, 2 * run + 1));
            retrieval_adjusted(&generated, &train, &holdout, Seed::new(run)).unwrap()
        });
        assert!((0.92..=0.98).contains(&share), "{share}");
    }

    #[test]
    fn the_population_is_adjusted_to_one_and_a_collapsed_generator_to_zero() {
        let set = |seed| gaussian(500, 6, 1.0, 0.0, seed);
        let (train, holdout) = (set(1), set(2));
        let of = |generated: &Embedding| retrieval_adjusted(generated, &train, &holdout, Seed::new(1)).unwrap();
        let honest = of(&set(3));
        assert!(honest.low < 1.0 && 1.0 < honest.high && honest.high - honest.low < 0.6, "{honest}");
        let collapsed = of(&gaussian(500, 6, 0.01, 0.0, 4));
        assert!(collapsed.high < 0.05, "{collapsed}");
    }
}
