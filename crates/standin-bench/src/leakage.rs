//! What attacks and guarantees say together: the strongest attack on a release, the ceiling its guarantee puts on any
//! attack, and what cannot be right of both.

mod contradiction;
mod post_processing;

use standin_privacy::{Adjacency, Guarantee};

use crate::summary::{AttackRow, Release};
pub use contradiction::{Contradictions, broken_guarantees, contradictions, exceeds_guarantee};
pub use post_processing::post_processing;

/// The attack with the largest area under the ROC curve, if any ran.
///
/// The largest of several areas lies above 0.5 by chance more often than one alone, so a release that leaks nothing
/// still shows a strongest attack slightly above 0.5.
pub fn strongest_attack(release: &Release) -> Option<&AttackRow> {
    release.attacks.iter().max_by(|a, b| a.auc.value.total_cmp(&b.auc.value))
}

/// The largest true-positive rate any membership attack can have at `false_positive_rate` against an (ε, δ) guarantee:
/// min(e^ε·f + δ, 1 − e^−ε·(1 − δ − f)), at most 1 (Wasserman and Zhou 2010, "A statistical framework for differential
/// privacy", theorem 2.4; Kairouz, Oh and Viswanath 2015).
pub fn true_positive_ceiling(epsilon: f64, delta: f64, false_positive_rate: f64) -> f64 {
    let near_zero = epsilon.exp() * false_positive_rate + delta;
    let near_one = 1.0 - (-epsilon).exp() * (1.0 - delta - false_positive_rate);
    near_zero.min(near_one).min(1.0)
}

/// The largest area under the ROC curve any membership attack can have against an (ε, δ) guarantee: the area under
/// [`true_positive_ceiling`], whose two lines meet at the false-positive rate (1 − δ)/(1 + e^ε). For δ = 0 this is
/// e^ε/(1 + e^ε).
pub fn auc_ceiling(epsilon: f64, delta: f64) -> f64 {
    let meeting = (1.0 - delta) / (1.0 + epsilon.exp());
    let height = 1.0 - meeting;
    let left = meeting * (delta + height) / 2.0;
    let right = (1.0 - delta - meeting) * (height + 1.0) / 2.0;
    left + right + delta
}

/// (ε, δ) of a guarantee for exchanging one unit for another.
///
/// The attacks of a study compare members with non-members at a fixed number of training images: moving an image from
/// one side to the other removes one and adds another. A guarantee for adding or removing one unit counts twice then,
/// (2ε, (1 + e^ε)·δ) by group privacy (Dwork and Roth 2014, theorem 2.2, with δ carried along).
pub fn exchange(guarantee: &Guarantee) -> (f64, f64) {
    let Guarantee { epsilon, delta, .. } = *guarantee;
    match guarantee.adjacency {
        Adjacency::AddRemove => (2.0 * epsilon, (delta * (1.0 + epsilon.exp())).min(1.0)),
        Adjacency::ReplaceOne => (epsilon, delta),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The area under `true_positive_ceiling` by the trapezoid rule.
    fn area(epsilon: f64, delta: f64) -> f64 {
        let steps = 200_000;
        let at = |step: usize| true_positive_ceiling(epsilon, delta, step as f64 / steps as f64);
        (0..steps).map(|step| (at(step) + at(step + 1)) / 2.0).sum::<f64>() / steps as f64
    }

    #[test]
    fn auc_ceiling_is_the_area_under_the_true_positive_ceiling() {
        for (epsilon, delta) in [(0.0, 0.0), (0.1, 0.0), (1.0, 1e-5), (3.0, 0.01), (10.0, 1e-5), (0.0, 0.2)] {
            let (closed, integrated) = (auc_ceiling(epsilon, delta), area(epsilon, delta));
            assert!((closed - integrated).abs() < 1e-6, "{closed} for {integrated} at ε {epsilon}, δ {delta}");
        }
    }

    #[test]
    fn pure_guarantee_has_the_logistic_auc_ceiling() {
        for epsilon in [0.0_f64, 0.5, 1.0, 8.0] {
            let logistic = epsilon.exp() / (1.0 + epsilon.exp());
            assert!((auc_ceiling(epsilon, 0.0) - logistic).abs() < 1e-12);
        }
    }

    /// Exchanging is removing and adding: a test that is at the ceiling for each step stays below that for both.
    #[test]
    fn exchange_bounds_two_steps_of_adding_or_removing() {
        let (epsilon, delta) = (0.7, 1e-3);
        let guarantee = Guarantee {
            epsilon,
            delta,
            unit: standin_privacy::Unit::Image,
            adjacency: Adjacency::AddRemove,
            sampler: String::new(),
            mechanism: String::new(),
            accountant: String::new(),
            noise: standin_privacy::NoiseOrigin::Secret,
            not_covered: Vec::new(),
        };
        let (twice, carried) = exchange(&guarantee);
        for step in 0..=1000 {
            let rate = f64::from(step) / 1000.0;
            let two_steps = true_positive_ceiling(epsilon, delta, true_positive_ceiling(epsilon, delta, rate));
            assert!(two_steps <= true_positive_ceiling(twice, carried, rate) + 1e-12);
        }
        let replaced = Guarantee { adjacency: Adjacency::ReplaceOne, ..guarantee };
        assert_eq!(exchange(&replaced), (epsilon, delta));
    }

    #[test]
    fn ceiling_is_a_roc_curve() {
        let mut last = 0.0;
        for step in 0..=100 {
            let rate = f64::from(step) / 100.0;
            let ceiling = true_positive_ceiling(1.0, 1e-5, rate);
            assert!(ceiling >= last && ceiling >= rate && ceiling <= 1.0);
            last = ceiling;
        }
        assert_eq!(last, 1.0);
    }
}
