//! Results that cannot all be right.

use standin_privacy::Guarantee;

use super::{auc_ceiling, exchange, post_processing};
use crate::summary::{AttackRow, CanaryRow, PostProcessing, Release};

/// Results that cannot all be right, each in words with the numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contradictions {
    /// The run has failed: more leakage was demonstrated than a guarantee allows.
    pub failures: Vec<String>,
    /// An attack is weaker than it must be: what is computed from the release it attacks gives more away.
    pub weak_attacks: Vec<String>,
}

/// Compares every attack and every audit with the guarantee of its release, and releases of one pipeline with each other.
pub fn contradictions(releases: &[Release]) -> Contradictions {
    let named = |release: &Release, found: String| format!("{}: {found}", release.name);
    let mut failures = Vec::new();
    for release in releases {
        failures.extend(broken_guarantees(release).into_iter().map(|found| named(release, found)));
    }
    for release in releases {
        failures.extend(release.canaries.iter().filter_map(refuted).map(|found| named(release, found)));
    }
    let reversed = post_processing(releases).into_iter().filter(|pair| pair.reversed);
    Contradictions { failures, weak_attacks: reversed.map(|pair| weak_attack(&pair)).collect() }
}

/// What follows from a contradiction between an attack and a guarantee.
const WRONG: &str = "One of the two is wrong: the mechanism, the accountant or the attack's evaluation has a fault, and the guarantee must \
                     not be relied on.";

/// What attacks on a release found beyond what its guarantee allows, a sentence each.
pub fn broken_guarantees(release: &Release) -> Vec<String> {
    let Some(guarantee) = &release.guarantee else { return Vec::new() };
    release.attacks.iter().filter_map(|attack| broken(guarantee, attack)).collect()
}

fn broken(guarantee: &Guarantee, attack: &AttackRow) -> Option<String> {
    let (epsilon, delta) = exchange(guarantee);
    if exceeds_guarantee(guarantee, attack) {
        let lower = attack.epsilon_lower.as_ref()?.estimate()?;
        return Some(format!(
            "the attack {} demonstrates ε ≥ {:.2} for the exchange of one image, but the guarantee of {guarantee:#} allows \
             at most {epsilon:.2}. {WRONG}",
            attack.attack, lower.value,
        ));
    }
    let ceiling = auc_ceiling(epsilon, delta);
    (attack.auc.low > ceiling).then(|| {
        format!(
            "the attack {} reaches an AUC of {:.3}, but the guarantee allows at most {ceiling:.3}. {WRONG}",
            attack.attack, attack.auc,
        )
    })
}

/// Whether the lower bound on ε that an attack demonstrates lies above what the guarantee allows for an exchange.
pub fn exceeds_guarantee(guarantee: &Guarantee, attack: &AttackRow) -> bool {
    let lower = attack.epsilon_lower.as_ref().and_then(|outcome| outcome.estimate());
    lower.is_some_and(|lower| lower.value > exchange(guarantee).0)
}

/// What is wrong where canaries show more than was promised for the trainings they took part in.
fn refuted(audit: &CanaryRow) -> Option<String> {
    let claimed = audit.epsilon_claimed.filter(|_| audit.refutes())?;
    Some(format!(
        "an audit with {} canaries demonstrates ε ≥ {:.2} for adding or removing one image, where ε = {claimed} is \
         promised. {WRONG}",
        audit.kind, audit.epsilon_lower.epsilon,
    ))
}

fn weak_attack(PostProcessing { derived, source, derived_auc, source_auc, .. }: &PostProcessing) -> String {
    format!(
        "The strongest attack on {derived} (AUC {derived_auc:.3}) finds more than the strongest on {source} (AUC \
         {source_auc:.3}), from which {derived} is computed. By post-processing {source} gives at least as much away, so \
         the attacks on it are weak: judge it by at least {:.3}.",
        derived_auc.value,
    )
}

#[cfg(test)]
mod tests {
    use standin_privacy::{Adjacency, NoiseOrigin, Unit};

    use super::*;
    use crate::summary::ReleaseKind;
    use crate::summary::testing::{canaries, estimate, release};

    fn guarantee(epsilon: f64, adjacency: Adjacency) -> Guarantee {
        Guarantee {
            epsilon,
            delta: 1e-6,
            unit: Unit::Image,
            adjacency,
            sampler: String::new(),
            mechanism: String::new(),
            accountant: String::new(),
            noise: NoiseOrigin::Secret,
            not_covered: vec![],
        }
    }

    #[test]
    fn more_leakage_than_promised_is_a_failure_counted_by_adjacency() {
        let with = |demonstrated, adjacency| {
            let mut release = release("a", ReleaseKind::Images, 0.9, 0.55, demonstrated);
            release.guarantee = Some(guarantee(1.0, adjacency));
            broken_guarantees(&release).len()
        };
        assert_eq!((with(1.9, Adjacency::AddRemove), with(2.1, Adjacency::AddRemove)), (0, 1));
        assert_eq!((with(0.9, Adjacency::ReplaceOne), with(1.1, Adjacency::ReplaceOne)), (0, 1));
        let unpromised = release("a", ReleaseKind::Images, 0.9, 0.55, 9.0);
        assert!(broken_guarantees(&unpromised).is_empty(), "nothing was promised");
    }

    #[test]
    fn an_area_above_the_ceiling_and_refuting_canaries_are_failures() {
        let mut release = release("a", ReleaseKind::Images, 0.9, 0.95, 0.0);
        release.guarantee = Some(guarantee(1.0, Adjacency::AddRemove));
        release.canaries = vec![canaries(0.6, 1.1), canaries(0.6, 0.9)];
        let found = contradictions(&[release]).failures;
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("a: the attack gan-leaks reaches an AUC of 0.950") && found[0].contains("0.881"));
        assert!(found[1].contains("ε ≥ 1.10") && found[1].contains("ε = 1 is"), "{}", found[1]);
    }

    #[test]
    fn a_reversal_says_which_attacks_are_weak() {
        let images = release("vae", ReleaseKind::Images, 0.9, 0.52, 0.0);
        let mut classifier = release("cnn-on-vae", ReleaseKind::ClassifierOnSynthetic, 0.9, 0.6, 0.0);
        classifier.attacks[0].auc = estimate(0.6, 0.02);
        let found = contradictions(&[images, classifier]);
        assert!(found.failures.is_empty() && found.weak_attacks.len() == 1);
        assert!(found.weak_attacks[0].ends_with("judge it by at least 0.600."), "{}", found.weak_attacks[0]);
    }
}
