use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Values that one task updates. Each value's update depends on its own history alone, so the split is free.
const CHUNK: usize = 1 << 14;

/// How a gradient becomes a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimizer {
    /// Adam (Kingma and Ba 2015, algorithm 1) with decoupled weight decay (Loshchilov and Hutter 2019, AdamW).
    Adam {
        /// Decay of the mean of gradients, β₁.
        #[serde(default = "beta_1")]
        beta_1: f64,
        /// Decay of the mean of squared gradients, β₂.
        #[serde(default = "beta_2")]
        beta_2: f64,
        /// Added to the root of the second moment.
        #[serde(default = "epsilon")]
        epsilon: f64,
        /// Every step multiplies the parameters by 1 − learning rate · `weight_decay`.
        #[serde(default)]
        weight_decay: f64,
        /// For private training alone: the variance of the noise is taken off the mean of squared gradients, which it would
        /// else dominate, and what is left is at least this (Tang, Shpilevskiy and Lécuyer 2024, DP-AdamBC, γ′). None
        /// for plain Adam.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        noise_floor: Option<f64>,
    },
    /// Stochastic gradient descent with g' = g + `weight_decay` · θ: v ← `momentum` · v + g', θ ← θ − learning rate · v.
    Sgd {
        /// Decay of the velocity; 0 for none.
        #[serde(default = "momentum")]
        momentum: f64,
        /// Nesterov's momentum (Sutskever et al. 2013, in the form that needs the gradient at θ only): the step is along
        /// g' + `momentum` · v instead of v.
        #[serde(default)]
        nesterov: bool,
        /// Weight of the squared norm of the parameters, added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
}

fn beta_1() -> f64 {
    0.9
}
fn beta_2() -> f64 {
    0.999
}
fn epsilon() -> f64 {
    1e-8
}
fn momentum() -> f64 {
    0.9
}

impl Default for Optimizer {
    /// Adam with β = (0.9, 0.999), ε = 10⁻⁸, no weight decay.
    fn default() -> Self {
        Self::adam(0.0)
    }
}

impl Optimizer {
    /// Adam with its usual constants and the given decoupled weight decay.
    pub fn adam(weight_decay: f64) -> Self {
        Self::Adam { beta_1: beta_1(), beta_2: beta_2(), epsilon: epsilon(), weight_decay, noise_floor: None }
    }

    /// Checks that every constant is in its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check(&self) -> Result<()> {
        let decay = |setting, value: f64| {
            if (0.0..1.0).contains(&value) {
                return Ok(());
            }
            Err(Error::Setting { setting, found: value.to_string(), expected: "it must be at least 0 and below 1" })
        };
        let not_negative = |setting, value: f64| {
            if value.is_finite() && value >= 0.0 {
                return Ok(());
            }
            Err(Error::Setting { setting, found: value.to_string(), expected: "it must be a number of at least 0" })
        };
        match *self {
            Self::Adam { beta_1, beta_2, epsilon, weight_decay, noise_floor } => {
                if let Some(floor) = noise_floor.filter(|floor| !(floor.is_finite() && *floor > 0.0)) {
                    let expected = "it must be a number above 0; leave it out for plain Adam";
                    return Err(Error::Setting {
                        setting: "optimizer.noise_floor",
                        found: floor.to_string(),
                        expected,
                    });
                }
                decay("optimizer.beta_1", beta_1)?;
                decay("optimizer.beta_2", beta_2)?;
                not_negative("optimizer.epsilon", epsilon)?;
                not_negative("optimizer.weight_decay", weight_decay)
            }
            Self::Sgd { momentum, weight_decay, .. } => {
                decay("optimizer.momentum", momentum)?;
                not_negative("optimizer.weight_decay", weight_decay)
            }
        }
    }

    /// Whether it corrects for the noise of private training.
    pub(crate) fn corrects_for_noise(&self) -> bool {
        matches!(self, Self::Adam { noise_floor: Some(_), .. })
    }

    /// Updates `values` by one step along `gradient`, whose values carry noise of variance `noise_variance` (0 for none; only
    /// `noise_floor` looks at it).
    ///
    /// Time is linear in the number of values, memory none beyond the state.
    ///
    /// # Panics
    /// If the three lengths differ.
    pub fn step(
        &self,
        state: &mut OptimizerState,
        values: &mut [f32],
        gradient: &[f32],
        learning_rate: f64,
        noise_variance: f64,
    ) {
        assert!(
            values.len() == gradient.len() && values.len() == state.first.len(),
            "one gradient value per parameter: {} and {}, state for {}",
            gradient.len(),
            values.len(),
            state.first.len()
        );
        state.steps += 1;
        match *self {
            Self::Adam { beta_1, beta_2, epsilon, weight_decay, noise_floor } => {
                let steps = state.steps as f64;
                // m / (1 − β₁ᵗ) over √(v / (1 − β₂ᵗ)) + ε, with both corrections moved into the constants.
                let correction = (1.0 - beta_2.powf(steps)).sqrt();
                let rate = (learning_rate * correction / (1.0 - beta_1.powf(steps))) as f32;
                let epsilon = (epsilon * correction) as f32;
                // The noise and the floor belong to the corrected second moment, v / (1 − β₂ᵗ).
                let moment = correction * correction;
                let (noise, floor) = noise_floor.map_or((0.0, 0.0), |floor| (noise_variance * moment, floor * moment));
                let (noise, floor) = (noise as f32, floor as f32);
                let keep = (1.0 - learning_rate * weight_decay) as f32;
                // 1 − β is rounded once: in f32, 1 − 0.999 would be off in the fifth digit.
                let (rest_1, rest_2) = ((1.0 - beta_1) as f32, (1.0 - beta_2) as f32);
                let (beta_1, beta_2) = (beta_1 as f32, beta_2 as f32);
                values
                    .par_chunks_mut(CHUNK)
                    .zip(gradient.par_chunks(CHUNK))
                    .zip(state.first.par_chunks_mut(CHUNK))
                    .zip(state.second.par_chunks_mut(CHUNK))
                    .for_each(|(((values, gradient), first), second)| {
                        for (((value, &g), m), v) in values.iter_mut().zip(gradient).zip(first).zip(second) {
                            *m = beta_1 * *m + rest_1 * g;
                            *v = beta_2 * *v + rest_2 * g * g;
                            *value = keep * *value - rate * *m / ((*v - noise).max(floor).sqrt() + epsilon);
                        }
                    });
            }
            Self::Sgd { momentum, nesterov, weight_decay } => {
                let (momentum, decay, rate) = (momentum as f32, weight_decay as f32, learning_rate as f32);
                values
                    .par_chunks_mut(CHUNK)
                    .zip(gradient.par_chunks(CHUNK))
                    .zip(state.first.par_chunks_mut(CHUNK))
                    .for_each(|((values, gradient), velocity)| {
                        for ((value, &g), v) in values.iter_mut().zip(gradient).zip(velocity) {
                            let g = g + decay * *value;
                            *v = momentum * *v + g;
                            *value -= rate * if nesterov { g + momentum * *v } else { *v };
                        }
                    });
            }
        }
    }
}

/// What an optimiser remembers between steps.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerState {
    /// Steps taken.
    pub steps: u64,
    /// Adam's mean of gradients, or the velocity of gradient descent; one value per parameter.
    pub first: Vec<f32>,
    /// Adam's mean of squared gradients; one value per parameter, empty for gradient descent.
    pub second: Vec<f32>,
}

impl OptimizerState {
    /// The state before the first step.
    pub fn new(optimizer: &Optimizer, parameters: usize) -> Self {
        let second = match optimizer {
            Optimizer::Adam { .. } => parameters,
            Optimizer::Sgd { .. } => 0,
        };
        Self { steps: 0, first: vec![0.0; parameters], second: vec![0.0; second] }
    }
}

/// The Euclidean norm, accumulated in f64 in order.
pub fn norm(gradient: &[f32]) -> f64 {
    gradient.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt()
}

/// Scales a gradient down to norm `bound` if it is longer (Pascanu et al. 2013), and returns the norm it had.
pub fn clip_to_norm(gradient: &mut [f32], bound: f64) -> f64 {
    let norm = norm(gradient);
    if norm > bound {
        let scale = (bound / norm) as f32;
        gradient.iter_mut().for_each(|value| *value *= scale);
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs five steps on f(θ) = ½ Σ aᵢ θᵢ² from θ = (1, −2, 3), a = (1, 10, 0.1), at learning rate 0.1.
    fn descend(optimizer: Optimizer) -> Vec<f32> {
        descend_with_noise(optimizer, 0.0)
    }

    fn descend_with_noise(optimizer: Optimizer, noise_variance: f64) -> Vec<f32> {
        let mut values = vec![1.0, -2.0, 3.0];
        let mut state = OptimizerState::new(&optimizer, 3);
        for _ in 0..5 {
            let gradient: Vec<f32> = values.iter().zip([1.0, 10.0, 0.1]).map(|(value, a)| value * a).collect();
            optimizer.step(&mut state, &mut values, &gradient, 0.1, noise_variance);
        }
        values
    }

    fn close(values: &[f32], expected: [f64; 3]) {
        for (&value, wanted) in values.iter().zip(expected) {
            assert!((f64::from(value) - wanted).abs() < 2e-6, "{value} for {wanted}");
        }
    }

    /// The same recursions in f64, written out from the papers in tests/fixtures/optimizers.py.
    #[test]
    fn steps_equal_the_published_recursions() {
        close(&descend(Optimizer::adam(0.0)), ADAM);
        close(&descend(Optimizer::adam(0.5)), ADAM_DECAY);
        close(&descend_with_noise(corrected(0.01), 0.5), ADAM_NOISE);
        let sgd = |momentum, nesterov, weight_decay| Optimizer::Sgd { momentum, nesterov, weight_decay };
        close(&descend(sgd(0.0, false, 0.0)), SGD);
        close(&descend(sgd(0.9, false, 0.01)), SGD_MOMENTUM);
        close(&descend(sgd(0.9, true, 0.01)), SGD_NESTEROV);
    }

    const ADAM: [f64; 3] = [0.507963662, -1.502955780, 2.501779472];
    const ADAM_DECAY: [f64; 3] = [0.335314891, -1.102185837, 1.874259283];
    const ADAM_NOISE: [f64; 3] = [-0.081722305, -1.502613355, 1.657092704];
    const SGD: [f64; 3] = [0.590490000, 0.000000000, 2.852970150];
    const SGD_MOMENTUM: [f64; 3] = [-0.036815008, -1.606367049, 2.577397795];
    const SGD_NESTEROV: [f64; 3] = [-0.110790589, 0.000001485, 2.469036752];

    #[test]
    fn the_first_adam_step_has_the_length_of_the_learning_rate() {
        let optimizer = Optimizer::default();
        let mut values = vec![0.0; 2];
        optimizer.step(&mut OptimizerState::new(&optimizer, 2), &mut values, &[1e-3, -50.0], 0.01, 0.0);
        assert!((values[0] + 0.01).abs() < 1e-6 && (values[1] - 0.01).abs() < 1e-6, "{values:?}");
    }

    #[test]
    fn clipping_keeps_the_direction_and_bounds_the_norm() {
        let mut gradient = vec![3.0, 4.0];
        assert_eq!(clip_to_norm(&mut gradient, 10.0), 5.0);
        assert_eq!(gradient, [3.0, 4.0]);
        assert_eq!(clip_to_norm(&mut gradient, 1.0), 5.0);
        assert!((gradient[0] - 0.6).abs() < 1e-7 && (gradient[1] - 0.8).abs() < 1e-7);
    }

    fn corrected(floor: f64) -> Optimizer {
        let Optimizer::Adam { beta_1, beta_2, epsilon, weight_decay, .. } = Optimizer::default() else {
            unreachable!()
        };
        Optimizer::Adam { beta_1, beta_2, epsilon, weight_decay, noise_floor: Some(floor) }
    }

    #[test]
    fn a_constant_outside_its_range_is_named() {
        let error = Optimizer::Adam { beta_1: 1.0, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.0, noise_floor: None };
        assert!(error.check().unwrap_err().to_string().contains("beta_1"));
        assert!(corrected(0.0).check().unwrap_err().to_string().contains("noise_floor"));
    }
}
