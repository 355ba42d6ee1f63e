//! Whether each release passes the thresholds, and why.

use super::{front, headline_utility, join};
use crate::leakage::{broken_guarantees, strongest_attack};
use crate::summary::{CanaryRow, Release, ReleaseVerdict, Thresholds, Verdict};

/// Judges every release at the thresholds. `most_common` is the share of the test images' most common class, which always
/// giving that answer reaches; 0 if unknown.
pub fn judge(releases: &[Release], thresholds: &Thresholds, most_common: f64) -> Verdict {
    let judged: Vec<ReleaseVerdict> = releases
        .iter()
        .zip(front::probabilities(releases))
        .map(|(release, pareto_probability)| {
            let (useful, mut reasons) = usefulness(release, thresholds, most_common);
            let (resists_attacks, found) = resistance(release, thresholds);
            reasons.extend(found);
            let (canaries_are_safe, found) = of_canaries(release, thresholds);
            reasons.extend(found);
            reasons.extend(guarantee_words(release));
            ReleaseVerdict {
                name: release.name.clone(),
                useful,
                resists_attacks: resists_attacks && canaries_are_safe,
                pareto: front::is_on_front(release, releases),
                pareto_probability,
                reasons,
            }
        })
        .collect();
    let unmeasured = |measured: fn(&Release) -> bool| !releases.iter().any(measured);
    let headline = match (unmeasured(|r| !r.utility.is_empty()), unmeasured(|r| !r.attacks.is_empty())) {
        (true, true) => {
            "No verdict: neither usefulness (which needs labels) nor what leaks (which needs a holdout) was measured. \
             What was measured says how the images look."
                .to_owned()
        }
        (true, false) => {
            let resisting: Vec<&str> = judged.iter().filter(|v| v.resists_attacks).map(|v| v.name.as_str()).collect();
            let found = match resisting.as_slice() {
                [] => "Every set is above the thresholds of the attacks".to_owned(),
                some => format!("Below the thresholds of every attack: {}", join(some)),
            };
            format!("{found}. Usefulness, which needs labels, was not measured.")
        }
        (false, true) => {
            let useful: Vec<&str> = judged.iter().filter(|v| v.useful).map(|v| v.name.as_str()).collect();
            let found = match useful.as_slice() {
                [] => "No set is useful enough".to_owned(),
                some => format!("Useful enough: {}", join(some)),
            };
            format!("{found}. What leaks, which needs a holdout, was not measured, so nothing is known to be safe.")
        }
        (false, false) => overall(&judged),
    };
    Verdict { headline, releases: judged }
}

/// The conclusion where both usefulness and leaks were measured.
fn overall(judged: &[ReleaseVerdict]) -> String {
    let passed: Vec<&str> = judged.iter().filter(|v| v.useful && v.resists_attacks).map(|v| v.name.as_str()).collect();
    match passed.as_slice() {
        [] => {
            let resisting = judged.iter().filter(|v| v.resists_attacks).count();
            let useful = judged.iter().filter(|v| v.useful).count();
            format!(
                "No release passes both thresholds: {useful} of {} are useful enough, {resisting} resist the attacks.",
                judged.len()
            )
        }
        [one] => format!("Only {one} passes: useful enough, and no attack above the thresholds."),
        many => format!("{} pass: useful enough, and no attack above the thresholds.", join(many)),
    }
}

fn usefulness(release: &Release, thresholds: &Thresholds, most_common: f64) -> (bool, Vec<String>) {
    let Some(utility) = headline_utility(release) else {
        return (false, vec!["Its usefulness was not measured.".into()]);
    };
    let accuracy = &utility.accuracy;
    let Some(ratio) = &utility.replacement_ratio else {
        let words = format!("{} on the private images themselves reaches {accuracy:.3}.", utility.classifier);
        return (true, vec![words]);
    };
    let useful = ratio.value >= thresholds.replacement_ratio;
    let words = format!(
        "{} reaches {:.1} % [{:.1}, {:.1}] on real test images, {:.0} % of what the private images give ({} {:.0} %).",
        utility.classifier,
        100.0 * accuracy.value,
        100.0 * accuracy.low,
        100.0 * accuracy.high,
        100.0 * ratio.value,
        if useful { "at least" } else { "below" },
        100.0 * thresholds.replacement_ratio,
    );
    if accuracy.low > most_common {
        return (useful, vec![words]);
    }
    let guessing = format!(
        "That is not shown to be better than always answering the most common class, which is right in {:.1} %: look at \
         balanced accuracy and at each class.",
        100.0 * most_common
    );
    (false, vec![words, guessing])
}

fn resistance(release: &Release, thresholds: &Thresholds) -> (bool, Vec<String>) {
    let Some(strongest) = strongest_attack(release) else {
        return (false, vec!["No attack was run, so nothing can be said about leaks.".into()]);
    };
    let mut resists = true;
    let auc = &strongest.auc;
    let mut reasons = vec![format!(
        "The strongest attack, {}, tells members from non-members with AUC {auc:.3} ({} {}).",
        strongest.attack,
        if auc.high > thresholds.attack_auc { "its interval reaches above" } else { "its interval stays below" },
        thresholds.attack_auc,
    )];
    for attack in release.attacks.iter().filter(|attack| attack.auc.high > thresholds.attack_auc) {
        resists = false;
        if !std::ptr::eq(attack, strongest) {
            reasons.push(format!("{} may reach it too: AUC {:.3}.", attack.attack, attack.auc));
        }
    }
    for attack in &release.attacks {
        let at_one_percent = attack.true_positive_rates.iter().find(|rate| rate.false_positive_rate == 0.01);
        let Some(estimate) = at_one_percent.and_then(|rate| rate.outcome.estimate()) else { continue };
        if estimate.high > thresholds.attack_tpr_at_1_percent {
            resists = false;
            reasons.push(format!(
                "{} finds {:.1} % of the members at 1 % false alarms, perhaps {:.1} % (allowed: {:.0} %).",
                attack.attack,
                100.0 * estimate.value,
                100.0 * estimate.high,
                100.0 * thresholds.attack_tpr_at_1_percent,
            ));
        }
    }
    for broken in broken_guarantees(release) {
        resists = false;
        reasons.push(capital(broken));
    }
    (resists, reasons)
}

/// Whether no audit with canaries found more than is allowed.
fn of_canaries(release: &Release, thresholds: &Thresholds) -> (bool, Vec<String>) {
    let safe = |audit: &CanaryRow| audit.auc.high <= thresholds.canary_auc && !audit.refutes();
    let words = |audit: &CanaryRow| {
        let shown = audit.epsilon_lower.epsilon;
        format!(
            "{} canaries are told apart by whether they took part with AUC {:.3} ({} {}), which {}.",
            audit.kind,
            audit.auc,
            if audit.auc.high > thresholds.canary_auc {
                "its interval reaches above"
            } else {
                "its interval stays below"
            },
            thresholds.canary_auc,
            if shown > 0.0 { format!("shows ε ≥ {shown:.2}") } else { "shows no ε above 0".to_owned() },
        )
    };
    (release.canaries.iter().all(safe), release.canaries.iter().map(words).map(capital).collect())
}

fn guarantee_words(release: &Release) -> Option<String> {
    let Some(guarantee) = &release.guarantee else {
        return Some("It carries no guarantee: only the attacks that were run speak for it.".into());
    };
    Some(if guarantee.holds() {
        format!("It is differentially private whatever an attacker tries: {guarantee:#}.")
    } else {
        format!(
            "Its mechanism is differentially private ({guarantee:#}), but the noise of this run came from a known seed: \
             it shows what to expect, and must not be released itself."
        )
    })
}

fn capital(text: String) -> String {
    text[..1].to_uppercase() + &text[1..]
}

#[cfg(test)]
mod tests {
    use standin_measure::Outcome;

    use super::*;
    use crate::summary::ReleaseKind;
    use crate::summary::testing::{canaries, estimate, release};

    fn judged(release: &Release) -> ReleaseVerdict {
        judge(std::slice::from_ref(release), &Thresholds::default(), 0.0).releases.remove(0)
    }

    #[test]
    fn a_classifier_that_may_be_guessing_is_not_useful() {
        let mut release = release("images", ReleaseKind::Images, 0.684, 0.5, 0.0);
        release.utility[0].replacement_ratio = Some(estimate(0.95, 0.02));
        let useful = |most_common| {
            judge(std::slice::from_ref(&release), &Thresholds::default(), most_common).releases.remove(0).useful
        };
        assert!(useful(0.1));
        assert!(!useful(0.69));
    }

    #[test]
    fn a_useful_release_that_resists_passes_and_each_threshold_can_fail_it() {
        let passes = |release: &Release| {
            let verdict = judged(release);
            (verdict.useful, verdict.resists_attacks)
        };
        assert_eq!(passes(&release("a", ReleaseKind::Images, 0.9, 0.55, 0.0)), (true, true));
        assert_eq!(passes(&release("a", ReleaseKind::Images, 0.8, 0.55, 0.0)), (false, true));
        // 0.59 itself is allowed; the upper end of its interval is not.
        assert_eq!(passes(&release("a", ReleaseKind::Images, 0.9, 0.59, 0.0)), (true, false));
        let mut exposed = release("a", ReleaseKind::Images, 0.9, 0.55, 0.0);
        exposed.attacks[0].true_positive_rates[0].outcome = Outcome::Measured(estimate(0.045, 0.01));
        assert_eq!(passes(&exposed), (true, false));
        exposed.attacks[0].true_positive_rates[0].outcome = Outcome::NotMeasurable("too few".into());
        assert_eq!(passes(&exposed), (true, true));
        exposed.attacks.clear();
        assert_eq!(passes(&exposed), (true, false), "nothing is known without an attack");
    }

    #[test]
    fn a_second_attack_with_a_wider_interval_counts_too() {
        let mut release = release("a", ReleaseKind::Images, 0.9, 0.55, 0.0);
        let mut second = release.attacks[0].clone();
        second.auc = estimate(0.54, 0.1);
        release.attacks.push(second);
        assert!(!judged(&release).resists_attacks);
    }

    #[test]
    fn a_release_that_remembers_canaries_does_not_resist() {
        let mut release = release("a", ReleaseKind::Images, 0.9, 0.55, 0.0);
        let resists = |release: &Release| judged(release).resists_attacks;
        assert!(resists(&release));
        let audit = canaries;
        release.canaries = vec![audit(0.69, 0.4)];
        assert!(resists(&release));
        let words = judged(&release).reasons.join(" ");
        assert!(words.contains("Noise canaries") && words.contains("ε ≥ 0.40"), "{words}");
        release.canaries.push(audit(0.72, 0.4));
        assert!(!resists(&release), "0.77 is above 0.75");
        release.canaries = vec![audit(0.6, 1.1)];
        assert!(!resists(&release), "more was shown than is promised");
    }
}
