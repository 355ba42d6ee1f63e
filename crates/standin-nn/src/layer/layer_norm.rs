use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use standin_kernels::LayerNormalisation;

use super::group_norm::EPSILON;
use crate::fused::{LayerNormalised, apply};

/// Layer normalisation (Ba et al. 2016): the last axis to mean 0 and variance 1, then one scale and shift per value.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale of each value, 1 at first.
    pub scale: Param<Tensor<1>>,
    /// Shift of each value, 0 at first.
    pub shift: Param<Tensor<1>>,
}

impl LayerNorm {
    /// A layer for a last axis of `width` values.
    pub fn new(width: usize, device: &Device) -> Self {
        Self {
            scale: Param::from_tensor(Tensor::ones([width], device)),
            shift: Param::from_tensor(Tensor::zeros([width], device)),
        }
    }

    /// `n × … × width`, unchanged in shape.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let shape = x.dims();
        let width = shape[D - 1];
        let rows = shape[..D - 1].iter().product::<usize>();
        let geometry = LayerNormalisation { rows, width, epsilon: EPSILON as f32 };
        let operator = LayerNormalised { geometry, rows_per_sample: rows / shape[0].max(1), shape: shape.to_vec() };
        apply(x, &self.scale, &self.shift, operator, |x, scale, shift| {
            let x = x.reshape([rows, width]);
            let centred = x.clone() - x.mean_dim(1);
            let variance = centred.clone().square().mean_dim(1);
            let normalised = centred / (variance + EPSILON).sqrt();
            (normalised * scale.reshape([1, width]) + shift.reshape([1, width])).reshape(shape)
        })
    }
}
