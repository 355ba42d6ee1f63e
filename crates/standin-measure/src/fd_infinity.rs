use faer::{Mat, MatRef};
use rand::seq::index::sample;
use rayon::prelude::*;
use standin_data::Seed;
use standin_encode::Embedding;

use crate::context::{Comparison, Context};
use crate::frechet::{Compared, Gaussian, centre};
use crate::linear::{add_product, in_parts, product, symmetric_eigenvalues};
use crate::registry::Measure;
use crate::uncertainty::{average, influence_variance, normal};
use crate::{Estimate, Result};

/// Sizes at which the distance is taken.
const POINTS: usize = 15;
/// Scatter matrices that are held at one time, whatever the number of threads.
const HELD: usize = 4;

/// FD∞ (Chong and Forsyth, "Effectively Unbiased FID and Inception Score", CVPR 2020): the Fréchet distance of infinitely
/// many generated images, the intercept a of a least-squares fit FD(N) = a + b/N.
///
/// N takes 15 values from min(5000, max(n/10, 2)) to n in equal steps. The subsamples are drawn without replacement, as
/// the beginnings of one random order: every scatter matrix then builds on the one before, so that all fifteen cost one
/// pass over the images, for a standard error 4 % above that of independent subsamples. Extrapolated is the generated
/// side only, as published: the real set's own bias, of order 1/n, stays. It may be negative.
///
/// **Interval**: the fifteen distances are dependent, and how is known. To first order FD(N) moves by the mean influence
/// of its N images (see [`crate::frechet_distance`]), so image j enters a with the weight Σᵢ wᵢ·1\[j ∈ Sᵢ\]/Nᵢ, w being
/// the weights of the intercept; the variance of that sum is taken exactly, and the real images' added. What remains of
/// each distance after its first-order term is of second order, with covariance τ²/max(Nᵢ, Nₖ)² between beginnings of one
/// order; τ² is estimated from the residuals. It covers the distance of infinitely many generated images from real sets
/// of this size on average. With fewer images than features the distance does not follow a + b/N and the interval is
/// no guarantee, which its method says.
///
/// Time O(n·d² + 15·d³), with n < d images O(n²·d + 15·n³); memory O(d²), and a copy of the images in their random
/// order. Trace norms are taken from eigenvalues of a squared matrix: 7 digits, far below what the fit leaves open.
///
/// # Errors
/// If the protocols differ, a set has fewer than 2 images, or a decomposition does not converge.
pub fn frechet_distance_infinity(generated: &Embedding, real: &Embedding, seed: Seed) -> Result<Estimate> {
    generated.require_same_protocol(real)?;
    let (own, real) = (Gaussian::of(generated)?, Gaussian::of(real)?);
    extrapolate(generated, &own, &real, &own.compare(&real, usize::MAX)?, seed)
}

fn extrapolate(
    generated: &Embedding,
    own: &Gaussian<'_>,
    real: &Gaussian<'_>,
    compared: &Compared,
    seed: Seed,
) -> Result<Estimate> {
    let n = generated.rows();
    let order = sample(&mut seed.derive("order of FD∞").rng(), n, n).into_vec();
    let sizes = sizes(n);
    let distances = distances(&generated.select(&order), &sizes, &own.mean, real)?;
    let centre = average(&compared.first);
    let influences: Vec<f64> = order.iter().map(|&image| compared.first[image] - centre).collect();
    let fit = Fit::new(&sizes);
    let value = fit.intercept(&distances);
    let variance = fit.first_order_variance(&influences)
        + influence_variance(&compared.second)
        + fit.second_order_variance(&distances, &influences);
    let mut method = "first-order influence of every image, second order from the residuals".to_owned();
    if n.min(compared.second.len()) <= generated.dimension() {
        method.push_str("; fewer images than features, where FD(N) is no line in 1/N: no guarantee");
    }
    Ok(normal(value, variance.sqrt(), n.min(compared.second.len()), method))
}

/// Fifteen sizes in equal steps, whole numbers by truncation.
fn sizes(n: usize) -> Vec<usize> {
    let least = 5000.0_f64.min((n as f64 / 10.0).max(2.0));
    let step = (n as f64 - least) / (POINTS - 1) as f64;
    (0..POINTS).map(|point| if point + 1 == POINTS { n } else { (least + step * point as f64) as usize }).collect()
}

/// The distance of the first `size` rows from the real set, for each of the ascending sizes.
fn distances(rows: &Embedding, sizes: &[usize], mean: &[f64], real: &Gaussian<'_>) -> Result<Vec<f64>> {
    let d = rows.dimension();
    // Rows are centred on the mean of all of them, so that little cancels where the mean of some is taken off.
    let (mut sum, mut squares, mut start) = (vec![0.0; d], 0.0, 0);
    let mut moments = Vec::with_capacity(sizes.len());
    for &size in sizes {
        for row in start..size {
            for ((sum, &x), mean) in sum.iter_mut().zip(rows.row(row)).zip(mean) {
                let x = f64::from(x) - mean;
                *sum += x;
                squares += x * x;
            }
        }
        start = size;
        let n = size as f64;
        let off: f64 = sum.iter().map(|sum| (sum / n).powi(2)).sum();
        let shift: f64 =
            sum.iter().zip(mean).zip(&*real.mean).map(|((s, here), there)| (s / n + here - there).powi(2)).sum();
        moments.push(shift + (squares - n * off) / (n - 1.0) + real.trace);
    }
    let traces = root_traces(rows, sizes, mean, real.factor.transpose())?;
    Ok(moments.into_iter().zip(traces).map(|(moments, trace)| moments - 2.0 * trace).collect())
}

/// tr (F·Σ_N·Fᵀ)^½ for the covariance of the first N rows: the trace norm of the rows times Fᵀ, centred.
fn root_traces(rows: &Embedding, sizes: &[usize], mean: &[f64], factor: MatRef<'_, f64>) -> Result<Vec<f64>> {
    let (n, r) = (rows.rows(), factor.nrows());
    if n <= r {
        let mut projected = Mat::zeros(r, n);
        let mut at = 0;
        in_parts(
            rows,
            |row, column| centre(row, mean, column),
            |part| {
                add_product(projected.as_mut().subcols_mut(at, part.ncols()), factor, part);
                at += part.ncols();
            },
        );
        let gram = product(projected.transpose(), projected.as_ref());
        return sizes.par_iter().map(|&size| root_trace(&doubly_centred(gram.as_ref(), size), size)).collect();
    }
    let (mut scatter, mut sum) = (Mat::<f64>::zeros(r, r), vec![0.0; r]);
    let mut traces = Vec::with_capacity(sizes.len());
    let mut start = 0;
    for some in sizes.chunks(HELD) {
        let mut held = Vec::with_capacity(some.len());
        for &size in some {
            let step = rows.select(&(start..size).collect::<Vec<_>>());
            in_parts(
                &step,
                |row, column| centre(row, mean, column),
                |part| {
                    let projected = product(factor, part);
                    add_product(scatter.as_mut(), projected.as_ref(), projected.transpose());
                    for column in projected.col_iter() {
                        sum.iter_mut().zip(column.iter()).for_each(|(sum, x)| *sum += x);
                    }
                },
            );
            start = size;
            let n = size as f64;
            held.push((size, Mat::from_fn(r, r, |i, j| scatter[(i, j)] - sum[i] * sum[j] / n)));
        }
        let some: Vec<f64> =
            held.par_iter().map(|(size, scatter)| root_trace(scatter, *size)).collect::<Result<_>>()?;
        traces.extend(some);
    }
    Ok(traces)
}

/// The Gram matrix of the first `size` rows, each less their mean.
fn doubly_centred(gram: MatRef<'_, f64>, size: usize) -> Mat<f64> {
    let n = size as f64;
    let means: Vec<f64> = (0..size).map(|j| (0..size).map(|i| gram[(i, j)]).sum::<f64>() / n).collect();
    let grand = average(&means);
    Mat::from_fn(size, size, |i, j| gram[(i, j)] - means[i] - means[j] + grand)
}

/// Σ√(λ/(N−1)) over the eigenvalues of a scatter or Gram matrix of N rows.
fn root_trace(scatter: &Mat<f64>, size: usize) -> Result<f64> {
    let values = symmetric_eigenvalues(scatter)?;
    Ok(values.into_iter().map(|value| (value.max(0.0) / (size as f64 - 1.0)).sqrt()).sum())
}

/// The least-squares line in 1/N through distances at the sizes N.
struct Fit<'a> {
    sizes: &'a [usize],
    /// What each distance contributes to the intercept.
    weights: Vec<f64>,
    centred: Vec<f64>,
}

impl<'a> Fit<'a> {
    fn new(sizes: &'a [usize]) -> Self {
        let x: Vec<f64> = sizes.iter().map(|&size| (size as f64).recip()).collect();
        let mean = average(&x);
        let centred: Vec<f64> = x.iter().map(|x| x - mean).collect();
        let squares: f64 = centred.iter().map(|x| x * x).sum();
        let weights = centred.iter().map(|x| (sizes.len() as f64).recip() - mean * x / squares).collect();
        Self { sizes, weights, centred }
    }

    fn intercept(&self, values: &[f64]) -> f64 {
        self.weights.iter().zip(values).map(|(weight, value)| weight * value).sum()
    }

    fn residuals(&self, values: &[f64]) -> Vec<f64> {
        let squares: f64 = self.centred.iter().map(|x| x * x).sum();
        let slope = self.centred.iter().zip(values).map(|(x, y)| x * y).sum::<f64>() / squares;
        let mean = average(values);
        self.centred.iter().zip(values).map(|(x, y)| y - mean - slope * x).collect()
    }

    /// Variance of the intercept's first-order term, from centred influences in the order of the subsamples.
    fn first_order_variance(&self, influences: &[f64]) -> f64 {
        let mut weight = 0.0;
        let mut ends = self.sizes.iter().zip(&self.weights).rev().peekable();
        let mut sum = 0.0;
        for (image, influence) in influences.iter().enumerate().rev() {
            while let Some((&size, w)) = ends.next_if(|&(&size, _)| size > image) {
                weight += w / size as f64;
            }
            sum += (weight * influence).powi(2);
        }
        let n = influences.len() as f64;
        sum * n / (n - 1.0)
    }

    /// Variance of the intercept's second-order term, τ²·Σᵢₖ wᵢwₖ/max(Nᵢ, Nₖ)², with τ² such that the residuals weighted by
    /// N² have their expected sum of squares.
    fn second_order_variance(&self, distances: &[f64], influences: &[f64]) -> f64 {
        let points = self.sizes.len();
        let (mut sum, mut start) = (0.0, 0);
        let remainders: Vec<f64> = self
            .sizes
            .iter()
            .zip(distances)
            .map(|(&size, distance)| {
                sum += influences[start..size].iter().sum::<f64>();
                start = size;
                distance - sum / size as f64
            })
            .collect();
        let covariance = |i: usize, k: usize| (self.sizes[i].max(self.sizes[k]) as f64).powi(-2);
        // tr D(I−H)K(I−H): rows of the residual projection are residuals of unit vectors.
        let projection: Vec<Vec<f64>> = (0..points)
            .map(|point| {
                let unit: Vec<f64> = (0..points).map(|other| f64::from(u8::from(other == point))).collect();
                self.residuals(&unit)
            })
            .collect();
        let quadratic = |vector: &[f64]| -> f64 {
            let row = |i: usize| (0..points).map(|k| vector[k] * covariance(i, k)).sum::<f64>();
            (0..points).map(|i| vector[i] * row(i)).sum()
        };
        let square = |point: usize| (self.sizes[point] as f64).powi(2);
        let expected: f64 = (0..points).map(|point| square(point) * quadratic(&projection[point])).sum();
        let observed: f64 =
            self.residuals(&remainders).iter().enumerate().map(|(point, e)| square(point) * e * e).sum();
        observed / expected * quadratic(&self.weights)
    }
}

#[derive(Debug)]
pub(crate) struct FrechetDistanceInfinity;

impl Measure for FrechetDistanceInfinity {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        let seed = context.seed().derive("fd-infinity");
        context.both_ways("15 points, a + b/N", |generated, real| {
            let (own, other) = (context.gaussian(generated)?, context.gaussian(real)?);
            extrapolate(context.rows(generated), &own, &other, &own.compare(&other, usize::MAX)?, seed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frechet_distance;
    use crate::testing::{assert_near, case, covered, expected, gaussian};

    /// SciPy's general matrix root loses about half the digits of a covariance's small eigenvalues.
    #[test]
    fn the_value_equals_scipy() {
        let case = case();
        let (sizes, real) = (sizes(70), Gaussian::of(&case.train).unwrap());
        let distances = distances(&case.synthetic, &sizes, &crate::linear::mean(&case.synthetic), &real).unwrap();
        assert_near(Fit::new(&sizes).intercept(&distances), &expected()["fd_infinity"], 1e-6);
    }

    #[test]
    fn distances_of_beginnings_equal_those_of_the_sets() {
        for (n, d) in [(60, 5), (30, 40)] {
            let (generated, real) = (gaussian(n, d, 1.2, 0.3, 1), gaussian(50, d, 1.0, 0.0, 2));
            let gaussian = Gaussian::of(&real).unwrap();
            let sizes = [3, 10, n];
            let found = distances(&generated, &sizes, &crate::linear::mean(&generated), &gaussian).unwrap();
            for (&size, found) in sizes.iter().zip(found) {
                let part = generated.select(&(0..size).collect::<Vec<_>>());
                let expected = frechet_distance(&part, &real).unwrap().value;
                assert!((found - expected).abs() < 1e-6 * expected, "{found} for {expected} of {size}");
            }
        }
    }

    #[test]
    fn sizes_are_those_published() {
        assert_eq!(sizes(50_000)[..3], [5000, 8214, 11428]);
        assert_eq!((sizes(700)[0], sizes(700)[14]), (70, 700));
        assert_eq!(sizes(20), [2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 20]);
    }

    #[test]
    fn points_on_a_line_have_its_intercept_and_no_second_order_variance() {
        let sizes = sizes(1000);
        let distances: Vec<f64> = sizes.iter().map(|&size| 3.0 + 40.0 / size as f64).collect();
        let fit = Fit::new(&sizes);
        assert!((fit.intercept(&distances) - 3.0).abs() < 1e-12);
        assert!(fit.second_order_variance(&distances, &[0.0; 1000]) < 1e-24);
    }

    /// N(0, I) against N(μ, σ²I): |μ|² + d(σ−1)². Few features and many real images, whose bias is negligible.
    #[test]
    fn the_interval_covers_the_distance_of_the_populations() {
        for (deviation, mean) in [(1.0_f32, 0.7_f32), (1.5, 0.0)] {
            let truth = 2.0 * f64::from(mean.powi(2) + (deviation - 1.0).powi(2));
            let share = covered(300, truth, |run| {
                let (generated, real) =
                    (gaussian(300, 2, deviation, mean, 2 * run), gaussian(1200, 2, 1.0, 0.0, 2 * run + 1));
                frechet_distance_infinity(&generated, &real, Seed::new(run)).unwrap()
            });
            assert!((0.92..=0.98).contains(&share), "{share} at {deviation} {mean}");
        }
    }

    #[test]
    fn it_covers_with_more_features_and_for_equal_populations() {
        for (d, deviation, mean) in [(4, 1.0_f32, 0.0_f32), (8, 1.3, 0.2)] {
            let truth = d as f64 * f64::from(mean.powi(2) + (deviation - 1.0).powi(2));
            let share = covered(300, truth, |run| {
                let generated = gaussian(200, d, deviation, mean, 2 * run);
                let real = gaussian(20_000, d, 1.0, 0.0, 2 * run + 1);
                frechet_distance_infinity(&generated, &real, Seed::new(run)).unwrap()
            });
            assert!((0.92..=0.98).contains(&share), "{share} with {d} features");
        }
    }

    #[test]
    fn it_is_nearer_to_the_truth_than_the_distance_at_n() {
        let (generated, real) = (gaussian(400, 20, 1.0, 0.3, 1), gaussian(5000, 20, 1.0, 0.0, 2));
        let truth = 20.0 * 0.09;
        let plain = frechet_distance(&generated, &real).unwrap().value;
        let infinite = frechet_distance_infinity(&generated, &real, Seed::new(1)).unwrap().value;
        assert!((infinite - truth).abs() < 0.5 * (plain - truth), "{infinite} and {plain} for {truth}");
    }
}
