use burn::module::{Module, Param};
use burn::tensor::ops::ConvTransposeOptions;
use burn::tensor::{Device, Tensor, module};
use standin_data::Seed;

use super::convolution::Geometry;
use crate::fused::{Transposed, apply};
use crate::initial;

/// Transposed convolution over one, two or three spatial axes: the data gradient of a convolution of the same kernel, stride
/// and padding.
///
/// `RANK` is that of the tensors: the spatial axes and two. Kernel 4, stride 2, padding 1 doubles the planes and covers every
/// output pixel by the same number of taps; kernels that the stride does not divide draw checkerboards (Odena et al. 2016).
#[derive(Module, Debug)]
pub struct TransposedConvolution<const RANK: usize> {
    /// `inputs × outputs × kernel …`.
    pub weight: Param<Tensor<RANK>>,
    /// One per output channel.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    geometry: Geometry,
}

/// Over sequences: `n × channels × length`.
pub type ConvTranspose1d = TransposedConvolution<3>;
/// Over planes: `n × channels × height × width`.
pub type ConvTranspose2d = TransposedConvolution<4>;
/// Over volumes: `n × channels × depth × height × width`.
pub type ConvTranspose3d = TransposedConvolution<5>;

impl<const RANK: usize> TransposedConvolution<RANK> {
    /// A layer of stride 1 without padding, with [`initial::he`] weights and [`initial::bias`] biases.
    pub fn new(inputs: usize, outputs: usize, kernel: usize, seed: Seed, device: &Device) -> Self {
        let fan_in = inputs * kernel.pow(RANK as u32 - 2);
        let mut shape = [kernel; RANK];
        [shape[0], shape[1]] = [inputs, outputs];
        Self {
            weight: Param::from_tensor(initial::he(shape, fan_in, seed.derive("weight"), device)),
            bias: Param::from_tensor(initial::bias(outputs, fan_in, seed.derive("bias"), device)),
            geometry: Geometry::PLAIN,
        }
    }

    /// The same layer with another stride (at least 1).
    #[must_use]
    pub fn with_stride(mut self, stride: usize) -> Self {
        self.geometry.stride = [stride; 3];
        self
    }

    /// The same layer with `padding` rows and columns cut from all sides of the output.
    #[must_use]
    pub fn with_padding(mut self, padding: usize) -> Self {
        self.geometry.padding = [padding; 3];
        self
    }

    /// Rows (or columns) that come out for `size` rows that go in along the last axis.
    pub fn output_size(&self, size: usize) -> usize {
        self.output_along(RANK - 1, size)
    }

    /// The same along an axis of the tensor.
    fn output_along(&self, axis: usize, size: usize) -> usize {
        let Geometry { stride, padding, .. } = self.geometry;
        let of_three = axis + 3 - RANK;
        (size - 1) * stride[of_three] + self.weight.dims()[axis] - 2 * padding[of_three]
    }
}

impl ConvTranspose3d {
    /// A layer whose kernel equals its stride along each axis (depth, height, width), so that every output voxel comes from
    /// one input voxel.
    pub fn enlarging(inputs: usize, outputs: usize, factors: [usize; 3], seed: Seed, device: &Device) -> Self {
        let shape = [inputs, outputs, factors[0], factors[1], factors[2]];
        Self {
            weight: Param::from_tensor(initial::he(shape, inputs, seed.derive("weight"), device)),
            bias: Param::from_tensor(initial::bias(outputs, inputs, seed.derive("bias"), device)),
            geometry: Geometry { stride: factors, ..Geometry::PLAIN },
        }
    }
}

/// The forward function of one rank: the tensor library names its convolutions by their spatial axes.
macro_rules! forward {
    ($rank:literal, $axes:literal, $composed:path, $shapes:literal) => {
        impl TransposedConvolution<$rank> {
            #[doc = $shapes]
            pub fn forward(&self, x: Tensor<$rank>) -> Tensor<$rank> {
                let weight = self.weight.dims();
                // What comes out is what goes into the convolution this is the gradient of.
                let mut output = x.dims();
                output[1] = weight[1];
                for (axis, size) in output.iter_mut().enumerate().skip(2) {
                    *size = self.output_along(axis, *size);
                }
                let geometry = self.geometry.of(output, weight);
                apply(x, &self.weight, &self.bias, Transposed { geometry, axes: $axes }, |x, weight, bias| {
                    let Geometry { dilation, groups, .. } = self.geometry;
                    let [stride, padding] = self.geometry.of_axes::<$axes>();
                    let options = ConvTransposeOptions::new(stride, padding, [0; $axes], [dilation; $axes], groups);
                    $composed(x, weight, Some(bias), options)
                })
            }
        }
    };
}
forward!(3, 1, module::conv_transpose1d, "`n × inputs × length` to `n × outputs × output_size(length)`.");
forward!(
    4,
    2,
    module::conv_transpose2d,
    "`n × inputs × height × width` to `n × outputs × output_size(height) × output_size(width)`."
);
forward!(
    5,
    3,
    module::conv_transpose3d,
    "`n × inputs × depth × height × width` to `n × outputs ×` the output size of each."
);
