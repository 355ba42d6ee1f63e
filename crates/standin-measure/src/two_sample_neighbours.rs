use rand::seq::index::sample;
use standin_data::Seed;
use standin_encode::{Embedding, nearest};

use crate::context::{Comparison, Context};
use crate::error::require_rows;
use crate::registry::Measure;
use crate::share::wilson_at;
use crate::{Estimate, Result};

/// The nearest-neighbour two-sample test (Schilling, JASA 1986; Xu et al., "An empirical study on evaluation metrics of
/// generative adversarial networks", 2018): the share of images whose nearest other image, among generated and real ones
/// together, is of their own kind. ½ where both are the same, 1 where they lie apart, and **below ½ where generated
/// images sit on real ones**, as copies do. Equal distances count one half.
///
/// The larger set is thinned at random to the size of the smaller.
///
/// **Interval**: Wilson with an effective number of images. The kinds are sampled apart, so their variances p(1 − p)/n
/// add up. Two images that are each other's nearest are right or wrong together, which for equal populations makes the
/// variance 1 + 2M/N times the binomial one with M such pairs among N images (Henze, Annals of Statistics 1988); for
/// others, images with one nearest neighbour and an image and its nearest depend on each other too. The covariance of all
/// these pairs is taken from the residuals. It covers the share that sets of this size have on average.
///
/// Three neighbour searches, O(n²·d) time; memory O(n), and a copy of the set that is thinned.
///
/// # Errors
/// If the protocols differ or a set has fewer than 2 images.
pub fn two_sample_neighbours(generated: &Embedding, real: &Embedding, seed: Seed) -> Result<Estimate> {
    generated.require_same_protocol(real)?;
    let n = generated.rows().min(real.rows());
    require_rows("the nearest-neighbour two-sample test", n, 2)?;
    let thinned = |set: &Embedding, purpose| {
        let mut rows = sample(&mut seed.derive(purpose).rng(), set.rows(), n).into_vec();
        rows.sort_unstable();
        set.select(&rows)
    };
    let sets = [thinned(generated, "generated"), thinned(real, "real")];
    let mut right = Vec::with_capacity(2 * n);
    let mut next = Vec::with_capacity(2 * n);
    for (own, other) in [(0, 1), (1, 0)] {
        let within = nearest(&sets[own], &sets[own], 1, true)?;
        let between = nearest(&sets[own], &sets[other], 1, false)?;
        for image in 0..n {
            let (here, there) = (within.distances(image)[0], between.distances(image)[0]);
            right.push(if here < there { 1.0 } else { f64::from(u8::from(here == there)) / 2.0 });
            next.push(if here <= there {
                own * n + within.indices(image)[0]
            } else {
                other * n + between.indices(image)[0]
            });
        }
    }
    let shares = [0, 1].map(|kind| right[kind * n..][..n].iter().sum::<f64>() / n as f64);
    let (low, high) = wilson_at((shares[0] + shares[1]) / 2.0, effective_images(&right, &next, shares));
    Ok(Estimate {
        value: (shares[0] + shares[1]) / 2.0,
        low,
        high,
        n: 2 * n,
        method: "Wilson with an effective n (each kind apart, neighbours together)".into(),
    })
}

/// The number of independent images whose share would vary as that of both kinds together does.
fn effective_images(right: &[f64], next: &[usize], shares: [f64; 2]) -> f64 {
    let n = right.len() / 2;
    let residual = |image: usize| right[image] - shares[image / n];
    let squares: f64 = (0..2 * n).map(|image| residual(image).powi(2)).sum();
    let mut followers = vec![(0.0, 0.0); 2 * n];
    let mut together = 0.0;
    for image in 0..2 * n {
        let (residual, following) = (residual(image), residual(next[image]));
        together += if next[next[image]] == image { 1.0 } else { 2.0 } * residual * following;
        let (sum, squares) = &mut followers[next[image]];
        *sum += residual;
        *squares += residual * residual;
    }
    together += followers.iter().map(|(sum, squares)| sum * sum - squares).sum::<f64>();
    // Laplace's rule, lest a kind that is always right, or never, seem to be so for certain.
    let smooth = shares.map(|share| (share * n as f64 + 1.0) / (n as f64 + 2.0));
    let share = (smooth[0] + smooth[1]) / 2.0;
    let spread = (smooth[0] * (1.0 - smooth[0]) + smooth[1] * (1.0 - smooth[1])) / 2.0;
    let factor = if squares > 0.0 { (1.0 + together / squares).max(1.0) } else { 2.0 };
    2.0 * n as f64 * share * (1.0 - share) / (spread * factor)
}

#[derive(Debug)]
pub(crate) struct TwoSampleNeighbours;

impl Measure for TwoSampleNeighbours {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        let seed = context.seed().derive("two-sample-neighbours");
        context.both_ways("nearest other image, classes balanced", |generated, real| {
            two_sample_neighbours(context.rows(generated), context.rows(real), seed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, case, covered, covered_average, embed, expected, gaussian};

    #[test]
    fn the_share_equals_scikit_learn() {
        let (case, expected) = (case(), expected());
        let synthetic = case.synthetic.select(&(0..60).collect::<Vec<_>>());
        let of = |generated: &Embedding| two_sample_neighbours(generated, &case.train, Seed::new(1)).unwrap().value;
        assert_near(of(&synthetic), &expected["two_sample_neighbours"], 1e-12);
        assert_near(of(&case.holdout), &expected["two_sample_neighbours_real"], 1e-12);
    }

    #[test]
    fn copies_are_below_one_half_and_strangers_at_one() {
        let real = gaussian(60, 4, 1.0, 0.0, 1);
        let of = |generated: &Embedding| two_sample_neighbours(generated, &real, Seed::new(1)).unwrap();
        assert_eq!(of(&real).value, 0.0);
        assert!(of(&real).high < 0.1, "{}", of(&real));
        let far = of(&gaussian(60, 4, 1.0, 9.0, 2));
        assert!(far.value == 1.0 && far.low > 0.9, "{far}");
        assert_eq!(of(&embed(vec![0.0; 240], 4)).n, 120);
    }

    #[test]
    fn equal_distances_count_one_half() {
        let same = embed(vec![1.0; 20], 2);
        assert_eq!(two_sample_neighbours(&same, &same, Seed::new(1)).unwrap().value, 0.5);
    }

    #[test]
    fn the_interval_covers_one_half_for_equal_populations() {
        for d in [1, 3, 20] {
            // Of 2n − 1 others n − 1 are of one's own kind.
            let truth = 99.0 / 199.0;
            let share = covered(400, truth, |run| {
                let (a, b) = (gaussian(100, d, 1.0, 0.0, 2 * run), gaussian(100, d, 1.0, 0.0, 2 * run + 1));
                two_sample_neighbours(&a, &b, Seed::new(run)).unwrap()
            });
            assert!((0.92..=0.98).contains(&share), "{share} with {d} features");
        }
    }

    #[test]
    fn the_interval_covers_the_average_for_others() {
        for (deviation, mean, d) in [(1.0, 0.5, 3), (0.6, 0.0, 3), (0.6, 0.0, 20), (1.0, 0.7, 20)] {
            let share = covered_average(300, |run| {
                let (a, b) = (gaussian(100, d, deviation, mean, 2 * run), gaussian(130, d, 1.0, 0.0, 2 * run + 1));
                two_sample_neighbours(&a, &b, Seed::new(run)).unwrap()
            });

            assert!((0.92..=0.98).contains(&share), "{share} at {deviation} {mean} {d}");
        }
    }
}
