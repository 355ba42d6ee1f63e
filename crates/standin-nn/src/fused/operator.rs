use std::fmt;

use standin_kernels::{Units, weighted_sum};

/// What an operation reads: its input and its two parameters, each contiguous and row-major.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs<'a> {
    /// The activations.
    pub(crate) x: &'a [f32],
    /// The weight (or scale).
    pub(crate) weight: &'a [f32],
    /// The bias (or shift).
    pub(crate) bias: &'a [f32],
}

/// The same, copied from a tensor of any device.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    pub(crate) x: Vec<f32>,
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl Copied {
    pub(crate) fn inputs(&self) -> Inputs<'_> {
        Inputs { x: &self.x, weight: &self.weight, bias: &self.bias }
    }
}

/// What the forward pass gives.
pub(crate) struct Forward {
    /// The output.
    pub(crate) y: Vec<f32>,
    /// What the backward pass needs beside the inputs, such as means and deviations.
    pub(crate) saved: Vec<f32>,
}

/// Which gradients of the parameters a backward pass is to give.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    /// None: the parameters are constants.
    Nothing,
    /// Summed over the batch.
    Sums,
    /// Summed within each unit.
    PerUnit(&'a Units),
}

/// Gradients of weight and bias.
pub(crate) enum ParameterGradients {
    /// None was wanted, or those per unit are to be computed later, by [`PerSample`].
    Nothing,
    /// Summed over the batch.
    Sums(Vec<f32>, Vec<f32>),
    /// One row per unit.
    PerUnit(Vec<f32>, Vec<f32>),
}

/// What the backward pass gives.
pub(crate) struct Backward {
    /// The gradient of the input, if it was wanted.
    pub(crate) x: Option<Vec<f32>>,
    /// The gradients of the parameters.
    pub(crate) parameters: ParameterGradients,
}

/// Gradients of a layer's parameters, for each unit on its own, from the layer's input and the gradient of its output: all
/// that clipping needs (Bu et al. 2023, "Differentially private optimization on large model at small cost").
///
/// Everywhere, the pair is (weight, bias).
pub(crate) trait PerSample: fmt::Debug + Send + Sync {
    /// The gradients, `units × values`.
    fn unit_gradients(&self, inputs: Inputs<'_>, dy: &[f32], units: &Units) -> (Vec<f32>, Vec<f32>);

    /// The squared norm of each unit's gradient of weight and bias together.
    fn unit_squared_norms(&self, inputs: Inputs<'_>, dy: &[f32], units: &Units) -> Vec<f64> {
        let (weight, bias) = self.unit_gradients(inputs, dy, units);
        squared_norms(&weight, &bias, units.len())
    }

    /// Σ fᵢ gᵢ over the samples i, for one factor fᵢ per sample.
    fn weighted_gradients(&self, inputs: Inputs<'_>, dy: &[f32], factors: &[f32]) -> (Vec<f32>, Vec<f32>);

    /// Whether the gradients of so many units are to be kept: they are cheap to compute and small beside the activations.
    fn keeps(&self, units: usize) -> bool;
}

/// A layer as one operation on slices.
pub(crate) trait Operator: PerSample {
    /// Shape of the output.
    fn output_shape(&self) -> Vec<usize>;

    /// The output.
    fn forward(&self, inputs: Inputs<'_>) -> Forward;

    /// The gradients for `dy`, the gradient of the output.
    fn backward(&self, inputs: Inputs<'_>, saved: &[f32], dy: &[f32], wants_x: bool, wanted: Wanted<'_>) -> Backward;
}

/// The squared Euclidean norm of each unit's two rows together; a layer without bias has none.
pub(crate) fn squared_norms(weight: &[f32], bias: &[f32], units: usize) -> Vec<f64> {
    let mut sums = vec![0.0; units];
    for rows in [weight, bias] {
        if !rows.is_empty() {
            let norms = standin_kernels::squared_norms(rows, rows.len() / units);
            sums.iter_mut().zip(norms).for_each(|(sum, norm)| *sum += norm);
        }
    }
    sums
}

/// Σ f_u g_u over the rows of a matrix of one row per unit; rows of factor 0 do not enter, whatever they hold.
///
/// A layer without bias has no rows of one.
pub(crate) fn weighted_rows(rows: &[f32], factors: &[f32]) -> Vec<f32> {
    if rows.is_empty() {
        return Vec::new();
    }
    let width = rows.len() / factors.len().max(1);
    if factors.contains(&0.0) {
        return weighted_sum(&without(rows, factors), width, factors);
    }
    weighted_sum(rows, width, factors)
}

/// The rows of a matrix with zeros in the place of those of factor 0: 0 · NaN would be NaN.
pub(crate) fn without(rows: &[f32], factors: &[f32]) -> Vec<f32> {
    let mut rows = rows.to_vec();
    let width = rows.len() / factors.len().max(1);
    for (at, _) in factors.iter().enumerate().filter(|(_, factor)| **factor == 0.0) {
        rows[at * width..(at + 1) * width].fill(0.0);
    }
    rows
}
