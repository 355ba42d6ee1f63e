use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use super::LowerBound;
use super::binomial::clopper_pearson_at;
use crate::error::{fraction, probability};
use crate::{Error, Result, gaussian};

/// What one test achieved: a threshold on an attack's score that was fixed before these trials were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Members taken for members.
    pub true_positives: u64,
    /// Members tried.
    pub positives: u64,
    /// Non-members taken for members.
    pub false_positives: u64,
    /// Non-members tried.
    pub negatives: u64,
}

impl Rates {
    /// A lower bound on the true-positive rate and an upper bound on the false-positive rate that both hold with
    /// `confidence`, by Clopper and Pearson with half of the error probability each.
    fn bounds(self, confidence: f64) -> Result<(f64, f64)> {
        probability("confidence", confidence)?;
        for (part, parts, whole, of) in [
            ("true_positives", self.true_positives, "positives", self.positives),
            ("false_positives", self.false_positives, "negatives", self.negatives),
        ] {
            if parts > of || of == 0 {
                return Err(Error::Counts { part, parts, whole, of });
            }
        }
        let (true_positive_rate, _) =
            clopper_pearson_at(self.true_positives as usize, self.positives as usize, confidence);
        let (_, false_positive_rate) =
            clopper_pearson_at(self.false_positives as usize, self.negatives as usize, confidence);
        Ok((true_positive_rate, false_positive_rate))
    }
}

/// The largest ε refuted by a test's rates, for any (ε, `delta`)-private mechanism: such a mechanism keeps every test to
/// TPR ≤ e^ε FPR + δ and 1 − FPR ≤ e^ε (1 − TPR) + δ (Kairouz, Oh & Viswanath 2015, Theorem 2.1).
///
/// Trials must be independent given the mechanism, as when each has a training run of its own.
///
/// # Errors
/// If a count exceeds the trials or there are no trials, `delta` is not in [0, 1), or `confidence` not in (0, 1).
pub fn from_rates(rates: Rates, delta: f64, confidence: f64) -> Result<LowerBound> {
    fraction("delta", delta)?;
    let (hit, alarm) = rates.bounds(confidence)?;
    let ratio = |power: f64, error: f64| if power > delta { ((power - delta) / error).ln() } else { 0.0 };
    let epsilon = ratio(hit, alarm).max(ratio(1.0 - alarm, 1.0 - hit)).max(0.0);
    Ok(LowerBound { epsilon, delta, confidence, method: "Clopper–Pearson on the rates of one test".into() })
}

/// The largest ε refuted by a test's rates if the mechanism's trade-off between errors is that of a Gaussian: then
/// Φ⁻¹(TPR) − Φ⁻¹(FPR) ≤ μ (Dong, Roth & Su 2022), and the μ that is refuted has an ε at `delta` (Nasr, Hayes, Steinke,
/// Balle, Tramèr, Jagielski, Carlini & Terzis 2023, "Tight auditing of differentially private machine learning", §4).
///
/// # Errors
/// As for [`from_rates`], and if `delta` is 0, at which no Gaussian has a finite ε.
pub fn gaussian_from_rates(rates: Rates, delta: f64, confidence: f64) -> Result<LowerBound> {
    probability("delta", delta)?;
    let (hit, alarm) = rates.bounds(confidence)?;
    let normal = Normal::standard();
    let mu = if hit > 0.0 && alarm < 1.0 { normal.inverse_cdf(hit) - normal.inverse_cdf(alarm) } else { 0.0 };
    let epsilon = if mu > 0.0 { gaussian::epsilon(1.0, mu, delta)? } else { 0.0 };
    let method =
        format!("Clopper–Pearson on the rates of one test, if the trade-off is Gaussian (μ ≥ {:.3})", mu.max(0.0));
    Ok(LowerBound { epsilon, delta, confidence, method })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(true_positives: u64, positives: u64, false_positives: u64, negatives: u64) -> Rates {
        Rates { true_positives, positives, false_positives, negatives }
    }

    /// `tests/fixtures/lower_bounds.py` says how these were made.
    #[test]
    fn bounds_equal_scipy() {
        let mut rows = 0;
        for line in include_str!("../../tests/fixtures/lower_bounds.csv").lines() {
            let Some(numbers) = line.strip_prefix("rates,") else { continue };
            let n: Vec<f64> = numbers.split(',').map(|number| number.parse().unwrap()).collect();
            let rates = rates(n[0] as u64, n[1] as u64, n[2] as u64, n[3] as u64);
            let plain = from_rates(rates, n[4], n[5]).unwrap().epsilon;
            let gaussian = gaussian_from_rates(rates, n[4], n[5]).unwrap().epsilon;
            assert!((plain - n[6]).abs() < 1e-6, "{plain} for {line}");
            assert!((gaussian - n[7]).abs() < 1e-6, "{gaussian} for {line}");
            rows += 1;
        }
        assert!(rows >= 8);
    }

    #[test]
    fn a_perfect_attack_is_limited_by_its_trials() {
        let bound = |n: u64| from_rates(rates(n, n, 0, n), 0.0, 0.95).unwrap().epsilon;
        assert!(bound(10) < bound(100) && bound(100) < bound(1000));
        // Both rates are bounded by 0.025^(1/n): ε = ln(p/(1 − p)).
        let p = 0.025_f64.powf(0.01);
        assert!((bound(100) - (p / (1.0 - p)).ln()).abs() < 1e-9);
    }

    #[test]
    fn guessing_shows_nothing_and_certain_non_members_count() {
        assert_eq!(from_rates(rates(50, 100, 50, 100), 1e-5, 0.95).unwrap().epsilon, 0.0);
        assert_eq!(gaussian_from_rates(rates(50, 100, 50, 100), 1e-5, 0.95).unwrap().epsilon, 0.0);
        assert!(from_rates(rates(1000, 1000, 500, 1000), 0.0, 0.95).unwrap().epsilon > 3.0);
    }

    #[test]
    fn a_gaussian_assumption_never_lowers_the_bound_where_errors_are_rare() {
        let found = rates(400, 1000, 2, 1000);
        let (plain, gaussian) =
            (from_rates(found, 1e-5, 0.95).unwrap(), gaussian_from_rates(found, 1e-5, 0.95).unwrap());
        assert!(gaussian.epsilon > plain.epsilon, "{gaussian:?} {plain:?}");
    }

    #[test]
    fn impossible_counts_are_named() {
        for (found, name) in [
            (rates(3, 2, 0, 5), "true_positives is 3"),
            (rates(0, 2, 6, 5), "false_positives is 6"),
            (rates(0, 0, 0, 5), "positives"),
        ] {
            let message = from_rates(found, 0.0, 0.95).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }
}
