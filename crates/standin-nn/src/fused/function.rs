use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;
use standin_kernels::{Activation, Attention, Upsampling, relu, relu_backward, silu, silu_backward};

use super::operator::Forward;
use super::{dispatch, serves};

/// A function of one tensor without parameters, on slices.
pub(crate) trait Function: fmt::Debug + Send + Sync {
    /// Shape of the output.
    fn output_shape(&self) -> Vec<usize>;

    /// The output.
    fn forward(&self, x: &[f32]) -> Forward;

    /// Whether the backward pass reads the input; it is not kept otherwise, and comes empty.
    fn reads_input(&self) -> bool {
        true
    }

    /// The gradient of the input, from the input, what the forward pass saved and the gradient of the output.
    fn backward(&self, x: &[f32], saved: &[f32], dy: &[f32]) -> Vec<f32>;
}

/// A function in one pass, forward and backward; `composed` where the fused operations do not serve.
pub(crate) fn evaluate<const D: usize>(
    x: Tensor<D>,
    function: impl Function + 'static,
    composed: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    if serves(&x) { dispatch::evaluated(x, Arc::new(function)) } else { composed(x) }
}

/// An activation of each value.
#[derive(Clone, Debug)]
pub(crate) struct Activated {
    pub(crate) activation: Activation,
    pub(crate) shape: Vec<usize>,
}

impl Function for Activated {
    fn output_shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn forward(&self, x: &[f32]) -> Forward {
        let y = match self.activation {
            Activation::Identity => x.to_vec(),
            Activation::Relu => relu(x),
            Activation::Silu => silu(x),
        };
        Forward { y, saved: Vec::new() }
    }

    fn backward(&self, x: &[f32], _: &[f32], dy: &[f32]) -> Vec<f32> {
        match self.activation {
            Activation::Identity => dy.to_vec(),
            Activation::Relu => relu_backward(x, dy),
            Activation::Silu => silu_backward(x, dy),
        }
    }
}

/// Images made larger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upsampled {
    pub(crate) geometry: Upsampling,
    /// Samples and channels.
    pub(crate) images: [usize; 2],
}

impl Function for Upsampled {
    fn output_shape(&self) -> Vec<usize> {
        [&self.images[..], &self.geometry.output()].concat()
    }

    fn forward(&self, x: &[f32]) -> Forward {
        Forward { y: self.geometry.forward(x), saved: Vec::new() }
    }

    fn reads_input(&self) -> bool {
        false
    }

    fn backward(&self, _: &[f32], _: &[f32], dy: &[f32]) -> Vec<f32> {
        self.geometry.input_gradient(dy)
    }
}

/// Positions that look at each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attended(pub(crate) Attention);

impl Function for Attended {
    fn output_shape(&self) -> Vec<usize> {
        vec![self.0.batch, self.0.positions, self.0.heads * self.0.size]
    }

    fn forward(&self, x: &[f32]) -> Forward {
        let (y, saved) = self.0.forward(x);
        Forward { y, saved }
    }

    fn backward(&self, x: &[f32], saved: &[f32], dy: &[f32]) -> Vec<f32> {
        self.0.backward(x, saved, dy)
    }
}
