use rayon::prelude::*;

use crate::activation::{Activate, Activation, Identity, Relu, Silu};
use crate::instructions::{Instructions, Kernel};
use crate::parts::in_parts;
use crate::simd::{LANES, Simd};
use crate::sums::moments_about;
use crate::tile::sum_of_lanes;
use crate::transpose::{load_part, store_part};

/// Group normalisation (Wu and He 2018) and the activation after it, in one pass each way.
///
/// y = a(scale\[c] · (x − μ)/√(σ² + ε) + shift\[c]), μ and σ² over the channels of a group and all positions of one sample.
/// With as many groups as channels it is instance normalisation, with one group layer normalisation of images. Images are
/// `batch × channels × positions`.
///
/// The functions panic where a slice has not the length that the geometry says. Both ways read their input twice and are
/// bound by memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// Samples.
    pub batch: usize,
    /// Channels, a multiple of `groups`.
    pub channels: usize,
    /// Numbers of a channel.
    pub positions: usize,
    /// Groups of channels that are normalised together.
    pub groups: usize,
    /// ε, added to the variance.
    pub epsilon: f32,
    /// a.
    pub activation: Activation,
}

impl Normalisation {
    /// y, and the statistics for [`Normalisation::backward`]: `batch × groups × 2`, the mean and 1/√(σ² + ε).
    pub fn forward(&self, x: &[f32], scale: &[f32], shift: &[f32]) -> (Vec<f32>, Vec<f32>) {
        self.forward_on(Instructions::best(), x, scale, shift)
    }

    /// Gradients of the input (`batch × channels × positions`) and, for each sample, of scale and of shift
    /// (`batch × channels` each), from the gradient of the output.
    pub fn backward(
        &self,
        x: &[f32],
        scale: &[f32],
        shift: &[f32],
        statistics: &[f32],
        output_gradient: &[f32],
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        self.check(output_gradient, scale, shift);
        assert_eq!(statistics.len(), self.batch * self.groups * 2, "statistics of {self:?}");
        self.backward_on(Instructions::best(), x, scale, shift, statistics, output_gradient)
    }

    fn check(&self, x: &[f32], scale: &[f32], shift: &[f32]) {
        let Self { batch, channels, positions, groups, .. } = self;
        assert!(*groups > 0 && channels % groups == 0, "{channels} channels are not whole groups of {groups}");
        assert_eq!(x.len(), batch * channels * positions, "numbers of {self:?}");
        assert_eq!((scale.len(), shift.len()), (*channels, *channels), "scale and shift of {self:?}");
    }

    /// Channels and numbers of a group.
    fn group(&self) -> (usize, usize) {
        let channels = self.channels / self.groups;
        (channels, channels * self.positions)
    }

    pub(crate) fn forward_on(
        &self,
        instructions: Instructions,
        x: &[f32],
        scale: &[f32],
        shift: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        self.check(x, scale, shift);
        let (channels, numbers) = self.group();
        let mut statistics = vec![0.0; self.batch * self.groups * 2];
        let y = in_parts(
            x.len(),
            numbers,
            statistics.par_chunks_mut(2),
            || (),
            |(), group, y, statistics| {
                let first = group % self.groups * channels;
                let (scale, shift) = (&scale[first..first + channels], &shift[first..first + channels]);
                let x = &x[group * numbers..(group + 1) * numbers];
                instructions.run(Forward { geometry: self, x, scale, shift, y, statistics });
            },
        );
        (y, statistics)
    }

    pub(crate) fn backward_on(
        &self,
        instructions: Instructions,
        x: &[f32],
        scale: &[f32],
        shift: &[f32],
        statistics: &[f32],
        output_gradient: &[f32],
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        self.check(x, scale, shift);
        let (channels, numbers) = self.group();
        let mut of_scale = vec![0.0; self.batch * self.channels];
        let mut of_shift = vec![0.0; self.batch * self.channels];
        let beside = of_scale.par_chunks_mut(channels.max(1)).zip(of_shift.par_chunks_mut(channels.max(1)));
        let fill = |(): &mut (), group: usize, input_gradient: &mut [f32], (of_scale, of_shift): (&mut [f32], _)| {
            let first = group % self.groups * channels;
            instructions.run(Backward {
                geometry: self,
                x: &x[group * numbers..(group + 1) * numbers],
                scale: &scale[first..first + channels],
                shift: &shift[first..first + channels],
                statistics: [statistics[2 * group], statistics[2 * group + 1]],
                output_gradient: &output_gradient[group * numbers..(group + 1) * numbers],
                input_gradient,
                of_scale,
                of_shift,
            });
        };
        let input_gradient = in_parts(x.len(), numbers, beside, || (), fill);
        (input_gradient, of_scale, of_shift)
    }
}

/// One group of one sample.
struct Forward<'a> {
    geometry: &'a Normalisation,
    x: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    y: &'a mut [f32],
    statistics: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        match self.geometry.activation {
            Activation::Identity => self.activated::<S, Identity>(simd),
            Activation::Relu => self.activated::<S, Relu>(simd),
            Activation::Silu => self.activated::<S, Silu>(simd),
        }
    }
}

impl Forward<'_> {
    #[inline(always)]
    fn activated<S: Simd, A: Activate>(self, simd: S) {
        let (mean, deviation) = statistics(simd, self.x, self.geometry.epsilon);
        self.statistics.copy_from_slice(&[mean, deviation]);
        let mean = simd.splat(mean);
        let positions = self.geometry.positions;
        let channels = self.scale.iter().zip(self.shift);
        for ((y, x), (scale, shift)) in self.y.chunks_mut(positions).zip(self.x.chunks(positions)).zip(channels) {
            let (factor, shift) = (simd.splat(scale * deviation), simd.splat(*shift));
            for (y, x) in y.chunks_mut(LANES).zip(x.chunks(LANES)) {
                let z = simd.multiply_add(simd.subtract(load_part(simd, x), mean), factor, shift);
                store_part(simd, A::value(simd, z), y);
            }
        }
    }
}

/// Mean and 1/√(σ² + ε).
#[inline(always)]
pub(crate) fn statistics<S: Simd>(simd: S, x: &[f32], epsilon: f32) -> (f32, f32) {
    let count = x.len() as f64;
    let mean = (moments_about(simd, x, 0.0).0 / count) as f32;
    // About the rounded mean, whose error is taken out: σ² = E(x − m)² − (E(x − m))².
    let (first, second) = moments_about(simd, x, mean);
    let variance = (second / count - (first / count).powi(2)).max(0.0);
    (mean, (1.0 / (variance + f64::from(epsilon)).sqrt()) as f32)
}

/// One group of one sample.
struct Backward<'a> {
    geometry: &'a Normalisation,
    x: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    statistics: [f32; 2],
    output_gradient: &'a [f32],
    input_gradient: &'a mut [f32],
    of_scale: &'a mut [f32],
    of_shift: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        match self.geometry.activation {
            Activation::Identity => self.activated::<S, Identity>(simd),
            Activation::Relu => self.activated::<S, Relu>(simd),
            Activation::Silu => self.activated::<S, Silu>(simd),
        }
    }
}

impl Backward<'_> {
    /// With g = a′(z)·dy and x̂ = (x − μ)·r, summed over the group's m numbers:
    /// dx = r·(scale·g − Σ scale·g/m − x̂·Σ scale·g·x̂/m).
    #[inline(always)]
    fn activated<S: Simd, A: Activate>(self, simd: S) {
        let positions = self.geometry.positions;
        let [mean, deviation] = self.statistics;
        let centre = simd.splat(mean);
        let (mut of_all, mut of_normalised) = (0.0, 0.0);
        let images = self.x.chunks(positions).zip(self.output_gradient.chunks(positions));
        for (channel, (into, (x, gradient))) in self.input_gradient.chunks_mut(positions).zip(images).enumerate() {
            let (scale, shift) = (self.scale[channel], self.shift[channel]);
            let (factor, shift) = (simd.splat(scale * deviation), simd.splat(shift));
            let mut sum = simd.splat(0.0);
            let mut product = simd.splat(0.0);
            for ((into, x), gradient) in into.chunks_mut(LANES).zip(x.chunks(LANES)).zip(gradient.chunks(LANES)) {
                let from_mean = simd.subtract(load_part(simd, x), centre);
                let z = simd.multiply_add(from_mean, factor, shift);
                // Past the end the gradient is zero, and so is what it adds.
                let before = A::gradient(simd, z, load_part(simd, gradient));
                store_part(simd, before, into);
                sum = simd.add(sum, before);
                product = simd.multiply_add(before, from_mean, product);
            }
            let (sum, product) = (sum_of_lanes(simd, sum), sum_of_lanes(simd, product) * deviation);
            self.of_shift[channel] = sum;
            self.of_scale[channel] = product;
            of_all += f64::from(scale) * f64::from(sum);
            of_normalised += f64::from(scale) * f64::from(product);
        }
        let count = self.x.len() as f64;
        let constant = simd.splat((-f64::from(deviation) * of_all / count) as f32);
        let slope = simd.splat((-f64::from(deviation).powi(2) * of_normalised / count) as f32);
        let images = self.input_gradient.chunks_mut(positions).zip(self.x.chunks(positions));
        for ((into, x), scale) in images.zip(self.scale) {
            let factor = simd.splat(scale * deviation);
            for (into, x) in into.chunks_mut(LANES).zip(x.chunks(LANES)) {
                let from_mean = simd.subtract(load_part(simd, x), centre);
                let rest = simd.multiply_add(from_mean, slope, constant);
                store_part(simd, simd.multiply_add(load_part(simd, into), factor, rest), into);
            }
        }
    }
}
