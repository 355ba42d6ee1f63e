use standin_kernels::{Linear, Units, channel_sums, unit_channel_sums};

use super::operator::{Backward, Forward, Inputs, Operator, ParameterGradients, PerSample, Wanted, squared_norms};

/// x W + b on the last axis of a tensor whose first axis is the batch.
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    pub(crate) geometry: Linear,
    pub(crate) output_shape: Vec<usize>,
}

impl Dense {
    /// For an input of this shape, whose last axis has as many values as the weight has rows.
    pub(crate) fn new(x: &[usize], outputs: usize) -> Self {
        let batch = if x.len() > 1 { x[0] } else { 1 };
        let inputs = x[x.len() - 1];
        let positions = x[..x.len() - 1].iter().product::<usize>() / batch.max(1);
        let output_shape = [&x[..x.len() - 1], &[outputs]].concat();
        Self { geometry: Linear { batch, positions, inputs, outputs }, output_shape }
    }

    /// The output gradient's sum over positions, one row per unit: rows are `positions × outputs`, so the channels lie last.
    fn unit_bias(&self, dy: &[f32], units: &Units) -> Vec<f32> {
        let Linear { batch, positions, outputs, .. } = self.geometry;
        if positions == 1 {
            return unit_channel_sums(dy, batch, outputs, 1, units);
        }
        let mut sums = vec![0.0; units.len() * outputs];
        for (sample, &unit) in dy.chunks_exact(positions * outputs).zip(units.of_sample()) {
            let sum = &mut sums[unit as usize * outputs..][..outputs];
            for row in sample.chunks_exact(outputs) {
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        }
        sums
    }

    fn bias(&self, dy: &[f32], factors: Option<&[f32]>) -> Vec<f32> {
        let Linear { batch, positions, outputs, .. } = self.geometry;
        if positions == 1 {
            return channel_sums(dy, batch, outputs, 1, factors);
        }
        let mut sum = vec![0.0; outputs];
        for (sample, rows) in dy.chunks_exact(positions * outputs).enumerate() {
            let factor = factors.map_or(1.0, |factors| factors[sample]);
            for row in rows.chunks_exact(outputs) {
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += factor * value);
            }
        }
        sum
    }
}

impl PerSample for Dense {
    fn unit_gradients(&self, inputs: Inputs<'_>, dy: &[f32], units: &Units) -> (Vec<f32>, Vec<f32>) {
        (self.geometry.unit_gradients(inputs.x, dy, units), self.unit_bias(dy, units))
    }

    fn unit_squared_norms(&self, inputs: Inputs<'_>, dy: &[f32], units: &Units) -> Vec<f64> {
        let bias = squared_norms(&[], &self.unit_bias(dy, units), units.len());
        let weight = self.geometry.unit_squared_norms(inputs.x, dy, units);
        weight.into_iter().zip(bias).map(|(weight, bias)| weight + bias).collect()
    }

    fn weighted_gradients(&self, inputs: Inputs<'_>, dy: &[f32], factors: &[f32]) -> (Vec<f32>, Vec<f32>) {
        (self.geometry.weight_gradient(inputs.x, dy, Some(factors)), self.bias(dy, Some(factors)))
    }

    /// Never: the norm of one outer product is a product of norms, and the weighted sum costs what the sum does.
    fn keeps(&self, _: usize) -> bool {
        false
    }
}

impl Operator for Dense {
    fn output_shape(&self) -> Vec<usize> {
        self.output_shape.clone()
    }

    fn forward(&self, inputs: Inputs<'_>) -> Forward {
        Forward { y: self.geometry.forward(inputs.x, inputs.weight, Some(inputs.bias)), saved: Vec::new() }
    }

    fn backward(&self, inputs: Inputs<'_>, _: &[f32], dy: &[f32], wants_x: bool, wanted: Wanted<'_>) -> Backward {
        let x = wants_x.then(|| self.geometry.input_gradient(dy, inputs.weight));
        let parameters = match wanted {
            Wanted::Sums => {
                ParameterGradients::Sums(self.geometry.weight_gradient(inputs.x, dy, None), self.bias(dy, None))
            }
            Wanted::Nothing | Wanted::PerUnit(_) => ParameterGradients::Nothing,
        };
        Backward { x, parameters }
    }
}
