use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::silu;

/// Added to the variance before the root.
const EPSILON: f64 = 1e-5;

/// Group normalisation (Wu and He 2018): each group of channels of each example to mean 0 and variance 1, then one scale
/// and shift per channel.
#[derive(Module, Debug)]
pub struct GroupNorm {
    /// Scale of each channel, 1 at first.
    pub scale: Param<Tensor<1>>,
    /// Shift of each channel, 0 at first.
    pub shift: Param<Tensor<1>>,
    #[module(skip)]
    groups: usize,
}

impl GroupNorm {
    /// A layer for `channels` in `groups` of equal size.
    ///
    /// # Panics
    /// If `groups` does not divide `channels`.
    pub fn new(groups: usize, channels: usize, device: &Device) -> Self {
        assert!(groups > 0 && channels.is_multiple_of(groups), "{groups} groups must divide {channels} channels");
        Self {
            scale: Param::from_tensor(Tensor::ones([channels], device)),
            shift: Param::from_tensor(Tensor::zeros([channels], device)),
            groups,
        }
    }

    /// `n × channels × height × width`, unchanged in shape.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, channels, height, width] = x.dims();
        let x = x.reshape([n, self.groups, channels / self.groups * height * width]);
        let centred = x.clone() - x.mean_dim(2);
        let variance = centred.clone().square().mean_dim(2);
        let normalised = centred / (variance + EPSILON).sqrt();
        let per_channel = |parameter: &Param<Tensor<1>>| parameter.val().reshape([1, channels, 1, 1]);
        normalised.reshape([n, channels, height, width]) * per_channel(&self.scale) + per_channel(&self.shift)
    }
}

/// [`GroupNorm`] followed by [`silu`], as one layer: the pair that every residual block uses and that one pass over the
/// data can compute.
#[derive(Module, Debug)]
pub struct GroupNormSilu {
    /// The normalisation.
    pub norm: GroupNorm,
}

impl GroupNormSilu {
    /// A layer for `channels` in `groups` of equal size.
    ///
    /// # Panics
    /// If `groups` does not divide `channels`.
    pub fn new(groups: usize, channels: usize, device: &Device) -> Self {
        Self { norm: GroupNorm::new(groups, channels, device) }
    }

    /// `n × channels × height × width`, unchanged in shape.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        silu(self.norm.forward(x))
    }
}
