//! What attacks and guarantees say together: the strongest attack on a release, the ceiling its guarantee puts on any
//! attack, and contradictions between the two.

use standin_bench::summary::{AttackRow, CanaryRow, Release, ReleaseKind, Summary};
use standin_privacy::{Adjacency, Guarantee};

use crate::number::{Style, fixed, plain, rate};

/// The attack with the largest area under the ROC curve, if any ran.
///
/// The largest of several areas lies above 0.5 by chance more often than one alone, so a release that leaks nothing
/// still shows a strongest attack slightly above 0.5.
pub(crate) fn strongest(release: &Release) -> Option<&AttackRow> {
    release.attacks.iter().max_by(|a, b| a.auc.value.total_cmp(&b.auc.value))
}

/// The largest true-positive rate any membership attack can have at `false_positive_rate` against an (ε, δ) guarantee:
/// min(e^ε·f + δ, 1 − e^−ε·(1 − δ − f)), at most 1 (Wasserman and Zhou 2010, "A statistical framework for differential
/// privacy", theorem 2.4; Kairouz, Oh and Viswanath 2015).
pub(crate) fn true_positive_ceiling(epsilon: f64, delta: f64, false_positive_rate: f64) -> f64 {
    let near_zero = epsilon.exp() * false_positive_rate + delta;
    let near_one = 1.0 - (-epsilon).exp() * (1.0 - delta - false_positive_rate);
    near_zero.min(near_one).min(1.0)
}

/// The largest area under the ROC curve any membership attack can have against an (ε, δ) guarantee: the area under
/// [`true_positive_ceiling`], whose two lines meet at the false-positive rate (1 − δ)/(1 + e^ε). For δ = 0 this is
/// e^ε/(1 + e^ε).
pub(crate) fn auc_ceiling(epsilon: f64, delta: f64) -> f64 {
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
pub(crate) fn exchange(guarantee: &Guarantee) -> (f64, f64) {
    let Guarantee { epsilon, delta, .. } = *guarantee;
    match guarantee.adjacency {
        Adjacency::AddRemove => (2.0 * epsilon, (delta * (1.0 + epsilon.exp())).min(1.0)),
        Adjacency::ReplaceOne => (epsilon, delta),
    }
}

/// Results that cannot all be right, each in words with the numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contradictions {
    /// The run has failed: an attack demonstrates more leakage than the guarantee allows.
    pub(crate) failures: Vec<String>,
    /// An attack is weaker than it must be: the release it attacks gives more away than it finds.
    pub(crate) weak_attacks: Vec<String>,
}

/// Compares every attack with the guarantee of its release, and releases of one generator with each other.
pub(crate) fn contradictions(summary: &Summary) -> Contradictions {
    let mut found = Contradictions::default();
    for release in &summary.releases {
        let Some(guarantee) = &release.guarantee else { continue };
        for attack in &release.attacks {
            found.failures.extend(broken_guarantee(&release.name, guarantee, attack));
        }
    }
    let audits = summary.releases.iter().flat_map(|release| release.canaries.iter().map(move |row| (release, row)));
    found.failures.extend(audits.filter_map(|(release, audit)| refuted(&release.name, audit)));
    found.weak_attacks = summary.releases.iter().filter_map(|release| reversal(summary, release)).collect();
    found
}

/// What is wrong where canaries show more than was promised for the trainings they took part in.
fn refuted(release: &str, audit: &CanaryRow) -> Option<String> {
    let claimed = audit.epsilon_claimed.filter(|_| audit.refutes())?;
    Some(format!(
        "{release}: an audit with {} canaries demonstrates ε ≥ {} for adding or removing one image, where ε = {} is promised. {WRONG}",
        audit.kind,
        fixed(audit.epsilon_lower.epsilon, 2),
        plain(claimed),
    ))
}

/// What follows from a contradiction between an attack and a guarantee.
const WRONG: &str = "One of the two is wrong: the mechanism, the accountant or the attack's evaluation has a fault, and the guarantee must \
                     not be relied on.";

fn broken_guarantee(release: &str, guarantee: &Guarantee, attack: &AttackRow) -> Option<String> {
    if exceeds_guarantee(guarantee, attack) {
        let lower = attack.epsilon_lower.as_ref()?.estimate()?;
        return Some(format!(
            "{release}: the attack {} demonstrates ε ≥ {} for the exchange of one image, but the guarantee of ε = {} \
             allows at most {}. {WRONG}",
            attack.attack,
            fixed(lower.value, 2),
            plain(guarantee.epsilon),
            plain(exchange(guarantee).0),
        ));
    }
    let (epsilon, delta) = exchange(guarantee);
    let ceiling = auc_ceiling(epsilon, delta);
    (attack.auc.low > ceiling).then(|| {
        format!(
            "{release}: the attack {} reaches an AUC of {}, but the guarantee allows at most {}. {WRONG}",
            attack.attack,
            Style::Decimal.full(&attack.auc),
            fixed(ceiling, 3),
        )
    })
}

/// Whether the lower bound on ε that an attack demonstrates lies above what the guarantee allows for an exchange.
pub(crate) fn exceeds_guarantee(guarantee: &Guarantee, attack: &AttackRow) -> bool {
    let lower = attack.epsilon_lower.as_ref().and_then(|outcome| outcome.estimate());
    lower.is_some_and(|lower| lower.value > exchange(guarantee).0)
}

/// A classifier is computed from the images of its generator, so by post-processing the best attack on the classifier
/// cannot find more than the best attack on the images.
fn reversal(summary: &Summary, release: &Release) -> Option<String> {
    if release.kind != ReleaseKind::ClassifierOnSynthetic {
        return None;
    }
    let generator = release.generator.as_ref()?;
    let images = summary
        .releases
        .iter()
        .find(|other| other.kind == ReleaseKind::Images && other.generator.as_ref() == Some(generator))?;
    let (on_classifier, on_images) = (strongest(release)?, strongest(images)?);
    (on_classifier.auc.low > on_images.auc.high).then(|| {
        format!(
            "The strongest attack on {} (AUC {}) finds more than the strongest on the images it was trained on, {} (AUC \
             {}). By post-processing the images give at least as much away, so the attacks on the images are weak: \
             judge {} by at least {}.",
            release.name,
            Style::Decimal.full(&on_classifier.auc),
            images.name,
            Style::Decimal.full(&on_images.auc),
            images.name,
            fixed(on_classifier.auc.value, 3),
        )
    })
}

/// An area that a ceiling allows, never rounded up to certainty.
pub(crate) fn ceiling_text(auc: f64) -> String {
    if auc > 0.9995 { "0.999…".into() } else { fixed(auc, 3) }
}

/// What a guarantee allows the best possible attack, in words. The attack tells data with one unit from data without it,
/// or with another in its place, as the guarantee's own definition has it.
pub(crate) fn ceiling_in_words(guarantee: &Guarantee) -> String {
    let Guarantee { epsilon, delta, .. } = *guarantee;
    let auc = auc_ceiling(epsilon, delta);
    if auc > 0.95 {
        return format!(
            "This ε excludes next to nothing: an AUC of {} stays possible. Whether the release is private rests on the \
             attacks, not on the guarantee.",
            ceiling_text(auc)
        );
    }
    let found = true_positive_ceiling(epsilon, delta, 0.01);
    let wrongly = rate(0.01);
    format!(
        "Nobody, whatever they know, can tell such data sets apart with an AUC above {}, or recognise more than {} of the \
         true cases when {wrongly} of the others are accused wrongly.",
        ceiling_text(auc),
        rate((found * 1e3).ceil() / 1e3),
    )
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
