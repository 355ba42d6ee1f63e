use statrs::distribution::{Beta, ContinuousCDF};
use statrs::function::gamma::ln_gamma;

/// Both ends of the two-sided interval of Clopper and Pearson (1934) for a share, at `confidence` in (0, 1): each end is
/// on the wrong side with at most half of the error probability, for any share and any number of trials.
///
/// With no trial it is [0, 1].
pub fn clopper_pearson_at(successes: usize, trials: usize, confidence: f64) -> (f64, f64) {
    let tail = (1.0 - confidence) / 2.0;
    let (k, n) = (successes as f64, trials as f64);
    let quantile = |a: f64, b: f64, p: f64| {
        Beta::new(a, b).expect("both shapes are at least 1 wherever this is called").inverse_cdf(p)
    };
    let low = if successes == 0 { 0.0 } else { quantile(k, n - k + 1.0, tail) };
    let high = if successes == trials { 1.0 } else { quantile(k + 1.0, n - k, 1.0 - tail) };
    (low, high)
}

/// P(X = k) for k = 0, …, n of a binomial distribution whose success probability has the odds e^`ln_odds`.
pub(super) fn masses(n: u64, ln_odds: f64) -> Vec<f64> {
    let ln_success = -softplus(-ln_odds);
    let ln_failure = -softplus(ln_odds);
    let size = n as f64;
    let ln_all = ln_gamma(size + 1.0);
    (0..=n)
        .map(|k| {
            let k = k as f64;
            let ln_choose = ln_all - ln_gamma(k + 1.0) - ln_gamma(size - k + 1.0);
            (ln_choose + k * ln_success + (size - k) * ln_failure).exp()
        })
        .collect()
}

/// ln(1 + e^x).
fn softplus(x: f64) -> f64 {
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `scipy.stats.binomtest(k, n).proportion_ci(c, "exact")`, scipy 1.17.
    #[test]
    fn intervals_equal_scipy() {
        for (k, n, confidence, low, high) in [
            (0, 10, 0.95, 0.0, 0.308_497_1),
            (3, 10, 0.95, 0.066_739_51, 0.652_452_85),
            (50, 50, 0.95, 0.928_878_26, 1.0),
            (0, 0, 0.95, 0.0, 1.0),
        ] {
            let found = clopper_pearson_at(k, n, confidence);
            assert!((found.0 - low).abs() < 1e-7 && (found.1 - high).abs() < 1e-7, "{found:?} for {k} of {n}");
        }
    }

    #[test]
    fn masses_add_up_and_have_the_mean() {
        for (n, ln_odds) in [(1_u64, 0.0), (50, -3.0), (5000, 6.0), (2000, 40.0)] {
            let masses = masses(n, ln_odds);
            let mean: f64 = masses.iter().enumerate().map(|(k, mass)| k as f64 * mass).sum();
            assert!((masses.iter().sum::<f64>() - 1.0).abs() < 1e-10);
            let expected = n as f64 / (1.0 + (-ln_odds).exp());
            assert!((mean - expected).abs() < 1e-9 * n as f64, "{mean} for {expected}");
        }
    }
}
