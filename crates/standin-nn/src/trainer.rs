use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::{
    Average, Batch, Error, Optimizer, OptimizerState, ParameterShape, Result, Schedule, clip_to_norm, gradient, norm,
    shapes, values, with_values,
};

/// How a network's parameters are updated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Optimization {
    /// Turns gradients into steps.
    pub optimizer: Optimizer,
    /// The base rate; above 0.
    pub learning_rate: f64,
    /// Changes the rate over the training.
    pub schedule: Schedule,
    /// Longest gradient, in Euclidean norm over all parameters; none for no bound.
    pub clip_norm: Option<f64>,
    /// Decay of the moving average of parameters, in [0, 1); none for no average.
    pub average_decay: Option<f64>,
}

impl Default for Optimization {
    /// Adam at a constant 10⁻³ without clipping or averaging.
    fn default() -> Self {
        Self {
            optimizer: Optimizer::default(),
            learning_rate: 1e-3,
            schedule: Schedule::Constant,
            clip_norm: None,
            average_decay: None,
        }
    }
}

impl Optimization {
    /// Checks that every setting is in its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check(&self) -> Result<()> {
        let setting =
            |setting, value: f64, expected| Err(Error::Setting { setting, found: value.to_string(), expected });
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return setting("learning_rate", self.learning_rate, "it must be a number above 0");
        }
        if let Some(bound) = self.clip_norm.filter(|bound| !(bound.is_finite() && *bound > 0.0)) {
            return setting("clip_norm", bound, "it must be a number above 0; leave it out for no clipping");
        }
        if let Some(decay) = self.average_decay.filter(|decay| !(0.0..1.0).contains(decay)) {
            return setting("average_decay", decay, "it must be at least 0 and below 1; leave it out for no average");
        }
        self.optimizer.check()?;
        self.schedule.check()
    }

    /// The learning rate at a step.
    pub fn rate(&self, batch: &Batch<'_>) -> f64 {
        self.learning_rate * self.schedule.factor(batch.step, batch.steps, batch.steps_per_epoch)
    }
}

/// A network in training: its parameters, the optimiser's memory and the moving average.
///
/// A training with several networks (a generator and its discriminator) holds one trainer for each.
#[derive(Clone, Debug)]
pub struct Trainer<M> {
    model: M,
    values: Vec<f32>,
    optimization: Optimization,
    state: OptimizerState,
    average: Option<Average>,
}

/// Everything a [`Trainer`] must keep to continue as if it had never stopped: flat vectors in the order of `shapes`.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainerState {
    /// Names and shapes of the parameters.
    pub shapes: Vec<ParameterShape>,
    /// The parameters.
    pub values: Vec<f32>,
    /// The optimiser's memory.
    pub optimizer: OptimizerState,
    /// The moving average, if there is one.
    pub average: Option<Vec<f32>>,
}

impl<M: Module> Trainer<M> {
    /// Starts from a network made on a [training device](crate::DeviceChoice::training).
    ///
    /// # Errors
    /// If a setting is outside its range, or for private training alone.
    pub fn new(model: M, optimization: &Optimization) -> Result<Self> {
        if optimization.optimizer.corrects_for_noise() {
            let expected = "it corrects for the noise of private training, and this training has none; leave it out";
            return Err(Error::Setting { setting: "optimizer.noise_floor", found: "set".into(), expected });
        }
        Self::of_any(model, optimization)
    }

    /// As [`Trainer::new`], also with settings for private training.
    pub(crate) fn of_any(model: M, optimization: &Optimization) -> Result<Self> {
        optimization.check()?;
        let values = values(&model);
        Ok(Self {
            state: OptimizerState::new(&optimization.optimizer, values.len()),
            average: optimization.average_decay.map(|decay| Average::new(decay, &values)),
            optimization: optimization.clone(),
            values,
            model,
        })
    }

    /// The network as it is now, to compute a loss with.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Number of parameter values.
    pub fn parameters(&self) -> usize {
        self.values.len()
    }

    /// One step down the gradient of `loss`, a single value. Returns the loss.
    ///
    /// # Errors
    /// If the loss or its gradient is not finite; the parameters are then unchanged.
    ///
    /// # Panics
    /// If `loss` does not depend on the network.
    pub fn step(&mut self, loss: &Tensor<1>, batch: &Batch<'_>) -> Result<f64> {
        let value = f64::from(loss.clone().into_scalar::<f32>());
        if !value.is_finite() {
            return Err(self.diverged("loss", value, batch));
        }
        self.apply(gradient(&self.model, loss), batch)?;
        Ok(value)
    }

    /// One step down a gradient given as one flat vector in the order of [`shapes`](crate::shapes), such as a sum of
    /// clipped gradients with noise. Returns its norm before `clip_norm`.
    ///
    /// # Errors
    /// If its norm is not finite; the parameters are then unchanged.
    ///
    /// # Panics
    /// If there is not one value per parameter.
    pub fn apply(&mut self, gradient: Vec<f32>, batch: &Batch<'_>) -> Result<f64> {
        self.apply_noised(gradient, 0.0, batch)
    }

    /// As [`Trainer::apply`], for a gradient whose values carry noise of this variance.
    pub(crate) fn apply_noised(
        &mut self,
        mut gradient: Vec<f32>,
        noise_variance: f64,
        batch: &Batch<'_>,
    ) -> Result<f64> {
        let norm = match self.optimization.clip_norm {
            Some(bound) => clip_to_norm(&mut gradient, bound),
            None => norm(&gradient),
        };
        if !norm.is_finite() {
            return Err(self.diverged("norm of the gradient", norm, batch));
        }
        let rate = self.optimization.rate(batch);
        self.optimization.optimizer.step(&mut self.state, &mut self.values, &gradient, rate, noise_variance);
        self.model = with_values(self.model.clone(), &self.values);
        if let Some(average) = &mut self.average {
            average.update(&self.values);
        }
        Ok(norm)
    }

    /// The network to use: the moving average where there is one, else the last step's, on the inference device.
    pub fn finished(&self) -> M {
        let model = self.model.valid();
        match &self.average {
            Some(average) => with_values(model, average.values()),
            None => model,
        }
    }

    /// What a checkpoint keeps.
    pub fn state(&self) -> TrainerState {
        TrainerState {
            shapes: shapes(&self.model),
            values: self.values.clone(),
            optimizer: self.state.clone(),
            average: self.average.as_ref().map(|average| average.values().to_vec()),
        }
    }

    /// Continues from a state of a trainer of the same network and settings.
    ///
    /// # Errors
    /// If the state is of another network or of other settings; says which part differs.
    pub fn restore(&mut self, state: TrainerState) -> std::result::Result<(), String> {
        if state.shapes != shapes(&self.model) {
            return Err("it holds another network (names or shapes of parameters differ)".into());
        }
        let lengths = |state: &OptimizerState| (state.first.len(), state.second.len());
        if lengths(&state.optimizer) != lengths(&self.state) {
            return Err("it holds the memory of another optimiser".into());
        }
        self.average = match (self.optimization.average_decay, state.average) {
            (Some(decay), Some(average)) => Some(Average::resume(decay, state.optimizer.steps, average)),
            (None, None) => None,
            _ => return Err("it was made with another setting of `average_decay`".into()),
        };
        self.model = with_values(self.model.clone(), &state.values);
        self.values = state.values;
        self.state = state.optimizer;
        Ok(())
    }

    fn diverged(&self, what: &'static str, value: f64, batch: &Batch<'_>) -> Error {
        Error::Diverged { step: batch.step, what, value, learning_rate: self.optimization.rate(batch) }
    }
}
