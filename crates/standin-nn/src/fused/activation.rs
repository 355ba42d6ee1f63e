use burn::tensor::Tensor;
use standin_kernels::{Activation, relu, relu_backward, silu, silu_backward};

use super::{dispatch, serves};

/// An activation in one pass, forward and backward; `composed` where the fused operations do not serve.
pub(crate) fn activate<const D: usize>(
    x: Tensor<D>,
    activation: Activation,
    composed: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    if serves(&x) { dispatch::activated(x, activation) } else { composed(x) }
}

/// The activation of each value.
pub(super) fn values(activation: Activation, x: &[f32]) -> Vec<f32> {
    match activation {
        Activation::Identity => x.to_vec(),
        Activation::Relu => relu(x),
        Activation::Silu => silu(x),
    }
}

/// The gradient of each input, from the input and the gradient of the output.
pub(super) fn gradient(activation: Activation, x: &[f32], dy: &[f32]) -> Vec<f32> {
    match activation {
        Activation::Identity => dy.to_vec(),
        Activation::Relu => relu_backward(x, dy),
        Activation::Silu => silu_backward(x, dy),
    }
}
