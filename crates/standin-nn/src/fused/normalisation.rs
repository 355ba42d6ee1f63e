use standin_kernels::{LayerNormalisation, Normalisation, Units, channel_sums, unit_channel_sums};

use super::operator::{Backward, Forward, Inputs, Operator, ParameterGradients, PerSample, Wanted};

/// Group normalisation with its activation.
#[derive(Clone, Debug)]
pub(crate) struct GroupNormalised {
    pub(crate) geometry: Normalisation,
    pub(crate) shape: Vec<usize>,
}

/// Layer normalisation over the last axis.
#[derive(Clone, Debug)]
pub(crate) struct LayerNormalised {
    pub(crate) geometry: LayerNormalisation,
    pub(crate) rows_per_sample: usize,
    pub(crate) shape: Vec<usize>,
}

/// Rows of one per sample, summed within each unit.
fn within_units(rows: &[f32], width: usize, units: &Units) -> Vec<f32> {
    unit_channel_sums(rows, rows.len() / width, width, 1, units)
}

/// Rows of one per sample, summed with one factor each, or as they are.
fn over_samples(rows: &[f32], width: usize, factors: Option<&[f32]>) -> Vec<f32> {
    channel_sums(rows, rows.len() / width, width, 1, factors)
}

fn parameters(wanted: Wanted<'_>, scale: &[f32], shift: &[f32], width: usize) -> ParameterGradients {
    match wanted {
        Wanted::Nothing => ParameterGradients::Nothing,
        Wanted::Sums => ParameterGradients::Sums(over_samples(scale, width, None), over_samples(shift, width, None)),
        Wanted::PerUnit(units) => {
            ParameterGradients::PerUnit(within_units(scale, width, units), within_units(shift, width, units))
        }
    }
}

/// Both normalisations: gradients of scale and shift, one row per sample, come with the gradient of the input.
trait Normalised {
    fn width(&self) -> usize;

    /// `samples × width` gradients of scale and of shift.
    fn per_sample(&self, inputs: Inputs<'_>, dy: &[f32]) -> (Vec<f32>, Vec<f32>);
}

impl Normalised for GroupNormalised {
    fn width(&self) -> usize {
        self.geometry.channels
    }

    fn per_sample(&self, inputs: Inputs<'_>, dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (_, statistics) = self.geometry.forward(inputs.x, inputs.weight, inputs.bias);
        let (_, scale, shift) = self.geometry.backward(inputs.x, inputs.weight, inputs.bias, &statistics, dy);
        (scale, shift)
    }
}

impl Normalised for LayerNormalised {
    fn width(&self) -> usize {
        self.geometry.width
    }

    fn per_sample(&self, inputs: Inputs<'_>, dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (_, statistics) = self.geometry.forward(inputs.x, inputs.weight, inputs.bias);
        let (_, scale, shift) = self.geometry.backward(inputs.x, inputs.weight, &statistics, dy, self.rows_per_sample);
        (scale, shift)
    }
}

impl<T: Normalised + std::fmt::Debug + Send + Sync> PerSample for T {
    fn unit_gradients(&self, inputs: Inputs<'_>, dy: &[f32], units: &Units) -> (Vec<f32>, Vec<f32>) {
        let (scale, shift) = self.per_sample(inputs, dy);
        (within_units(&scale, self.width(), units), within_units(&shift, self.width(), units))
    }

    fn weighted_gradients(&self, inputs: Inputs<'_>, dy: &[f32], factors: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (scale, shift) = self.per_sample(inputs, dy);
        let weighted = |rows: &[f32]| over_samples(rows, self.width(), Some(factors));
        (weighted(&scale), weighted(&shift))
    }

    /// Always: they come with the gradient of the input, and are one value per channel.
    fn keeps(&self, _: usize) -> bool {
        true
    }
}

impl Operator for GroupNormalised {
    fn output_shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn forward(&self, inputs: Inputs<'_>) -> Forward {
        let (y, saved) = self.geometry.forward(inputs.x, inputs.weight, inputs.bias);
        Forward { y, saved }
    }

    fn backward(&self, inputs: Inputs<'_>, saved: &[f32], dy: &[f32], wants_x: bool, wanted: Wanted<'_>) -> Backward {
        let (x, scale, shift) = self.geometry.backward(inputs.x, inputs.weight, inputs.bias, saved, dy);
        Backward { x: wants_x.then_some(x), parameters: parameters(wanted, &scale, &shift, self.width()) }
    }
}

impl Operator for LayerNormalised {
    fn output_shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn forward(&self, inputs: Inputs<'_>) -> Forward {
        let (y, saved) = self.geometry.forward(inputs.x, inputs.weight, inputs.bias);
        Forward { y, saved }
    }

    fn backward(&self, inputs: Inputs<'_>, saved: &[f32], dy: &[f32], wants_x: bool, wanted: Wanted<'_>) -> Backward {
        let (x, scale, shift) = self.geometry.backward(inputs.x, inputs.weight, saved, dy, self.rows_per_sample);
        Backward { x: wants_x.then_some(x), parameters: parameters(wanted, &scale, &shift, self.width()) }
    }
}
