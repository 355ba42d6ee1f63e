//! Random Fourier features (Rahimi & Recht 2007) of images: vectors whose inner products approximate a kernel.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::RngExt;
use rand_distr::StandardNormal;
use standin_data::Seed;

use crate::moments::sin_cos::sin_cos;

/// Keeps the norm of features that are computed in f32 from exceeding 1: each cosine and sine is off by less than
/// 3.6·10⁻⁷, rounded to 24 bits behind the point or not, so the norm is off by less than √2 times that.
const ROUNDING_MARGIN: f64 = 1e-6;

/// Random Fourier features of a mixture of Gaussian kernels,
///
/// k(x, y) = mean over ℓ of exp(−‖x − y‖² / 2ℓ²) ≈ ⟨φ(x), φ(y)⟩,  φ(x) = (cos w₁·x, …, cos w_F·x, sin w₁·x, …) / √F,
///
/// with w drawn from N(0, ℓ⁻² I), each length scale ℓ having the same number of frequencies up to one.
///
/// The form with both cosine and sine is used and not √(2/F)·cos(w·x + b), because only its norm is 1 for every x,
/// which is what bounds the sensitivity of a mean of features. To keep that true in f32 all features are a millionth
/// smaller.
#[derive(Clone, Debug, PartialEq)]
pub struct FourierFeatures {
    /// Frequencies × dimension.
    frequencies: Vec<f32>,
    dimension: usize,
}

impl FourierFeatures {
    /// Draws `count` frequencies for points of `dimension` coordinates, for length scales in the unit of the points.
    ///
    /// # Panics
    /// If `count`, `dimension` or the number of length scales is 0.
    pub fn draw(dimension: usize, length_scales: &[f64], count: usize, seed: Seed) -> Self {
        assert!(dimension > 0 && count > 0 && !length_scales.is_empty(), "at least one of each");
        let mut rng = seed.rng();
        let mut frequencies = Vec::with_capacity(count * dimension);
        for index in 0..count {
            let scale = length_scales[index % length_scales.len()];
            frequencies.extend((0..dimension).map(|_| (rng.sample::<f64, _>(StandardNormal) / scale) as f32));
        }
        Self { frequencies, dimension }
    }

    /// Number of frequencies F.
    pub fn frequencies(&self) -> usize {
        self.frequencies.len() / self.dimension
    }

    /// Number of features per point, 2F.
    pub fn width(&self) -> usize {
        2 * self.frequencies()
    }

    /// Coordinates of a point.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// What each cosine and sine is multiplied with: a millionth below 1/√F.
    pub fn amplitude(&self) -> f64 {
        (1.0 - ROUNDING_MARGIN) / (self.frequencies() as f64).sqrt()
    }

    /// Cosines and sines of w·x for the frequencies of index `first` to `first + count` at each point, without the
    /// amplitude: `n × count` each, where `points` is `n × dimension`.
    ///
    /// Cost: 2 n · count · dimension operations, on the calling thread alone.
    ///
    /// # Panics
    /// If there are no such frequencies, or `points` does not consist of whole points.
    pub fn waves(&self, points: &[f32], first: usize, count: usize) -> Waves {
        let n = points.len() / self.dimension;
        assert_eq!(n * self.dimension, points.len(), "whole points");
        let mut angles = vec![0.0; n * count];
        matmul(
            MatMut::from_row_major_slice_mut(&mut angles, n, count),
            Accum::Replace,
            MatRef::from_row_major_slice(points, n, self.dimension),
            self.block(first, count).transpose(),
            1.0,
            Par::Seq,
        );
        let (mut cosines, mut sines) = (vec![0.0; n * count], vec![0.0; n * count]);
        sin_cos(&angles, &mut sines, &mut cosines);
        Waves { cosines, sines }
    }

    /// Features of each point, `n × 2F`: all cosines, then all sines.
    ///
    /// # Panics
    /// If `points` does not consist of whole points.
    pub fn features(&self, points: &[f32]) -> Vec<f32> {
        let count = self.frequencies();
        let amplitude = self.amplitude() as f32;
        let Waves { cosines, sines } = self.waves(points, 0, count);
        let rows = cosines.chunks_exact(count).zip(sines.chunks_exact(count));
        rows.flat_map(|(cosines, sines)| cosines.iter().chain(sines)).map(|wave| amplitude * wave).collect()
    }

    /// The gradient with respect to the points, `n × dimension`, given the gradient with respect to the angles w·x of
    /// the frequencies from index `first`, `n × count`.
    ///
    /// Cost: as for [`FourierFeatures::waves`].
    ///
    /// # Panics
    /// If there are no such frequencies.
    pub fn pull_back(&self, angle_gradient: &[f32], first: usize, count: usize) -> Vec<f32> {
        let n = angle_gradient.len() / count;
        let mut gradient = vec![0.0; n * self.dimension];
        matmul(
            MatMut::from_row_major_slice_mut(&mut gradient, n, self.dimension),
            Accum::Replace,
            MatRef::from_row_major_slice(angle_gradient, n, count),
            self.block(first, count),
            1.0,
            Par::Seq,
        );
        gradient
    }

    fn block(&self, first: usize, count: usize) -> MatRef<'_, f32> {
        let values = &self.frequencies[first * self.dimension..(first + count) * self.dimension];
        MatRef::from_row_major_slice(values, count, self.dimension)
    }
}

/// Cosines and sines of some frequencies at some points, each `points × frequencies`.
#[derive(Clone, Debug, PartialEq)]
pub struct Waves {
    /// cos w·x.
    pub cosines: Vec<f32>,
    /// sin w·x.
    pub sines: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(n: usize, dimension: usize) -> Vec<f32> {
        let mut rng = Seed::new(11).rng();
        (0..n * dimension).map(|_| rng.random::<f32>()).collect()
    }

    fn dot(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    }

    /// The error of one inner product is a mean of F cosines of variance at most 1/2: with F = 20 000 five standard
    /// deviations are 0.025.
    #[test]
    fn inner_products_approximate_the_mixture_of_gaussian_kernels() {
        let (n, dimension, scales) = (6, 10, [0.7, 2.0]);
        let x = points(n, dimension);
        let features = FourierFeatures::draw(dimension, &scales, 20_000, Seed::new(1));
        let phi = features.features(&x);
        for i in 0..n {
            for j in 0..n {
                let (a, b) = (&x[i * dimension..(i + 1) * dimension], &x[j * dimension..(j + 1) * dimension]);
                let squared: f64 = a.iter().zip(b).map(|(&a, &b)| f64::from(a - b).powi(2)).sum();
                let kernel = scales.iter().map(|scale| (-squared / (2.0 * scale * scale)).exp()).sum::<f64>() / 2.0;
                let width = features.width();
                let found = dot(&phi[i * width..(i + 1) * width], &phi[j * width..(j + 1) * width]);
                assert!((found - kernel).abs() < 0.025, "k({i}, {j}) = {kernel}, features give {found}");
            }
        }
    }

    #[test]
    fn norms_are_one_and_never_above() {
        let dimension = 64;
        for scale in [1e-3, 0.1, 3.0] {
            for count in [1, 7, 1000] {
                let features = FourierFeatures::draw(dimension, &[scale], count, Seed::new(2));
                for row in features.features(&points(50, dimension)).chunks_exact(features.width()) {
                    let norm = dot(row, row).sqrt();
                    assert!((1.0 - 2e-6..=1.0).contains(&norm), "norm {norm} at scale {scale} with {count}");
                }
            }
        }
    }

    /// Central differences with step 2⁻⁷ leave an error of order step² × third derivative, below 1e-3 here.
    #[test]
    fn the_gradient_equals_finite_differences() {
        let (dimension, count) = (5, 8);
        let features = FourierFeatures::draw(dimension, &[1.0], count, Seed::new(4));
        let x = points(1, dimension);
        let weights: Vec<f32> = (0..count).map(|index| index as f32 - 3.0).collect();
        let value = |x: &[f32]| dot(&features.waves(x, 0, count).cosines, &weights);
        let angle_gradient: Vec<f32> =
            features.waves(&x, 0, count).sines.iter().zip(&weights).map(|(sine, weight)| -sine * weight).collect();
        let gradient = features.pull_back(&angle_gradient, 0, count);
        let step = 1.0 / 128.0;
        for coordinate in 0..dimension {
            let moved = |by: f32| {
                let mut x = x.clone();
                x[coordinate] += by;
                value(&x)
            };
            let difference = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
            let error = (difference - f64::from(gradient[coordinate])).abs();
            assert!(error < 2e-3 * difference.abs().max(1.0), "{difference} against {}", gradient[coordinate]);
        }
    }

    #[test]
    fn a_block_of_frequencies_equals_that_part_of_all() {
        let features = FourierFeatures::draw(9, &[1.0], 40, Seed::new(5));
        let x = points(3, 9);
        let all = features.waves(&x, 0, 40);
        let block = features.waves(&x, 10, 20);
        for row in 0..3 {
            for (a, b) in block.cosines[row * 20..(row + 1) * 20].iter().zip(&all.cosines[row * 40 + 10..]) {
                assert!((a - b).abs() < 1e-5);
            }
        }
    }
}
