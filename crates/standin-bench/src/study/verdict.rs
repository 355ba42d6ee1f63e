//! From numbers to words: what may be released, and the four questions.
//!
//! The questions are those of the generation–sampling–classification benchmark (arXiv 2506.19360): replacement, release
//! strategy, mitigations, choice of generator.

use standin_privacy::Adjacency;

use crate::summary::{
    Answer, AttackRow, CanaryRow, Release, ReleaseKind, ReleaseVerdict, Thresholds, Utility, Verdict,
};

/// The attack with the largest area under the ROC curve.
pub fn strongest_attack(release: &Release) -> Option<&AttackRow> {
    release.attacks.iter().max_by(|a, b| a.auc.value.total_cmp(&b.auc.value))
}

/// The classifier the verdict rests on: the first of the study.
fn headline_utility(release: &Release) -> Option<&Utility> {
    release.utility.first()
}

/// Judges every release at the thresholds. `most_common` is the share of the test images' most common class, which always
/// giving that answer reaches; 0 if unknown.
pub fn judge(releases: &[Release], thresholds: &Thresholds, most_common: f64) -> Verdict {
    let judged: Vec<ReleaseVerdict> = releases
        .iter()
        .map(|release| {
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
                pareto: pareto(release, releases),
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
    for violation in violations(release) {
        resists = false;
        reasons.push(violation);
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
    let capital = |text: String| text[..1].to_uppercase() + &text[1..];
    (release.canaries.iter().all(safe), release.canaries.iter().map(words).map(capital).collect())
}

/// Attacks that demonstrate more leakage than the guarantee allows: a defect in the mechanism, the accountant or the
/// attack, which voids the run.
pub fn violations(release: &Release) -> Vec<String> {
    let Some(guarantee) = &release.guarantee else { return Vec::new() };
    // Train and holdout have fixed sizes, so a member in the place of a non-member exchanges one image: two steps of
    // adding or removing one (group privacy, Dwork & Roth 2014, theorem 2.2).
    let ceiling = match guarantee.adjacency {
        Adjacency::AddRemove => 2.0 * guarantee.epsilon,
        Adjacency::ReplaceOne => guarantee.epsilon,
    };
    release
        .attacks
        .iter()
        .filter_map(|attack| {
            let lower = attack.epsilon_lower.as_ref()?.estimate()?.value;
            (lower > ceiling).then(|| {
                format!(
                    "{} demonstrates ε ≥ {lower:.2} for the exchange of one image, more than the {ceiling:.2} that \
                     {guarantee:#} allows: the mechanism, the accountant or the attack is wrong.",
                    attack.attack
                )
            })
        })
        .collect()
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

/// Whether no other release is both more accurate and less attackable.
fn pareto(release: &Release, all: &[Release]) -> bool {
    let coordinates = |release: &Release| {
        let utility = headline_utility(release)?.accuracy.value;
        Some((utility, strongest_attack(release)?.auc.value))
    };
    let Some((utility, leak)) = coordinates(release) else { return false };
    !all.iter().filter_map(coordinates).any(|(other_utility, other_leak)| {
        other_utility >= utility && other_leak <= leak && (other_utility > utility || other_leak < leak)
    })
}

/// The four questions.
pub fn answer(releases: &[Release], verdict: &Verdict, thresholds: &Thresholds) -> Vec<Answer> {
    vec![replacement(releases, thresholds), strategy(releases, verdict), mitigation(releases), choice(releases)]
}

fn replacement(releases: &[Release], thresholds: &Thresholds) -> Answer {
    let mut evidence = Vec::new();
    let mut best: Option<(&str, f64)> = None;
    for release in releases.iter().filter(|release| release.kind == ReleaseKind::Images) {
        for utility in &release.utility {
            let Some(ratio) = &utility.replacement_ratio else { continue };
            evidence.push(format!(
                "{}: {} trained on it {:.3}, replacement ratio {ratio:.3}",
                release.name, utility.classifier, utility.accuracy
            ));
        }
        let ratio = headline_utility(release).and_then(|utility| utility.replacement_ratio.as_ref());
        if let Some(ratio) = ratio.filter(|ratio| best.is_none_or(|(_, value)| ratio.value > value)) {
            best = Some((&release.name, ratio.value));
        }
    }
    let answer = match best {
        None => "Not measured: the study releases no images.".into(),
        Some((name, ratio)) if ratio >= thresholds.replacement_ratio => format!(
            "Yes, for classification at the chosen threshold: {name} keeps {:.0} % of the accuracy of the real images.",
            100.0 * ratio
        ),
        Some((name, ratio)) => format!(
            "Not at the chosen threshold of {:.0} %: the best, {name}, keeps {:.0} % of the accuracy of the real images.",
            100.0 * thresholds.replacement_ratio,
            100.0 * ratio
        ),
    };
    Answer { question: "Can synthetic data replace real data?".into(), answer, evidence }
}

fn strategy(releases: &[Release], verdict: &Verdict) -> Answer {
    let front: Vec<&str> = verdict.releases.iter().filter(|v| v.pareto).map(|v| v.name.as_str()).collect();
    let mut evidence: Vec<String> = releases
        .iter()
        .filter_map(|release| {
            let utility = headline_utility(release)?;
            let attack = strongest_attack(release)?;
            Some(format!(
                "{}: accuracy {:.3}, strongest attack {} with AUC {:.3}",
                release.name, utility.accuracy, attack.attack, attack.auc
            ))
        })
        .collect();
    evidence.extend(reversals(releases));
    let answer = match front.as_slice() {
        [] => "Not measured.".into(),
        [one] => format!("{one}: every other release is less useful and easier to attack."),
        many => format!(
            "{}: among these, more accuracy costs more leakage; the others are worse on both counts.",
            join(many)
        ),
    };
    Answer { question: "Which release strategy balances utility and privacy?".into(), answer, evidence }
}

/// By post-processing, a classifier trained on released images cannot leak more than the images do to an optimal
/// attacker. Where the measured order is the reverse beyond the intervals, the attack on the images is weak.
pub fn reversals(releases: &[Release]) -> Vec<String> {
    releases
        .iter()
        .filter(|release| release.kind == ReleaseKind::ClassifierOnSynthetic)
        .filter_map(|classifier| {
            let (generator, _) = classifier.generator.as_ref()?;
            let images = releases.iter().find(|r| r.kind == ReleaseKind::Images && r.name == *generator)?;
            let (on_classifier, on_images) = (strongest_attack(classifier)?, strongest_attack(images)?);
            (on_classifier.auc.low > on_images.auc.high).then(|| {
                format!(
                    "{} leaks more to {} than the images it was trained on leak to {}, which post-processing rules out \
                     for the best attacker: the attacks on the images are weak here, and their AUC is no reassurance.",
                    classifier.name, on_classifier.attack, on_images.attack
                )
            })
        })
        .collect()
}

fn mitigation(releases: &[Release]) -> Answer {
    let images: Vec<&Release> = releases.iter().filter(|release| release.kind == ReleaseKind::Images).collect();
    let (private, plain): (Vec<&Release>, Vec<&Release>) = images.iter().partition(|r| r.guarantee.is_some());
    let describe = |release: &Release| {
        let utility = headline_utility(release)?;
        let attack = strongest_attack(release)?;
        let guarantee = release.guarantee.as_ref().map_or("no guarantee".into(), |g| format!("{g:#}"));
        Some(format!("{} ({guarantee}): accuracy {:.3}, AUC {:.3}", release.name, utility.accuracy, attack.auc))
    };
    let evidence: Vec<String> = private.iter().chain(&plain).filter_map(|release| describe(release)).collect();
    let accuracy = |release: &&Release| headline_utility(release).map(|utility| utility.accuracy.value);
    let best = |side: &[&Release]| side.iter().filter_map(accuracy).max_by(f64::total_cmp);
    let answer = match (best(&private), best(&plain)) {
        (Some(with), Some(without)) => format!(
            "Differential privacy costs {:.1} points of accuracy here (best with {:.1} %, best without {:.1} %) and buys \
             a bound that no attack can beat. The generators with and without it differ in more than the noise.",
            100.0 * (without - with),
            100.0 * with,
            100.0 * without
        ),
        (Some(_), None) | (None, Some(_)) | (None, None) => {
            "Not measured: the study does not hold the same kind of release with and without a mitigation.".into()
        }
    };
    Answer { question: "Do mitigations improve the trade-off?".into(), answer, evidence }
}

fn choice(releases: &[Release]) -> Answer {
    let images: Vec<&Release> = releases.iter().filter(|release| release.kind == ReleaseKind::Images).collect();
    let best = |candidates: &[&Release]| {
        candidates
            .iter()
            .filter_map(|release| Some((release.name.clone(), headline_utility(release)?.accuracy.value)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
    };
    let private: Vec<&Release> = images.iter().copied().filter(|release| release.guarantee.is_some()).collect();
    let answer = match (best(&images), best(&private)) {
        (Some((name, _)), Some((private, _))) if name == private => {
            format!("{name} is the most useful, and it carries a guarantee.")
        }
        (Some((name, _)), Some((private, _))) => {
            format!(
                "{name} is the most useful; where a guarantee is required, {private}. This holds for this data set."
            )
        }
        (Some((name, _)), None) => format!("{name} is the most useful; none carries a guarantee."),
        (None, _) => "Not measured: the study has no generator.".into(),
    };
    let evidence = images
        .iter()
        .filter_map(|release| {
            let utility = headline_utility(release)?;
            Some(format!("{}: {} {:.3}", release.name, utility.classifier, utility.accuracy))
        })
        .collect();
    Answer { question: "Which generator is best in which setting?".into(), answer, evidence }
}

/// "a", "a and b", "a, b and c".
fn join(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use standin_measure::{Estimate, Outcome};
    use standin_privacy::lower_bound::LowerBound;
    use standin_privacy::{Guarantee, NoiseOrigin, Unit};

    use super::*;
    use crate::summary::RateAt;

    fn estimate(value: f64, half: f64) -> Estimate {
        Estimate { value, low: value - half, high: value + half, n: 100, method: "made up".into() }
    }

    /// A release whose only attack has this AUC, give or take 0.02, and demonstrates this ε.
    fn release(name: &str, kind: ReleaseKind, accuracy: f64, auc: f64, demonstrated: f64) -> Release {
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
    fn more_leakage_than_promised_is_a_violation_counted_by_adjacency() {
        let with = |demonstrated, adjacency| {
            let mut release = release("a", ReleaseKind::Images, 0.9, 0.55, demonstrated);
            release.guarantee = Some(guarantee(1.0, adjacency));
            violations(&release).len()
        };
        assert_eq!((with(1.9, Adjacency::AddRemove), with(2.1, Adjacency::AddRemove)), (0, 1));
        assert_eq!((with(0.9, Adjacency::ReplaceOne), with(1.1, Adjacency::ReplaceOne)), (0, 1));
        assert!(violations(&release("a", ReleaseKind::Images, 0.9, 0.55, 9.0)).is_empty(), "nothing was promised");
    }

    #[test]
    fn a_classifier_that_leaks_more_than_its_images_shows_a_weak_attack() {
        let images = release("vae", ReleaseKind::Images, 0.9, 0.52, 0.0);
        let classifier = |auc| release("cnn-on-vae", ReleaseKind::ClassifierOnSynthetic, 0.9, auc, 0.0);
        assert!(reversals(&[images.clone(), classifier(0.55)]).is_empty(), "the intervals overlap");
        assert_eq!(reversals(&[images, classifier(0.6)]).len(), 1);
    }

    #[test]
    fn a_release_that_remembers_canaries_does_not_resist() {
        let mut release = release("a", ReleaseKind::Images, 0.9, 0.55, 0.0);
        let resists = |release: &Release| judged(release).resists_attacks;
        assert!(resists(&release));
        let audit = |auc: f64, shown: f64| CanaryRow {
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
            epsilon_lower: LowerBound { epsilon: shown, delta: 1e-5, confidence: 0.95, method: String::new() },
            epsilon_claimed: Some(1.0),
        };
        release.canaries = vec![audit(0.69, 0.4)];
        assert!(resists(&release));
        let words = judged(&release).reasons.join(" ");
        assert!(words.contains("Noise canaries") && words.contains("ε ≥ 0.40"), "{words}");
        release.canaries.push(audit(0.72, 0.4));
        assert!(!resists(&release), "0.77 is above 0.75");
        release.canaries = vec![audit(0.6, 1.1)];
        assert!(!resists(&release), "more was shown than is promised");
    }

    #[test]
    fn the_pareto_front_drops_what_is_worse_on_both_counts() {
        let releases = [
            release("good", ReleaseKind::Images, 0.9, 0.55, 0.0),
            release("safer", ReleaseKind::Images, 0.7, 0.51, 0.0),
            release("worse", ReleaseKind::Images, 0.8, 0.58, 0.0),
        ];
        let front: Vec<bool> =
            judge(&releases, &Thresholds::default(), 0.0).releases.iter().map(|verdict| verdict.pareto).collect();
        assert_eq!(front, [true, true, false]);
    }
}
