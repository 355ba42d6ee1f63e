use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};

/// Name and shape of one parameter tensor of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterShape {
    /// The path of fields that leads to it, such as `blocks.0.conv.weight`.
    pub name: String,
    /// Its sizes.
    pub shape: Vec<usize>,
}

impl ParameterShape {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Every parameter of a network, in the order of its fields. Flat vectors of values and gradients follow it.
pub fn shapes<M: Module>(module: &M) -> Vec<ParameterShape> {
    struct Visitor {
        path: Vec<String>,
        shapes: Vec<ParameterShape>,
    }
    impl ModuleVisitor for Visitor {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            self.shapes.push(ParameterShape { name: self.path.join("."), shape: parameter.dims().to_vec() });
        }
    }
    let mut visitor = Visitor { path: Vec::new(), shapes: Vec::new() };
    module.visit(&mut visitor);
    visitor.shapes
}

/// All parameter values of a network, one after the other in the order of [`shapes`].
pub fn values<M: Module>(module: &M) -> Vec<f32> {
    struct Visitor(Vec<f32>);
    impl ModuleVisitor for Visitor {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            append(&mut self.0, parameter.val().without_autodiff());
        }
    }
    let mut visitor = Visitor(Vec::with_capacity(module.num_params()));
    module.visit(&mut visitor);
    visitor.0
}

/// The network with other parameter values, in the order of [`shapes`]. It stays on its device, and what was trainable
/// stays trainable.
///
/// # Panics
/// If there is not one value per parameter.
#[must_use]
pub fn with_values<M: Module>(module: M, values: &[f32]) -> M {
    struct Mapper<'a>(&'a [f32]);
    impl ModuleMapper for Mapper<'_> {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            parameter.map(|old| {
                let (own, rest) = self.0.split_at(old.shape().num_elements());
                self.0 = rest;
                let new = Tensor::from_data(TensorData::new(own.to_vec(), old.shape()), &old.device());
                if old.is_require_grad() { new.require_grad() } else { new }
            })
        }
    }
    assert_eq!(values.len(), module.num_params(), "one value per parameter of the network");
    module.map(&mut Mapper(values))
}

/// The gradient of `loss` (one value) with respect to every parameter, flat, in the order of [`shapes`].
///
/// A parameter that `loss` does not depend on has gradient 0.
///
/// # Panics
/// If `loss` depends on no parameter made on a [training device](crate::DeviceChoice::training).
pub fn gradient<M: Module>(module: &M, loss: &Tensor<1>) -> Vec<f32> {
    gradient_from(module, &mut loss.backward())
}

/// The part of `gradients` that belongs to one network, flat, in the order of [`shapes`]. It is removed from `gradients`:
/// several networks can share one backward pass.
pub fn gradient_from<M: Module>(module: &M, gradients: &mut Gradients) -> Vec<f32> {
    struct Visitor<'a> {
        gradients: &'a mut Gradients,
        values: Vec<f32>,
    }
    impl ModuleVisitor for Visitor<'_> {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            match parameter.grad_remove(self.gradients) {
                Some(gradient) => append(&mut self.values, gradient),
                None => {
                    let zeros = parameter.shape().num_elements();
                    self.values.resize(self.values.len() + zeros, 0.0);
                }
            }
        }
    }
    let mut visitor = Visitor { gradients, values: Vec::with_capacity(module.num_params()) };
    module.visit(&mut visitor);
    visitor.values
}

fn append<const D: usize>(values: &mut Vec<f32>, tensor: Tensor<D>) {
    let data = tensor.into_data();
    match data.as_slice::<f32>() {
        Ok(own) => values.extend_from_slice(own),
        // A network in another precision, as the gradient checks use.
        Err(_) => values.extend(data.iter::<f32>()),
    }
}

#[cfg(test)]
mod tests {
    use standin_data::Seed;

    use super::*;
    use crate::DeviceChoice;
    use crate::layer::Linear;

    #[derive(Module, Debug)]
    struct Two {
        first: Linear,
        rest: Vec<Linear>,
    }

    fn two() -> Two {
        let device = DeviceChoice::Cpu.training();
        Two {
            first: Linear::new(3, 2, Seed::new(1), &device),
            rest: vec![Linear::new(2, 1, Seed::new(2), &device), Linear::new(2, 2, Seed::new(3), &device)],
        }
    }

    #[test]
    fn names_follow_the_fields() {
        let names: Vec<String> = shapes(&two()).into_iter().map(|shape| shape.name).collect();
        let expected = ["first.weight", "first.bias", "rest.0.weight", "rest.0.bias", "rest.1.weight", "rest.1.bias"];
        assert_eq!(names, expected);
    }

    #[test]
    fn values_survive_the_round_trip_and_stay_trainable() {
        let new: Vec<f32> = (0..17).map(|i| i as f32).collect();
        let module = with_values(two(), &new);
        assert_eq!(values(&module), new);
        assert!(module.first.weight.is_require_grad());
    }

    #[test]
    fn an_unused_parameter_has_gradient_zero() {
        let module = two();
        let x = Tensor::<2>::ones([4, 3], &DeviceChoice::Cpu.training());
        let loss = module.rest[0].forward(module.first.forward(x)).sum();
        let gradient = gradient(&module, &loss);
        assert_eq!(gradient.len(), 17);
        assert_eq!(gradient[10], 4.0, "the bias of the only output is added four times");
        assert!(gradient[11..].iter().all(|&value| value == 0.0));
        assert!(gradient[..6].iter().any(|&value| value != 0.0));
    }
}
