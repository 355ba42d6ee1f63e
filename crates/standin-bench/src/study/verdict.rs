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
mod tests;
