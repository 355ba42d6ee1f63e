use burn::module::{Module, Param};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, module};
use standin_data::Seed;

use crate::initial;

/// Convolution (cross-correlation) of planes with square kernels, one stride and one zero padding for both axes.
///
/// A stride of 2 halves the planes at a fraction of the cost of pooling after a convolution of stride 1.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `outputs × inputs × kernel × kernel`.
    pub weight: Param<Tensor<4>>,
    /// One per output channel.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    stride: usize,
    #[module(skip)]
    padding: usize,
}

impl Conv2d {
    /// A layer of stride 1 without padding, with [`initial::he`] weights and [`initial::bias`] biases.
    pub fn new(inputs: usize, outputs: usize, kernel: usize, seed: Seed, device: &Device) -> Self {
        let fan_in = inputs * kernel * kernel;
        let shape = [outputs, inputs, kernel, kernel];
        Self {
            weight: Param::from_tensor(initial::he(shape, fan_in, seed.derive("weight"), device)),
            bias: Param::from_tensor(initial::bias(outputs, fan_in, seed.derive("bias"), device)),
            stride: 1,
            padding: 0,
        }
    }

    /// The same layer with another stride (at least 1).
    #[must_use]
    pub fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// The same layer with zeros added on all four sides.
    #[must_use]
    pub fn with_padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// Rows (or columns) that come out for `size` rows that go in.
    pub fn output_size(&self, size: usize) -> usize {
        let kernel = self.weight.dims()[2];
        (size + 2 * self.padding - kernel) / self.stride + 1
    }

    /// `n × inputs × height × width` to `n × outputs × output_size(height) × output_size(width)`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let options = ConvOptions::new([self.stride; 2], [self.padding; 2], [1; 2], 1);
        module::conv2d(x, self.weight.val(), Some(self.bias.val()), options)
    }
}
