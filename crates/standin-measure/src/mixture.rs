//! A mixture of Gaussians around given points, their widths fitted to others, for the feature likelihood.

use std::f64::consts::TAU;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;
use standin_encode::Embedding;

/// Points that one task looks at.
const POINTS: usize = 64;
const STEPS: i32 = 50;
const RATE: f64 = 0.5;
/// Between these log σ² is kept, so that copies do not divide by 0.
const BOUNDS: (f64, f64) = (-40.0, 20.0);
/// Terms below e⁻⁴⁰ of the largest change no sum.
const NEGLIGIBLE: f64 = 40.0;

/// Equally weighted Gaussians N(cⱼ, σⱼ²I).
pub(crate) struct Mixture<'a> {
    centres: &'a Embedding,
    log_variances: Vec<f64>,
}

/// What a mixture says of some points.
pub(crate) struct Likelihoods {
    /// Negative log-likelihood of every point, divided by the number of features.
    pub(crate) nlls: Vec<f64>,
    /// How much every centre moves the mean of these, up to a constant.
    pub(crate) of_centres: Vec<f64>,
}

impl<'a> Mixture<'a> {
    /// Widths that make `points` likely: 50 steps of Adam (Kingma and Ba, ICLR 2015) with all points, on log σ² from
    /// ln((ρ² + 0.001)/d), ρ the distance to the nearest point. While they are fitted, one more Gaussian of its own width
    /// around the mean of the points, to which distances count by 0.9 and which has the weight of all others together,
    /// gives every point some likelihood.
    pub(crate) fn fit(centres: &'a Embedding, points: &Embedding) -> Self {
        let (m, d) = (centres.rows(), centres.dimension() as f64);
        let distances = squared_distances(points, centres);
        let mean = crate::linear::mean(points);
        let to_mean: Vec<f64> = (0..points.rows())
            .map(|point| {
                let terms = points.row(point).iter().zip(&mean).map(|(&x, mean)| (f64::from(x) - mean).powi(2));
                0.9 * 0.9 * terms.sum::<f64>()
            })
            .collect();
        let mut nearest = vec![f32::INFINITY; m];
        for row in distances.chunks_exact(m) {
            nearest.iter_mut().zip(row).for_each(|(least, &distance)| *least = least.min(distance));
        }
        let mut theta: Vec<f64> = nearest.iter().map(|&least| ((f64::from(least) + 1e-3) / d).ln()).collect();
        theta.push(0.0);
        let mut adam = vec![(0.0, 0.0); m + 1];
        for step in 1..=STEPS {
            let gradient = gradient(&distances, &to_mean, &theta, d);
            for ((value, (first, second)), slope) in theta.iter_mut().zip(&mut adam).zip(gradient) {
                *first = 0.9 * *first + 0.1 * slope;
                *second = 0.999 * *second + 0.001 * slope * slope;
                let (first, second) = (*first / (1.0 - 0.9_f64.powi(step)), *second / (1.0 - 0.999_f64.powi(step)));
                *value -= RATE * first / (second.sqrt() + 1e-8);
            }
            theta[..m].iter_mut().for_each(|value| *value = value.clamp(BOUNDS.0, BOUNDS.1));
        }
        theta.pop();
        Self { centres, log_variances: theta }
    }

    /// Time O(n·m·d) for n points and m centres, memory O(n + m) and some tiles.
    pub(crate) fn likelihoods(&self, points: &Embedding) -> Likelihoods {
        let (m, d) = (self.centres.rows(), self.centres.dimension());
        let terms = Terms::new(&self.log_variances, d as f64, (m as f64).ln());
        let norms = squared_norms(self.centres);
        let tiles: Vec<(Vec<f64>, Vec<f64>)> = points
            .values()
            .par_chunks(POINTS * d)
            .map(|tile| {
                let mut distances = vec![0.0; tile.len() / d * m];
                distances_of(tile, self.centres, &norms, &mut distances);
                let (mut logs, mut shares) = (vec![0.0; m], vec![0.0; m]);
                let nlls = distances.chunks_exact(m).map(|row| {
                    let log_likelihood = terms.share(row, None, &mut logs);
                    for (sum, log) in shares.iter_mut().zip(&logs) {
                        if log_likelihood - log < NEGLIGIBLE {
                            *sum += (log - log_likelihood).exp();
                        }
                    }
                    -log_likelihood / d as f64
                });
                (nlls.collect(), shares)
            })
            .collect();
        let (mut nlls, mut of_centres) = (Vec::with_capacity(points.rows()), vec![0.0; m]);
        // A centre with the share r of the points' likelihood, 1/m if all were alike, has the influence (1 − m·r)/d.
        let scale = m as f64 / (d * points.rows()) as f64;
        for (tile, shares) in tiles {
            nlls.extend(tile);
            of_centres.iter_mut().zip(shares).for_each(|(sum, share)| *sum -= scale * share);
        }
        Likelihoods { nlls, of_centres }
    }
}

/// Slope of the mean negative log-likelihood per feature by log σ² of every Gaussian, the last being that around the mean.
fn gradient(distances: &[f32], to_mean: &[f64], theta: &[f64], d: f64) -> Vec<f64> {
    let m = theta.len() - 1;
    let terms = Terms::new(&theta[..m], d, (m as f64).ln());
    let around_mean = Terms::new(&theta[m..], d, 0.0);
    let parts: Vec<Vec<f64>> = distances
        .par_chunks(POINTS * m)
        .zip(to_mean.par_chunks(POINTS))
        .map(|(rows, to_mean)| {
            let (mut slopes, mut logs) = (vec![0.0; m + 1], vec![0.0; m]);
            for (row, &to_mean) in rows.chunks_exact(m).zip(to_mean) {
                let log_of_mean = around_mean.constants[0] - around_mean.halves[0] * to_mean;
                let log_likelihood = terms.share(row, Some(log_of_mean), &mut logs);
                for (at, &log) in logs.iter().enumerate() {
                    if log_likelihood - log < NEGLIGIBLE {
                        let share = (log - log_likelihood).exp();
                        slopes[at] += share * (terms.halves[at] * f64::from(row[at]) - d / 2.0);
                    }
                }
                slopes[m] += (log_of_mean - log_likelihood).exp() * (around_mean.halves[0] * to_mean - d / 2.0);
            }
            slopes
        })
        .collect();
    let mut total = vec![0.0; m + 1];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(total, slope)| *total -= slope / (to_mean.len() as f64 * d));
    }
    total
}

/// The logarithms of weighted densities, constants − halves·distance².
struct Terms {
    /// 1/(2σ²).
    halves: Vec<f64>,
    constants: Vec<f64>,
}

impl Terms {
    fn new(log_variances: &[f64], d: f64, log_count: f64) -> Self {
        let halves = log_variances.iter().map(|value| 0.5 * (-value).exp()).collect();
        let constants = log_variances.iter().map(|value| -d / 2.0 * (value + TAU.ln()) - log_count).collect();
        Self { halves, constants }
    }

    /// Writes the logarithm of every term and gives that of their sum, to which `other` may be added.
    fn share(&self, distances: &[f32], other: Option<f64>, logs: &mut [f64]) -> f64 {
        let mut largest = other.unwrap_or(f64::NEG_INFINITY);
        for (log, (&distance, (half, constant))) in
            logs.iter_mut().zip(distances.iter().zip(self.halves.iter().zip(&self.constants)))
        {
            *log = constant - half * f64::from(distance);
            largest = if *log > largest { *log } else { largest };
        }
        let terms = logs.iter().chain(&other).filter(|&&log| largest - log < NEGLIGIBLE);
        largest + terms.map(|log| (log - largest).exp()).sum::<f64>().ln()
    }
}

fn squared_norms(rows: &Embedding) -> Vec<f64> {
    let norm = |row: &[f32]| row.iter().map(|&x| f64::from(x).powi(2)).sum();
    rows.values().par_chunks_exact(rows.dimension()).map(norm).collect()
}

/// ‖p − c‖² for every point and centre, a row per point.
fn squared_distances(points: &Embedding, centres: &Embedding) -> Vec<f32> {
    let (d, m) = (points.dimension(), centres.rows());
    let norms = squared_norms(centres);
    let mut distances = vec![0.0; points.rows() * m];
    distances
        .par_chunks_mut(POINTS * m)
        .zip(points.values().par_chunks(POINTS * d))
        .for_each(|(into, tile)| distances_of(tile, centres, &norms, into));
    distances
}

/// In double precision until they are stored: what is small is a difference of what is large.
fn distances_of(tile: &[f32], centres: &Embedding, norms: &[f64], into: &mut [f32]) {
    const CENTRES: usize = 256;
    let (d, m) = (centres.dimension(), centres.rows());
    let points = tile.len() / d;
    let tile: Vec<f64> = tile.iter().map(|&x| f64::from(x)).collect();
    let own: Vec<f64> = tile.chunks_exact(d).map(|row| row.iter().map(|x| x * x).sum()).collect();
    for start in (0..m).step_by(CENTRES) {
        let end = m.min(start + CENTRES);
        let some: Vec<f64> = centres.values()[start * d..end * d].iter().map(|&x| f64::from(x)).collect();
        let mut inner = vec![0.0; points * (end - start)];
        matmul(
            MatMut::from_column_major_slice_mut(&mut inner, end - start, points),
            Accum::Replace,
            MatRef::from_row_major_slice(&some, end - start, d),
            MatRef::from_column_major_slice(&tile, d, points),
            1.0,
            Par::Seq,
        );
        for (point, inner) in inner.chunks_exact(end - start).enumerate() {
            let row = &mut into[point * m + start..point * m + end];
            for (to, (inner, norm)) in row.iter_mut().zip(inner.iter().zip(&norms[start..end])) {
                *to = (own[point] + norm - 2.0 * inner).max(0.0) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embed, gaussian};

    #[test]
    fn distances_are_those_of_the_rows() {
        let (a, b) = (gaussian(70, 5, 1.0, 0.0, 1), gaussian(300, 5, 1.0, 0.0, 2));
        let found = squared_distances(&a, &b);
        for (point, row) in found.chunks(300).enumerate() {
            for (centre, &found) in row.iter().enumerate() {
                let expected = standin_encode::squared_distance(a.row(point), b.row(centre));
                assert!((f64::from(found) - expected).abs() < 1e-6 * expected.max(1.0));
            }
        }
    }

    #[test]
    fn one_gaussian_has_its_own_likelihood() {
        let centre = embed(vec![0.0, 0.0], 2);
        let mixture = Mixture { centres: &centre, log_variances: vec![4.0_f64.ln()] };
        let found = mixture.likelihoods(&embed(vec![2.0, 0.0, 0.0, 0.0], 2));
        let at_centre = (TAU * 4.0).ln();
        assert!((found.nlls[1] * 2.0 - at_centre).abs() < 1e-12);
        assert!((found.nlls[0] * 2.0 - at_centre - 0.5).abs() < 1e-12);
    }

    #[test]
    fn the_gradient_is_that_of_the_likelihood() {
        let (centres, points) = (gaussian(6, 3, 1.0, 0.0, 1), gaussian(20, 3, 1.0, 0.0, 2));
        let distances = squared_distances(&points, &centres);
        let to_mean = vec![1.5; 20];
        let theta = vec![0.1, -0.3, 0.4, 0.0, 0.2, -0.1, 0.3];
        let loss = |theta: &[f64]| {
            let (terms, around_mean) = (Terms::new(&theta[..6], 3.0, 6.0_f64.ln()), Terms::new(&theta[6..], 3.0, 0.0));
            let mut logs = vec![0.0; 6];
            let log_of_mean = around_mean.constants[0] - around_mean.halves[0] * 1.5;
            let total: f64 = distances.chunks(6).map(|row| terms.share(row, Some(log_of_mean), &mut logs)).sum();
            -total / 60.0
        };
        for (at, slope) in gradient(&distances, &to_mean, &theta, 3.0).into_iter().enumerate() {
            let moved = |by: f64| {
                let mut theta = theta.clone();
                theta[at] += by;
                loss(&theta)
            };
            assert!(((moved(1e-5) - moved(-1e-5)) / 2e-5 - slope).abs() < 1e-7, "{at}");
        }
    }
}
