//! Layers as single operations with a hand-written backward pass, on the CPU; composed from the tensor library's own
//! operations everywhere else.
//!
//! [`apply`] is the one door: a layer names its [`Operator`] (what it computes on slices) and the same function composed of
//! tensor operations. On the CPU in f32 the operator runs; on another device, or in another precision, the composition does,
//! which is also the reference the operators are tested against.
//!
//! Both ways serve a [`Recording`](crate::per_sample::Recording): while one is active, the gradients of parameters are
//! left there, one per unit, and not in the tensor library's gradients.

mod convolution;
mod dispatch;
mod embedding;
mod function;
mod linear;
mod normalisation;
mod operator;

use std::sync::Arc;

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};

pub(crate) use convolution::{Convolved, Transposed};
pub(crate) use dispatch::{Held, slice};
pub(crate) use embedding::Rows;
pub(crate) use function::{Activated, Attended, Upsampled, evaluate};
pub(crate) use linear::Dense;
pub(crate) use normalisation::{GroupNormalised, LayerNormalised};
pub(crate) use operator::{Copied, Inputs, Operator, PerSample, squared_norms, weighted_rows, without};
pub use standin_kernels::{Activation, Interpolation};

use crate::per_sample::{Recorded, Recording};

/// Whether the fused operations serve this tensor: on the CPU, in f32.
fn serves<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && x.device().without_autodiff() == Device::flex()
}

/// A layer with a weight and a bias: through its `operator` where the fused operations serve, else `composed`.
pub(crate) fn apply<const X: usize, const W: usize, const Y: usize>(
    x: Tensor<X>,
    weight: &Param<Tensor<W>>,
    bias: &Param<Tensor<1>>,
    operator: impl Operator + 'static,
    composed: impl FnOnce(Tensor<X>, Tensor<W>, Tensor<1>) -> Tensor<Y>,
) -> Tensor<Y> {
    let recording = Recording::current();
    if serves(&x) && weight.dtype() == DType::F32 {
        let recorded = recording.map(|recording| Recorded { recording, weight: weight.id, bias: bias.id });
        return dispatch::fused(x, weight.val(), bias.val(), Arc::new(operator), recorded);
    }
    match recording {
        None => composed(x, weight.val(), bias.val()),
        Some(recording) => {
            let y = composed(x.clone(), weight.val().without_autodiff(), bias.val().without_autodiff());
            let values = |tensor: TensorData| tensor.iter::<f32>().collect::<Vec<f32>>();
            let inputs = Copied {
                x: values(x.into_data()),
                weight: values(weight.val().into_data()),
                bias: values(bias.val().into_data()),
            };
            recording.tap(y, inputs, weight, Some(bias.id), Arc::new(operator))
        }
    }
}
