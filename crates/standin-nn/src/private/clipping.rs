use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How the gradient g of one unit is bounded before it is summed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Clipping {
    /// g · min(1, C / ‖g‖) (Abadi et al. 2016).
    Flat {
        /// C, above 0.
        bound: f64,
    },
    /// g · C / (‖g‖ + γ): every unit weighs alike, and there is no bound to choose but with the learning rate (Bu et al.
    /// 2023, "Automatic clipping").
    Automatic {
        /// C, above 0.
        #[serde(default = "one")]
        bound: f64,
        /// γ, above 0: keeps the order of small gradients.
        #[serde(default = "stabiliser")]
        stabiliser: f64,
    },
    /// Each of L layers is clipped to C / √L on its own (McMahan et al. 2018).
    PerLayer {
        /// C of all layers together, above 0.
        bound: f64,
    },
    /// As flat, with a bound that follows a quantile of the norms (Andrew et al. 2021). The noisy count it needs is paid for
    /// out of the same budget: the noise on the gradients is raised accordingly.
    Adaptive {
        /// The first bound, above 0.
        initial: f64,
        /// The share of units whose gradient is to be within the bound, in (0, 1).
        #[serde(default = "quantile")]
        quantile: f64,
        /// Learning rate of the bound's logarithm, above 0.
        #[serde(default = "rate")]
        rate: f64,
        /// Standard deviation of the noise on the count of units within the bound, as a share of the expected batch size.
        #[serde(default = "count_noise")]
        count_noise: f64,
    },
}

fn one() -> f64 {
    1.0
}
fn stabiliser() -> f64 {
    0.01
}
fn quantile() -> f64 {
    0.5
}
fn rate() -> f64 {
    0.2
}
fn count_noise() -> f64 {
    0.05
}

impl Default for Clipping {
    /// Flat, to norm 1.
    fn default() -> Self {
        Self::Flat { bound: 1.0 }
    }
}

impl Clipping {
    /// Checks that every number is in its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check(&self) -> Result<()> {
        let positive = |setting, value: f64| {
            if value.is_finite() && value > 0.0 {
                return Ok(());
            }
            Err(Error::Setting { setting, found: value.to_string(), expected: "it must be a number above 0" })
        };
        match *self {
            Self::Flat { bound } | Self::PerLayer { bound } => positive("clipping.bound", bound),
            Self::Automatic { bound, stabiliser } => {
                positive("clipping.bound", bound)?;
                positive("clipping.stabiliser", stabiliser)
            }
            Self::Adaptive { initial, quantile, rate, count_noise } => {
                positive("clipping.initial", initial)?;
                positive("clipping.rate", rate)?;
                positive("clipping.count_noise", count_noise)?;
                if quantile > 0.0 && quantile < 1.0 {
                    return Ok(());
                }
                let expected = "it must be above 0 and below 1";
                Err(Error::Setting { setting: "clipping.quantile", found: quantile.to_string(), expected })
            }
        }
    }

    /// C at the first step: no unit's clipped gradient is longer.
    pub fn bound(&self) -> f64 {
        match *self {
            Self::Flat { bound } | Self::PerLayer { bound } | Self::Automatic { bound, .. } => bound,
            Self::Adaptive { initial, .. } => initial,
        }
    }

    /// The factor of each unit, from the squared norms of its gradients (`layers × units`), at the bound `bound`: one row for
    /// all layers, or one per layer.
    ///
    /// A norm that is no number gives a factor of 0: one broken row must not break the bound for the others.
    pub fn factors(&self, squared_norms: &[Vec<f64>], bound: f64) -> Vec<Vec<f32>> {
        let factor = |norm: f64, bound: f64| {
            let factor = match *self {
                Self::Automatic { stabiliser, .. } => bound / (norm + stabiliser),
                _ if norm <= bound => 1.0,
                _ => bound / norm,
            };
            if norm.is_finite() { factor as f32 } else { 0.0 }
        };
        match self {
            Self::PerLayer { .. } => {
                let share = bound / (squared_norms.len().max(1) as f64).sqrt();
                let layer = |norms: &Vec<f64>| norms.iter().map(|square| factor(square.sqrt(), share)).collect();
                squared_norms.iter().map(layer).collect()
            }
            _ => vec![norms(squared_norms).into_iter().map(|norm| factor(norm, bound)).collect()],
        }
    }
}

/// The norm of each unit's whole gradient.
pub(super) fn norms(squared: &[Vec<f64>]) -> Vec<f64> {
    let units = squared.first().map_or(0, Vec::len);
    (0..units).map(|unit| squared.iter().map(|layer| layer[unit]).sum::<f64>().sqrt()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two layers, three units: norms 5, 0.5 and 13.
    fn squared() -> Vec<Vec<f64>> {
        vec![vec![9.0, 0.0, 25.0], vec![16.0, 0.25, 144.0]]
    }

    #[test]
    fn clipped_norms_are_within_the_bound_and_short_gradients_unchanged() {
        let factors = Clipping::Flat { bound: 1.0 }.factors(&squared(), 1.0);
        assert_eq!(factors, [[0.2, 1.0, (1.0 / 13.0) as f32]]);
    }

    #[test]
    fn automatic_clipping_weighs_units_alike() {
        let factors = Clipping::Automatic { bound: 1.0, stabiliser: 0.01 }.factors(&squared(), 1.0);
        for (&factor, norm) in factors[0].iter().zip([5.0, 0.5, 13.0]) {
            let length = f64::from(factor) * norm;
            assert!(length < 1.0 && length > 0.97, "{length}");
        }
    }

    #[test]
    fn layers_share_the_bound_in_squares() {
        let factors = Clipping::PerLayer { bound: 1.0 }.factors(&squared(), 1.0);
        for unit in 0..3 {
            let square: f64 =
                squared().iter().zip(&factors).map(|(layer, f)| layer[unit] * f64::from(f[unit]).powi(2)).sum();
            assert!(square <= 1.0 + 1e-6, "{square}");
        }
        assert_eq!(factors[0][1], 1.0, "a layer without gradient is not scaled");
    }

    #[test]
    fn a_gradient_that_is_no_number_does_not_enter() {
        for broken in [f64::NAN, f64::INFINITY] {
            let factors = Clipping::default().factors(&[vec![broken, 0.25]], 1.0);
            assert_eq!(factors, [[0.0, 1.0]]);
        }
    }

    #[test]
    fn settings_outside_their_range_are_named() {
        for (clipping, name) in [
            (Clipping::Flat { bound: 0.0 }, "clipping.bound"),
            (Clipping::PerLayer { bound: -1.0 }, "clipping.bound"),
            (Clipping::Automatic { bound: 1.0, stabiliser: f64::NAN }, "clipping.stabiliser"),
            (Clipping::Adaptive { initial: 1.0, quantile: 1.0, rate: 0.2, count_noise: 0.05 }, "clipping.quantile"),
        ] {
            assert!(clipping.check().unwrap_err().to_string().starts_with(name));
        }
    }
}
