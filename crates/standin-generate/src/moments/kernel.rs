//! The private part of DP-Kernel (Jiang, Sun & Yu 2023): a mean embedding released as a function, with a Gaussian process
//! as noise.
//!
//! # What is released
//! For the images x of a class that were sampled, h(y) = Σ κ(x, y) is a function in the Hilbert space of the kernel κ. An
//! image moves it by κ(x, ·), whose norm there is √κ(x, x) = 1. Hall, Rinaldo & Wasserman 2013: h + σG with G a
//! Gaussian process of covariance κ is as private as a Gaussian mechanism of sensitivity 1 and noise σ, at however many places
//! it is looked at, because for every finite set of bounded linear functionals, values or slopes, the noise has the Gram
//! matrix of their representers as its covariance, and the length of an image's part, measured by it, is that of a projection of
//! κ(x, ·).
//!
//! A generator needs the *slopes* ∇h(yⱼ) at its images yⱼ, so slopes are what is released here, with the slopes of one path
//! of G. (To add noise to the values h(yⱼ) alone and to take exact slopes for the gradient, as published code does, leaves
//! the slopes without protection.)
//!
//! Classes have paths of their own: the kernel of labelled images is κ(x, y) for equal labels and 0 for others.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::{MatMut, Par};
use standin_privacy::NoiseSource;

use crate::Result;

/// What is added to the noise's covariance, as a share of the variance of a slope: rounding cannot take noise away.
const JITTER: f64 = 1e-8;

/// A mean of Gaussian kernels, κ(x, y) = mean over ℓ of exp(−‖x − y‖²/2ℓ²).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GaussianKernels {
    /// ℓ, in the unit of the points.
    length_scales: Vec<f64>,
    /// Coordinates of a point.
    dimension: usize,
}

impl GaussianKernels {
    /// # Panics
    /// If there is no length scale or no coordinate.
    pub(crate) fn new(length_scales: Vec<f64>, dimension: usize) -> Self {
        assert!(!length_scales.is_empty() && dimension > 0, "at least one of each");
        Self { length_scales, dimension }
    }

    /// mean over ℓ of exp(−‖x − y‖²/2ℓ²)·ℓ^(−2·power), given ‖x − y‖².
    fn at(&self, squared: f64, power: i32) -> f64 {
        let terms = self.length_scales.iter().map(|scale| {
            let inverse = 1.0 / (scale * scale);
            (-0.5 * squared * inverse).exp() * inverse.powi(power)
        });
        terms.sum::<f64>() / self.length_scales.len() as f64
    }

    /// Σ over `others` x of ∇κ(x, y) at each point y, `points × dimension`.
    pub(crate) fn slopes<'a>(&self, points: &[f64], others: impl Iterator<Item = &'a [f64]>) -> Vec<f64> {
        let mut slopes = vec![0.0; points.len()];
        for x in others {
            let rows = points.chunks_exact(self.dimension).zip(slopes.chunks_exact_mut(self.dimension));
            for (y, slope) in rows {
                let pull = self.at(squared_distance(x, y), 1);
                for ((slope, x), y) in slope.iter_mut().zip(x).zip(y) {
                    *slope += pull * (x - y);
                }
            }
        }
        slopes
    }

    /// The slopes at each point of one path of a Gaussian process with covariance κ, `points × dimension`.
    ///
    /// The slopes at y and y′ have covariance mean over ℓ of κℓ(y, y′)(I/ℓ² − ΔΔᵀ/ℓ⁴) with Δ = y − y′. Across the space that
    /// the points span, ΔΔᵀ is 0 and coordinates are independent; within it, a factor of the whole covariance is taken.
    ///
    /// Cost: k⁶/3 operations for k points, and k² for each coordinate, on the calling thread.
    ///
    /// # Errors
    /// If no noise can be drawn.
    pub(crate) fn noise_slopes(&self, points: &[f64], noise: &mut NoiseSource) -> Result<Vec<f64>> {
        let (dimension, n) = (self.dimension, points.len() / self.dimension);
        let squared: Vec<f64> = points
            .chunks_exact(dimension)
            .flat_map(|x| points.chunks_exact(dimension).map(move |y| squared_distance(x, y)))
            .collect();
        let across: Vec<f64> = squared.iter().map(|&squared| self.at(squared, 1)).collect();
        let jitter = JITTER * self.at(0.0, 1);

        let mut normal = vec![0.0; points.len()];
        noise.add_gaussian(1.0, &mut normal)?;
        let mut slopes = times(&factor(across.clone(), n, jitter), &normal, dimension);

        let basis = span(points, dimension);
        if basis.is_empty() {
            return Ok(slopes);
        }
        let rank = basis.len();
        for slope in slopes.chunks_exact_mut(dimension) {
            for direction in &basis {
                let along = dot(slope, direction);
                slope.iter_mut().zip(direction).for_each(|(value, direction)| *value -= along * direction);
            }
        }
        let coordinates: Vec<f64> = points
            .chunks_exact(dimension)
            .flat_map(|point| basis.iter().map(move |direction| dot(point, direction)))
            .collect();
        let size = n * rank;
        let mut covariance = vec![0.0; size * size];
        for i in 0..n {
            for j in 0..n {
                let (first, second) = (across[i * n + j], self.at(squared[i * n + j], 2));
                let between: Vec<f64> =
                    (0..rank).map(|a| coordinates[i * rank + a] - coordinates[j * rank + a]).collect();
                for (a, x) in between.iter().enumerate() {
                    let row = &mut covariance[(i * rank + a) * size + j * rank..][..rank];
                    row.iter_mut().zip(&between).for_each(|(entry, y)| *entry = -second * x * y);
                    row[a] += first;
                }
            }
        }
        let mut normal = vec![0.0; size];
        noise.add_gaussian(1.0, &mut normal)?;
        let within = times(&factor(covariance, size, jitter), &normal, 1);
        for (slope, within) in slopes.chunks_exact_mut(dimension).zip(within.chunks_exact(rank)) {
            for (direction, along) in basis.iter().zip(within) {
                slope.iter_mut().zip(direction).for_each(|(value, direction)| *value += along * direction);
            }
        }
        Ok(slopes)
    }
}

fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum()
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// Orthonormal directions of the differences between points; ones shorter than a billionth of the longest are left out.
fn span(points: &[f64], dimension: usize) -> Vec<Vec<f64>> {
    let (first, others) = points.split_at(dimension);
    let differences: Vec<Vec<f64>> =
        others.chunks_exact(dimension).map(|point| point.iter().zip(first).map(|(a, b)| a - b).collect()).collect();
    let longest = differences.iter().map(|difference| dot(difference, difference).sqrt()).fold(0.0, f64::max);
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for mut direction in differences {
        // Twice, because what rounding leaves of the others after once is felt where points nearly coincide.
        for _ in 0..2 {
            for known in &basis {
                let along = dot(&direction, known);
                direction.iter_mut().zip(known).for_each(|(value, known)| *value -= along * known);
            }
        }
        let length = dot(&direction, &direction).sqrt();
        if length > 1e-9 * longest {
            direction.iter_mut().for_each(|value| *value /= length);
            basis.push(direction);
        }
    }
    basis
}

/// The lower triangular L with L Lᵀ = a symmetric positive semidefinite matrix plus `jitter` on its diagonal; row-major.
fn factor(mut matrix: Vec<f64>, size: usize, jitter: f64) -> Vec<f64> {
    (0..size).for_each(|at| matrix[at * (size + 1)] += jitter);
    let scratch = cholesky_in_place_scratch::<f64>(size, Par::Seq, Default::default());
    cholesky_in_place(
        MatMut::from_row_major_slice_mut(&mut matrix, size, size),
        Default::default(),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .expect("covariances are positive definite by more than rounding");
    matrix
}

/// A lower triangular matrix times `rows × columns` values.
fn times(lower: &[f64], values: &[f64], columns: usize) -> Vec<f64> {
    let rows = values.len() / columns;
    let mut product = vec![0.0; values.len()];
    for (row, into) in product.chunks_exact_mut(columns).enumerate() {
        for (weight, values) in lower[row * rows..=row * rows + row].iter().zip(values.chunks_exact(columns)) {
            into.iter_mut().zip(values).for_each(|(to, value)| *to += weight * value);
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::Seed;

    use super::*;

    fn kernels() -> GaussianKernels {
        GaussianKernels::new(vec![0.4, 1.5], 5)
    }

    fn points(count: usize, seed: u64) -> Vec<f64> {
        let mut rng = Seed::new(seed).rng();
        (0..count * 5).map(|_| rng.random()).collect()
    }

    /// κ by its definition.
    fn kernel(x: &[f64], y: &[f64]) -> f64 {
        [0.4_f64, 1.5].iter().map(|l| (-squared_distance(x, y) / (2.0 * l * l)).exp()).sum::<f64>() / 2.0
    }

    /// Covariance of all slopes at the points by second differences of κ, `5n × 5n`.
    fn covariance(points: &[f64]) -> Vec<f64> {
        let step = 1e-3;
        let moved = |at: usize, by: f64| {
            let mut point = points[at / 5 * 5..][..5].to_vec();
            point[at % 5] += by;
            point
        };
        let entry = |a: usize, b: usize| {
            let pair = |by_a: f64, by_b: f64| kernel(&moved(a, by_a), &moved(b, by_b));
            (pair(step, step) - pair(step, -step) - pair(-step, step) + pair(-step, -step)) / (4.0 * step * step)
        };
        (0..points.len()).flat_map(|a| (0..points.len()).map(move |b| entry(a, b))).collect()
    }

    #[test]
    fn slopes_are_those_of_the_kernel_by_differences() {
        let (places, x) = (points(3, 1), points(4, 2));
        let found = kernels().slopes(&places, x.chunks_exact(5));
        let sum = |y: &[f64]| x.chunks_exact(5).map(|x| kernel(x, y)).sum::<f64>();
        for (at, found) in found.iter().enumerate() {
            let moved = |by: f64| {
                let mut y = places[at / 5 * 5..][..5].to_vec();
                y[at % 5] += by;
                sum(&y)
            };
            assert!(((moved(1e-4) - moved(-1e-4)) / 2e-4 - found).abs() < 1e-6);
        }
    }

    /// Four standard errors of a covariance over 20 000 draws.
    #[test]
    fn noise_has_the_covariance_of_the_slopes_of_a_gaussian_process() {
        let points = points(3, 3);
        let expected = covariance(&points);
        let mut noise = NoiseSource::reproducible(Seed::new(4));
        let size = points.len();
        let mut found = vec![0.0; size * size];
        let draws = 20_000;
        for _ in 0..draws {
            let slopes = kernels().noise_slopes(&points, &mut noise).unwrap();
            for (a, x) in slopes.iter().enumerate() {
                slopes.iter().enumerate().for_each(|(b, y)| found[a * size + b] += x * y / f64::from(draws));
            }
        }
        for a in 0..size {
            for b in 0..size {
                let (found, expected_at) = (found[a * size + b], expected[a * size + b]);
                let deviation = (expected[a * size + a] * expected[b * size + b] + expected_at.powi(2)).sqrt();
                let error = deviation / f64::from(draws).sqrt();
                assert!((found - expected_at).abs() < 4.5 * error, "{found} for {expected_at} at {a}, {b}");
            }
        }
    }

    /// The length that the accountant takes to be 1 at most: of an image's slopes, measured by the noise's covariance.
    #[test]
    fn an_image_has_length_at_most_one_against_the_noise_wherever_it_is_looked_at() {
        let mut longest = 0.0_f64;
        for (seed, spread) in [(1, 1.0), (2, 0.3), (3, 3.0)] {
            let x = points(1, 50 + seed);
            let places: Vec<f64> =
                points(4, seed).iter().enumerate().map(|(at, p)| x[at % 5] + spread * (p - 0.5)).collect();
            let slopes = kernels().slopes(&places, x.chunks_exact(5));
            let lower = factor(covariance(&places), places.len(), 1e-7);
            // Forward substitution: ‖L⁻¹ slopes‖.
            let mut solved: Vec<f64> = Vec::new();
            for (row, &slope) in slopes.iter().enumerate() {
                let known = dot(&lower[row * slopes.len()..][..row], &solved);
                solved.push((slope - known) / lower[row * slopes.len() + row]);
            }
            longest = longest.max(dot(&solved, &solved).sqrt());
        }
        assert!(longest <= 1.0 + 1e-3 && longest > 0.3, "{longest}");
    }

    #[test]
    fn coinciding_points_have_equal_slopes_in_the_noise() {
        let mut points = points(2, 5);
        points.extend_from_within(..5);
        let mut noise = NoiseSource::reproducible(Seed::new(6));
        let slopes = kernels().noise_slopes(&points, &mut noise).unwrap();
        assert!(slopes.iter().all(|value| value.is_finite()));
        for (a, b) in slopes[..5].iter().zip(&slopes[10..]) {
            assert!((a - b).abs() < 2e-3 * kernels().at(0.0, 1).sqrt(), "{a} {b}");
        }
        let same = points[..5].repeat(3);
        assert!(kernels().noise_slopes(&same, &mut noise).unwrap().iter().all(|value| value.is_finite()));
    }
}
