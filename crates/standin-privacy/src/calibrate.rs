//! How much noise, how many steps or how large a sample a budget allows.

use crate::error::rate;
use crate::{Budget, Error, Event, Ledger, Result};

/// Noise multipliers beyond this need more noise than any use allows.
const MOST_NOISE: f64 = 1e7;

/// Relative width to which a continuous parameter is found.
const TOLERANCE: f64 = 1e-5;

/// The smallest noise multiplier with which `steps` steps on Poisson samples of `sampling_rate`, after everything in
/// `before`, stay within `budget`. Within 1e-4 of the smallest one the accountant admits, relative, and never below it.
///
/// # Errors
/// If `sampling_rate` is not in (0, 1] or `steps` is 0; if what ran before has used up the budget, or no noise
/// suffices: the error then says which ε could be had.
pub fn noise_multiplier(budget: Budget, sampling_rate: f64, steps: u64, before: &Ledger) -> Result<f64> {
    rate("sampling_rate", sampling_rate)?;
    crate::error::positive("steps", steps as f64)?;
    let epsilon = |noise_multiplier: f64| -> Result<f64> {
        let mut ledger = before.clone();
        ledger.record(Event::PoissonSubsampledGaussian { sampling_rate, noise_multiplier }, steps)?;
        Ok(ledger.epsilon(budget.delta)?.high)
    };
    let most = epsilon(MOST_NOISE)?;
    if most > budget.epsilon {
        return Err(Error::BudgetSpent { epsilon: budget.epsilon, delta: budget.delta, needed: most });
    }
    let (mut low, mut high) = (1.0, 1.0);
    while epsilon(high)? > budget.epsilon {
        low = high;
        high *= 2.0;
    }
    while low == high || epsilon(low)? <= budget.epsilon {
        high = low;
        low /= 2.0;
    }
    while high > low * (1.0 + TOLERANCE) {
        let middle = (low * high).sqrt();
        if epsilon(middle)? <= budget.epsilon { high = middle } else { low = middle }
    }
    Ok(high)
}
