//! How far generated images are from a released mean embedding, and which way is nearer.

use rayon::prelude::*;

use crate::mean_embedding::Release;
use crate::moments::features::Features;

/// The squared distance between the released embedding and that of a batch, and its gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// Σ over classes of ‖released − share × mean of φ over the class's batch‖², divided by Σ share²: an unbiased
    /// estimate of what it would be for infinitely many generated images, which may fall below 0.
    pub loss: f64,
    /// Its gradient with respect to each value of the batch.
    pub gradient: Vec<f32>,
}

/// Compares a batch with the release, on the part of the features whose turn is at this step.
///
/// `points` holds for each class in order the same number k ≥ 2 of images, values in [0, 1].
///
/// The square of a batch mean overestimates the square of the mean it stands for, which would reward a generator for
/// drawing images that resemble each other; where ‖φ(x)‖ is the same for all x the excess is known, and the mean's square is
/// corrected by k/(k − 1), the U-statistic of Gretton et al. 2012 (lemma 6).
///
/// Cost: that of the features of the batch and of their gradient, in parallel over classes.
///
/// # Panics
/// If the batch does not hold the same number of at least 2 images of each class.
pub fn mismatch(release: &Release, features: &dyn Features, points: &[f32], step: usize) -> Mismatch {
    let square: f64 = release.shares.iter().map(|share| share * share).sum();
    let parts: Vec<Mismatch> = points
        .par_chunks_exact(points.len() / release.shares.len())
        .zip(release.embedding.par_chunks_exact(features.width()))
        .zip(&release.shares)
        .map(|((points, target), &share)| features.mismatch(points, target, share, step))
        .collect();
    let loss = parts.iter().map(|part| part.loss).sum::<f64>() / square;
    let gradient = parts.into_iter().flat_map(|part| part.gradient);
    Mismatch { loss, gradient: gradient.map(|value| value / square as f32).collect() }
}

/// What features of images that are given one by one have in common in [`Features::mismatch`]: turns `share` times the mean
/// features of k images into the gradient of the corrected squared distance with respect to the features of each of them, and
/// gives the distance. All features must have norm 1.
pub(crate) fn towards<T>(means: &mut [T], target: &[f32], share: f64, k: usize, rounded: impl Fn(f64) -> T) -> f64
where
    T: Copy + Into<f64>,
{
    let k = k as f64;
    let correction = k / (k - 1.0);
    let mut distance = -share * share / (k - 1.0);
    for (mean, &target) in means.iter_mut().zip(target) {
        let (m, t) = ((*mean).into(), f64::from(target));
        distance += correction * m * m - 2.0 * m * t + t * t;
        *mean = rounded(2.0 * share / k * (correction * m - t));
    }
    distance
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::Seed;
    use standin_privacy::{Adjacency, Guarantee, NoiseOrigin, Unit};

    use super::*;
    use crate::fourier::FourierFeatures;
    use crate::moments::fourier_parts::FourierParts;

    /// An embedding of nothing in particular, as if released.
    fn release(embedding: Vec<f32>, shares: Vec<f64>) -> Release {
        let guarantee = Guarantee {
            epsilon: 1.0,
            delta: 1e-5,
            unit: Unit::Image,
            adjacency: Adjacency::AddRemove,
            sampler: String::new(),
            mechanism: String::new(),
            accountant: String::new(),
            noise: NoiseOrigin::Reproducible,
            not_covered: Vec::new(),
        };
        Release { shares, embedding, guarantee }
    }

    fn uniform(count: usize, seed: u64) -> Vec<f32> {
        let mut rng = Seed::new(seed).rng();
        (0..count).map(|_| rng.random::<f32>()).collect()
    }

    /// share × mean of φ over each class's points.
    fn embedding(features: &FourierFeatures, points: &[f32], shares: &[f64]) -> Vec<f32> {
        let size = points.len() / shares.len();
        let mut embedding = Vec::new();
        for (points, share) in points.chunks_exact(size).zip(shares) {
            let n = size / features.dimension();
            let mut mean = vec![0.0; features.width()];
            for row in features.features(points).chunks_exact(features.width()) {
                mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += f64::from(*value) / n as f64);
            }
            embedding.extend(mean.iter().map(|mean| (mean * share) as f32));
        }
        embedding
    }

    /// Central differences of a function with third derivatives below 1: error below step².
    #[test]
    fn the_gradient_equals_finite_differences() {
        let (dimension, classes, k) = (4, 2, 3);
        let features = FourierFeatures::draw(dimension, &[0.5], 50, Seed::new(1));
        let shares = [0.7, 0.3];
        let release = release(embedding(&features, &uniform(classes * 40 * dimension, 2), &shares), shares.to_vec());
        let points = uniform(classes * k * dimension, 3);
        for (each, turn) in [(50, 0), (10, 3)] {
            let parts = FourierParts::new(features.clone(), each);
            let found = mismatch(&release, &parts, &points, turn).gradient;
            for coordinate in 0..points.len() {
                let moved = |by: f32| {
                    let mut points = points.clone();
                    points[coordinate] += by;
                    mismatch(&release, &parts, &points, turn).loss
                };
                let step = 1.0 / 128.0;
                let difference = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
                let error = (difference - f64::from(found[coordinate])).abs();
                assert!(error < 1e-3 * (1.0 + difference.abs()), "{difference} against {}", found[coordinate]);
            }
        }
    }

    /// Batches of 4 from the distribution that was embedded: a mean of 4 would be off by about 1/4 on average, the
    /// corrected one by nothing. The tolerance is four standard errors over 2000 batches.
    #[test]
    fn the_loss_is_unbiased_for_batches_of_the_embedded_distribution() {
        let dimension = 4;
        let features = FourierFeatures::draw(dimension, &[0.3], 60, Seed::new(1));
        let release = release(embedding(&features, &uniform(100_000 * dimension, 2), &[1.0]), vec![1.0]);
        let features = FourierParts::all(features);
        let losses: Vec<f64> =
            (0..2000).map(|batch| mismatch(&release, &features, &uniform(4 * dimension, 10 + batch), 0).loss).collect();
        let n = losses.len() as f64;
        let mean = losses.iter().sum::<f64>() / n;
        let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 4.0 * (variance / n).sqrt() + 1e-4, "mean {mean}, variance {variance}");
    }

    /// `tests/fixtures/kernel_distance.py` computes the distances from exact kernels. The loss is a mean over F = 40 000
    /// frequencies of terms whose standard deviation is a few times their mean: a standard error of 1 to 3 %.
    #[test]
    fn the_loss_is_the_kernel_distance_of_an_independent_implementation() {
        let points = |count: usize, offset: usize| -> Vec<f32> {
            let level = |i: usize, j: usize| (i * i * 31 + j * 17 * (i + 1) + offset) % 256;
            (0..count).flat_map(|i| (0..16).map(move |j| level(i, j) as f32 / 255.0)).collect()
        };
        for line in include_str!("../../tests/fixtures/kernel_distance.csv").lines() {
            let (scales, expected) = line.split_once(',').unwrap();
            let scales: Vec<f64> = scales.split(' ').map(|scale| scale.parse().unwrap()).collect();
            let expected: f64 = expected.parse().unwrap();
            let features = FourierFeatures::draw(16, &scales, 40_000, Seed::new(1));
            let release = release(embedding(&features, &points(40, 90), &[1.0]), vec![1.0]);
            let found = mismatch(&release, &FourierParts::all(features), &points(6, 11), 0).loss;
            assert!((found / expected - 1.0).abs() < 0.12, "{found} for {expected} at length scales {scales:?}");
        }
    }

    #[test]
    fn parts_of_the_frequencies_average_to_all() {
        let dimension = 4;
        let features = FourierFeatures::draw(dimension, &[0.5], 60, Seed::new(1));
        let shares = [0.5, 0.5];
        let release = release(embedding(&features, &uniform(80 * dimension, 2), &shares), shares.to_vec());
        let points = uniform(12 * dimension, 3);
        let all = mismatch(&release, &FourierParts::all(features.clone()), &points, 0);
        let thirds = FourierParts::new(features, 20);
        let parts: Vec<Mismatch> = (0..3).map(|turn| mismatch(&release, &thirds, &points, turn)).collect();
        assert!((parts.iter().map(|part| part.loss).sum::<f64>() / 3.0 - all.loss).abs() < 1e-6);
        for (index, &value) in all.gradient.iter().enumerate() {
            let mean = parts.iter().map(|part| part.gradient[index]).sum::<f32>() / 3.0;
            assert!((mean - value).abs() < 1e-5);
        }
    }
}
