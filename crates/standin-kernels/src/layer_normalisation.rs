use rayon::prelude::*;

use crate::instructions::{Instructions, Kernel};
use crate::normalisation::statistics;
use crate::parts::in_parts;
use crate::simd::{LANES, Simd};
use crate::tile::sum_of_lanes;
use crate::transpose::{load_part, store_part};

/// Numbers that a task normalises, in whole rows.
const TASK: usize = 8192;

/// Layer normalisation (Ba, Kiros and Hinton 2016) of each row over its last axis:
/// y = scale · (x − μ)/√(σ² + ε) + shift, scale and shift one for each column.
///
/// The functions panic where a slice has not the length that the geometry says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNormalisation {
    /// Rows: samples, or their positions.
    pub rows: usize,
    /// Numbers of a row.
    pub width: usize,
    /// ε, added to the variance.
    pub epsilon: f32,
}

impl LayerNormalisation {
    /// y, and the statistics for [`LayerNormalisation::backward`]: `rows × 2`, the mean and 1/√(σ² + ε).
    pub fn forward(&self, x: &[f32], scale: &[f32], shift: &[f32]) -> (Vec<f32>, Vec<f32>) {
        self.forward_on(Instructions::best(), x, scale, shift)
    }

    /// Gradients of the input (`rows × width`) and, for each sample of `rows_per_sample` rows, of scale and of shift
    /// (`samples × width` each), from the gradient of the output.
    pub fn backward(
        &self,
        x: &[f32],
        scale: &[f32],
        statistics: &[f32],
        output_gradient: &[f32],
        rows_per_sample: usize,
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        self.backward_on(Instructions::best(), x, scale, statistics, output_gradient, rows_per_sample)
    }

    fn check(&self, what: &str, numbers: &[f32], expected: usize) {
        assert_eq!(numbers.len(), expected, "{what} of {self:?}");
    }

    pub(crate) fn forward_on(
        &self,
        instructions: Instructions,
        x: &[f32],
        scale: &[f32],
        shift: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let Self { rows, width, epsilon } = *self;
        self.check("the input", x, rows * width);
        self.check("the scale", scale, width);
        self.check("the shift", shift, width);
        let mut statistics = vec![0.0; rows * 2];
        let part = TASK.div_ceil(width.max(1)) * width;
        let beside = statistics.par_chunks_mut(2 * TASK.div_ceil(width.max(1))).zip(x.par_chunks(part.max(1)));
        let y = in_parts(
            x.len(),
            part,
            beside,
            || (),
            |(), _, y, (statistics, x)| {
                instructions.run(Forward { x, scale, shift, epsilon, y, statistics });
            },
        );
        (y, statistics)
    }

    pub(crate) fn backward_on(
        &self,
        instructions: Instructions,
        x: &[f32],
        scale: &[f32],
        statistics: &[f32],
        output_gradient: &[f32],
        rows_per_sample: usize,
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let Self { rows, width, .. } = *self;
        self.check("the input", x, rows * width);
        self.check("the output gradient", output_gradient, rows * width);
        self.check("the scale", scale, width);
        self.check("the statistics", statistics, rows * 2);
        assert!(
            rows_per_sample > 0 && rows.is_multiple_of(rows_per_sample),
            "{rows} rows are not samples of {rows_per_sample}"
        );
        let samples = rows / rows_per_sample;
        let mut of_scale = vec![0.0; samples * width];
        let mut of_shift = vec![0.0; samples * width];
        let numbers = rows_per_sample * width;
        let beside = of_scale.par_chunks_mut(width.max(1)).zip(of_shift.par_chunks_mut(width.max(1)));
        let fill = |(): &mut (), sample: usize, input_gradient: &mut [f32], (of_scale, of_shift): (&mut [f32], _)| {
            instructions.run(Backward {
                x: &x[sample * numbers..(sample + 1) * numbers],
                scale,
                statistics: &statistics[sample * rows_per_sample * 2..(sample + 1) * rows_per_sample * 2],
                output_gradient: &output_gradient[sample * numbers..(sample + 1) * numbers],
                input_gradient,
                of_scale,
                of_shift,
            });
        };
        let input_gradient = in_parts(x.len(), numbers, beside, || (), fill);
        (input_gradient, of_scale, of_shift)
    }
}

/// Some rows.
struct Forward<'a> {
    x: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    epsilon: f32,
    y: &'a mut [f32],
    statistics: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        let width = self.scale.len();
        let rows = self.y.chunks_mut(width).zip(self.statistics.chunks_mut(2)).zip(self.x.chunks(width));
        for ((y, into), x) in rows {
            let (mean, deviation) = statistics(simd, x, self.epsilon);
            into.copy_from_slice(&[mean, deviation]);
            let (mean, deviation) = (simd.splat(mean), simd.splat(deviation));
            let columns = self.scale.chunks(LANES).zip(self.shift.chunks(LANES));
            for ((y, x), (scale, shift)) in y.chunks_mut(LANES).zip(x.chunks(LANES)).zip(columns) {
                let normalised = simd.multiply(simd.subtract(load_part(simd, x), mean), deviation);
                let value = simd.multiply_add(normalised, load_part(simd, scale), load_part(simd, shift));
                store_part(simd, value, y);
            }
        }
    }
}

/// The rows of one sample.
struct Backward<'a> {
    x: &'a [f32],
    scale: &'a [f32],
    statistics: &'a [f32],
    output_gradient: &'a [f32],
    input_gradient: &'a mut [f32],
    of_scale: &'a mut [f32],
    of_shift: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    /// With g = scale·dy and x̂ = (x − μ)·r: dx = r·(g − Σg/m − x̂·Σg·x̂/m).
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        let width = self.scale.len();
        let rows = self.x.chunks(width).zip(self.output_gradient.chunks(width)).zip(self.statistics.chunks(2));
        for (into, ((x, gradient), statistics)) in self.input_gradient.chunks_mut(width).zip(rows) {
            let (mean, deviation) = (simd.splat(statistics[0]), simd.splat(statistics[1]));
            let mut sum = simd.splat(0.0);
            let mut product = simd.splat(0.0);
            let columns = self.of_scale.chunks_mut(LANES).zip(self.of_shift.chunks_mut(LANES));
            let numbers = x.chunks(LANES).zip(gradient.chunks(LANES)).zip(self.scale.chunks(LANES));
            for (((x, gradient), scale), (of_scale, of_shift)) in numbers.zip(columns) {
                let normalised = simd.multiply(simd.subtract(load_part(simd, x), mean), deviation);
                let gradient = load_part(simd, gradient);
                let of_scale_before = load_part(simd, of_scale);
                store_part(simd, simd.multiply_add(gradient, normalised, of_scale_before), of_scale);
                store_part(simd, simd.add(load_part(simd, of_shift), gradient), of_shift);
                let scaled = simd.multiply(gradient, load_part(simd, scale));
                sum = simd.add(sum, scaled);
                product = simd.multiply_add(scaled, normalised, product);
            }
            let sum = simd.splat(sum_of_lanes(simd, sum) / width as f32);
            let product = simd.splat(sum_of_lanes(simd, product) / width as f32);
            let numbers = x.chunks(LANES).zip(gradient.chunks(LANES)).zip(self.scale.chunks(LANES));
            for (into, ((x, gradient), scale)) in into.chunks_mut(LANES).zip(numbers) {
                let normalised = simd.multiply(simd.subtract(load_part(simd, x), mean), deviation);
                let scaled = simd.multiply(load_part(simd, gradient), load_part(simd, scale));
                let rest = simd.multiply_add(normalised, product, sum);
                store_part(simd, simd.multiply(simd.subtract(scaled, rest), deviation), into);
            }
        }
    }
}
