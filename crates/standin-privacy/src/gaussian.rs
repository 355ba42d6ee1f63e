//! The analytic Gaussian mechanism (Balle & Wang 2018, "Improving the Gaussian mechanism for differential privacy").
//!
//! Adding N(0, σ²) to each coordinate of a release whose value moves by at most Δ in the ℓ₂ norm between neighbouring
//! data sets is (ε, δ)-differentially private exactly when (Theorem 8), with μ = Δ/σ,
//!
//! δ ≥ Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ).
//!
//! Unlike the textbook σ = Δ√(2 ln(1.25/δ))/ε this is tight and holds for every ε.
//!
//! # Numerics
//! As written the formula subtracts nearly equal numbers when μ is small and overflows when ε is large. Because
//! e^ε φ(μ/2 + ε/μ) = φ(t) for t = ε/μ − μ/2, it equals
//!
//! δ = φ(t) (R(t) − R(t + μ)),  R(x) = Φ(−x)/φ(x) = ∫₀^∞ e^(−xy − y²/2) dy,
//!
//! and hence one integral of positive terms, φ(t) ∫₀^∞ e^(−ty − y²/2) (1 − e^(−μy)) dy, which is evaluated by double
//! exponential quadrature (Takahasi & Mori 1974) and whose logarithm is finite far below the smallest number. For t
//! clearly below 0, where δ is not small, δ = 1 − φ(t) (R(−t) + R(t + μ)) has no cancellation left.

use std::f64::consts::PI;

use crate::error::{not_negative, positive, probability};
use crate::{Error, Result};

/// ln √(2π).
const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_7;

/// How far below ln δ the calibrated ln δ must stay: above the error of evaluating it, so that rounding can never put a
/// calibrated mechanism on the side that is not private.
const MARGIN: f64 = 1e-11;

/// The smallest δ for which Gaussian noise of standard deviation `sigma` on a release of ℓ₂ sensitivity `sensitivity`
/// is (`epsilon`, δ)-differentially private. Underflows to 0 below 1e-308; see [`ln_delta`].
///
/// # Errors
/// If `sigma` or `sensitivity` is not positive and finite, or `epsilon` is negative or not finite.
pub fn delta(sigma: f64, sensitivity: f64, epsilon: f64) -> Result<f64> {
    Ok(ln_delta(sigma, sensitivity, epsilon)?.exp())
}

/// The natural logarithm of [`delta`].
///
/// # Errors
/// As for [`delta`].
pub fn ln_delta(sigma: f64, sensitivity: f64, epsilon: f64) -> Result<f64> {
    positive("sigma", sigma)?;
    positive("sensitivity", sensitivity)?;
    not_negative("epsilon", epsilon)?;
    Ok(ln_delta_at(sensitivity / sigma, epsilon))
}

/// The smallest ε for which Gaussian noise of standard deviation `sigma` on a release of ℓ₂ sensitivity `sensitivity`
/// is (ε, `delta`)-differentially private; 0 if it is (0, `delta`)-private already. Rounded up, never down.
///
/// # Errors
/// If `sigma` or `sensitivity` is not positive and finite, `delta` is not in (0, 1), or so little noise was added that
/// ε is beyond the largest number.
pub fn epsilon(sigma: f64, sensitivity: f64, delta: f64) -> Result<f64> {
    positive("sigma", sigma)?;
    positive("sensitivity", sensitivity)?;
    probability("delta", delta)?;
    let shift = sensitivity / sigma;
    let private = |epsilon: f64| ln_delta_at(shift, epsilon) <= delta.ln() - MARGIN;
    if private(0.0) {
        return Ok(0.0);
    }
    let mut high = 1.0;
    while !private(high) {
        high *= 2.0;
        if !f64::is_finite(high) {
            let expected = "large enough beside the sensitivity for a finite epsilon";
            return Err(Error::OutOfRange { parameter: "sigma", value: sigma, expected });
        }
    }
    let low = if high > 1.0 { high / 2.0 } else { 0.0 };
    Ok(bisect(low, high, private, |low, high| 0.5 * (low + high)))
}

/// The smallest standard deviation that makes a release of ℓ₂ sensitivity `sensitivity` (`epsilon`, `delta`)-
/// differentially private. Within 1e-10 of the exact value, relative, and never below it (for δ up to 1/2).
///
/// # Errors
/// If `epsilon` is negative or not finite, `delta` is not in (0, 1), `sensitivity` is not positive and finite, or the
/// result is no normal number.
pub fn sigma(epsilon: f64, delta: f64, sensitivity: f64) -> Result<f64> {
    not_negative("epsilon", epsilon)?;
    probability("delta", delta)?;
    positive("sensitivity", sensitivity)?;
    let private = |sigma: f64| ln_delta_at(sigma.recip(), epsilon) <= delta.ln() - MARGIN;
    let (mut low, mut high) = (1.0, 1.0);
    while low > f64::MIN_POSITIVE && private(low) {
        low /= 4.0;
    }
    while high < f64::MAX && !private(high) {
        high *= 4.0;
    }
    let unit = bisect(low, high, private, |low, high| low.sqrt() * high.sqrt());
    let sigma = unit * sensitivity;
    if sigma.is_normal() { Ok(sigma) } else { Err(Error::NoSuchNoise { epsilon, delta, sensitivity }) }
}

/// ln δ for shift μ = Δ/σ.
fn ln_delta_at(shift: f64, epsilon: f64) -> f64 {
    if shift == 0.0 {
        return f64::NEG_INFINITY;
    }
    let t = epsilon / shift - 0.5 * shift;
    if t == f64::INFINITY {
        f64::NEG_INFINITY
    } else if t == f64::NEG_INFINITY {
        0.0
    } else if t >= -0.5 {
        let integral = laplace(t, |y| -(-shift * y).exp_m1());
        -0.5 * t * t - LN_SQRT_TAU + integral.ln()
    } else {
        let density = (-0.5 * t * t - LN_SQRT_TAU).exp();
        let mills = |x| laplace(x, |_| 1.0);
        (-density * (mills(-t) + mills(t + shift))).ln_1p()
    }
}

/// ∫₀^∞ e^(−ty − y²/2) f(y) dy for t ≥ −1/2 and bounded smooth f, by double exponential quadrature on the range beyond
/// which the weight is below e⁻⁴⁰.
fn laplace(t: f64, f: impl Fn(f64) -> f64) -> f64 {
    const STEP: f64 = 1.0 / 16.0;
    let root = (t * t + 80.0).sqrt();
    let end = if t > 0.0 { 80.0 / (t + root) } else { root - t };
    let terms = (-64..=64).map(|index| {
        let u = f64::from(index) * STEP;
        let bent = PI * u.sinh();
        let left = ((-bent).exp() + 1.0).recip();
        let right = (bent.exp() + 1.0).recip();
        let y = end * left;
        left * right * u.cosh() * (-t * y - 0.5 * y * y).exp() * f(y)
    });
    end * PI * STEP * terms.sum::<f64>()
}

/// The smallest argument in [`low`, `high`] at which the monotone `holds` is true, to 1e-14 relative, from above.
/// `holds(high)` must be true.
fn bisect(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool, middle: impl Fn(f64, f64) -> f64) -> f64 {
    while high - low > 1e-14 * high {
        let centre = middle(low, high);
        if centre <= low || centre >= high {
            break;
        }
        if holds(centre) {
            high = centre;
        } else {
            low = centre;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of `tests/fixtures/gaussian.csv` of one kind; `tests/fixtures/gaussian.py` says how they were made.
    fn fixture(kind: &str) -> Vec<[f64; 4]> {
        let rows: Vec<_> = include_str!("../tests/fixtures/gaussian.csv")
            .lines()
            .filter_map(|line| line.strip_prefix(kind)?.strip_prefix(','))
            .map(|line| {
                let numbers: Vec<f64> = line.split(',').map(|number| number.parse().unwrap()).collect();
                numbers.try_into().unwrap()
            })
            .collect();
        assert!(rows.len() >= 30, "only {} rows of {kind}", rows.len());
        rows
    }

    #[test]
    fn delta_equals_high_precision_arithmetic() {
        for [epsilon, sigma, exact, _] in fixture("delta") {
            let found = ln_delta(sigma, 1.0, epsilon).unwrap();
            let error = (found - exact).abs() / exact.abs().max(1.0);
            assert!(error < 1e-12, "ln delta {found} for {exact} at epsilon {epsilon}, sigma {sigma}: {error:e}");
        }
    }

    #[test]
    fn calibrated_noise_is_exact_and_on_the_private_side() {
        for [epsilon, delta, exact, dp_accounting] in fixture("sigma") {
            for sensitivity in [1.0, 3.7e-5, 2e4] {
                let found = sigma(epsilon, delta, sensitivity).unwrap() / sensitivity;
                let excess = found / exact - 1.0;
                assert!((-1e-15..1e-10).contains(&excess), "{found} for {exact} at {epsilon}, {delta}: {excess:e}");
            }
            if dp_accounting.is_finite() {
                assert!((dp_accounting / exact - 1.0).abs() < 1e-6, "dp-accounting gave {dp_accounting} for {exact}");
            }
        }
    }

    #[test]
    fn epsilon_inverts_sigma_and_is_rounded_up() {
        for [target, delta, exact, _] in fixture("sigma") {
            let found = epsilon(exact, 1.0, delta).unwrap();
            let excess = found - target;
            assert!(excess >= -1e-15 * target && excess < 1e-9 * target.max(1e-2), "{found} for {target} at {delta}");
        }
    }

    #[test]
    fn delta_at_epsilon_zero_is_the_total_variation_distance() {
        // One, two and three standard deviations: 2Φ(μ/2) − 1.
        for (shift, expected) in [
            (2e-9, 7.978_845_608_028_654e-10),
            (2.0, 0.682_689_492_137_085_9),
            (4.0, 0.954_499_736_103_641_6),
            (6.0, 0.997_300_203_936_739_8),
        ] {
            let found = delta(1.0, shift, 0.0).unwrap();
            assert!((found / expected - 1.0).abs() < 1e-13, "{found} for {expected} at shift {shift}");
        }
    }

    #[test]
    fn less_noise_needs_more_delta_and_more_epsilon() {
        let sigmas: Vec<f64> = (0..60).map(|i| 0.05 * 1.2_f64.powi(i)).collect();
        for pair in sigmas.windows(2) {
            for epsilon in [0.0, 0.1, 1.0, 30.0] {
                let (little, much) =
                    (ln_delta(pair[0], 1.0, epsilon).unwrap(), ln_delta(pair[1], 1.0, epsilon).unwrap());
                assert!(little >= much, "at {pair:?}");
            }
            assert!(epsilon(pair[0], 1.0, 1e-6).unwrap() >= epsilon(pair[1], 1.0, 1e-6).unwrap());
        }
    }

    #[test]
    fn impossible_requests_say_which_parameter() {
        let message = |result: Result<f64>| result.unwrap_err().to_string();
        assert!(message(sigma(f64::NAN, 1e-6, 1.0)).contains("epsilon is NaN"));
        assert!(message(sigma(1.0, 0.0, 1.0)).contains("delta is 0"));
        assert!(message(sigma(1.0, 1.0, 1.0)).contains("delta is 1"));
        assert!(message(sigma(1.0, 1e-6, 0.0)).contains("sensitivity is 0"));
        assert!(message(sigma(1.0, 1e-6, 1e-310)).contains("no finite noise"));
        assert!(message(sigma(0.0, 1e-300, 1e300)).contains("no finite noise"));
        assert!(message(delta(0.0, 1.0, 1.0)).contains("sigma is 0"));
        assert!(message(epsilon(-1.0, 1.0, 1e-6)).contains("sigma is -1"));
        assert!(message(epsilon(1e-300, 1e300, 1e-6)).contains("sigma is"));
    }

    #[test]
    fn extreme_parameters_stay_finite() {
        for epsilon in [0.0, 1e-12, 1.0, 500.0, 1e6, 1e12] {
            for delta in [1e-300, 1e-100, 1e-6, 0.1] {
                let found = sigma(epsilon, delta, 1.0).unwrap();
                assert!(found.is_normal(), "{found} at {epsilon}, {delta}");
                let reached = ln_delta(found, 1.0, epsilon).unwrap();
                assert!(reached <= delta.ln(), "{reached} at {epsilon}, {delta}");
            }
        }
    }
}
