use crate::uncertainty::{Z, average, squared_deviations, t_quantile};
use crate::{Estimate, Outcome};

/// One estimate from repetitions with different seeds, by Rubin's rules ("Multiple Imputation for Nonresponse in
/// Surveys", 1987, §3.1).
///
/// The value is the mean. Its variance is the mean variance within a repetition, W, plus (1 + 1/m) times the variance
/// between repetitions, B; the interval is Student's with (m−1)(1 + W/((1 + 1/m)·B))² degrees of freedom. W is taken
/// from each interval's halves, lower and upper apart, so an asymmetric interval stays asymmetric. `n` is the
/// repetitions' sum; one estimate is returned as it is.
///
/// The interval speaks of the mean over all seeds, not of one run. With two seeds that disagree it is very wide: two
/// seeds say little about a third.
///
/// # Panics
/// If there is no estimate.
pub fn pool(estimates: &[Estimate]) -> Estimate {
    pool_within(estimates, f64::NEG_INFINITY, f64::INFINITY)
}

/// [`pool`] with an interval cut to the values that are possible: 0 and 1 for a share.
///
/// # Panics
/// If there is no estimate.
pub fn pool_within(estimates: &[Estimate], least: f64, most: f64) -> Estimate {
    let (first, others) = estimates.split_first().expect("at least one estimate to pool");
    if others.is_empty() {
        return first.clone();
    }
    let m = estimates.len() as f64;
    let values: Vec<f64> = estimates.iter().map(|estimate| estimate.value).collect();
    let value = average(&values);
    let between = (1.0 + 1.0 / m) * squared_deviations(&values) / (m - 1.0);
    let half = |length: fn(&Estimate) -> f64| {
        let within = estimates.iter().map(|estimate| (length(estimate) / Z).powi(2)).sum::<f64>() / m;
        if between == 0.0 {
            return Z * within.sqrt();
        }
        t_quantile((m - 1.0) * (1.0 + within / between).powi(2)) * (within + between).sqrt()
    };
    Estimate {
        value,
        low: (value - half(|estimate| estimate.value - estimate.low)).max(least),
        high: (value + half(|estimate| estimate.high - estimate.value)).min(most),
        n: estimates.iter().map(|estimate| estimate.n).sum(),
        method: format!("{} seeds, Rubin's rules; each: {}", estimates.len(), methods(estimates)),
    }
}

/// One outcome from repetitions: pooled where they were measured, and says how many were not.
pub fn pool_outcomes(outcomes: &[Outcome]) -> Outcome {
    pool_outcomes_within(outcomes, f64::NEG_INFINITY, f64::INFINITY)
}

/// [`pool_outcomes`] with an interval cut to the values that are possible.
pub fn pool_outcomes_within(outcomes: &[Outcome], least: f64, most: f64) -> Outcome {
    let measured: Vec<Estimate> = outcomes.iter().filter_map(|outcome| outcome.estimate().cloned()).collect();
    let reason = outcomes.iter().find_map(|outcome| match outcome {
        Outcome::NotMeasurable(reason) => Some(reason.as_str()),
        Outcome::Measured(_) => None,
    });
    if measured.is_empty() {
        return Outcome::NotMeasurable(reason.unwrap_or("there is no repetition").into());
    }
    let mut pooled = pool_within(&measured, least, most);
    if let Some(reason) = reason {
        let missing = outcomes.len() - measured.len();
        pooled.method =
            format!("{}; not measurable for {missing} of {} seeds: {reason}", pooled.method, outcomes.len());
    }
    Outcome::Measured(pooled)
}

/// The methods of the repetitions, each once, in order.
fn methods(estimates: &[Estimate]) -> String {
    let mut methods: Vec<&str> = Vec::new();
    for estimate in estimates {
        if !methods.contains(&estimate.method.as_str()) {
            methods.push(&estimate.method);
        }
    }
    methods.join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal;
    use rand_distr::{Distribution, StandardNormal};
    use standin_data::Seed;

    #[test]
    fn one_estimate_is_itself() {
        let estimate = normal(0.3, 0.1, 50, "test");
        assert_eq!(pool(std::slice::from_ref(&estimate)), estimate);
    }

    /// Rubin's rules by hand for values 1, 2, 3 with standard error 0.5: W = .25, (1+1/m)·B = 4/3,
    /// 2·(1 + .1875)² = 2.8203 degrees of freedom, t = 3.30134 (scipy), half = t·√(.25 + 4/3).
    #[test]
    fn values_by_hand() {
        let pooled = pool(&[1.0, 2.0, 3.0].map(|value| normal(value, 0.5, 10, "test")));
        assert_eq!((pooled.value, pooled.n), (2.0, 30));
        let half = t_quantile(2.820_312_5) * (0.25_f64 + 4.0 / 3.0).sqrt();
        assert!((pooled.high - 2.0 - half).abs() < 1e-12 && (2.0 - pooled.low - half).abs() < 1e-12);
        assert_eq!(pooled.method, "3 seeds, Rubin's rules; each: test");
    }

    #[test]
    fn equal_estimates_keep_their_interval_and_asymmetry() {
        let one = Estimate { value: 0.9, low: 0.7, high: 0.95, n: 20, method: "Wilson".into() };
        let pooled = pool(&[one.clone(), one.clone(), one]);
        assert!((pooled.low - 0.7).abs() < 1e-12 && (pooled.high - 0.95).abs() < 1e-12);
    }

    #[test]
    fn a_share_stays_a_share() {
        let pooled = pool_within(&[normal(0.9, 0.01, 9, "test"), normal(1.0, 0.01, 9, "test")], 0.0, 1.0);
        assert_eq!(pooled.high, 1.0);
        assert!(pooled.low >= 0.0);
    }

    #[test]
    fn unmeasured_repetitions_are_counted() {
        let measured = Outcome::Measured(normal(1.0, 0.1, 5, "test"));
        let not = Outcome::NotMeasurable("too few".into());
        assert_eq!(pool_outcomes(&[not.clone(), not.clone()]), not);
        let Outcome::Measured(pooled) = pool_outcomes(&[measured.clone(), not, measured]) else { panic!() };
        assert!(pooled.method.ends_with("not measurable for 1 of 3 seeds: too few"), "{}", pooled.method);
        assert_eq!(pool_outcomes(&[]), Outcome::NotMeasurable("there is no repetition".into()));
    }

    /// Seeds differ by a standard deviation of 1, each is measured with a standard error of 1.
    #[test]
    fn pooled_intervals_cover() {
        let runs = 2000;
        let covered = (0..runs)
            .filter(|&run| {
                let mut rng = Seed::new(run).rng();
                let mut gauss = || -> f64 { StandardNormal.sample(&mut rng) };
                let estimates: Vec<_> = (0..3).map(|_| normal(gauss() + gauss(), 1.0, 1, "test")).collect();
                let pooled = pool(&estimates);
                pooled.low <= 0.0 && 0.0 <= pooled.high
            })
            .count();
        let share = covered as f64 / runs as f64;
        assert!((0.93..=1.0).contains(&share), "{share}");
    }
}
