use burn::tensor::Tensor;
use standin_kernels::Activation;

use super::{dispatch, serves};

/// An activation in one pass, forward and backward; `composed` where the fused operations do not serve.
pub(crate) fn activate<const D: usize>(
    x: Tensor<D>,
    activation: Activation,
    composed: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    if serves(&x) { dispatch::activated(x, activation) } else { composed(x) }
}
