//! The fused operations as an extension of the tensor library: forward on the CPU, backward through automatic
//! differentiation.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward as BackwardPass, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Tensor, TensorData};

use super::function::Function;
use super::operator::{Forward, Inputs, Operator, ParameterGradients, Wanted};
use crate::per_sample::Recorded;

/// A layer of one input and two parameters.
pub(super) fn fused<const X: usize, const W: usize, const Y: usize>(
    x: Tensor<X>,
    weight: Tensor<W>,
    bias: Tensor<1>,
    operator: Arc<dyn Operator>,
    recorded: Option<Recorded>,
) -> Tensor<Y> {
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::layer(x, weight, bias, operator, recorded))
}

/// A function without parameters.
pub(super) fn evaluated<const D: usize>(x: Tensor<D>, function: Arc<dyn Function>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::evaluate(x.into_dispatch(), function))
}

/// The operations a call may name; the generated code finds the back end.
#[backend_extension(Flex, Autodiff)]
trait Fused: Backend {
    fn layer(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        operator: Arc<dyn Operator>,
        recorded: Option<Recorded>,
    ) -> FloatTensor<Self>;

    fn evaluate(x: FloatTensor<Self>, function: Arc<dyn Function>) -> FloatTensor<Self>;
}

/// Tensors whose values are at hand: what the backward pass works on, without going through the choice of a back end.
trait Host: Backend {
    fn values(tensor: &FloatTensor<Self>) -> FlexTensor;
    fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Self>;
}

impl Host for Flex {
    fn values(tensor: &FlexTensor) -> FlexTensor {
        if tensor.as_slice::<f32>().is_some() { tensor.clone() } else { tensor.to_contiguous() }
    }

    fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
        FlexTensor::from_data(TensorData::new(values, shape))
    }
}

/// The values of a tensor from [`Host::values`].
pub(crate) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("contiguous tensors of f32 have a slice")
}

/// An operation's tensors, held for the backward pass without a copy.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
}

impl Held {
    pub(crate) fn inputs(&self) -> Inputs<'_> {
        Inputs { x: slice(&self.x), weight: slice(&self.weight), bias: slice(&self.bias) }
    }
}

fn forward<B: Host>(
    x: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    bias: &FloatTensor<B>,
    operator: &dyn Operator,
) -> (Held, FloatTensor<B>, Vec<f32>) {
    let held = Held { x: B::values(x), weight: B::values(weight), bias: B::values(bias) };
    let Forward { y, saved } = operator.forward(held.inputs());
    let y = B::tensor(y, Shape::from(operator.output_shape()));
    (held, y, saved)
}

impl Fused for Flex {
    fn layer(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        operator: Arc<dyn Operator>,
        _recorded: Option<Recorded>,
    ) -> FloatTensor<Self> {
        forward::<Self>(&x, &weight, &bias, operator.as_ref()).1
    }

    fn evaluate(x: FloatTensor<Self>, function: Arc<dyn Function>) -> FloatTensor<Self> {
        let Forward { y, .. } = function.forward(slice(&Self::values(&x)));
        Self::tensor(y, Shape::from(function.output_shape()))
    }
}

#[derive(Debug)]
struct LayerBackward;

/// What a layer's backward pass starts from.
type LayerState = (Held, Vec<f32>, Arc<dyn Operator>, Option<Recorded>, [Shape; 3]);

impl<B: Host> BackwardPass<B, 3> for LayerBackward {
    type State = LayerState;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = B::values(&gradients.consume::<B>(&ops.node));
        let (held, saved, operator, recorded, [x_shape, weight_shape, bias_shape]) = ops.state;
        let [x, weight, bias] = ops.parents;
        let trains = weight.is_some() || bias.is_some();
        let wanted = match &recorded {
            _ if !trains => Wanted::Nothing,
            Some(recorded) => Wanted::PerUnit(recorded.recording.units()),
            None => Wanted::Sums,
        };
        let result = operator.backward(held.inputs(), &saved, slice(&dy), x.is_some(), wanted);
        if let (Some(x), Some(dx)) = (x, result.x) {
            gradients.register::<B>(x.id, B::tensor(dx, x_shape));
        }
        match (result.parameters, recorded) {
            (ParameterGradients::Sums(d_weight, d_bias), _) => {
                if let Some(weight) = weight {
                    gradients.register::<B>(weight.id, B::tensor(d_weight, weight_shape));
                }
                if let Some(bias) = bias {
                    gradients.register::<B>(bias.id, B::tensor(d_bias, bias_shape));
                }
            }
            (ParameterGradients::PerUnit(d_weight, d_bias), Some(recorded)) => recorded.keep(d_weight, d_bias),
            (ParameterGradients::Nothing, Some(recorded)) if trains => recorded.defer(operator, held, dy),
            _ => {}
        }
    }
}

#[derive(Debug)]
struct FunctionBackward;

impl<B: Host> BackwardPass<B, 1> for FunctionBackward {
    type State = (Option<FlexTensor>, Vec<f32>, Arc<dyn Function>, Shape);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<B>(&ops.node);
        let (x, saved, function, shape) = ops.state;
        if let [Some(parent)] = ops.parents {
            let dx = function.backward(x.as_ref().map_or(&[], slice), &saved, slice(&B::values(&dy)));
            gradients.register::<B>(parent.id, B::tensor(dx, shape));
        }
    }
}

impl<B: Host, C: CheckpointStrategy> Fused for Autodiff<B, C> {
    fn layer(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        operator: Arc<dyn Operator>,
        recorded: Option<Recorded>,
    ) -> FloatTensor<Self> {
        let ((x, x_node), (weight, weight_node), (bias, bias_node)) =
            (x.into_parts(), weight.into_parts(), bias.into_parts());
        let (held, y, saved) = forward::<B>(&x, &weight, &bias, operator.as_ref());
        let nodes = [x_node, weight_node, bias_node];
        match BackwardPass::<B, 3>::prepare::<C>(LayerBackward, nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let shapes = [x.shape(), weight.shape(), bias.shape()];
                prepared.finish((held, saved, operator, recorded, shapes), y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn evaluate(x: FloatTensor<Self>, function: Arc<dyn Function>) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        let shape = x.shape();
        let held = B::values(&x);
        let Forward { y, saved } = function.forward(slice(&held));
        let y = B::tensor(y, Shape::from(function.output_shape()));
        match BackwardPass::<B, 1>::prepare::<C>(FunctionBackward, [node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let held = function.reads_input().then_some(held);
                prepared.finish((held, saved, function, shape), y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }
}
