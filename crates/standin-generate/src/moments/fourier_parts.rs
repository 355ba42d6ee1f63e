use rayon::prelude::*;
use standin_data::{ImageSet, Labels, Progress};

use crate::fourier::{FourierFeatures, Waves};
use crate::matching::Mismatch;
use crate::moments::features::Features;

/// Steps between 0 and 1 that cosines and sines are rounded to before they are added.
pub(crate) const STEPS: f32 = (1 << 24) as f32;

/// The most images whose cosines and sines add up exactly: 2²⁴ steps times these stay below 2⁵³, which f64 holds.
const MOST_IMAGES: usize = 1 << 29;

/// Images embedded at a time, which bounds memory: images × frequencies of a block × 12 bytes per thread.
const IMAGES: usize = 512;

/// Frequencies in one parallel task.
const FREQUENCIES: usize = 256;

/// Random Fourier features, of which `each` frequencies are compared at a time.
///
/// Cosines and sines enter sums as whole multiples of 2⁻²⁴, added in 64-bit integers.
#[derive(Clone, Debug)]
pub(crate) struct FourierParts {
    features: FourierFeatures,
    each: usize,
}

impl FourierParts {
    /// # Panics
    /// If the number of frequencies is no multiple of `each`.
    pub(crate) fn new(features: FourierFeatures, each: usize) -> Self {
        assert!(features.frequencies().is_multiple_of(each), "no frequency is left over");
        Self { features, each }
    }

    /// All compared at once.
    #[cfg(test)]
    pub(crate) fn all(features: FourierFeatures) -> Self {
        let each = features.frequencies();
        Self { features, each }
    }
}

impl Features for FourierParts {
    fn width(&self) -> usize {
        self.features.width()
    }

    fn name(&self) -> &'static str {
        "random Fourier features"
    }

    fn most_images(&self) -> usize {
        MOST_IMAGES
    }

    /// Cost: 2 N · F · pixels operations, in parallel over blocks of frequencies; memory does not grow with N.
    fn class_sums(&self, images: &ImageSet, labels: &Labels, progress: &dyn Progress) -> Vec<f64> {
        let features = &self.features;
        let frequencies = features.frequencies();
        let classes = labels.classes.len();
        let volume = images.shape().volume();
        let starts: Vec<usize> = (0..frequencies).step_by(FREQUENCIES).collect();
        progress.begin("embedding the private images", starts.len() as u64);
        let blocks: Vec<Vec<[i64; 2]>> = starts
            .par_iter()
            .map(|&first| {
                let count = FREQUENCIES.min(frequencies - first);
                let mut sums = vec![[0_i64; 2]; classes * count];
                for (pixels, labels) in images.pixels().chunks(IMAGES * volume).zip(labels.values.chunks(IMAGES)) {
                    // Matrix products of another size may round differently, and one image more would then change the
                    // last bits of others: every product has the same size, whatever the number of images.
                    let mut points = vec![0.0; IMAGES * volume];
                    for (point, &value) in points.iter_mut().zip(pixels) {
                        *point = f32::from(value) / 255.0;
                    }
                    let waves = features.waves(&points, first, count);
                    let rows = waves.cosines.chunks_exact(count).zip(waves.sines.chunks_exact(count));
                    for ((cosines, sines), &label) in rows.zip(labels) {
                        let row = &mut sums[label as usize * count..][..count];
                        for ((sum, &cosine), &sine) in row.iter_mut().zip(cosines).zip(sines) {
                            sum[0] += i64::from((cosine * STEPS) as i32);
                            sum[1] += i64::from((sine * STEPS) as i32);
                        }
                    }
                }
                progress.advance(1);
                sums
            })
            .collect();
        progress.end();

        let width = features.width();
        let scale = features.amplitude() / f64::from(STEPS);
        let mut values = vec![0.0; classes * width];
        for (&first, block) in starts.iter().zip(&blocks) {
            let count = block.len() / classes;
            for class in 0..classes {
                let row = &mut values[class * width..(class + 1) * width];
                for (index, sum) in block[class * count..(class + 1) * count].iter().enumerate() {
                    row[first + index] = scale * sum[0] as f64;
                    row[frequencies + first + index] = scale * sum[1] as f64;
                }
            }
        }
        values
    }

    /// Cost: 4 · k · frequencies of the part · dimension operations.
    fn mismatch(&self, points: &[f32], target: &[f32], share: f64, step: usize) -> Mismatch {
        let Self { features, each: count } = self;
        let (count, frequencies) = (*count, features.frequencies());
        let first = step % (frequencies / count) * count;
        let k = points.len() / features.dimension();
        assert!(k >= 2 && k * features.dimension() == points.len(), "k ≥ 2 whole images");
        // Frequencies are exchangeable, so a part of them estimates the sum over all.
        let scale = frequencies as f64 / count as f64;
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
        let cosine_slopes = slopes(&waves.cosines, &target[first..first + count]);
        let sine_slopes = slopes(&waves.sines, &target[frequencies + first..frequencies + first + count]);
        // Σ over i of ‖φ(xᵢ)‖² is k per frequency, whatever the images are.
        let diagonal = (share * amplitude).powi(2) * count as f64 / (k as f64 - 1.0);
        let gradient = features.pull_back(&angle_gradient(&waves, &cosine_slopes, &sine_slopes), first, count);
        Mismatch { loss: loss - scale * diagonal, gradient }
    }
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
