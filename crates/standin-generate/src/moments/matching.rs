//! How far generated images are from a released mean embedding, and which way is nearer.

use rayon::prelude::*;

use crate::fourier::{FourierFeatures, Waves};
use crate::mean_embedding::Release;

/// The squared distance between the released embedding and that of a batch, and its gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// Σ over classes of ‖released − share × mean of φ over the class's batch‖², divided by Σ share²: an unbiased
    /// estimate of what it would be for infinitely many generated images, which may fall below 0.
    pub loss: f64,
    /// Its gradient with respect to each value of the batch.
    pub gradient: Vec<f32>,
}

/// Compares a batch with the release on `count` frequencies beginning with index `first`, scaled to stand for all.
///
/// `points` holds for each class in order the same number k ≥ 2 of images, values in [0, 1].
///
/// The square of a batch mean overestimates the square of the mean it stands for, which would reward a generator for
/// drawing images that resemble each other; since ‖φ(x)‖ = 1 for all x the excess is known, and the mean's square is
/// corrected by k/(k − 1), the U-statistic of Gretton et al. 2012 (lemma 6).
///
/// Cost: 4 · batch · count · dimension operations, in parallel over classes.
///
/// # Panics
/// If the batch does not hold the same number of at least 2 images of each class, or there are no such frequencies.
pub fn mismatch(release: &Release, features: &FourierFeatures, points: &[f32], first: usize, count: usize) -> Mismatch {
    let classes = release.shares.len();
    let size = points.len() / classes;
    let k = size / features.dimension();
    assert!(k >= 2 && k * features.dimension() * classes == points.len(), "k ≥ 2 whole images of each class");
    let square: f64 = release.shares.iter().map(|share| share * share).sum();
    // Frequencies are exchangeable, so a part of them estimates the sum over all.
    let scale = features.frequencies() as f64 / count as f64 / square;
    let parts: Vec<Mismatch> = points
        .par_chunks_exact(size)
        .zip(release.embedding.par_chunks_exact(features.width()))
        .zip(&release.shares)
        .map(|((points, target), &share)| class_mismatch(features, points, target, share, scale, first, count))
        .collect();
    let loss = parts.iter().map(|part| part.loss).sum();
    Mismatch { loss, gradient: parts.into_iter().flat_map(|part| part.gradient).collect() }
}

fn class_mismatch(
    features: &FourierFeatures,
    points: &[f32],
    target: &[f32],
    share: f64,
    scale: f64,
    first: usize,
    count: usize,
) -> Mismatch {
    let k = points.len() / features.dimension();
    let amplitude = features.amplitude();
    let correction = k as f64 / (k as f64 - 1.0);
    let waves = features.waves(points, first, count);
    let mut loss = 0.0;
    let mut slopes = |waves: &[f32], target: &[f32]| -> Vec<f32> {
        let mut means = vec![0.0_f32; count];
        for row in waves.chunks_exact(count) {
            for (mean, wave) in means.iter_mut().zip(row) {
                *mean += wave;
            }
        }
        let slope = |(&sum, &target): (&f32, &f32)| {
            let mean = share * amplitude * f64::from(sum) / k as f64;
            let target = f64::from(target);
            loss += scale * (correction * mean * mean - 2.0 * mean * target + target * target);
            (scale * 2.0 * (correction * mean - target) * share * amplitude / k as f64) as f32
        };
        means.iter().zip(target).map(slope).collect()
    };
    let frequencies = features.frequencies();
    let cosine_slopes = slopes(&waves.cosines, &target[first..first + count]);
    let sine_slopes = slopes(&waves.sines, &target[frequencies + first..frequencies + first + count]);
    // Σ over i of ‖φ(xᵢ)‖² is k per frequency, whatever the images are.
    let diagonal = (share * amplitude).powi(2) * count as f64 / (k as f64 - 1.0);
    let gradient = features.pull_back(&angle_gradient(&waves, &cosine_slopes, &sine_slopes), first, count);
    Mismatch { loss: loss - scale * diagonal, gradient }
}

/// d/da of Σ over frequencies of p cos a + q sin a, for each point and frequency.
fn angle_gradient(waves: &Waves, cosine_slopes: &[f32], sine_slopes: &[f32]) -> Vec<f32> {
    let count = cosine_slopes.len();
    let rows = waves.cosines.chunks_exact(count).zip(waves.sines.chunks_exact(count));
    let mut gradient = Vec::with_capacity(waves.cosines.len());
    for (cosines, sines) in rows {
        let slopes = cosine_slopes.iter().zip(sine_slopes);
        let waves = cosines.iter().zip(sines);
        gradient.extend(slopes.zip(waves).map(|((p, q), (cosine, sine))| q * cosine - p * sine));
    }
    gradient
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::Seed;
    use standin_privacy::{Adjacency, Guarantee, NoiseOrigin, Unit};

    use super::*;

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
        for (first, count) in [(0, 50), (20, 15)] {
            let found = mismatch(&release, &features, &points, first, count).gradient;
            for coordinate in 0..points.len() {
                let moved = |by: f32| {
                    let mut points = points.clone();
                    points[coordinate] += by;
                    mismatch(&release, &features, &points, first, count).loss
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
        let losses: Vec<f64> = (0..2000)
            .map(|batch| mismatch(&release, &features, &uniform(4 * dimension, 10 + batch), 0, 60).loss)
            .collect();
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
            let found = mismatch(&release, &features, &points(6, 11), 0, 40_000).loss;
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
        let all = mismatch(&release, &features, &points, 0, 60);
        let parts: Vec<Mismatch> = (0..3).map(|part| mismatch(&release, &features, &points, part * 20, 20)).collect();
        assert!((parts.iter().map(|part| part.loss).sum::<f64>() / 3.0 - all.loss).abs() < 1e-6);
        for (index, &value) in all.gradient.iter().enumerate() {
            let mean = parts.iter().map(|part| part.gradient[index]).sum::<f32>() / 3.0;
            assert!((mean - value).abs() < 1e-5);
        }
    }
}
