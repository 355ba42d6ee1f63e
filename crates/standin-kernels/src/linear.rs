use rayon::prelude::*;

use crate::instructions::Instructions;
use crate::offsets::Offsets;
use crate::product::{Product, panels_of_columns, panels_of_rows};
use crate::simd::{LANES, Lanes};
use crate::squares;
use crate::units::Units;

/// Tasks to share among threads. Their number does not depend on that of the threads.
const TASKS: usize = 16;

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

    fn forward_on(&self, instructions: Instructions, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        if self.inputs * self.outputs * self.rows() == 0 {
            let row = bias.map_or_else(|| vec![0.0; self.outputs], <[f32]>::to_vec);
            return row.repeat(self.rows());
        }
        of_rows(instructions, x, self.inputs, &panels_of_columns(weight, self.outputs), self.outputs, bias)
    }

    fn input_gradient_on(&self, instructions: Instructions, output_gradient: &[f32], weight: &[f32]) -> Vec<f32> {
        if self.inputs * self.outputs * self.rows() == 0 {
            return vec![0.0; self.rows() * self.inputs];
        }
        let panels = panels_of_rows(instructions, weight, self.outputs);
        of_rows(instructions, output_gradient, self.outputs, &panels, self.inputs, None)
    }

    fn weight_gradient_on(
        &self,
        instructions: Instructions,
        x: &[f32],
        output_gradient: &[f32],
        weights: Option<&[f32]>,
    ) -> Vec<f32> {
        let mut result = vec![0.0; self.inputs * self.outputs];
        if result.is_empty() || self.rows() == 0 {
            return result;
        }
        let samples: Vec<u32> = (0..self.batch as u32).collect();
        let rows = self.rows_of(&samples);
        let mut panels = Vec::new();
        self.side_by_side(output_gradient, &samples, weights, &mut panels);
        let together = self.inputs.div_ceil(TASKS).next_multiple_of(ROWS_TOGETHER);
        result.par_chunks_mut(together * self.outputs).enumerate().for_each(|(task, into)| {
            self.gradient(instructions, x, &rows, &panels, task * together, into);
        });
        result
    }

    fn unit_gradients_on(
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

    fn unit_squared_norms_on(
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
        panels.clear();
        for start in (0..self.outputs).step_by(LANES) {
            let live = LANES.min(self.outputs - start);
            for &sample in samples {
                let factor = factors.map_or(1.0, |factors| factors[sample as usize]);
                let sample = sample as usize * self.positions * self.outputs;
                let rows = output_gradient[sample..sample + self.positions * self.outputs].chunks(self.outputs);
                panels.extend(rows.map(|row| {
                    let mut lanes = [0.0; LANES];
                    for (lane, number) in lanes.iter_mut().zip(&row[start..start + live]) {
                        *lane = number * factor;
                    }
                    lanes
                }));
            }
        }
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
            columns: self.outputs,
            pitch: self.outputs,
            into,
        });
    }

    /// Products of all pairs of rows of some samples.
    fn gram(&self, instructions: Instructions, numbers: &[f32], width: usize, samples: &[u32]) -> Vec<f32> {
        let sample = self.positions * width;
        let rows: Vec<f32> =
            samples.iter().flat_map(|&at| &numbers[at as usize * sample..][..sample]).copied().collect();
        let panels = panels_of_rows(instructions, &rows, width);
        of_rows(instructions, &rows, width, &panels, rows.len() / width, None)
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
    let mut result = vec![0.0; rows * columns];
    result.par_chunks_mut(together * columns).zip(x.par_chunks(together * terms)).for_each(|(into, x)| {
        let rows = &starts[..x.len() / terms];
        instructions.run(Product { x, rows, offsets, panels, bias, columns, pitch: columns, into });
    });
    result
}
