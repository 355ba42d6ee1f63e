//! From repeated or perturbed values to intervals. All are two-sided at 95 %.

use rand::RngExt;
use rayon::prelude::*;
use standin_data::Seed;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::Estimate;

/// The 97.5 % quantile of the standard normal distribution.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// The 97.5 % quantile of Student's t with `degrees` > 0 degrees of freedom, which may be fractional or infinite.
pub fn t_quantile(degrees: f64) -> f64 {
    if degrees > 1e6 {
        return Z;
    }
    StudentsT::new(0.0, 1.0, degrees).expect("positive degrees of freedom").inverse_cdf(0.975)
}

/// value ± z·standard error, for estimators that are normal at the sample sizes met.
pub fn normal(value: f64, standard_error: f64, n: usize, method: impl Into<String>) -> Estimate {
    let half = Z * standard_error;
    Estimate { value, low: value - half, high: value + half, n, method: method.into() }
}

/// The mean of independent values with Student's interval; one value or none leaves everything open.
pub fn mean(values: &[f64]) -> Estimate {
    let n = values.len();
    let value = average(values);
    let half = match n {
        0 | 1 => f64::INFINITY,
        _ => t_quantile(n as f64 - 1.0) * (squared_deviations(values) / ((n - 1) as f64 * n as f64)).sqrt(),
    };
    Estimate { value, low: value - half, high: value + half, n, method: "Student's t".into() }
}

/// The jackknife variance of an estimator from its values with each observation left out in turn:
/// (n−1)/n · Σ(θ₍ᵢ₎ − θ̄)² (Efron and Stein 1981; at least the true variance on average). For several independent
/// samples add the variances.
pub fn jackknife_variance(leave_one_out: &[f64]) -> f64 {
    let n = leave_one_out.len() as f64;
    if n < 2.0 { f64::INFINITY } else { (n - 1.0) / n * squared_deviations(leave_one_out) }
}

/// The infinitesimal jackknife variance from each observation's influence: Σ(ψᵢ − ψ̄)² / (n(n−1)) (Jaeckel 1972).
pub fn influence_variance(influences: &[f64]) -> f64 {
    let n = influences.len() as f64;
    if n < 2.0 { f64::INFINITY } else { squared_deviations(influences) / (n * (n - 1.0)) }
}

/// The percentile bootstrap (Efron 1979): `statistic` sees the indices of `n` observations drawn with replacement.
///
/// Resamples run in parallel, each from a seed of its own, so results do not depend on the number of threads.
pub fn bootstrap(n: usize, resamples: usize, seed: Seed, statistic: impl Fn(&[usize]) -> f64 + Sync) -> Estimate {
    let value = statistic(&(0..n).collect::<Vec<_>>());
    let sorted = resampled(n, resamples, seed, &statistic);
    Estimate {
        value,
        low: quantile(&sorted, 0.025),
        high: quantile(&sorted, 0.975),
        n,
        method: format!("percentile bootstrap, {resamples} resamples"),
    }
}

/// The bootstrap corrected for bias and skewness, BCa (Efron 1987, JASA, eq. 2.3), with the jackknife's acceleration.
///
/// `statistic` must be defined for `n − 1` indices too. n more evaluations than [`bootstrap`]; falls back to plain
/// percentiles where all resamples lie on one side of the value.
pub fn bootstrap_bca(n: usize, resamples: usize, seed: Seed, statistic: impl Fn(&[usize]) -> f64 + Sync) -> Estimate {
    let value = statistic(&(0..n).collect::<Vec<_>>());
    let sorted = resampled(n, resamples, seed, &statistic);
    let without: Vec<f64> =
        (0..n).into_par_iter().map(|out| statistic(&(0..n).filter(|&at| at != out).collect::<Vec<_>>())).collect();
    let centre = average(&without);
    let (mut squares, mut cubes) = (0.0, 0.0);
    for &other in &without {
        squares += (centre - other).powi(2);
        cubes += (centre - other).powi(3);
    }
    let acceleration = if squares > 0.0 { cubes / (6.0 * squares.powf(1.5)) } else { 0.0 };
    let gauss = Normal::standard();
    let below = sorted
        .iter()
        .map(|&x| {
            if x < value {
                1.0
            } else if x == value {
                0.5
            } else {
                0.0
            }
        })
        .sum::<f64>();
    let share = below / sorted.len().max(1) as f64;
    let bias = if share > 0.0 && share < 1.0 { gauss.inverse_cdf(share) } else { 0.0 };
    let end = |z: f64| {
        let shifted = bias + z;
        quantile(&sorted, gauss.cdf(bias + shifted / (1.0 - acceleration * shifted)))
    };
    Estimate { value, low: end(-Z), high: end(Z), n, method: format!("BCa bootstrap, {resamples} resamples") }
}

/// The statistic of every resample, ascending.
fn resampled(n: usize, resamples: usize, seed: Seed, statistic: &(impl Fn(&[usize]) -> f64 + Sync)) -> Vec<f64> {
    let mut values: Vec<f64> = (0..resamples)
        .into_par_iter()
        .map(|resample| {
            let mut rng = seed.derive(&format!("resample {resample}")).rng();
            let indices: Vec<usize> = (0..n).map(|_| rng.random_range(0..n)).collect();
            statistic(&indices)
        })
        .collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The quantile of ascending values, interpolated linearly; NaN of none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = share.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    below + (above - below) * position.fract()
}

pub(crate) fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

pub(crate) fn squared_deviations(values: &[f64]) -> f64 {
    let centre = average(values);
    values.iter().map(|value| (value - centre).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::{Distribution, Exp1};

    /// Mean and interval of `scipy.stats.t.interval(0.95, 4, loc=3, scale=scipy.stats.sem([1, 2, 3, 4, 5]))`.
    #[test]
    fn students_interval_equals_scipy() {
        let estimate = mean(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!((estimate.low - 1.036_756_838_522_439).abs() < 1e-9);
        assert!((estimate.high - 4.963_243_161_477_561).abs() < 1e-9);
    }

    #[test]
    fn for_a_mean_both_jackknives_give_the_usual_standard_error() {
        let values = [2.0, 3.0, 5.0, 7.0, 11.0];
        let usual = squared_deviations(&values) / 20.0;
        let total: f64 = values.iter().sum();
        let without: Vec<f64> = values.iter().map(|value| (total - value) / 4.0).collect();
        assert!((jackknife_variance(&without) - usual).abs() < 1e-12);
        assert!((influence_variance(&values) - usual).abs() < 1e-12);
    }

    /// A skewed population, small samples: percentiles are known to cover too little, BCa repairs part of it.
    #[test]
    fn bootstrap_intervals_cover_a_skewed_mean() {
        let (mut percentile, mut corrected) = (0, 0);
        let runs = 300;
        for run in 0..runs {
            let seed = Seed::new(run);
            let mut rng = seed.derive("sample").rng();
            let sample: Vec<f64> = (0..40).map(|_| Exp1.sample(&mut rng)).collect();
            let statistic = |chosen: &[usize]| chosen.iter().map(|&at| sample[at]).sum::<f64>() / chosen.len() as f64;
            let covers = |estimate: Estimate| usize::from(estimate.low <= 1.0 && 1.0 <= estimate.high);
            percentile += covers(bootstrap(40, 400, seed, statistic));
            corrected += covers(bootstrap_bca(40, 400, seed, statistic));
        }
        for covered in [percentile, corrected] {
            let share = covered as f64 / runs as f64;
            assert!((0.88..=0.98).contains(&share), "{share}");
        }
        assert!(corrected >= percentile, "{corrected} against {percentile}");
    }

    #[test]
    fn bootstrap_is_reproducible_and_depends_on_the_seed() {
        let values: Vec<f64> = (0..50).map(|x| f64::from(x * x % 17)).collect();
        let run = |seed| bootstrap(50, 100, Seed::new(seed), |at| at.iter().map(|&at| values[at]).sum());
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}
