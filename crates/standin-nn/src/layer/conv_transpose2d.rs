use burn::module::{Module, Param};
use burn::tensor::ops::ConvTransposeOptions;
use burn::tensor::{Device, Tensor, module};
use standin_data::Seed;

use crate::initial;

/// Transposed convolution: the data gradient of a convolution of the same kernel, stride and padding.
///
/// Kernel 4, stride 2, padding 1 doubles the planes and covers every output pixel by the same number of taps; kernels
/// that the stride does not divide draw checkerboards (Odena et al. 2016).
#[derive(Module, Debug)]
pub struct ConvTranspose2d {
    /// `inputs × outputs × kernel × kernel`.
    pub weight: Param<Tensor<4>>,
    /// One per output channel.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    stride: usize,
    #[module(skip)]
    padding: usize,
}

impl ConvTranspose2d {
    /// A layer of stride 1 without padding, with [`initial::he`] weights and [`initial::bias`] biases.
    pub fn new(inputs: usize, outputs: usize, kernel: usize, seed: Seed, device: &Device) -> Self {
        let fan_in = inputs * kernel * kernel;
        let shape = [inputs, outputs, kernel, kernel];
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

    /// The same layer with `padding` rows and columns cut from all four sides of the output.
    #[must_use]
    pub fn with_padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    /// Rows (or columns) that come out for `size` rows that go in.
    pub fn output_size(&self, size: usize) -> usize {
        let kernel = self.weight.dims()[2];
        (size - 1) * self.stride + kernel - 2 * self.padding
    }

    /// `n × inputs × height × width` to `n × outputs × output_size(height) × output_size(width)`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let options = ConvTransposeOptions::new([self.stride; 2], [self.padding; 2], [0; 2], [1; 2], 1);
        module::conv_transpose2d(x, self.weight.val(), Some(self.bias.val()), options)
    }
}
