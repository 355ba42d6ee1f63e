use std::f64::consts::FRAC_2_PI;

use rand::seq::index::sample;
use rayon::prelude::*;
use standin_data::Seed;
use standin_encode::Embedding;

use crate::context::{Comparison, Context};
use crate::error::{require_euclidean, require_rows};
use crate::logistic::Logistic;
use crate::registry::Measure;
use crate::share::wilson_at;
use crate::{Estimate, Result};

const FOLDS: usize = 5;

/// The classifier two-sample test, C2ST (Lopez-Paz and Oquab, ICLR 2017): how often a classifier tells generated from real
/// images it was not trained on. ½ where it cannot, 1 where every image gives itself away.
///
/// The classifier is a logistic regression on features standardised by its training images, with a ridge of strength 1;
/// what no plane separates it does not see, see [`crate::two_sample_neighbours`]. The larger set is thinned at random to
/// the size of the smaller, and five-fold cross-validation tests every image once.
///
/// **Interval**: Wilson with an effective number of images. Where there is nothing to learn, the classifiers follow the
/// chance differences of their training folds, and a fold tested here is a training fold there: all that the difference
/// of two folds' means explains of an accuracy, 2/π of its variance, then counts twice, and the variance is (1 + 2/π)
/// times the binomial one. Where there is something to learn this fades with the share of the plane's direction that is
/// chance: two classifiers of five folds have ¾ of the images in common, so the mean cosine c of their directions is ¾
/// by chance alone and 1 for a direction that is certain. The factor is 1 + (2/π)·min(1, 12(1 − c)): whole until c = 11/12,
/// since c is uncertain itself. It covers the
/// accuracy that training on as many images has on average.
///
/// Time O(n·d) a step of the training, of which five classifiers take up to 500 each; memory O(n + d).
///
/// # Errors
/// If the protocols differ or are not Euclidean, or a set has fewer than 10 images.
pub fn two_sample_classifier(generated: &Embedding, real: &Embedding, seed: Seed) -> Result<Estimate> {
    generated.require_same_protocol(real)?;
    require_euclidean("the classifier two-sample test", generated)?;
    let n = generated.rows().min(real.rows());
    require_rows("the classifier two-sample test", n, 2 * FOLDS)?;
    let drawn = |set: &Embedding, purpose| sample(&mut seed.derive(purpose).rng(), set.rows(), n).into_vec();
    let (generated_rows, real_rows) = (drawn(generated, "generated"), drawn(real, "real"));
    let rows = generated_rows
        .iter()
        .zip(&real_rows)
        .flat_map(|(&a, &b)| [(generated.row(a), true), (real.row(b), false)])
        .collect();
    Ok(cross_validated(rows))
}

/// Accuracy on images of two classes in turn; pair i is tested in fold i mod 5.
fn cross_validated(rows: Vec<(&[f32], bool)>) -> Estimate {
    let fold = |at: usize| at / 2 % FOLDS;
    let (normals, right): (Vec<Vec<f64>>, Vec<usize>) = (0..FOLDS)
        .into_par_iter()
        .map(|out| {
            let trained = rows.iter().enumerate().filter(|&(at, _)| fold(at) != out).map(|(_, &row)| row);
            let model = Logistic::fit(&trained.collect::<Vec<_>>());
            let tested = rows.iter().enumerate().filter(|&(at, _)| fold(at) == out);
            let right = tested.filter(|&(_, &(row, label))| model.predicts(row) == label).count();
            (model.normal, right)
        })
        .unzip();
    let (n, right) = (rows.len() as f64, right.iter().sum::<usize>() as f64);
    let share = right / n;
    let chance = (12.0 * (1.0 - mean_cosine(&normals))).min(1.0);
    let (low, high) = wilson_at(share, n / (1.0 + FRAC_2_PI * chance));
    Estimate {
        value: share,
        low,
        high,
        n: rows.len(),
        method: "Wilson with an effective n, for folds that are trained on where others are tested".into(),
    }
}

/// Mean cosine between all pairs; a normal of length 0 is like no other.
fn mean_cosine(normals: &[Vec<f64>]) -> f64 {
    let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let cosine = |a: &[f64], b: &[f64]| {
        let norms = (inner(a, a) * inner(b, b)).sqrt();
        if norms > 0.0 { inner(a, b) / norms } else { 0.0 }
    };
    let pairs = normals.iter().enumerate().flat_map(|(at, a)| normals[..at].iter().map(move |b| cosine(a, b)));
    pairs.sum::<f64>() / (normals.len() * (normals.len() - 1) / 2) as f64
}

#[derive(Debug)]
pub(crate) struct TwoSampleClassifier;

impl Measure for TwoSampleClassifier {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        let seed = context.seed().derive("two-sample-classifier");
        context.both_ways("logistic regression, 5 folds, classes balanced", |generated, real| {
            two_sample_classifier(context.rows(generated), context.rows(real), seed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, case, covered, covered_average, embed, expected, gaussian};

    #[test]
    fn the_accuracy_equals_scikit_learn() {
        let case = case();
        let rows = (0..60).flat_map(|row| [(case.synthetic.row(row), true), (case.train.row(row), false)]).collect();
        assert_near(cross_validated(rows).value, &expected()["two_sample_classifier"], 1e-12);
    }

    #[test]
    fn populations_far_apart_are_told_apart() {
        let (a, b) = (gaussian(50, 6, 1.0, 4.0, 1), gaussian(80, 6, 1.0, 0.0, 2));
        let accuracy = two_sample_classifier(&a, &b, Seed::new(1)).unwrap();
        assert!(accuracy.value == 1.0 && accuracy.low > 0.9, "{accuracy}");
        assert_eq!(accuracy.n, 100);
    }

    #[test]
    fn neither_scale_nor_order_of_the_features_matters() {
        let (a, b) = (gaussian(40, 3, 1.0, 0.4, 1), gaussian(40, 3, 1.0, 0.0, 2));
        let changed = |set: &Embedding| {
            embed(set.values().chunks(3).flat_map(|x| [1000.0 * x[2] + 7.0, 0.01 * x[0], -x[1]]).collect(), 3)
        };
        let plain = two_sample_classifier(&a, &b, Seed::new(1)).unwrap();
        let other = two_sample_classifier(&changed(&a), &changed(&b), Seed::new(1)).unwrap();
        assert_eq!(plain.value, other.value);
    }

    #[test]
    fn the_interval_covers_one_half_where_there_is_nothing_to_learn() {
        for d in [1, 2, 20] {
            let share = covered(400, 0.5, |run| {
                let (a, b) = (gaussian(100, d, 1.0, 0.0, 2 * run), gaussian(100, d, 1.0, 0.0, 2 * run + 1));
                two_sample_classifier(&a, &b, Seed::new(run)).unwrap()
            });
            assert!((0.92..=0.98).contains(&share), "{share} with {d} features");
        }
    }

    #[test]
    fn the_interval_covers_the_average_where_there_is() {
        for (d, mean) in [(1, 0.3), (2, 0.5), (10, 0.3), (10, 0.7)] {
            let share = covered_average(400, |run| {
                let (a, b) = (gaussian(100, d, 1.0, mean, 2 * run), gaussian(100, d, 1.0, 0.0, 2 * run + 1));
                two_sample_classifier(&a, &b, Seed::new(run)).unwrap()
            });
            assert!((0.92..=0.98).contains(&share), "{share} with {d} features, {mean} apart");
        }
    }
}
