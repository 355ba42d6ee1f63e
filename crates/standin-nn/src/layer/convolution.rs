use burn::module::{Module, Param};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, module};
use standin_data::Seed;

use crate::fused::{Convolved, apply};
use crate::initial;

/// Convolution (cross-correlation) over one, two or three spatial axes: [`Conv1d`], [`Conv2d`] or [`Conv3d`]. One stride, one
/// zero padding, one dilation and one kernel size for all axes, unless [`Conv3d::shaped`] gives one for each.
///
/// `RANK` is that of the tensors: the spatial axes and two. A stride of 2 halves the planes at a fraction of the cost of
/// pooling after a convolution of stride 1.
#[derive(Module, Debug)]
pub struct Convolution<const RANK: usize> {
    /// `outputs × inputs / groups × kernel …`.
    pub weight: Param<Tensor<RANK>>,
    /// One per output channel.
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    geometry: Geometry,
}

/// Over sequences: `n × channels × length`.
pub type Conv1d = Convolution<3>;
/// Over planes: `n × channels × height × width`.
pub type Conv2d = Convolution<4>;
/// Over volumes: `n × channels × depth × height × width`.
pub type Conv3d = Convolution<5>;

/// How a kernel moves over its input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    /// Of the three axes; fewer are the last of them.
    pub(super) stride: [usize; 3],
    pub(super) padding: [usize; 3],
    pub(super) dilation: usize,
    pub(super) groups: usize,
}

impl Geometry {
    pub(super) const PLAIN: Self = Self { stride: [1; 3], padding: [0; 3], dilation: 1, groups: 1 };

    /// Of a convolution from `x` (`n × inputs × …`) with weights `outputs × inputs / groups × kernel …`.
    pub(super) fn of<const RANK: usize>(self, x: [usize; RANK], weight: [usize; RANK]) -> standin_kernels::Convolution {
        let axes = RANK - 2;
        let spatial = |of: &dyn Fn(usize) -> usize, absent: usize| {
            std::array::from_fn(|axis| if axis + axes < 3 { absent } else { of(axis + axes - 3) })
        };
        standin_kernels::Convolution {
            batch: x[0],
            inputs: x[1],
            outputs: weight[0],
            groups: self.groups,
            size: spatial(&|axis| x[axis + 2], 1),
            kernel: spatial(&|axis| weight[axis + 2], 1),
            stride: spatial(&|axis| self.stride[axis + 3 - axes], 1),
            padding: spatial(&|axis| self.padding[axis + 3 - axes], 0),
            dilation: spatial(&|_| self.dilation, 1),
        }
    }

    /// Stride and padding of the last axes.
    pub(super) fn of_axes<const AXES: usize>(self) -> [[usize; AXES]; 2] {
        [self.stride, self.padding].map(|of| std::array::from_fn(|axis| of[axis + 3 - AXES]))
    }
}

impl<const RANK: usize> Convolution<RANK> {
    /// A layer of stride 1 without padding, with [`initial::he`] weights and [`initial::bias`] biases.
    pub fn new(inputs: usize, outputs: usize, kernel: usize, seed: Seed, device: &Device) -> Self {
        Self::grouped(inputs, outputs, kernel, 1, seed, device)
    }

    /// A layer whose channels are cut into `groups`, each convolved on its own (Krizhevsky et al. 2012); as many groups as
    /// channels make a depthwise convolution.
    ///
    /// # Panics
    /// If `groups` does not divide both numbers of channels.
    pub fn grouped(inputs: usize, outputs: usize, kernel: usize, groups: usize, seed: Seed, device: &Device) -> Self {
        assert!(
            groups > 0 && inputs.is_multiple_of(groups) && outputs.is_multiple_of(groups),
            "{groups} groups must divide {inputs} and {outputs} channels"
        );
        let inputs = inputs / groups;
        let fan_in = inputs * kernel.pow(RANK as u32 - 2);
        let mut shape = [kernel; RANK];
        [shape[0], shape[1]] = [outputs, inputs];
        Self {
            weight: Param::from_tensor(initial::he(shape, fan_in, seed.derive("weight"), device)),
            bias: Param::from_tensor(initial::bias(outputs, fan_in, seed.derive("bias"), device)),
            geometry: Geometry { groups, ..Geometry::PLAIN },
        }
    }

    /// The same layer with another stride (at least 1).
    #[must_use]
    pub fn with_stride(mut self, stride: usize) -> Self {
        self.geometry.stride = [stride; 3];
        self
    }

    /// The same layer with zeros added on all sides.
    #[must_use]
    pub fn with_padding(mut self, padding: usize) -> Self {
        self.geometry.padding = [padding; 3];
        self
    }

    /// The same layer with the kernel's taps this far apart (at least 1).
    #[must_use]
    pub fn with_dilation(mut self, dilation: usize) -> Self {
        self.geometry.dilation = dilation;
        self
    }

    /// The same layer, starting as 0 everywhere: for the last layer of a residual branch or a head that should start neutral.
    #[must_use]
    pub fn zeroed(mut self) -> Self {
        let device = self.weight.device();
        self.weight = Param::from_tensor(Tensor::zeros(self.weight.dims(), &device));
        self.bias = Param::from_tensor(Tensor::zeros(self.bias.dims(), &device));
        self
    }

    /// Rows (or columns) that come out for `size` rows that go in along the last axis.
    pub fn output_size(&self, size: usize) -> usize {
        let Geometry { stride, padding, dilation, .. } = self.geometry;
        let reach = dilation * (self.weight.dims()[RANK - 1] - 1) + 1;
        (size + 2 * padding[2] - reach) / stride[2] + 1
    }
}

impl Conv3d {
    /// A layer with a kernel, a stride and a padding of its own along each axis (depth, height, width): a kernel of length 1
    /// along depth makes a volume a stack of images, and one longer than the others sees as far where voxels are shorter.
    pub fn shaped(
        inputs: usize,
        outputs: usize,
        [kernel, stride, padding]: [[usize; 3]; 3],
        seed: Seed,
        device: &Device,
    ) -> Self {
        let fan_in = inputs * kernel.iter().product::<usize>();
        let shape = [outputs, inputs, kernel[0], kernel[1], kernel[2]];
        Self {
            weight: Param::from_tensor(initial::he(shape, fan_in, seed.derive("weight"), device)),
            bias: Param::from_tensor(initial::bias(outputs, fan_in, seed.derive("bias"), device)),
            geometry: Geometry { stride, padding, ..Geometry::PLAIN },
        }
    }
}

/// The forward function of one rank: the tensor library names its convolutions by their spatial axes.
macro_rules! forward {
    ($rank:literal, $axes:literal, $composed:path, $shapes:literal) => {
        impl Convolution<$rank> {
            #[doc = $shapes]
            pub fn forward(&self, x: Tensor<$rank>) -> Tensor<$rank> {
                let geometry = self.geometry.of(x.dims(), self.weight.dims());
                apply(x, &self.weight, &self.bias, Convolved { geometry, axes: $axes }, |x, weight, bias| {
                    let Geometry { dilation, groups, .. } = self.geometry;
                    let [stride, padding] = self.geometry.of_axes::<$axes>();
                    let options = ConvOptions::new(stride, padding, [dilation; $axes], groups);
                    $composed(x, weight, Some(bias), options)
                })
            }
        }
    };
}
forward!(3, 1, module::conv1d, "`n × inputs × length` to `n × outputs × output_size(length)`.");
forward!(
    4,
    2,
    module::conv2d,
    "`n × inputs × height × width` to `n × outputs × output_size(height) × output_size(width)`."
);
forward!(5, 3, module::conv3d, "`n × inputs × depth × height × width` to `n × outputs ×` the output size of each.");
