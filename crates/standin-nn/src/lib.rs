//! Layers, optimisers, the training loop and weights: everything that trains, on one tensor library.
//!
//! This is the only crate that names burn. Others write `use standin_nn::burn;` (the name that `#[derive(Module)]`
//! expands to) and build networks from the layers in [`layer`]:
//!
//! ```
//! use standin_data::{Seed, Silent};
//! use standin_nn::layer::Linear;
//! use standin_nn::tensor::{Tensor, TensorData};
//! use standin_nn::{DeviceChoice, Module, Optimization, Plan, burn, fit};
//!
//! #[derive(Module, Debug)]
//! struct Line {
//!     slope: Linear,
//! }
//!
//! # fn main() -> Result<(), standin_nn::Error> {
//! let seed = Seed::new(1);
//! let device = DeviceChoice::Cpu.training();
//! let model = Line { slope: Linear::new(1, 1, seed.derive("weights"), &device) };
//! let optimization = Optimization { learning_rate: 0.05, ..Optimization::default() };
//! let plan = Plan::epochs(64, 16, 100.0, seed.derive("order"));
//! let fitted = fit(model, &optimization, &plan, None, &Silent, |model: &Line, batch| {
//!     let x: Vec<f32> = batch.indices.iter().map(|&index| index as f32 / 64.0).collect();
//!     let y: Vec<f32> = x.iter().map(|x| 3.0 * x - 1.0).collect();
//!     let column = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, [batch.indices.len(), 1]), &device);
//!     Ok((model.slope.forward(column(x)) - column(y)).square().mean())
//! })?;
//! assert!(fitted.history.recent_loss(10) < 0.01);
//! # Ok(())
//! # }
//! ```
//!
//! # Reproducibility
//! Burn's global random generator is never used. Initial weights, the order of the examples and each step's noise come
//! from [`Seed`](standin_data::Seed)s; the state of a training is a few flat vectors and a step number, so a
//! [checkpoint](Checkpoints) resumes to the bit, and any number of trainings may run side by side, each in its own rayon
//! pool. Results do not depend on the number of threads, with one exception to stay clear of: the sum (or mean) over
//! *all* elements of a tensor of 2²² elements or more is split among threads by burn's CPU back end. Reduce such a
//! tensor one axis first.
//!
//! # Gradients are slices
//! [`gradient`] returns the gradient as one flat vector in the order of [`shapes`]. Optimisers, clipping and averaging
//! are plain functions on such vectors, and so is the noise that protects privacy.
//!
//! # Privacy
//! [`fit_private`] is [`fit`] with a guarantee: see [`private`] for what it does and [`per_sample`] for the gradients of
//! each image on its own, which cost hardly more than their sum.

mod average;
mod checkpoint;
mod device;
mod error;
mod fused;
pub mod initial;
pub mod layer;
pub mod loss;
mod optimizer;
mod order;
mod parameters;
pub mod per_sample;
mod pixels;
pub mod private;
mod schedule;
mod train;
mod trainer;
mod weights;

pub use average::Average;
pub use burn;
pub use burn::module::Module;
pub use checkpoint::{Checkpoints, Every};
pub use device::DeviceChoice;
pub use error::{Error, Result};
pub use optimizer::{Optimizer, OptimizerState, clip_to_norm, norm};
pub use order::{Batch, Plan};
pub use parameters::{ParameterShape, gradient, gradient_from, shapes, values, with_values};
pub use pixels::{PixelRange, pixels, quantise};
pub use private::{
    Clipping, Privacy, PrivateBatch, PrivateFitted, PrivatePlan, PrivateTrainer, Records, fit_private,
    fit_private_watched,
};
pub use schedule::Schedule;
pub use train::{Fitted, History, Learner, Watch, fit, fit_watched, show, states_of, train};
pub use trainer::{Optimization, Trainer, TrainerState};
pub use weights::{digest, load_weights, read_architecture, save_weights};

/// Tensors and the functions on them, so that no other crate names the tensor library.
pub mod tensor {
    pub use burn::tensor::activation;
    pub use burn::tensor::{Bool, Device, Gradients, Int, Shape, Tensor, TensorData};
}
