pub use standin_privacy::lower_bound::clopper_pearson_at;
use statrs::function::beta::beta_reg;

use crate::Estimate;
use crate::halves::Spread;
use crate::uncertainty::Z;

/// A share with the Wilson score interval: short, and never outside [0, 1] (Wilson 1927).
///
/// With no trial the value is 0 and the interval is [0, 1].
pub fn wilson(successes: usize, trials: usize) -> Estimate {
    if trials == 0 {
        return Estimate { value: 0.0, low: 0.0, high: 1.0, n: 0, method: "Wilson".into() };
    }
    let share = successes as f64 / trials as f64;
    let (low, high) = wilson_at(share, trials as f64);
    Estimate { value: share, low, high, n: trials, method: "Wilson".into() }
}

/// A share among `n` observations that are not independent, from how the share varies between random halves.
///
/// Interval: Clopper–Pearson with an effective number of trials, as Korn and Graubard (Survey Methodology 24, 1998) make
/// them for shares in surveys of clusters, with the mid-P tail of Lancaster (1961), since the plain one covers more than
/// 95 % where few observations decide. What is taken from the halves is the *ratio* of the variance to that of as many
/// independent trials, because the share itself may change with the size of the samples, and its variance with it. The
/// ratio is drawn towards 2 by one observation: near 0 and 1, where there is next to nothing to estimate it from, those
/// that decide come in groups.
pub(crate) fn share_from_halves(share: f64, spread: &Spread, n: usize) -> Estimate {
    let (count, half) = (n as f64, spread.half_mean);
    let ratio = (count * count * spread.variance + 2.0) / (count * half * (1.0 - half) + 1.0);
    let (low, high) = mid_p_at(share, count / ratio);
    let method = "mid-P Clopper–Pearson with an effective n, from random halves of both sets".into();
    Estimate { value: share, low, high, n, method }
}

/// Both ends of the mid-P interval for a share that was observed in `trials` > 0, which may be fractional: of all
/// probabilities p with P(X > x) + ½·P(X = x) and P(X < x) + ½·P(X = x) above 2.5 % for x = share·trials.
fn mid_p_at(share: f64, trials: f64) -> (f64, f64) {
    let successes = share * trials;
    let failures = trials - successes;
    // P(X ≥ x) and P(X > x) as regularised incomplete beta functions of p, which also take fractions.
    let tail = |p: f64| {
        let at_least = if share > 0.0 { beta_reg(successes, failures + 1.0, p) } else { 1.0 };
        let above = if share < 1.0 { beta_reg(successes + 1.0, failures, p) } else { 0.0 };
        (at_least + above) / 2.0
    };
    let solve = |level: f64| {
        let (mut below, mut above) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = (below + above) / 2.0;
            if tail(middle) < level { below = middle } else { above = middle }
        }
        (below + above) / 2.0
    };
    let low = if share > 0.0 { solve(0.025).min(share) } else { 0.0 };
    (low, if share < 1.0 { solve(0.975).max(share) } else { 1.0 })
}

/// Both ends of the Wilson interval for a share that was observed in `trials` > 0, which may be fractional: an
/// effective number of independent trials.
pub(crate) fn wilson_at(share: f64, trials: f64) -> (f64, f64) {
    let denominator = 1.0 + Z * Z / trials;
    let centre = (share + Z * Z / (2.0 * trials)) / denominator;
    let half = Z / denominator * (share * (1.0 - share) / trials + Z * Z / (4.0 * trials * trials)).sqrt();
    ((centre - half).max(0.0).min(share), (centre + half).min(1.0).max(share))
}

/// A share with the exact interval of Clopper and Pearson (1934): covers at least 95 %, for any share and any n.
///
/// With no trial the value is 0 and the interval is [0, 1].
pub fn clopper_pearson(successes: usize, trials: usize) -> Estimate {
    let (low, high) = clopper_pearson_at(successes, trials, 0.95);
    let value = if trials == 0 { 0.0 } else { successes as f64 / trials as f64 };
    Estimate { value, low, high, n: trials, method: "Clopper–Pearson".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `scipy.stats.binomtest(k, n).proportion_ci(0.95, method)`, scipy 1.17.
    #[test]
    fn intervals_equal_scipy() {
        for (k, n, exact, score) in [
            (0, 10, (0.0, 0.308_497_1), (0.0, 0.277_532_8)),
            (3, 10, (0.066_739_51, 0.652_452_85), (0.107_791_27, 0.603_221_85)),
            (50, 50, (0.928_878_26, 1.0), (0.928_652_4, 1.0)),
        ] {
            let near = |a: f64, b: f64| assert!((a - b).abs() < 2e-6, "{a} for {b} at {k} of {n}");
            let estimate = clopper_pearson(k, n);
            near(estimate.low, exact.0);
            near(estimate.high, exact.1);
            let estimate = wilson(k, n);
            near(estimate.low, score.0);
            near(estimate.high, score.1);
        }
    }

    /// Roots in p of `binom.sf(k, n, p) + binom.pmf(k, n, p) / 2` at 2.5 and 97.5 %, by scipy 1.17's `brentq`.
    #[test]
    fn mid_p_intervals_equal_scipy() {
        for (k, n, expected) in [
            (0.0, 10.0, (0.0, 0.258_865_550_9)),
            (3.0, 10.0, (0.082_600_217_0, 0.619_918_565_9)),
            (1.0, 100.0, (0.000_500_197_5, 0.048_319_848_6)),
            (97.0, 100.0, (0.920_545_428_6, 0.992_313_416_0)),
            (50.0, 50.0, (0.941_844_920_9, 1.0)),
        ] {
            let (low, high) = mid_p_at(k / n, n);
            assert!(
                (low - expected.0).abs() < 1e-8 && (high - expected.1).abs() < 1e-8,
                "{low} to {high} at {k} of {n}"
            );
        }
    }

    #[test]
    fn no_trial_leaves_everything_open() {
        for estimate in [wilson(0, 0), clopper_pearson(0, 0)] {
            assert_eq!((estimate.low, estimate.high), (0.0, 1.0));
        }
    }
}
