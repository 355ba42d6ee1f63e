//! Gradients of each unit on its own, in one backward pass.
//!
//! A [`Recording`] is active while a network computes the losses of a batch; every layer of the network then leaves the
//! gradients of its parameters in it during the backward pass, one per unit, instead of summing them over the batch. Norms
//! come first, then one weighted sum, so the gradients of all units are never held for layers where they are large:
//! those keep their input and the gradient of their output instead ("book-keeping", Bu et al. 2023).
//!
//! ```
//! use standin_data::Seed;
//! use standin_nn::layer::Linear;
//! use standin_nn::per_sample::{Recording, Units};
//! use standin_nn::tensor::Tensor;
//! use standin_nn::DeviceChoice;
//!
//! # fn main() -> Result<(), standin_nn::Error> {
//! let device = DeviceChoice::Cpu.training();
//! let model = Linear::new(3, 1, Seed::new(1), &device);
//! let recording = Recording::new(Units::each(4));
//! let losses = recording.during(|| model.forward(Tensor::<2>::ones([4, 3], &device)));
//! let gradients = recording.finish(&model, losses.sum().backward())?;
//! let norms: Vec<f64> = gradients.squared_norms()[0].iter().map(|square| square.sqrt()).collect();
//! assert_eq!(norms, [2.0; 4], "three inputs of 1 and the bias");
//! let clipped = gradients.weighted_sum(&[vec![0.5; 4]]);
//! assert_eq!(clipped, [2.0; 4]);
//! # Ok(())
//! # }
//! ```

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use burn::backend::flex::FlexTensor;
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, Tensor};
pub use standin_kernels::Units;

use crate::fused::{Copied, Held, Inputs, Operator, PerSample, slice, squared_norms, weighted_rows, without};
use crate::{Error, Result};

thread_local! {
    /// The recording of this thread's forward pass, if one is active. Backward passes do not look here.
    static CURRENT: RefCell<Option<Recording>> = const { RefCell::new(None) };
}

/// Where the layers of one forward pass leave the gradients of their parameters. Handles are cheap to clone.
#[derive(Clone)]
pub struct Recording(Arc<Shared>);

struct Shared {
    units: Units,
    layers: Mutex<HashMap<ParamId, Vec<Entry>>>,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("units", &self.0.units.len()).finish_non_exhaustive()
    }
}

/// What one use of a layer left, under the identifier of its weight.
struct Entry {
    bias: Option<ParamId>,
    gradients: Left,
}

/// The gradients of one use of a layer.
enum Left {
    /// One row per unit.
    Kept { weight: Vec<f32>, bias: Vec<f32> },
    /// All they can be computed from.
    Deferred { layer: Arc<dyn PerSample>, held: Source, dy: Dy },
}

/// A layer's inputs.
enum Source {
    Fused(Box<Held>),
    Copied(Copied),
}

/// Takes the gradient of a layer's output out of those of a backward pass; none if the losses do not depend on it.
type Tap = Box<dyn FnOnce(&mut Gradients) -> Option<Vec<f32>> + Send>;

/// The gradient of a layer's output: there, or to be found in the tensor library's gradients.
enum Dy {
    There(FlexTensor),
    Copied(Vec<f32>),
    Tapped(Tap),
}

impl Source {
    fn inputs(&self) -> Inputs<'_> {
        match self {
            Self::Fused(held) => held.inputs(),
            Self::Copied(copied) => copied.inputs(),
        }
    }
}

impl Dy {
    fn slice(&self) -> &[f32] {
        match self {
            Self::There(tensor) => slice(tensor),
            Self::Copied(values) => values,
            Self::Tapped(_) => unreachable!("`finish` copies what was tapped"),
        }
    }
}

/// The active recording, as one layer sees it.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) recording: Recording,
    pub(crate) weight: ParamId,
    pub(crate) bias: ParamId,
}

impl Recorded {
    pub(crate) fn keep(self, weight: Vec<f32>, bias: Vec<f32>) {
        self.recording.leave(self.weight, Some(self.bias), Left::Kept { weight, bias });
    }

    pub(crate) fn defer(self, operator: Arc<dyn Operator>, held: Held, dy: FlexTensor) {
        let left = Left::Deferred { layer: operator, held: Source::Fused(Box::new(held)), dy: Dy::There(dy) };
        self.recording.leave(self.weight, Some(self.bias), left);
    }
}

/// Makes the recording before active again, also when the forward pass panics.
struct Restore(Option<Recording>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

impl Recording {
    /// A recording for a batch whose samples belong to `units`.
    pub fn new(units: Units) -> Self {
        Self(Arc::new(Shared { units, layers: Mutex::new(HashMap::new()) }))
    }

    /// Computes `losses` (or what they are computed from) with this recording active on this thread.
    pub fn during<T>(&self, losses: impl FnOnce() -> T) -> T {
        let _restore = Restore(CURRENT.replace(Some(self.clone())));
        losses()
    }

    /// The recording that is active on this thread.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    pub(crate) fn units(&self) -> &Units {
        &self.0.units
    }

    fn layers(&self) -> MutexGuard<'_, HashMap<ParamId, Vec<Entry>>> {
        self.0.layers.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn leave(&self, weight: ParamId, bias: Option<ParamId>, gradients: Left) {
        self.layers().entry(weight).or_default().push(Entry { bias, gradients });
    }

    /// Records a layer that the tensor library computed, with its parameters as constants: the gradient of the returned
    /// output is that of the layer's.
    pub(crate) fn tap<const Y: usize, const W: usize>(
        &self,
        y: Tensor<Y>,
        inputs: Copied,
        weight: &Param<Tensor<W>>,
        bias: Option<ParamId>,
        layer: Arc<dyn PerSample>,
    ) -> Tensor<Y> {
        let tap = Tensor::<Y>::zeros(y.shape(), (&weight.val().device(), y.dtype())).require_grad();
        let tapped = tap.clone();
        let dy = Dy::Tapped(Box::new(move |gradients| {
            let dy = tapped.grad_remove(gradients)?;
            Some(dy.into_data().iter::<f32>().collect())
        }));
        self.leave(weight.id, bias, Left::Deferred { layer, held: Source::Copied(inputs), dy });
        y + tap
    }

    /// The gradients of the units, once `gradients` of the sum of the losses were computed.
    ///
    /// # Errors
    /// If a parameter of `model` was used outside the layers of this crate, so that its gradients cannot be told apart.
    pub fn finish<M: Module>(self, model: &M, mut gradients: Gradients) -> Result<UnitGradients> {
        let units = self.0.units.clone();
        let mut left = std::mem::take(&mut *self.layers());
        let mut layout = Layout { gradients: &gradients, path: Vec::new(), parameters: Vec::new(), stray: None };
        model.visit(&mut layout);
        if let Some(parameter) = layout.stray {
            return Err(Error::NotPerSample { parameter });
        }
        let parameters = layout.parameters;
        let place: HashMap<ParamId, usize> =
            parameters.iter().enumerate().map(|(index, parameter)| (parameter.id, index)).collect();
        let mut layers = Vec::new();
        for (index, parameter) in parameters.iter().enumerate() {
            let Some(entries) = left.remove(&parameter.id) else { continue };
            let bias = entries[0].bias.and_then(|bias| place.get(&bias).copied());
            let name = parameter.name.rsplit_once('.').map_or(parameter.name.as_str(), |(layer, _)| layer);
            let uses = entries.into_iter().filter_map(|entry| entry.gradients.resolved(&mut gradients)).collect();
            if let Some(gradients) = joined(uses, &units) {
                layers.push(Layer { name: name.to_owned(), weight: index, bias, gradients });
            }
        }
        let mut start = 0;
        let ranges = parameters.iter().map(|parameter| {
            start += parameter.len;
            start - parameter.len..start
        });
        Ok(UnitGradients { units, ranges: ranges.collect(), layers })
    }
}

impl Left {
    /// With the gradient of the output at hand; none if the losses do not depend on it.
    fn resolved(self, gradients: &mut Gradients) -> Option<Self> {
        match self {
            Self::Deferred { layer, held, dy: Dy::Tapped(take) } => {
                Some(Self::Deferred { layer, held, dy: Dy::Copied(take(gradients)?) })
            }
            other => Some(other),
        }
    }

    fn kept(&self, units: &Units) -> (Vec<f32>, Vec<f32>) {
        match self {
            Self::Kept { weight, bias } => (weight.clone(), bias.clone()),
            Self::Deferred { layer, held, dy } => layer.unit_gradients(held.inputs(), dy.slice(), units),
        }
    }
}

/// The uses of one layer as one: a layer used twice has the sum of both gradients, whose norm is that of neither.
fn joined(mut uses: Vec<Left>, units: &Units) -> Option<Left> {
    if uses.len() < 2 {
        return uses.pop();
    }
    let add = |sum: &mut Vec<f32>, more: &[f32]| sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    let (mut weight, mut bias) = uses[0].kept(units);
    for further in &uses[1..] {
        let (more_weight, more_bias) = further.kept(units);
        add(&mut weight, &more_weight);
        add(&mut bias, &more_bias);
    }
    Some(Left::Kept { weight, bias })
}

/// One parameter of a network.
struct Parameter {
    id: ParamId,
    name: String,
    len: usize,
}

/// Collects the parameters, and finds one whose gradient was summed over the batch.
struct Layout<'a> {
    gradients: &'a Gradients,
    path: Vec<String>,
    parameters: Vec<Parameter>,
    stray: Option<String>,
}

impl ModuleVisitor for Layout<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        if parameter.val().grad(self.gradients).is_some() {
            self.stray.get_or_insert_with(|| name.clone());
        }
        self.parameters.push(Parameter { id: parameter.id, name, len: parameter.shape().num_elements() });
    }
}

/// The gradients of a batch's units, layer by layer.
pub struct UnitGradients {
    units: Units,
    /// Where each parameter lies in the flat vector.
    ranges: Vec<std::ops::Range<usize>>,
    layers: Vec<Layer>,
}

/// The gradients of one layer's parameters.
struct Layer {
    name: String,
    weight: usize,
    bias: Option<usize>,
    gradients: Left,
}

impl fmt::Debug for UnitGradients {
    /// Leaves out the gradients themselves: they are private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnitGradients").field("units", &self.units.len()).field("layers", &self.names()).finish()
    }
}

impl UnitGradients {
    /// Names of the layers that have parameters the losses depend on, in the order of the network's fields.
    pub fn names(&self) -> Vec<&str> {
        self.layers.iter().map(|layer| layer.name.as_str()).collect()
    }

    /// The squared norm of each unit's gradient, for each layer: `layers × units`.
    pub fn squared_norms(&self) -> Vec<Vec<f64>> {
        let norms = |layer: &Layer| match &layer.gradients {
            Left::Kept { weight, bias } => squared_norms(weight, bias, self.units.len()),
            Left::Deferred { layer, held, dy } => layer.unit_squared_norms(held.inputs(), dy.slice(), &self.units),
        };
        self.layers.iter().map(norms).collect()
    }

    /// Σ f_u g_u over the units u, flat, in the order of [`shapes`](crate::shapes). `factors` has one row per layer, or one
    /// row for all. A unit of factor 0 does not enter, even if its gradient is no number. Parameters that the losses do not
    /// depend on get 0.
    ///
    /// # Panics
    /// If `factors` has another shape.
    pub fn weighted_sum(&self, factors: &[Vec<f32>]) -> Vec<f32> {
        assert!(
            factors.len() == 1 || factors.len() == self.layers.len(),
            "one row of factors per layer, or one for all"
        );
        assert!(factors.iter().all(|row| row.len() == self.units.len()), "one factor per unit");
        let mut sum = vec![0.0; self.ranges.last().map_or(0, |range| range.end)];
        for (index, layer) in self.layers.iter().enumerate() {
            let factors = &factors[index.min(factors.len() - 1)];
            let (weight, bias) = match &layer.gradients {
                Left::Kept { weight, bias } => (weighted_rows(weight, factors), weighted_rows(bias, factors)),
                Left::Deferred { layer, held, dy } => {
                    let of_samples: Vec<f32> =
                        self.units.of_sample().iter().map(|&unit| factors[unit as usize]).collect();
                    if of_samples.contains(&0.0) {
                        let Inputs { x, weight, bias } = held.inputs();
                        let (x, dy) = (without(x, &of_samples), without(dy.slice(), &of_samples));
                        layer.weighted_gradients(Inputs { x: &x, weight, bias }, &dy, &of_samples)
                    } else {
                        layer.weighted_gradients(held.inputs(), dy.slice(), &of_samples)
                    }
                }
            };
            sum[self.ranges[layer.weight].clone()].copy_from_slice(&weight);
            if let Some(bias_at) = layer.bias {
                sum[self.ranges[bias_at].clone()].copy_from_slice(&bias);
            }
        }
        sum
    }
}
