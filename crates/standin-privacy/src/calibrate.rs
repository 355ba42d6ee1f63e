//! How much noise, how many steps or how large a sample a budget allows.
//!
//! Every answer is checked with the accountant that will state the guarantee: what was calibrated to a budget never
//! exceeds it, whatever ran before.

use crate::error::{positive, rate};
use crate::{Budget, Error, Event, Ledger, Result};

/// Noise multipliers beyond this need more noise than any use allows.
const MOST_NOISE: f64 = 1e7;

/// Noise multipliers below this are as good as none.
const LEAST_NOISE: f64 = 1e-3;

/// Sampling rates below this sample as good as no unit.
const LEAST_RATE: f64 = 1e-12;

/// The most steps that are considered.
const MOST_STEPS: u64 = 1 << 40;

/// Relative width to which a continuous parameter is found.
const TOLERANCE: f64 = 2e-5;

/// The smallest noise multiplier with which `steps` steps on Poisson samples of `sampling_rate`, after everything in
/// `before`, stay within `budget`. Within 1e-4 of the smallest one the accountant admits, relative, and never below it.
///
/// # Errors
/// If `sampling_rate` is not in (0, 1] or `steps` is 0; if what ran before has used up the budget, or no noise
/// suffices: the error then says which ε could be had.
pub fn noise_multiplier(budget: Budget, sampling_rate: f64, steps: u64, before: &Ledger) -> Result<f64> {
    rate("sampling_rate", sampling_rate)?;
    positive("steps", steps as f64)?;
    let excess = |ln_noise: f64| excess(budget, sampling_rate, ln_noise.exp(), steps, before);
    let needed = attainable(budget, sampling_rate, MOST_NOISE, steps, before)?;
    if needed > budget.epsilon {
        return Err(Error::BudgetSpent { epsilon: budget.epsilon, delta: budget.delta, needed });
    }
    if excess(LEAST_NOISE.ln())? <= 0.0 {
        return Ok(LEAST_NOISE);
    }
    Ok(crossing(LEAST_NOISE.ln(), 0.0, MOST_NOISE.ln(), excess)?.exp())
}

/// The most steps of `noise_multiplier` on Poisson samples of `sampling_rate` that stay within `budget` after everything
/// in `before`.
///
/// # Errors
/// If `sampling_rate` is not in (0, 1] or `noise_multiplier` is not positive and finite; if not even one step stays
/// within the budget: the error then says which ε one step takes.
pub fn steps(budget: Budget, sampling_rate: f64, noise_multiplier: f64, before: &Ledger) -> Result<u64> {
    let needed = attainable(budget, sampling_rate, noise_multiplier, 1, before)?;
    if needed > budget.epsilon {
        return Err(Error::BudgetSpent { epsilon: budget.epsilon, delta: budget.delta, needed });
    }
    let within = |steps: u64| Ok(attainable(budget, sampling_rate, noise_multiplier, steps, before)? <= budget.epsilon);
    let (mut low, mut high) = (1, 2);
    while within(high)? {
        if high >= MOST_STEPS {
            return Ok(high);
        }
        (low, high) = (high, 2 * high);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if within(middle)? { low = middle } else { high = middle }
    }
    Ok(low)
}

/// The largest sampling rate at which `steps` steps of `noise_multiplier` on Poisson samples stay within `budget` after
/// everything in `before`. Within 1e-4 of the largest one the accountant admits, relative, and never above it.
///
/// # Errors
/// If `steps` is 0 or `noise_multiplier` is not positive and finite; if what ran before has used up the budget: the error
/// then says which ε could be had.
pub fn sampling_rate(budget: Budget, noise_multiplier: f64, steps: u64, before: &Ledger) -> Result<f64> {
    positive("steps", steps as f64)?;
    let excess = |ln_rate: f64| excess(budget, (-ln_rate).exp().min(1.0), noise_multiplier, steps, before);
    let needed = attainable(budget, LEAST_RATE, noise_multiplier, steps, before)?;
    if needed > budget.epsilon {
        return Err(Error::BudgetSpent { epsilon: budget.epsilon, delta: budget.delta, needed });
    }
    if excess(0.0)? <= 0.0 {
        return Ok(1.0);
    }
    let most = -LEAST_RATE.ln();
    Ok((-crossing(0.0, 0.25 * most, most, excess)?).exp())
}

/// ε of everything in `before` and these steps.
fn attainable(budget: Budget, sampling_rate: f64, noise_multiplier: f64, steps: u64, before: &Ledger) -> Result<f64> {
    let mut ledger = before.clone();
    ledger.record(Event::PoissonSubsampledGaussian { sampling_rate, noise_multiplier }, steps)?;
    match ledger.epsilon(budget.delta) {
        Ok(bounds) => Ok(bounds.high),
        // So little noise that ε is beyond all numbers: far too much, and not an error of the search.
        Err(Error::NoFiniteEpsilon { .. }) => Ok(f64::MAX),
        Err(error) => Err(error),
    }
}

/// ln of ε over the budget; finite at ε = 0 too.
fn excess(budget: Budget, sampling_rate: f64, noise_multiplier: f64, steps: u64, before: &Ledger) -> Result<f64> {
    let spent = attainable(budget, sampling_rate, noise_multiplier, steps, before)?;
    Ok((spent / budget.epsilon).max(1e-9).ln())
}

/// Where the falling `excess` crosses 0 between `low`, where it is positive, and `high`, where it is not: from above, to
/// [`TOLERANCE`]. Begins around `start`, steps outwards until the crossing is enclosed, and then takes secants, kept within
/// the enclosure and off its ends, since every value costs a transform.
fn crossing(low: f64, start: f64, high: f64, excess: impl Fn(f64) -> Result<f64>) -> Result<f64> {
    let (mut low, mut high) = ((low, f64::INFINITY), (high, f64::NEG_INFINITY));
    let mut at = start;
    let mut stride = 0.5;
    loop {
        let value = excess(at)?;
        if value > 0.0 {
            low = (at, value)
        } else {
            high = (at, value)
        }
        let width = high.0 - low.0;
        if width <= TOLERANCE {
            return Ok(high.0);
        }
        at = if !high.1.is_finite() && low.1.is_finite() {
            (at + stride).min(0.5 * (low.0 + high.0).max(at))
        } else if !low.1.is_finite() && high.1.is_finite() {
            (at - stride).max(0.5 * (low.0 + high.0).min(at))
        } else if low.1.is_finite() && high.1.is_finite() {
            let secant = low.0 + width * low.1 / (low.1 - high.1);
            // A little towards the wider side, so that both ends move.
            let margin = (0.02 * width).max(0.45 * TOLERANCE).min(0.5 * width);
            let nudged = if secant - low.0 < high.0 - secant { secant + margin } else { secant - margin };
            nudged.clamp(low.0 + 0.4 * TOLERANCE, high.0 - 0.4 * TOLERANCE)
        } else {
            0.5 * (low.0 + high.0)
        };
        stride *= 2.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Adjacency, NoiseOrigin, Unit, gaussian};

    fn nothing() -> Ledger {
        Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Secret)
    }

    fn budget(epsilon: f64, delta: f64) -> Budget {
        Budget { epsilon, delta }
    }

    fn cost(sampling_rate: f64, noise_multiplier: f64, steps: u64, delta: f64, before: &Ledger) -> f64 {
        attainable(budget(1.0, delta), sampling_rate, noise_multiplier, steps, before).unwrap()
    }

    /// The search must end wherever its enclosure happens to shrink below its tolerance.
    #[test]
    fn every_target_of_a_fine_grid_is_calibrated() {
        for epsilon in [0.3, 1.0, 3.0, 8.0] {
            for rate in [0.004, 0.034, 0.2, 1.0] {
                for steps in [1, 100, 1200] {
                    let asked = budget(epsilon, 1e-5);
                    let found = noise_multiplier(asked, rate, steps, &nothing()).unwrap();
                    let spent = cost(rate, found, steps, 1e-5, &nothing());
                    assert!(spent <= epsilon && spent > 0.99 * epsilon, "{epsilon} {rate} {steps}: {spent}");
                }
            }
        }
    }

    #[test]
    fn a_budget_below_which_there_is_only_zero_is_met() {
        // δ = 0.05 alone covers one step at a rate of 0.05, and ε leaps from 0 to much more where it does not.
        let asked = budget(1e-3, 0.05);
        let noise = noise_multiplier(asked, 0.06, 1, &nothing()).unwrap();
        assert!(cost(0.06, noise, 1, 0.05, &nothing()) <= 1e-3);
        let rate = sampling_rate(asked, 0.5, 1, &nothing()).unwrap();
        assert!(cost(rate, 0.5, 1, 0.05, &nothing()) <= 1e-3 && rate > 0.05, "{rate}");
    }

    #[test]
    fn noise_is_the_smallest_that_stays_within_the_budget() {
        for (epsilon, delta, rate, steps) in [
            (1.0, 1e-5, 0.01, 1000),
            (3.0, 1e-5, 0.004, 14_000),
            (0.2, 1e-8, 0.1, 50),
            (50.0, 1e-6, 0.5, 10),
            (8.0, 1e-5, 1.0, 7),
        ] {
            let noise = noise_multiplier(budget(epsilon, delta), rate, steps, &nothing()).unwrap();
            assert!(cost(rate, noise, steps, delta, &nothing()) <= epsilon);
            assert!(cost(rate, noise * (1.0 - 1e-4), steps, delta, &nothing()) > epsilon, "σ = {noise} is too large");
        }
    }

    #[test]
    fn full_batches_are_calibrated_as_the_analytic_gaussian() {
        let noise = noise_multiplier(budget(2.0, 1e-6), 1.0, 100, &nothing()).unwrap();
        let exact = gaussian::sigma(2.0, 1e-6, 1.0).unwrap() * 10.0;
        assert!(noise >= exact * (1.0 - 1e-9) && noise <= exact * 1.0001, "{noise} for {exact}");
    }

    #[test]
    fn what_ran_before_is_paid_for() {
        let mut before = nothing();
        before.record("gaussian:8".parse().unwrap(), 1).unwrap();
        let alone = noise_multiplier(budget(2.0, 1e-5), 0.02, 500, &nothing()).unwrap();
        let after = noise_multiplier(budget(2.0, 1e-5), 0.02, 500, &before).unwrap();
        assert!(after > 1.01 * alone, "{after} after {alone}");
        assert!(cost(0.02, after, 500, 1e-5, &before) <= 2.0);
    }

    #[test]
    fn impossible_budgets_say_what_could_be_had() {
        let mut before = nothing();
        before.record("gaussian:1".parse().unwrap(), 1).unwrap();
        let spent = gaussian::epsilon(1.0, 1.0, 1e-5).unwrap();
        let error = noise_multiplier(budget(1.0, 1e-5), 0.01, 100, &before).unwrap_err();
        let Error::BudgetSpent { needed, .. } = error else { panic!("{error}") };
        assert!(needed >= spent && needed < 1.001 * spent, "{needed} for {spent}");
        assert!(error.to_string().contains("the least that can be had is epsilon 4.37"), "{error}");
        assert!(steps(budget(0.01, 1e-9), 1.0, 0.5, &nothing()).unwrap_err().to_string().contains("epsilon 0.01"));
        assert!(noise_multiplier(budget(1.0, 1e-5), 1.5, 100, &nothing()).is_err());
        assert!(noise_multiplier(budget(1.0, 1e-5), 0.5, 0, &nothing()).is_err());
    }

    #[test]
    fn one_step_more_exceeds_the_budget() {
        let most = steps(budget(1.0, 1e-5), 0.01, 1.0, &nothing()).unwrap();
        assert!(cost(0.01, 1.0, most, 1e-5, &nothing()) <= 1.0);
        assert!(cost(0.01, 1.0, most + 1, 1e-5, &nothing()) > 1.0);
    }

    #[test]
    fn a_larger_sample_exceeds_the_budget() {
        let largest = sampling_rate(budget(1.0, 1e-5), 1.0, 1000, &nothing()).unwrap();
        assert!(cost(largest, 1.0, 1000, 1e-5, &nothing()) <= 1.0);
        assert!(cost(largest * 1.0001, 1.0, 1000, 1e-5, &nothing()) > 1.0);
        assert_eq!(sampling_rate(budget(100.0, 1e-5), 10.0, 3, &nothing()).unwrap(), 1.0);
    }
}
