use rayon::prelude::*;

use crate::instructions::{Instructions, Kernel};
use crate::offsets::Offsets;
use crate::parts::{in_parts, in_parts_alone};
use crate::product::{Product, panels_of_columns, panels_of_rows};
use crate::simd::{LANES, Lanes, Simd};
use crate::squares;
use crate::tile::sum_of_lanes;
use crate::transpose::load_part;
use crate::units::Units;

/// Tasks to share among threads. Their number does not depend on that of the threads.
const TASKS: usize = 16;

/// Numbers below which a task is not worth handing to another thread.
const TASK: usize = 16 * 1024;

/// Up to so many rows the products of pairs are sums of their own; of more they are a product of matrices.
const FEW_ROWS: usize = 8;

/// Rows of every register tile divide this.
const ROWS_TOGETHER: usize = 24;

/// A linear map of the last axis, y = x·W + b, of one row a sample or of one at each of its positions.
///
/// Inputs are `batch × positions × inputs`, outputs `batch × positions × outputs`, weights `inputs × outputs`. The functions
/// panic where a slice has not the length that the geometry says. Each costs batch × positions × inputs × outputs products
/// unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Linear {
    /// Samples.
    pub batch: usize,
    /// Rows of a sample; 1 for a plain layer.
    pub positions: usize,
    /// Numbers of a row that is mapped.
    pub inputs: usize,
    /// Numbers of the row that it becomes.
    pub outputs: usize,
}

impl Linear {
    /// y: `batch × positions × outputs`.
    pub fn forward(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        self.check("the input", x, self.rows() * self.inputs);
        self.check("the weight", weight, self.inputs * self.outputs);
        if let Some(bias) = bias {
            self.check("the bias", bias, self.outputs);
        }
        self.forward_on(Instructions::best(), x, weight, bias)
    }

    /// Gradient of the input, `batch × positions × inputs`, from that of the output.
    pub fn input_gradient(&self, output_gradient: &[f32], weight: &[f32]) -> Vec<f32> {
        self.check("the output gradient", output_gradient, self.rows() * self.outputs);
        self.check("the weight", weight, self.inputs * self.outputs);
        self.input_gradient_on(Instructions::best(), output_gradient, weight)
    }

    /// Gradient of the weights, `inputs × outputs`, summed over samples, each times its factor where `weights` gives one:
    /// with clipping factors this is the clipped sum.
    pub fn weight_gradient(&self, x: &[f32], output_gradient: &[f32], weights: Option<&[f32]>) -> Vec<f32> {
        self.check_pair(x, output_gradient);
        if let Some(weights) = weights {
            self.check("the samples' factors", weights, self.batch);
        }
        self.weight_gradient_on(Instructions::best(), x, output_gradient, weights)
    }

    /// Gradient of the weights for each unit, summed over its samples: `units × inputs × outputs`.
    pub fn unit_gradients(&self, x: &[f32], output_gradient: &[f32], units: &Units) -> Vec<f32> {
        self.check_pair(x, output_gradient);
        assert_eq!(units.samples(), self.batch, "the units are of as many samples as the batch");
        self.unit_gradients_on(Instructions::best(), x, output_gradient, units)
    }

    /// Squared norm of each row of [`Linear::unit_gradients`], which are not kept.
    ///
    /// A unit of T rows costs the lesser of T·inputs·outputs products for the gradient itself and T²·(inputs + outputs) for
    /// Σᵢⱼ (xᵢ·xⱼ)(dyᵢ·dyⱼ), which is the same number (Li et al. 2022, "ghost clipping"): with one row it is
    /// ‖x‖²·‖dy‖².
    pub fn unit_squared_norms(&self, x: &[f32], output_gradient: &[f32], units: &Units) -> Vec<f64> {
        self.check_pair(x, output_gradient);
        assert_eq!(units.samples(), self.batch, "the units are of as many samples as the batch");
        self.unit_squared_norms_on(Instructions::best(), x, output_gradient, units)
    }

    fn rows(&self) -> usize {
        self.batch * self.positions
    }

    fn check(&self, what: &str, numbers: &[f32], expected: usize) {
        assert_eq!(numbers.len(), expected, "{what} is to be as long as {self:?} says");
        assert!(u32::try_from(expected).is_ok(), "{what} of {self:?} has too many numbers");
    }

    fn check_pair(&self, x: &[f32], output_gradient: &[f32]) {
        self.check("the input", x, self.rows() * self.inputs);
        self.check("the output gradient", output_gradient, self.rows() * self.outputs);
    }

    pub(crate) fn forward_on(
        &self,
        instructions: Instructions,
        x: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> Vec<f32> {
        if self.inputs * self.outputs * self.rows() == 0 {
            let row = bias.map_or_else(|| vec![0.0; self.outputs], <[f32]>::to_vec);
            return row.repeat(self.rows());
        }
        of_rows(instructions, x, self.inputs, &panels_of_columns(weight, self.outputs), self.outputs, bias)
    }

    pub(crate) fn input_gradient_on(
        &self,
        instructions: Instructions,
        output_gradient: &[f32],
        weight: &[f32],
    ) -> Vec<f32> {
        if self.inputs * self.outputs * self.rows() == 0 {
            return vec![0.0; self.rows() * self.inputs];
        }
        let panels = panels_of_rows(instructions, weight, self.outputs);
        of_rows(instructions, output_gradient, self.outputs, &panels, self.inputs, None)
    }

    pub(crate) fn weight_gradient_on(
        &self,
        instructions: Instructions,
        x: &[f32],
        output_gradient: &[f32],
        weights: Option<&[f32]>,
    ) -> Vec<f32> {
        let samples: Vec<u32> = (0..self.batch as u32).collect();
        let rows = self.rows_of(&samples);
        let mut panels = Vec::new();
        self.side_by_side(output_gradient, &samples, weights, &mut panels);
        let together = self.inputs.div_ceil(TASKS).next_multiple_of(ROWS_TOGETHER);
        in_parts_alone(self.inputs * self.outputs, together * self.outputs, |task, into| {
            self.gradient(instructions, x, &rows, &panels, task * together, into);
        })
    }

    pub(crate) fn unit_gradients_on(
        &self,
        instructions: Instructions,
        x: &[f32],
        output_gradient: &[f32],
        units: &Units,
    ) -> Vec<f32> {
        let mut result = vec![0.0; units.len() * self.inputs * self.outputs];
        if result.is_empty() || self.rows() == 0 {
            return result;
        }
        result.par_chunks_mut(self.inputs * self.outputs).enumerate().for_each_init(
            Vec::new,
            |panels, (unit, into)| {
                let samples = units.members(unit);
                self.side_by_side(output_gradient, samples, None, panels);
                self.gradient(instructions, x, &self.rows_of(samples), panels, 0, into);
            },
        );
        result
    }

    pub(crate) fn unit_squared_norms_on(
        &self,
        instructions: Instructions,
        x: &[f32],
        output_gradient: &[f32],
        units: &Units,
    ) -> Vec<f64> {
        let norm = |panels: &mut Vec<Lanes>, unit: usize| {
            let samples = units.members(unit);
            let rows = samples.len() * self.positions;
            if rows * self.inputs * self.outputs == 0 {
                return 0.0;
            }
            if rows * (self.inputs + self.outputs) < self.inputs * self.outputs {
                let of_inputs = self.gram(instructions, x, self.inputs, samples);
                let of_outputs = self.gram(instructions, output_gradient, self.outputs, samples);
                return of_inputs.iter().zip(&of_outputs).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            }
            let mut gradient = vec![0.0; self.inputs * self.outputs];
            self.side_by_side(output_gradient, samples, None, panels);
            self.gradient(instructions, x, &self.rows_of(samples), panels, 0, &mut gradient);
            squares::sum_on(instructions, &gradient)
        };
        (0..units.len()).into_par_iter().map_init(Vec::new, norm).collect()
    }

    /// Where the rows of some samples start in the input.
    fn rows_of(&self, samples: &[u32]) -> Vec<u32> {
        let rows = samples.iter().flat_map(|&sample| {
            let first = sample as usize * self.positions;
            first..first + self.positions
        });
        rows.map(|row| (row * self.inputs) as u32).collect()
    }

    /// Output gradients of some samples, each times its factor: panel by panel of sixteen outputs, row by row.
    fn side_by_side(&self, output_gradient: &[f32], samples: &[u32], factors: Option<&[f32]>, panels: &mut Vec<Lanes>) {
        let rows = samples.len() * self.positions;
        panels.resize(self.outputs.div_ceil(LANES) * rows, [0.0; LANES]);
        if panels.is_empty() {
            return;
        }
        let together = (TASK / (rows * LANES)).max(1);
        panels.par_chunks_mut(rows).enumerate().with_min_len(together).for_each(|(panel, into)| {
            for (into, &sample) in into.chunks_mut(self.positions).zip(samples) {
                let factor = factors.map_or(1.0, |factors| factors[sample as usize]);
                let sample = sample as usize * self.positions * self.outputs;
                let rows = output_gradient[sample..sample + self.positions * self.outputs].chunks(self.outputs);
                for (into, row) in into.iter_mut().zip(rows) {
                    let row = &row[panel * LANES..];
                    match row.first_chunk::<LANES>() {
                        Some(row) => {
                            for (lane, number) in into.iter_mut().zip(row) {
                                *lane = number * factor;
                            }
                        }
                        None => {
                            *into = [0.0; LANES];
                            for (lane, number) in into.iter_mut().zip(row) {
                                *lane = number * factor;
                            }
                        }
                    }
                }
            }
        });
    }

    /// The gradient for the inputs from `first` on, as many as `into` holds.
    fn gradient(
        &self,
        instructions: Instructions,
        x: &[f32],
        rows: &[u32],
        panels: &[Lanes],
        first: usize,
        into: &mut [f32],
    ) {
        let count = into.len() / self.outputs;
        let inputs: Vec<u32> = (first as u32..(first + count) as u32).collect();
        instructions.run(Product {
            x,
            rows: &inputs,
            offsets: Offsets::new(rows),
            panels,
            bias: None,
            of_rows: None,
            columns: self.outputs,
            pitch: self.outputs,
            into,
        });
    }

    /// Products of all pairs of rows of some samples.
    fn gram(&self, instructions: Instructions, numbers: &[f32], width: usize, samples: &[u32]) -> Vec<f32> {
        let sample = self.positions * width;
        let samples = samples.iter().map(|&at| &numbers[at as usize * sample..][..sample]);
        if self.positions * samples.len() <= FEW_ROWS {
            let rows: Vec<&[f32]> = samples.flat_map(|sample| sample.chunks(width)).collect();
            return instructions.run(Dots(&rows));
        }
        let rows: Vec<f32> = samples.flatten().copied().collect();
        let panels = panels_of_rows(instructions, &rows, width);
        of_rows(instructions, &rows, width, &panels, rows.len() / width, None)
    }
}

/// Products of all pairs of rows.
struct Dots<'a>(&'a [&'a [f32]]);

impl Kernel for Dots<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) -> Vec<f32> {
        let mut products = Vec::with_capacity(self.0.len() * self.0.len());
        for one in self.0 {
            for other in self.0 {
                let mut sums = [simd.splat(0.0); 4];
                for (one, other) in one.chunks(4 * LANES).zip(other.chunks(4 * LANES)) {
                    for ((sum, one), other) in sums.iter_mut().zip(one.chunks(LANES)).zip(other.chunks(LANES)) {
                        *sum = simd.multiply_add(load_part(simd, one), load_part(simd, other), *sum);
                    }
                }
                let sum = simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3]));
                products.push(sum_of_lanes(simd, sum));
            }
        }
        products
    }
}

/// The product of a matrix of rows of `terms` numbers with panels of `columns` columns.
fn of_rows(
    instructions: Instructions,
    x: &[f32],
    terms: usize,
    panels: &[Lanes],
    columns: usize,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let rows = x.len() / terms;
    let offsets: Vec<u32> = (0..terms as u32).collect();
    let offsets = Offsets::new(&offsets);
    let together = rows.div_ceil(TASKS).next_multiple_of(if rows < 16 * ROWS_TOGETHER { 8 } else { ROWS_TOGETHER });
    let together = together.min(4 * ROWS_TOGETHER);
    let starts: Vec<u32> = (0..together.min(rows)).map(|row| (row * terms) as u32).collect();
    let parts = x.par_chunks(together * terms);
    in_parts(
        rows * columns,
        together * columns,
        parts,
        || (),
        |(), _, into, x| {
            let rows = &starts[..x.len() / terms];
            instructions.run(Product { x, rows, offsets, panels, bias, of_rows: None, columns, pitch: columns, into });
        },
    )
}
