use burn::tensor::{Tensor, activation};

use crate::fused::{Activated, Activation, evaluate};

/// max(x, 0): the cheapest activation on the CPU.
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let shape = x.dims().to_vec();
    evaluate(x, Activated { activation: Activation::Relu, shape }, activation::relu)
}

/// max(x, 0) + `slope` · min(x, 0).
pub fn leaky_relu<const D: usize>(x: Tensor<D>, slope: f64) -> Tensor<D> {
    activation::leaky_relu(x, slope)
}

/// x · σ(x) (Elfwing et al. 2018).
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let shape = x.dims().to_vec();
    evaluate(x, Activated { activation: Activation::Silu, shape }, activation::silu)
}
