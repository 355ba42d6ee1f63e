use std::ops::RangeInclusive;

use standin_measure::{Estimate, Outcome};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The mean of one score over volumes, with the 95 % interval of Student's t, x̄ ± t(0.975; n−1) · s/√n (Student 1908),
/// cut to the `range` that the score can have.
///
/// It treats the volumes as independent draws from the population to which the mean is meant to carry over: several
/// scans of one patient make it too narrow. With fewer than two volumes nothing is known about the spread, and the
/// mean is not measurable.
pub fn mean(scores: &[f64], range: RangeInclusive<f64>) -> Outcome {
    let n = scores.len();
    if n < 2 {
        return Outcome::NotMeasurable(match scores.first() {
            None => "no volume has this score".into(),
            Some(score) => format!("{score:.3} in the only volume with this score; an interval takes two"),
        });
    }
    let mean = scores.iter().sum::<f64>() / n as f64;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
    let quantile = StudentsT::new(0.0, 1.0, (n - 1) as f64)
        .expect("the degrees of freedom are positive, since n is at least 2")
        .inverse_cdf(0.975);
    let half = quantile * (variance / n as f64).sqrt();
    Outcome::Measured(Estimate {
        value: mean,
        low: (mean - half).max(*range.start()),
        high: (mean + half).min(*range.end()),
        n,
        method: "Student t over volumes".into(),
    })
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::Seed;

    use super::*;

    fn measured(scores: &[f64], range: RangeInclusive<f64>) -> Estimate {
        mean(scores, range).estimate().expect("there are at least two scores").clone()
    }

    /// Values of `scipy.stats.t.interval(0.95, n - 1, mean, scipy.stats.sem(scores))`, scipy 1.17.
    #[test]
    fn intervals_equal_scipy() {
        for (scores, mean, low, high) in [
            (&[0.91, 0.87, 0.93, 0.78, 0.88][..], 0.874000000, 0.802348348, 0.945651652),
            (&[1.5, 4.25][..], 2.875000000, -14.596031512, 20.346031512),
            (&[3.0, 1.0, 2.0, 2.5, 0.5, 1.75, 2.25, 4.0, 3.5, 1.25, 2.75][..], 2.227272727, 1.508976537, 2.945568918),
        ] {
            let estimate = measured(scores, f64::NEG_INFINITY..=f64::INFINITY);
            for (found, expected) in [(estimate.value, mean), (estimate.low, low), (estimate.high, high)] {
                assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
            }
        }
    }

    #[test]
    fn an_interval_stays_within_what_the_score_can_be() {
        let estimate = measured(&[0.99, 0.6, 1.0], 0.0..=1.0);
        assert_eq!(estimate.high, 1.0);
        assert!(estimate.low > 0.0 && estimate.low < 0.6);
    }

    #[test]
    fn equal_scores_leave_no_doubt_and_one_score_leaves_all() {
        let estimate = measured(&[0.5; 4], 0.0..=1.0);
        assert_eq!((estimate.value, estimate.low, estimate.high, estimate.n), (0.5, 0.5, 0.5, 4));
        assert!(mean(&[0.5], 0.0..=1.0).estimate().is_none());
        assert!(mean(&[], 0.0..=1.0).estimate().is_none());
    }

    #[test]
    fn intervals_cover_the_true_mean_as_often_as_they_say() {
        let mut rng = Seed::new(1).derive("coverage").rng();
        let covering = (0..2000)
            .filter(|_| {
                let scores: Vec<f64> = (0..8).map(|_| rng.random_range(0.0..1.0)).collect();
                let estimate = measured(&scores, 0.0..=1.0);
                (estimate.low..=estimate.high).contains(&0.5)
            })
            .count();
        assert!((1860..=1940).contains(&covering), "{covering} of 2000 intervals cover the mean");
    }
}
