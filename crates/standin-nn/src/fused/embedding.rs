use std::sync::Arc;

use standin_kernels::{Embedding, Units};

use super::operator::{Inputs, PerSample};

/// Rows of a table looked up by index.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) geometry: Embedding,
    pub(crate) indices: Arc<[u32]>,
}

impl PerSample for Rows {
    fn unit_gradients(&self, _: Inputs<'_>, dy: &[f32], units: &Units) -> (Vec<f32>, Vec<f32>) {
        (self.geometry.unit_gradients(&self.indices, dy, units), Vec::new())
    }

    fn unit_squared_norms(&self, _: Inputs<'_>, dy: &[f32], units: &Units) -> Vec<f64> {
        self.geometry.unit_squared_norms(&self.indices, dy, units)
    }

    fn weighted_gradients(&self, _: Inputs<'_>, dy: &[f32], factors: &[f32]) -> (Vec<f32>, Vec<f32>) {
        (self.geometry.weight_gradient(&self.indices, dy, Some(factors)), Vec::new())
    }

    /// Never: few rows of the table have a gradient.
    fn keeps(&self, _: usize) -> bool {
        false
    }
}
