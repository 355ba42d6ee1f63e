use burn::tensor::{Tensor, activation};

/// max(x, 0): the cheapest activation on the CPU back end.
pub fn relu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::relu(x)
}

/// x where positive, `slope` · x elsewhere.
pub fn leaky_relu<const D: usize>(x: Tensor<D>, slope: f64) -> Tensor<D> {
    activation::leaky_relu(x, slope)
}

/// x · σ(x) (Elfwing et al. 2018). On the CPU back end it costs several times what [`relu`] does.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}
