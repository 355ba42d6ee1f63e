use rayon::prelude::*;

use crate::instructions::{Instructions, Kernel};
use crate::simd::Simd;
use crate::sums::sum;
use crate::units::Units;

/// Numbers below which a task is not worth handing to another thread.
const TASK: usize = 16 * 1024;

/// Sum of each image.
struct Sums<'a> {
    images: &'a [f32],
    positions: usize,
    into: &'a mut [f64],
}

impl Kernel for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        for (into, image) in self.into.iter_mut().zip(self.images.chunks(self.positions)) {
            *into = sum(simd, image);
        }
    }
}

/// Sum over the positions of each channel of each sample.
fn of_samples(images: &[f32], batch: usize, channels: usize, positions: usize) -> Vec<f64> {
    assert_eq!(images.len(), batch * channels * positions, "{batch} samples × {channels} channels × {positions}");
    let mut sums = vec![0.0; batch * channels];
    if images.is_empty() {
        return sums;
    }
    let instructions = Instructions::best();
    let together = TASK.div_ceil(positions);
    let tasks = sums.par_chunks_mut(together).zip(images.par_chunks(together * positions));
    tasks.for_each(|(into, images)| instructions.run(Sums { images, positions, into }));
    sums
}

/// Sums over samples, each times its factor where `weights` gives one, and positions: the gradient of a bias. Output
/// gradients are `batch × channels × positions`.
///
/// # Panics
/// If a slice has not the length that the sizes say.
pub fn channel_sums(
    output_gradient: &[f32],
    batch: usize,
    channels: usize,
    positions: usize,
    weights: Option<&[f32]>,
) -> Vec<f32> {
    if let Some(weights) = weights {
        assert_eq!(weights.len(), batch, "one factor for each sample");
    }
    let mut totals = vec![0.0; channels];
    let sums = of_samples(output_gradient, batch, channels, positions);
    for (sample, sums) in sums.chunks(channels.max(1)).enumerate() {
        let factor = weights.map_or(1.0, |weights| f64::from(weights[sample]));
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total += factor * sum;
        }
    }
    totals.into_iter().map(|total| total as f32).collect()
}

/// Sums over the samples of each unit and positions: `units × channels`.
///
/// # Panics
/// If a slice has not the length that the sizes say, or the units are of another number of samples.
pub fn unit_channel_sums(
    output_gradient: &[f32],
    batch: usize,
    channels: usize,
    positions: usize,
    units: &Units,
) -> Vec<f32> {
    assert_eq!(units.samples(), batch, "the units are of as many samples as the batch");
    let mut totals = vec![0.0; units.len() * channels];
    let sums = of_samples(output_gradient, batch, channels, positions);
    for (sums, &unit) in sums.chunks(channels.max(1)).zip(units.of_sample()) {
        for (total, sum) in totals[unit as usize * channels..].iter_mut().zip(sums) {
            *total += sum;
        }
    }
    totals.into_iter().map(|total| total as f32).collect()
}
