use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, module};
use standin_data::Seed;

use crate::fused::{Dense, apply};
use crate::initial;

/// x W + b on the last axis.
#[derive(Module, Debug)]
pub struct Linear {
    /// `inputs × outputs`.
    pub weight: Param<Tensor<2>>,
    /// One per output.
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// A layer with [`initial::he`] weights and [`initial::bias`] biases.
    pub fn new(inputs: usize, outputs: usize, seed: Seed, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(initial::he([inputs, outputs], inputs, seed.derive("weight"), device)),
            bias: Param::from_tensor(initial::bias(outputs, inputs, seed.derive("bias"), device)),
        }
    }

    /// A layer that starts as 0 everywhere: for the last layer of a residual branch or a head that should start neutral.
    pub fn zero(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros([inputs, outputs], device)),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
        }
    }

    /// `n × … × inputs` to `n × … × outputs`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let operator = Dense::new(&x.dims(), self.weight.dims()[1]);
        apply(x, &self.weight, &self.bias, operator, |x, weight, bias| module::linear(x, weight, Some(bias)))
    }
}
