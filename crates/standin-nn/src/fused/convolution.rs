use standin_kernels::{Convolution, Units, channel_sums, unit_channel_sums};

use super::operator::{Backward, Forward, Inputs, Operator, ParameterGradients, PerSample, Wanted, squared_norms};

/// Gradients of units are kept while they take at most this many times the memory of the layer's activations; beyond, their
/// norms are computed first and a weighted sum after.
const KEPT_PER_ACTIVATION: usize = 4;

/// A convolution of one, two or three spatial axes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolved {
    pub(crate) geometry: Convolution,
    /// Spatial axes of the tensors, the last of the geometry's three.
    pub(crate) axes: usize,
}

/// The transposed convolution: the data gradient of the convolution of this geometry, whose output is what goes in here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transposed {
    pub(crate) geometry: Convolution,
    /// Spatial axes of the tensors, the last of the geometry's three.
    pub(crate) axes: usize,
}

fn positions(size: [usize; 3]) -> usize {
    size.iter().product()
}

fn shape(batch: usize, channels: usize, size: [usize; 3], axes: usize) -> Vec<usize> {
    [&[batch, channels][..], &size[3 - axes..]].concat()
}

fn weights(geometry: &Convolution) -> usize {
    geometry.outputs * (geometry.inputs / geometry.groups) * positions(geometry.kernel)
}

fn keeps(geometry: &Convolution, units: usize) -> bool {
    let activations = geometry.inputs * positions(geometry.size) + geometry.outputs * positions(geometry.output());
    units * weights(geometry) <= KEPT_PER_ACTIVATION * geometry.batch * activations
}

/// The squared norms of what two functions give for weight and bias.
fn joint(weight: Vec<f64>, bias: &[f32], units: usize) -> Vec<f64> {
    weight.into_iter().zip(squared_norms(&[], bias, units)).map(|(weight, bias)| weight + bias).collect()
}

impl PerSample for Convolved {
    fn unit_gradients(&self, inputs: Inputs<'_>, dy: &[f32], units: &Units) -> (Vec<f32>, Vec<f32>) {
        let Convolved { geometry, .. } = self;
        let bias = unit_channel_sums(dy, geometry.batch, geometry.outputs, positions(geometry.output()), units);
        (geometry.unit_gradients(inputs.x, dy, units), bias)
    }

    fn unit_squared_norms(&self, inputs: Inputs<'_>, dy: &[f32], units: &Units) -> Vec<f64> {
        let Convolved { geometry, .. } = self;
        let bias = unit_channel_sums(dy, geometry.batch, geometry.outputs, positions(geometry.output()), units);
        joint(geometry.unit_squared_norms(inputs.x, dy, units), &bias, units.len())
    }

    fn weighted_gradients(&self, inputs: Inputs<'_>, dy: &[f32], factors: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let Convolved { geometry, .. } = self;
        let output = positions(geometry.output());
        let bias = channel_sums(dy, geometry.batch, geometry.outputs, output, Some(factors));
        (geometry.weight_gradient(inputs.x, dy, Some(factors)), bias)
    }

    fn keeps(&self, units: usize) -> bool {
        keeps(&self.geometry, units)
    }
}

impl Operator for Convolved {
    fn output_shape(&self) -> Vec<usize> {
        shape(self.geometry.batch, self.geometry.outputs, self.geometry.output(), self.axes)
    }

    fn forward(&self, inputs: Inputs<'_>) -> Forward {
        Forward { y: self.geometry.forward(inputs.x, inputs.weight, Some(inputs.bias)), saved: Vec::new() }
    }

    fn backward(&self, inputs: Inputs<'_>, _: &[f32], dy: &[f32], wants_x: bool, wanted: Wanted<'_>) -> Backward {
        let Convolved { geometry, .. } = self;
        let x = wants_x.then(|| geometry.input_gradient(dy, inputs.weight));
        let parameters = match wanted {
            Wanted::Nothing => ParameterGradients::Nothing,
            Wanted::Sums => {
                let bias = channel_sums(dy, geometry.batch, geometry.outputs, positions(geometry.output()), None);
                ParameterGradients::Sums(geometry.weight_gradient(inputs.x, dy, None), bias)
            }
            Wanted::PerUnit(units) if self.keeps(units.len()) => {
                let (weight, bias) = self.unit_gradients(inputs, dy, units);
                ParameterGradients::PerUnit(weight, bias)
            }
            Wanted::PerUnit(_) => ParameterGradients::Nothing,
        };
        Backward { x, parameters }
    }
}

impl PerSample for Transposed {
    fn unit_gradients(&self, inputs: Inputs<'_>, dy: &[f32], units: &Units) -> (Vec<f32>, Vec<f32>) {
        let Transposed { geometry, .. } = self;
        let bias = unit_channel_sums(dy, geometry.batch, geometry.inputs, positions(geometry.size), units);
        (geometry.unit_gradients(dy, inputs.x, units), bias)
    }

    fn unit_squared_norms(&self, inputs: Inputs<'_>, dy: &[f32], units: &Units) -> Vec<f64> {
        let Transposed { geometry, .. } = self;
        let bias = unit_channel_sums(dy, geometry.batch, geometry.inputs, positions(geometry.size), units);
        joint(geometry.unit_squared_norms(dy, inputs.x, units), &bias, units.len())
    }

    fn weighted_gradients(&self, inputs: Inputs<'_>, dy: &[f32], factors: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let Transposed { geometry, .. } = self;
        let size = positions(geometry.size);
        let bias = channel_sums(dy, geometry.batch, geometry.inputs, size, Some(factors));
        (geometry.weight_gradient(dy, inputs.x, Some(factors)), bias)
    }

    fn keeps(&self, units: usize) -> bool {
        keeps(&self.geometry, units)
    }
}

impl Operator for Transposed {
    fn output_shape(&self) -> Vec<usize> {
        shape(self.geometry.batch, self.geometry.inputs, self.geometry.size, self.axes)
    }

    fn forward(&self, inputs: Inputs<'_>) -> Forward {
        let Transposed { geometry, .. } = self;
        let mut y = geometry.input_gradient(inputs.x, inputs.weight);
        let size = positions(geometry.size);
        for sample in y.chunks_exact_mut(geometry.inputs * size) {
            for (plane, &bias) in sample.chunks_exact_mut(size).zip(inputs.bias) {
                plane.iter_mut().for_each(|value| *value += bias);
            }
        }
        Forward { y, saved: Vec::new() }
    }

    fn backward(&self, inputs: Inputs<'_>, _: &[f32], dy: &[f32], wants_x: bool, wanted: Wanted<'_>) -> Backward {
        let Transposed { geometry, .. } = self;
        let x = wants_x.then(|| geometry.forward(dy, inputs.weight, None));
        let parameters = match wanted {
            Wanted::Nothing => ParameterGradients::Nothing,
            Wanted::Sums => {
                let bias = channel_sums(dy, geometry.batch, geometry.inputs, positions(geometry.size), None);
                ParameterGradients::Sums(geometry.weight_gradient(dy, inputs.x, None), bias)
            }
            Wanted::PerUnit(units) if self.keeps(units.len()) => {
                let (weight, bias) = self.unit_gradients(inputs, dy, units);
                ParameterGradients::PerUnit(weight, bias)
            }
            Wanted::PerUnit(_) => ParameterGradients::Nothing,
        };
        Backward { x, parameters }
    }
}
