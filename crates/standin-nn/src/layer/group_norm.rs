use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use standin_kernels::Normalisation;

use super::{relu, silu};
use crate::fused::{Activation, GroupNormalised, apply};

/// Added to the variance before the root.
pub(super) const EPSILON: f64 = 1e-5;

/// Group normalisation (Wu and He 2018): each group of channels of each example to mean 0 and variance 1, then one scale
/// and shift per channel. As many groups as channels make instance normalisation (Ulyanov et al. 2016).
///
/// It stands where batch normalisation does elsewhere: that mixes the examples of a batch, so no example has a gradient of
/// its own to clip.
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

    /// `n × channels × …`, unchanged in shape.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.activated(x, Activation::Identity)
    }

    /// The normalisation and an activation in one pass over the data.
    pub fn activated<const D: usize>(&self, x: Tensor<D>, activation: Activation) -> Tensor<D> {
        let shape = x.dims();
        let [batch, channels] = [shape[0], shape[1]];
        let positions = shape[2..].iter().product();
        let geometry =
            Normalisation { batch, channels, positions, groups: self.groups, epsilon: EPSILON as f32, activation };
        let operator = GroupNormalised { geometry, shape: shape.to_vec() };
        apply(x, &self.scale, &self.shift, operator, |x, scale, shift| {
            let x = x.reshape([batch, self.groups, channels / self.groups * positions]);
            let centred = x.clone() - x.mean_dim(2);
            let variance = centred.clone().square().mean_dim(2);
            let normalised = centred / (variance + EPSILON).sqrt();
            let per_channel = |parameter: Tensor<1>| parameter.reshape([1, channels, 1]);
            let normalised = normalised.reshape([batch, channels, positions]);
            let y = (normalised * per_channel(scale) + per_channel(shift)).reshape(shape);
            match activation {
                Activation::Identity => y,
                Activation::Relu => relu(y),
                Activation::Silu => silu(y),
            }
        })
    }
}

/// [`GroupNorm`] followed by [`silu`], as one layer: the pair that every residual block of a diffusion network uses.
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

    /// `n × channels × …`, unchanged in shape.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.norm.activated(x, Activation::Silu)
    }
}
