//! Made-up releases for tests.

use standin_measure::{Estimate, Outcome};
use standin_privacy::lower_bound::LowerBound;

use super::{AttackRow, CanaryRow, RateAt, Release, ReleaseKind, Utility};

pub(crate) fn estimate(value: f64, half: f64) -> Estimate {
    Estimate { value, low: value - half, high: value + half, n: 100, method: "made up".into() }
}

/// A release whose only attack has this AUC, give or take 0.02, and demonstrates this ε.
pub(crate) fn release(name: &str, kind: ReleaseKind, accuracy: f64, auc: f64, demonstrated: f64) -> Release {
    Release {
        name: name.into(),
        kind,
        generator: (kind != ReleaseKind::ClassifierOnReal).then(|| ("vae".into(), "vae".into())),
        source: None,
        guarantee: None,
        utility: vec![Utility {
            classifier: "cnn".into(),
            accuracy: estimate(accuracy, 0.01),
            balanced_accuracy: estimate(accuracy, 0.01),
            replacement_ratio: (kind != ReleaseKind::ClassifierOnReal).then(|| estimate(accuracy / 0.95, 0.01)),
            per_class: vec![],
            per_seed: vec![accuracy],
            real: None,
            real_on_synthetic: None,
            augmented: None,
            per_group: Vec::new(),
        }],
        measures: vec![],
        attacks: vec![AttackRow {
            attack: "gan-leaks".into(),
            access: "images".into(),
            stamp: String::new(),
            members: 100,
            non_members: 100,
            auc: estimate(auc, 0.02),
            per_seed: vec![auc],
            p_value: 0.03,
            corrected_p_value: 0.06,
            balanced_accuracy: estimate(0.5, 0.1),
            true_positive_rates: vec![RateAt {
                false_positive_rate: 0.01,
                outcome: Outcome::Measured(estimate(0.02, 0.01)),
            }],
            roc: vec![(0.0, 0.0), (1.0, 1.0)],
            epsilon_lower: Some(Outcome::Measured(estimate(demonstrated, 0.0))),
        }],
        gallery: None,
        scores: None,
        canaries: Vec::new(),
    }
}

/// An audit in which canaries had this AUC, give or take 0.05, and demonstrated this ε where 1 is promised.
pub(crate) fn canaries(auc: f64, demonstrated: f64) -> CanaryRow {
    CanaryRow {
        kind: "noise".into(),
        canaries: 100,
        runs: 1,
        guessed_runs: 1,
        score: String::new(),
        members: 50,
        non_members: 50,
        auc: estimate(auc, 0.05),
        p_value: 0.1,
        true_positive_rates: vec![],
        guesses: 10,
        right_guesses: 9,
        epsilon_lower: LowerBound { epsilon: demonstrated, delta: 1e-5, confidence: 0.95, method: String::new() },
        epsilon_claimed: Some(1.0),
    }
}
