use standin_measure::{Outcome, clopper_pearson};

/// Non-members below which "above all non-members" says too little about the false-positive rate to be reported.
const FEWEST_FOR_ZERO: usize = 100;

/// True-positive rate at false-positive rate `rate` in [0, 1); see [`super::evaluate`] for the rule. Both ascending.
pub(super) fn at(rate: f64, members: &[f64], non_members: &[f64]) -> Outcome {
    let n = non_members.len();
    let needed = if rate == 0.0 { FEWEST_FOR_ZERO } else { needed_for(rate) };
    if n < needed {
        let percent = 100.0 * rate;
        return Outcome::NotMeasurable(format!(
            "a false-positive rate of {percent} % needs at least {needed} non-members, and there are {n}"
        ));
    }
    // Non-members that may lie above the threshold; the next one is the threshold.
    let above = (rate * (n + 1) as f64 + 1e-9).floor().max(1.0) as usize - 1;
    let threshold = non_members[n - 1 - above];
    let found = members.len() - members.partition_point(|&score| score <= threshold);
    let mut estimate = clopper_pearson(found, members.len());
    estimate.method = if above == 0 {
        format!("Clopper–Pearson; above all {n} non-members, expected false-positive rate 1/{}", n + 1)
    } else {
        format!("Clopper–Pearson; expected false-positive rate at most {}/{}", above + 1, n + 1)
    };
    Outcome::Measured(estimate)
}

/// 1/rate, rounded up but for the error of the division.
fn needed_for(rate: f64) -> usize {
    (1.0 / rate - 1e-6).ceil() as usize
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::Seed;

    use super::*;

    fn sorted(mut values: Vec<f64>) -> Vec<f64> {
        values.sort_by(f64::total_cmp);
        values
    }

    #[test]
    fn rates_need_enough_non_members() {
        let scores = |n: usize| (0..n).map(|i| i as f64).collect::<Vec<_>>();
        for (rate, needed) in [(0.1, 10), (0.01, 100), (0.001, 1000), (0.0, 100)] {
            assert!(at(rate, &[1.0; 5], &scores(needed)).estimate().is_some(), "{rate}");
            let refused = at(rate, &[1.0; 5], &scores(needed - 1)).to_string();
            assert!(refused.contains(&format!("needs at least {needed} non-members")), "{refused}");
        }
    }

    #[test]
    fn members_tied_with_the_threshold_are_not_counted() {
        let non_members: Vec<f64> = (0..100).map(f64::from).collect();
        let found = |members: &[f64], rate| at(rate, members, &non_members).estimate().unwrap().value;
        assert_eq!(found(&[99.0, 99.5], 0.01), 0.5);
        assert_eq!(found(&[99.0, 99.5], 0.0), 0.5);
        // ⌊0.1 · 101⌋ = 10: the threshold is the tenth from the top.
        assert_eq!(found(&[89.0, 90.0, 90.5, 99.0], 0.1), 0.5);
    }

    #[test]
    fn claimed_false_positive_rates_hold_for_new_non_members() {
        for (rate, non_members) in [(0.1, 25), (0.1, 137), (0.01, 100), (0.01, 333), (0.001, 1500), (0.0, 100)] {
            let mut rng = Seed::new(11).derive(&format!("{rate} {non_members}")).rng();
            let repetitions = 400;
            let members = 500;
            let mut draw = |count: usize| sorted((0..count).map(|_| rng.random::<f64>()).collect());
            let rates: Vec<f64> = (0..repetitions)
                .map(|_| at(rate, &draw(members), &draw(non_members)).estimate().unwrap().value)
                .collect();
            let mean = rates.iter().sum::<f64>() / f64::from(repetitions);
            let deviation = (rates.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / f64::from(repetitions - 1)).sqrt();
            let claimed = if rate == 0.0 { 1.0 / (non_members + 1) as f64 } else { rate };
            let error = deviation / f64::from(repetitions).sqrt();
            assert!(mean < claimed + 3.0 * error, "{mean} at {claimed}, {non_members} non-members");
            assert!(mean > 0.5 * claimed - 3.0 * error, "{mean} wastes most of {claimed}");
        }
    }
}
