use faer::Mat;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use standin_data::Seed;
use standin_encode::Embedding;

use crate::context::{Comparison, Context};
use crate::error::{require_euclidean, require_rows};
use crate::linear::{in_parts, product};
use crate::registry::Measure;
use crate::uncertainty::{average, influence_variance, normal};
use crate::{Estimate, Result};

/// Directions of the registered measure.
const DIRECTIONS: usize = 1000;
/// Directions along which all images are held at one time.
const HELD: usize = 128;

/// The sliced Wasserstein distance (Rabin, Peyré, Delon and Bernot, SSVM 2011): the mean over `directions` random unit
/// vectors θ of the squared 2-Wasserstein distance W₂² between the two sets projected on θ. It sees more than means and
/// covariances, and needs no matrix root.
///
/// In one dimension W₂² is the integral of the squared difference of the quantile functions, which is exact for sets
/// of different size too: both step functions are merged. Populations shifted by δ are at E\[(θ·δ)²\] = |δ|²/d.
///
/// **Bias.** The value is the plug-in one, as others report it. Sampling adds the variances of both quantile functions,
/// of order 1/n for each set, so distances compare at equal n only. **Interval**: the dual potentials of every
/// one-dimensional transport are the images' influences (del Barrio and Loubes, Annals of Probability 2019); their mean
/// over the directions gives the variance by the infinitesimal jackknife, and the spread of W₂² over the directions, divided
/// by their number, is added. It covers the distance that samples of these sizes have on average.
///
/// Time O((n₁ + n₂)·(d + log n)·directions); memory 1 KiB per image.
///
/// # Errors
/// If the protocols differ or are not Euclidean, or a set has fewer than 2 images.
///
/// # Panics
/// If there are no directions.
pub fn sliced_wasserstein(first: &Embedding, second: &Embedding, directions: usize, seed: Seed) -> Result<Estimate> {
    assert!(directions > 0, "a mean over no directions");
    first.require_same_protocol(second)?;
    for set in [first, second] {
        require_euclidean("the sliced Wasserstein distance", set)?;
        require_rows("the sliced Wasserstein distance", set.rows(), 2)?;
    }
    Ok(along(first, second, &unit_vectors(directions, first.dimension(), seed)))
}

/// Directions drawn uniformly, one a row.
fn unit_vectors(directions: usize, dimension: usize, seed: Seed) -> Vec<Vec<f64>> {
    let mut rng = seed.derive("directions").rng();
    (0..directions)
        .map(|_| {
            let vector: Vec<f64> = (0..dimension).map(|_| StandardNormal.sample(&mut rng)).collect();
            let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
            vector.into_iter().map(|x| x / norm).collect()
        })
        .collect()
}

fn along(first: &Embedding, second: &Embedding, directions: &[Vec<f64>]) -> Estimate {
    let (n, m) = (first.rows(), second.rows());
    let (mut of_first, mut of_second) = (vec![0.0; n], vec![0.0; m]);
    let mut distances = Vec::with_capacity(directions.len());
    for some in directions.chunks(HELD) {
        let (mut a, mut b) = (projections(first, some), projections(second, some));
        let found: Vec<f64> = a
            .par_chunks_mut(n)
            .zip(b.par_chunks_mut(m))
            .map(|(a, b)| {
                let (sorted_a, sorted_b) = (Sorted::new(a), Sorted::new(b));
                let transport = transport(&sorted_a.values, &sorted_b.values);
                sorted_a.put_back(&transport.first, a);
                sorted_b.put_back(&transport.second, b);
                transport.cost
            })
            .collect();
        distances.extend(found);
        for (sums, potentials) in [(&mut of_first, &a), (&mut of_second, &b)] {
            let rows = sums.len();
            let add = |(row, sum): (usize, &mut f64)| {
                *sum += potentials.iter().skip(row).step_by(rows).sum::<f64>();
            };
            sums.par_iter_mut().enumerate().for_each(add);
        }
    }
    let count = distances.len() as f64;
    let influences = |sums: Vec<f64>| sums.into_iter().map(|sum| sum / count).collect::<Vec<_>>();
    let value = average(&distances);
    // One direction says nothing about the others: its variance is infinite.
    let variance = influence_variance(&influences(of_first))
        + influence_variance(&influences(of_second))
        + influence_variance(&distances);
    let estimate =
        normal(value, variance.sqrt(), n.min(m), "infinitesimal jackknife and the spread over directions, at this n");
    Estimate { low: estimate.low.max(0.0), ..estimate }
}

/// Every row along each direction: all rows along the first, then along the second, …
fn projections(rows: &Embedding, directions: &[Vec<f64>]) -> Vec<f64> {
    let across = Mat::from_fn(directions.len(), rows.dimension(), |i, j| directions[i][j]);
    let n = rows.rows();
    let mut projections = vec![0.0; n * directions.len()];
    let mut at = 0;
    let double = |row: &[f32], into: &mut [f64]| into.iter_mut().zip(row).for_each(|(to, &x)| *to = f64::from(x));
    in_parts(rows, double, |part| {
        let projected = product(across.as_ref(), part);
        projections.par_chunks_mut(n).enumerate().for_each(|(direction, along)| {
            for (to, column) in along[at..at + part.ncols()].iter_mut().zip(projected.col_iter()) {
                *to = column[direction];
            }
        });
        at += part.ncols();
    });
    projections
}

/// Values in ascending order, and where they came from.
struct Sorted {
    values: Vec<f64>,
    origin: Vec<usize>,
}

impl Sorted {
    fn new(values: &[f64]) -> Self {
        let mut pairs: Vec<(f64, usize)> = values.iter().copied().zip(0..).collect();
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let (values, origin) = pairs.into_iter().unzip();
        Self { values, origin }
    }

    fn put_back(&self, sorted: &[f64], into: &mut [f64]) {
        self.origin.iter().zip(sorted).for_each(|(&at, &value)| into[at] = value);
    }
}

/// An optimal transport between two sets of numbers.
struct Transport {
    /// W₂².
    cost: f64,
    /// The dual potential of every number of the first set: how its weight changes the cost, up to a constant.
    first: Vec<f64>,
    second: Vec<f64>,
}

/// Quantiles go to equal quantiles. On pairs (x, y) that exchange mass the potentials add up to (x − y)², which
/// determines each from the one before; where both sets step at once, the two ways on are averaged.
fn transport(first: &[f64], second: &[f64]) -> Transport {
    let (n, m) = (first.len(), second.len());
    let squared = |i: usize, k: usize| (first[i] - second[k]).powi(2);
    let (mut f, mut g) = (vec![0.0; n], vec![0.0; m]);
    g[0] = squared(0, 0);
    let (mut i, mut k, mut moved, mut cost) = (0, 0, 0, 0.0);
    // In units of 1/(n·m) a number of the first set has mass m and one of the second n.
    loop {
        let (end, other_end) = ((i + 1) * m, (k + 1) * n);
        let until = end.min(other_end);
        cost += (until - moved) as f64 * squared(i, k);
        moved = until;
        if moved == n * m {
            break;
        }
        match end.cmp(&other_end) {
            std::cmp::Ordering::Less => {
                i += 1;
                f[i] = squared(i, k) - g[k];
            }
            std::cmp::Ordering::Greater => {
                k += 1;
                g[k] = squared(i, k) - f[i];
            }
            std::cmp::Ordering::Equal => {
                let by_first = squared(i + 1, k) - g[k];
                let by_second = squared(i + 1, k + 1) - (squared(i, k + 1) - f[i]);
                (i, k) = (i + 1, k + 1);
                f[i] = (by_first + by_second) / 2.0;
                g[k] = squared(i, k) - f[i];
            }
        }
    }
    Transport { cost: cost / (n * m) as f64, first: f, second: g }
}

#[derive(Debug)]
pub(crate) struct SlicedWasserstein;

impl Measure for SlicedWasserstein {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        let seed = context.seed().derive("sliced-wasserstein");
        context.both_ways(&format!("W₂², {DIRECTIONS} directions"), |generated, real| {
            sliced_wasserstein(context.rows(generated), context.rows(real), DIRECTIONS, seed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, case, covered, covered_average, embed, expected, gaussian, uniform};
    use statrs::distribution::{Continuous, ContinuousCDF, Normal};
    use statrs::function::gamma::ln_gamma;

    #[test]
    fn values_equal_numpy() {
        let (case, expected) = (case(), expected());
        let directions: Vec<Vec<f64>> = uniform(20, 6, 9)
            .values()
            .chunks(6)
            .map(|row| {
                let row: Vec<f64> = row.iter().map(|&x| f64::from(x) - 0.5).collect();
                let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
                row.into_iter().map(|x| x / norm).collect()
            })
            .collect();
        let unequal = along(&case.synthetic, &case.train, &directions);
        assert_near(unequal.value, &expected["sliced_unequal"], 1e-10);
        assert_near(along(&case.holdout, &case.train, &directions).value, &expected["sliced_equal"], 1e-10);
    }

    #[test]
    fn copies_are_at_zero_and_a_shift_is_seen_along_the_direction() {
        let set = gaussian(50, 3, 1.0, 0.0, 1);
        assert!(sliced_wasserstein(&set, &set, 50, Seed::new(1)).unwrap().value < 1e-12);
        let shifted = embed(set.values().iter().map(|x| x + 2.0).collect(), 3);
        let direction = vec![vec![1.0, 0.0, 0.0]];
        assert!((along(&set, &shifted, &direction).value - 4.0).abs() < 1e-6);
    }

    #[test]
    fn repeating_every_image_changes_nothing() {
        let (a, b) = (gaussian(30, 4, 1.0, 0.0, 1), gaussian(40, 4, 1.3, 0.2, 2));
        let twice = a.concat(&a).unwrap();
        let distance = |a: &Embedding| sliced_wasserstein(a, &b, 20, Seed::new(1)).unwrap().value;
        assert!((distance(&a) - distance(&twice)).abs() < 1e-9);
    }

    /// What an image's weight does to the cost, by giving some images one copy more.
    #[test]
    fn potentials_are_derivatives_of_the_cost() {
        let (a, b): (Vec<f64>, Vec<f64>) = ((0..7).map(|x| f64::from(x * x) / 9.0).collect(), vec![0.5, 1.0, 2.5]);
        let found = transport(&a, &b);
        let (repeats, centre) = (10_000, average(&found.first));
        for (at, potential) in found.first.iter().enumerate() {
            let mut heavier: Vec<f64> = a.iter().flat_map(|&x| vec![x; repeats]).collect();
            heavier.insert(at * repeats, a[at]);
            let slope = (transport(&heavier, &b).cost - found.cost) * heavier.len() as f64;
            assert!((slope - (potential - centre)).abs() < 1e-3, "{slope} for {potential} − {centre}");
        }
    }

    /// N(0, I) against N(δ, I), equal sizes: |δ|²/d and twice the mean variance of a standard normal's order statistics,
    /// 1 − Σ E\[X₍ᵢ₎\]²/n.
    #[test]
    fn the_interval_covers_the_analytic_distance_of_shifted_gaussians() {
        let (n, d, shift) = (100, 5, 0.5_f32);
        let gauss = Normal::standard();
        let expected_rank = |rank: usize| {
            let (i, n) = (rank as f64, n as f64);
            let log_factor = ln_gamma(n + 1.0) - ln_gamma(i) - ln_gamma(n - i + 1.0);
            let steps = 4000;
            let width = 16.0 / f64::from(steps);
            (0..steps)
                .map(|step| {
                    let x = -8.0 + (f64::from(step) + 0.5) * width;
                    let log =
                        log_factor + (i - 1.0) * gauss.cdf(x).ln() + (n - i) * gauss.cdf(-x).ln() + gauss.ln_pdf(x);
                    x * log.exp() * width
                })
                .sum::<f64>()
        };
        let spread = 1.0 - (1..=n).map(|rank| expected_rank(rank).powi(2)).sum::<f64>() / n as f64;
        let truth = f64::from(shift).powi(2) + 2.0 * spread;
        let share = covered(400, truth, |run| {
            let (a, b) = (gaussian(n, d, 1.0, shift, 2 * run), gaussian(n, d, 1.0, 0.0, 2 * run + 1));
            sliced_wasserstein(&a, &b, 300, Seed::new(run)).unwrap()
        });
        assert!((0.92..=0.98).contains(&share), "{share}");
    }

    #[test]
    fn the_interval_covers_the_average_of_other_shapes_unequal_sizes_and_equal_populations() {
        for (rows, deviation) in [(80, 1.6), (210, 1.0)] {
            let share = covered_average(300, |run| {
                let (a, b) = (gaussian(rows, 3, deviation, 0.0, 2 * run), gaussian(210, 3, 1.0, 0.0, 2 * run + 1));
                sliced_wasserstein(&a, &b, 200, Seed::new(run)).unwrap()
            });
            assert!((0.92..=0.98).contains(&share), "{share} at deviation {deviation}");
        }
    }
}
