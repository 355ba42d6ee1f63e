use rand::seq::index::sample;
use standin_data::Seed;
use standin_encode::Embedding;

use crate::context::{Comparison, Context, Side};
use crate::error::{require_euclidean, require_rows};
use crate::logistic::varies;
use crate::mixture::Mixture;
use crate::registry::Measure;
use crate::uncertainty::{average, influence_variance, normal};
use crate::{Against, Estimate, Result};

/// Generated and training images that are used at most.
const MOST: usize = 10_000;
/// Standard deviations from the mean beyond which an image is not put, lest squares leave single precision.
const FARTHEST: f64 = 1e15;
/// The published values are hundredfold.
const SCALE: f64 = 100.0;

/// The feature likelihood divergence, FLD (Jiralerspong et al., NeurIPS 2023): how much less likely images that the
/// generator did not see are under the generated ones than under training images.
///
/// Features are standardised by the holdout set. The density is a mixture of equally weighted Gaussians, one σ²I around
/// each generated image, with the σ fitted to the training images (see below): a Gaussian around a copy becomes narrow,
/// and no longer covers anything new. The value is 100·(NLL − baseline), both mean negative log-likelihoods of the
/// **holdout** images per feature; the baseline puts the Gaussians around one half of the training images and fits them
/// to the other. So 0 is as good as real images, below 0 better than half of them, and memorisation gives values without
/// bound. Everything is as in the authors' package `fld`: at most 10 000 generated images; log σ² starts at that of the
/// nearest training image and takes 50 steps of Adam at a rate of 0.5, while one more Gaussian around the training
/// images' mean catches what is far from all. Training images beyond 10 000 are thinned at random. A feature that
/// is constant among the holdout images is left at its scale.
///
/// **Interval**: infinitesimal jackknife over the holdout images (whose two likelihoods are compared image by image) and
/// over the images that Gaussians stand on, given the fitted σ. It covers the average at this n.
///
/// Time O(50·g·t) and O((t + h)·g·d); memory 4·g·t bytes for the squared distances, 400 MB at most.
///
/// # Errors
/// If the protocols differ or are not Euclidean, or there are fewer than 2 generated, 4 training or 2 holdout images.
pub fn feature_likelihood(
    generated: &Embedding,
    train: &Embedding,
    holdout: &Embedding,
    seed: Seed,
) -> Result<Estimate> {
    let sets = Standardised::new(generated, train, holdout, seed)?;
    let order = drawn(sets.train.rows(), sets.train.rows(), seed.derive("halves"));
    Ok(sets.divergence(&order))
}

/// The generalisation gap of the feature likelihood: 100·(NLL of the holdout − NLL of the training images), both under the
/// Gaussians around generated images of [`feature_likelihood`].
///
/// Far above 0 where training images are copied. Gaussians are fitted to the training images, so an honest
/// generator is a little above 0 too; compare generators at equal n. The authors' package gives the gap with
/// the opposite sign.
///
/// Interval, time, memory and errors are those of [`feature_likelihood`], with the training images added.
///
/// # Errors
/// See there.
pub fn feature_likelihood_gap(
    generated: &Embedding,
    train: &Embedding,
    holdout: &Embedding,
    seed: Seed,
) -> Result<Estimate> {
    Ok(Standardised::new(generated, train, holdout, seed)?.gap())
}

/// The sets, at most as many images as are used, on the scale of the holdout set.
struct Standardised {
    generated: Embedding,
    train: Embedding,
    holdout: Embedding,
}

impl Standardised {
    fn new(generated: &Embedding, train: &Embedding, holdout: &Embedding, seed: Seed) -> Result<Self> {
        require_euclidean("the feature likelihood", generated)?;
        generated.require_same_protocol(train)?;
        generated.require_same_protocol(holdout)?;
        for (set, needed) in [(generated, 2), (train, 4), (holdout, 2)] {
            require_rows("the feature likelihood", set.rows(), needed)?;
        }
        let mean = crate::linear::mean(holdout);
        let mut deviation = vec![0.0; mean.len()];
        for row in holdout.values().chunks_exact(mean.len()) {
            let squares = row.iter().zip(&mean).map(|(&x, mean)| (f64::from(x) - mean).powi(2));
            deviation.iter_mut().zip(squares).for_each(|(sum, square)| *sum += square);
        }
        for (deviation, mean) in deviation.iter_mut().zip(&mean) {
            *deviation = (*deviation / (holdout.rows() as f64 - 1.0)).sqrt();
            *deviation = if varies(*deviation, *mean) { *deviation } else { 1.0 };
        }
        let at_most = |set: &Embedding, purpose| {
            let rows = drawn(set.rows(), set.rows().min(MOST), seed.derive(purpose));
            if rows.len() < set.rows() { set.select(&rows) } else { set.clone() }
        };
        let standardised = |set: Embedding| {
            let scaled = set.values().chunks_exact(mean.len()).flat_map(|row| {
                let place = row.iter().zip(mean.iter().zip(&deviation));
                place.map(|(&x, (mean, deviation))| {
                    ((f64::from(x) - mean) / deviation).clamp(-FARTHEST, FARTHEST) as f32
                })
            });
            Embedding::new(scaled.collect(), set.dimension(), set.stamp().clone())
        };
        Ok(Self {
            generated: standardised(at_most(generated, "generated"))?,
            train: standardised(at_most(train, "train"))?,
            holdout: standardised(holdout.clone())?,
        })
    }

    /// The baseline's halves are the training images in this order.
    fn divergence(&self, order: &[usize]) -> Estimate {
        let half = self.generated.rows().min(order.len() / 2);
        let halves = (self.train.select(&order[..half]), self.train.select(&order[half..]));
        let found = Mixture::fit(&self.generated, &self.train).likelihoods(&self.holdout);
        let baseline = Mixture::fit(&halves.0, &halves.1).likelihoods(&self.holdout);
        let differences: Vec<f64> = found.nlls.iter().zip(&baseline.nlls).map(|(a, b)| SCALE * (a - b)).collect();
        let variance = influence_variance(&differences)
            + SCALE.powi(2) * (influence_variance(&found.of_centres) + influence_variance(&baseline.of_centres));
        let n = self.generated.rows().min(self.holdout.rows());
        normal(average(&differences), variance.sqrt(), n, "infinitesimal jackknife over holdout images and Gaussians")
    }

    fn gap(&self) -> Estimate {
        let mixture = Mixture::fit(&self.generated, &self.train);
        let (unseen, seen) = (mixture.likelihoods(&self.holdout), mixture.likelihoods(&self.train));
        let of_centres: Vec<f64> = unseen.of_centres.iter().zip(&seen.of_centres).map(|(a, b)| a - b).collect();
        let variance =
            influence_variance(&unseen.nlls) + influence_variance(&seen.nlls) + influence_variance(&of_centres);
        let n = self.generated.rows().min(self.holdout.rows());
        let value = SCALE * (average(&unseen.nlls) - average(&seen.nlls));
        normal(value, SCALE * variance.sqrt(), n, "infinitesimal jackknife over all images, given the fitted Gaussians")
    }
}

fn drawn(rows: usize, size: usize, seed: Seed) -> Vec<usize> {
    sample(&mut seed.rng(), rows, size).into_vec()
}

/// Likelihood of the holdout, or its gap to that of the training images.
#[derive(Debug)]
pub(crate) enum FeatureLikelihood {
    Divergence,
    Gap,
}

impl Measure for FeatureLikelihood {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        let sides = [Side::Synthetic, Side::AllTrain, Side::AllHoldout];
        let outcome = context.outcome(&sides, || {
            let [generated, train, holdout] = sides.map(|side| context.rows(side));
            let seed = context.seed().derive("feature-likelihood");
            match self {
                Self::Divergence => feature_likelihood(generated, train, holdout, seed),
                Self::Gap => feature_likelihood_gap(generated, train, holdout, seed),
            }
        })?;
        let [synthetic, train, holdout] = sides.map(|side| context.size(side));
        Ok(vec![Comparison {
            against: Against::Holdout,
            outcome,
            reference: None,
            parameters: format!(
                "Gaussians fitted in 50 steps; {} synthetic, {} training, {holdout} holdout",
                synthetic.min(MOST),
                train.min(MOST)
            ),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{case, covered_average, embed, expected, gaussian, uniform};

    fn both(generated: &Embedding, train: &Embedding, holdout: &Embedding) -> [f64; 2] {
        let sets = Standardised::new(generated, train, holdout, Seed::new(1)).unwrap();
        let order: Vec<usize> = (0..train.rows()).collect();
        [sets.divergence(&order).value, sets.gap().value]
    }

    /// Features are rounded to single precision once they are standardised.
    #[test]
    fn values_equal_numpy() {
        let (case, expected) = (case(), expected());
        let honest = embed(uniform(70, 6, 3).values().iter().map(|x| 0.9 * x).collect(), 6);
        let noise = uniform(60, 6, 11);
        let copies = case.train.values().iter().zip(noise.values()).map(|(x, noise)| x + 0.01 * (noise - 0.5));
        let copies = embed(copies.collect(), 6);
        for (generated, name, tolerance) in
            [(&honest, "feature_likelihood", 1e-4), (&copies, "feature_likelihood_of_copies", 1e-2)]
        {
            let found = both(generated, &case.train, &case.holdout);
            for (found, expected) in found.iter().zip(expected[name].as_array().unwrap()) {
                let expected = expected.as_f64().unwrap();
                assert!((found - expected).abs() < tolerance * expected.abs(), "{found} for {expected}, {name}");
            }
        }
    }

    #[test]
    fn copies_are_unlikely_to_hold_anything_new_and_the_gap_shows_why() {
        let set = |seed| gaussian(120, 8, 1.0, 0.0, seed);
        let (train, holdout) = (set(1), set(2));
        let copies = embed(train.values().iter().map(|x| 1.001 * x).collect(), 8);
        let of = |generated: &Embedding| {
            let seed = Seed::new(1);
            (
                feature_likelihood(generated, &train, &holdout, seed).unwrap(),
                feature_likelihood_gap(generated, &train, &holdout, seed).unwrap(),
            )
        };
        let (honest, copying) = (of(&set(3)), of(&copies));
        assert!(copying.0.low > honest.0.high && copying.1.low > honest.1.high, "{copying:?} {honest:?}");
        let noisy = of(&gaussian(120, 8, 3.0, 0.0, 4));
        assert!(noisy.0.low > honest.0.high, "{noisy:?} {honest:?}");
        assert!(noisy.1.value < honest.1.value + 5.0);
    }

    #[test]
    fn neither_scale_nor_place_of_a_feature_matters() {
        let set = |seed| gaussian(50, 4, 1.0, 0.0, seed);
        let changed = |set: &Embedding| embed(set.values().iter().map(|x| 64.0 * x + 32.0).collect(), 4);
        let (generated, train, holdout) = (set(1), set(2), set(3));
        let (plain, other) =
            (both(&generated, &train, &holdout), both(&changed(&generated), &changed(&train), &changed(&holdout)));
        assert!((plain[0] - other[0]).abs() < 1e-2, "{plain:?} {other:?}");
    }

    #[test]
    fn the_intervals_cover_the_average() {
        let set = |role, run| gaussian(100, 5, if role == 0 { 1.3 } else { 1.0 }, 0.0, 3 * run + role);
        let share = covered_average(200, |run| {
            feature_likelihood(&set(0, run), &set(1, run), &set(2, run), Seed::new(run)).unwrap()
        });
        let gap = covered_average(200, |run| {
            feature_likelihood_gap(&set(0, run), &set(1, run), &set(2, run), Seed::new(run)).unwrap()
        });
        assert!((0.92..=0.98).contains(&share), "{share}");
        assert!((0.92..=0.98).contains(&gap), "{gap}");
    }
}
