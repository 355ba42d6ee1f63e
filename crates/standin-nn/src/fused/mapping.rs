use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;
use standin_kernels::Upsampling;

use super::{dispatch, serves};

/// A linear map without parameters, on slices: its gradient is its transpose.
pub(crate) trait Mapping: fmt::Debug + Send + Sync {
    /// Shape of the output.
    fn output_shape(&self) -> Vec<usize>;

    /// The output.
    fn forward(&self, x: &[f32]) -> Vec<f32>;

    /// The gradient of the input from that of the output.
    fn transposed(&self, dy: &[f32]) -> Vec<f32>;
}

/// Images made larger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upsampled {
    pub(crate) geometry: Upsampling,
    /// Samples and channels.
    pub(crate) images: [usize; 2],
}

impl Mapping for Upsampled {
    fn output_shape(&self) -> Vec<usize> {
        [&self.images[..], &self.geometry.output()].concat()
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        self.geometry.forward(x)
    }

    fn transposed(&self, dy: &[f32]) -> Vec<f32> {
        self.geometry.input_gradient(dy)
    }
}

/// A linear map in one pass, forward and backward; `composed` where the fused operations do not serve.
pub(crate) fn map_linearly<const D: usize>(
    x: Tensor<D>,
    mapping: impl Mapping + 'static,
    composed: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    if serves(&x) { dispatch::mapped(x, Arc::new(mapping)) } else { composed(x) }
}
