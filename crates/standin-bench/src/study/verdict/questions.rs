//! The four questions, answered from the numbers with their intervals.

use standin_measure::{Estimate, Outcome};

use super::{front, headline_utility, join};
use crate::difference::{independent, of_accuracies};
use crate::leakage::strongest_attack;
use crate::summary::{Answer, Effect, Front, Mitigation, Release, ReleaseKind, Thresholds, Utility, Verdict};

/// The four questions.
pub fn answer(
    releases: &[Release],
    verdict: &Verdict,
    mitigations: &[Mitigation],
    thresholds: &Thresholds,
) -> Vec<Answer> {
    vec![replacement(releases, thresholds), strategy(releases, verdict), improvement(mitigations), choice(releases)]
}

fn images(releases: &[Release]) -> impl Iterator<Item = &Release> {
    releases.iter().filter(|release| release.kind == ReleaseKind::Images)
}

/// "97.6 % [94.5, 100.6]".
fn percent(estimate: &Estimate) -> String {
    format!("{:.1} % [{:.1}, {:.1}]", 100.0 * estimate.value, 100.0 * estimate.low, 100.0 * estimate.high)
}

/// "−2.3 points [−4.1, −0.4]".
fn points(difference: &Estimate) -> String {
    let signed = |value: f64| format!("{:+.1}", 100.0 * value).replace('-', "−");
    format!("{} points [{}, {}]", signed(difference.value), signed(difference.low), signed(difference.high))
}

/// "−0.031 [−0.060, −0.002]".
fn signed(difference: &Estimate) -> String {
    let [value, low, high] =
        [difference.value, difference.low, difference.high].map(|end| format!("{end:+.3}").replace('-', "−"));
    format!("{value} [{low}, {high}]")
}

/// TSTR against TRTR for every classifier.
fn replacement(releases: &[Release], thresholds: &Thresholds) -> Answer {
    let mut classifiers: Vec<&str> = Vec::new();
    for utility in images(releases).flat_map(|release| &release.utility) {
        if !classifiers.contains(&utility.classifier.as_str()) {
            classifiers.push(&utility.classifier);
        }
    }
    let (mut parts, mut evidence) = (Vec::new(), Vec::new());
    for classifier in classifiers {
        let mut best: Option<(&str, &Estimate)> = None;
        for release in images(releases) {
            let found = release.utility.iter().find(|utility| utility.classifier == classifier);
            let Some((utility, ratio)) = found.and_then(|found| Some((found, found.replacement_ratio.as_ref()?)))
            else {
                continue;
            };
            evidence.push(exchanged(&release.name, utility, ratio));
            if best.is_none_or(|(_, known)| ratio.value > known.value) {
                best = Some((&release.name, ratio));
            }
        }
        parts.extend(best.map(|(name, ratio)| {
            let threshold = thresholds.replacement_ratio;
            let judged = match () {
                () if ratio.low >= threshold => "yes",
                () if ratio.high < threshold => "no",
                () if ratio.value >= threshold => "probably, though not beyond chance",
                () => "probably not, though not beyond chance",
            };
            format!("with {classifier}, {judged}: the best, {name}, keeps {}", percent(ratio))
        }));
    }
    let answer = match parts.is_empty() {
        true => "Not measured: the study releases no images.".into(),
        false => format!(
            "At the threshold of {:.0} % of the accuracy of the real images: {}.",
            100.0 * thresholds.replacement_ratio,
            parts.join("; ")
        ),
    };
    Answer { question: "Can synthetic data replace real data?".into(), answer, evidence }
}

/// One classifier trained on one release, beside the same one trained on the private images.
fn exchanged(release: &str, utility: &Utility, ratio: &Estimate) -> String {
    let real = utility.real.as_ref().and_then(Outcome::estimate).map_or(String::new(), |real| {
        format!(
            ", on the private ones (TRTR) {}, difference {}",
            percent(real),
            points(&independent(&utility.accuracy, real))
        )
    });
    format!(
        "{release}, {}: trained on its images (TSTR) {}{real}; replacement ratio {ratio:.3}",
        utility.classifier,
        percent(&utility.accuracy)
    )
}

fn strategy(releases: &[Release], verdict: &Verdict) -> Answer {
    let placed = |wanted: Front| -> Vec<(&str, f64)> {
        let judged = verdict.releases.iter().filter(|judged| judged.front() == Some(wanted));
        judged.filter_map(|judged| Some((judged.name.as_str(), judged.pareto_probability?))).collect()
    };
    let evidence = releases
        .iter()
        .zip(&verdict.releases)
        .filter_map(|(release, judged)| {
            let (utility, attack) = (headline_utility(release)?, strongest_attack(release)?);
            Some(format!(
                "{}: accuracy {:.3}, strongest attack {} with AUC {:.3}; {}; on the front in {} of the draws",
                release.name,
                utility.accuracy,
                attack.attack,
                attack.auc,
                release.guarantee.as_ref().map_or("no guarantee".into(), |guarantee| format!("{guarantee:#}")),
                share(judged.pareto_probability?),
            ))
        })
        .collect();
    Answer {
        question: "Which release strategy balances utility and privacy?".into(),
        answer: on_front(&placed(Front::Certain), &placed(Front::Possible), placed(Front::Unlikely).len()),
        evidence,
    }
}

/// What is on the front, as sure as it is.
fn on_front(certain: &[(&str, f64)], possible: &[(&str, f64)], others: usize) -> String {
    if certain.is_empty() && possible.is_empty() {
        return "Not measured.".into();
    }
    let names: Vec<&str> = certain.iter().map(|(name, _)| *name).collect();
    let mut sentences = Vec::new();
    match names.as_slice() {
        [] => sentences.push("None is certainly on the front: the intervals overlap too much.".to_owned()),
        [one] if possible.is_empty() => {
            sentences.push(format!("Certainly {one}: every other release is less useful or easier to attack."));
        }
        [one] => sentences.push(format!("Certainly {one}.")),
        many => {
            sentences
                .push(format!("Certainly {}: among these, more accuracy is paid for with more leakage.", join(many)));
        }
    }
    if !possible.is_empty() {
        let listed: Vec<String> =
            possible.iter().map(|(name, chance)| format!("{name} ({})", share(*chance))).collect();
        let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
        sentences.push(format!("Possibly {}.", join(&listed)));
    }
    if others > 0 {
        sentences.push("Any other is surpassed by one that is better in one and at least as good in the other.".into());
    }
    sentences.join(" ")
}

/// A share of draws, certain only where it is.
fn share(chance: f64) -> String {
    match 100.0 * chance {
        percent if percent > 0.0 && percent < 1.0 => "< 1 %".into(),
        percent if percent > 99.0 && percent < 100.0 => "> 99 %".into(),
        percent => format!("{percent:.0} %"),
    }
}

/// Every mitigation against the same run without it.
fn improvement(mitigations: &[Mitigation]) -> Answer {
    let question = "Do mitigations improve the trade-off?".into();
    if mitigations.is_empty() {
        let answer = "Not measured: the study does not hold a release with and without a mitigation.".into();
        return Answer { question, answer, evidence: Vec::new() };
    }
    let parts: Vec<String> = [Effect::Helps, Effect::Trades, Effect::Costs, Effect::NotToldApart, Effect::NotMeasured]
        .into_iter()
        .filter_map(|effect| {
            let found: Vec<String> = mitigations
                .iter()
                .filter(|mitigation| mitigation.effect == effect)
                .map(|mitigation| format!("{} beside {}", mitigation.release, mitigation.without))
                .collect();
            let named = match found.as_slice() {
                [] => return None,
                few if few.len() <= 4 => format!(" ({})", few.join(", ")),
                _ => String::new(),
            };
            Some(format!("{} {}{named}", found.len(), effect_in_words(effect, found.len() > 1)))
        })
        .collect();
    let evidence = mitigations.iter().map(mitigation_in_words).collect();
    let answer = format!("Of {} compared with the same run without them: {}.", mitigations.len(), parts.join("; "));
    Answer { question, answer, evidence }
}

fn effect_in_words(effect: Effect, many: bool) -> &'static str {
    match (effect, many) {
        (Effect::Helps, true) => "help",
        (Effect::Helps, false) => "helps",
        (Effect::Costs, true) => "cost",
        (Effect::Costs, false) => "costs",
        (Effect::Trades, true) => "trade one for the other",
        (Effect::Trades, false) => "trades one for the other",
        (Effect::NotToldApart, true) => "are not told apart from it",
        (Effect::NotToldApart, false) => "is not told apart from it",
        (Effect::NotMeasured, true) => "were not measured",
        (Effect::NotMeasured, false) => "was not measured",
    }
}

fn mitigation_in_words(mitigation: &Mitigation) -> String {
    let accuracy = mitigation.accuracy.as_ref().map(|found| format!("accuracy {}", points(found)));
    let auc = mitigation.auc.as_ref().map(|found| format!("strongest AUC {}", signed(found)));
    format!(
        "{} beside {} ({}): {}; {}",
        mitigation.release,
        mitigation.without,
        mitigation.differences.join(", "),
        accuracy.into_iter().chain(auc).collect::<Vec<_>>().join(", "),
        effect_in_words(mitigation.effect, false),
    )
}

/// The best generator without a guarantee, and at each ε.
fn choice(releases: &[Release]) -> Answer {
    let generators: Vec<Release> = images(releases).cloned().collect();
    let mut settings: Vec<Option<f64>> = Vec::new();
    for release in &generators {
        let epsilon = release.guarantee.as_ref().map(|guarantee| guarantee.epsilon);
        if !settings.iter().any(|known| same_setting(*known, epsilon)) {
            settings.push(epsilon);
        }
    }
    settings.sort_by(|a, b| a.unwrap_or(f64::NEG_INFINITY).total_cmp(&b.unwrap_or(f64::NEG_INFINITY)));
    let mut parts: Vec<String> = settings.iter().filter_map(|&setting| best_in(&generators, setting)).collect();
    let chances = front::probabilities(&generators);
    let placed = |wanted: fn(f64) -> bool| -> Vec<(&str, f64)> {
        let named = generators.iter().zip(&chances);
        named
            .filter_map(|(release, chance)| Some((release.name.as_str(), (*chance)?)))
            .filter(|c| wanted(c.1))
            .collect()
    };
    if generators.len() > 1 && chances.iter().any(Option::is_some) {
        let others = placed(|chance| chance <= 0.05).len();
        let front =
            on_front(&placed(|chance| chance >= 0.95), &placed(|chance| chance > 0.05 && chance < 0.95), others);
        parts.push(format!("On the Pareto front of the sets of images alone: {front}"));
    }
    let answer = match parts.is_empty() {
        true => "Not measured: the study has no generator whose images were put to use.".into(),
        false => format!("{} This holds for this data set.", parts.join(" ")),
    };
    let evidence = generators
        .iter()
        .zip(chances)
        .filter_map(|(release, chance)| {
            let utility = headline_utility(release)?;
            let attack = strongest_attack(release).map(|attack| format!(", strongest AUC {:.3}", attack.auc));
            let front = chance.map(|chance| format!("; on the front of generators in {} of the draws", share(chance)));
            Some(format!(
                "{} ({}): {} {:.3}{}{}",
                release.name,
                release.guarantee.as_ref().map_or("no guarantee".into(), |guarantee| format!("{guarantee:#}")),
                utility.classifier,
                utility.accuracy,
                attack.unwrap_or_default(),
                front.unwrap_or_default(),
            ))
        })
        .collect();
    Answer { question: "Which generator is best in which setting?".into(), answer, evidence }
}

fn same_setting(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 0.005 * a.abs().max(b.abs()),
        (a, b) => a == b,
    }
}

/// The most useful generator in one setting, with those it is not told apart from.
fn best_in(generators: &[Release], setting: Option<f64>) -> Option<String> {
    let inside = generators
        .iter()
        .filter(|release| same_setting(release.guarantee.as_ref().map(|guarantee| guarantee.epsilon), setting));
    let mut found: Vec<(&Release, &Utility)> =
        inside.filter_map(|release| Some((release, headline_utility(release)?))).collect();
    found.sort_by(|a, b| b.1.accuracy.value.total_cmp(&a.1.accuracy.value));
    let ((best, utility), others) = found.split_first()?;
    let alike: Vec<&str> = others
        .iter()
        .filter(|(_, other)| of_accuracies(utility, other, true).low <= 0.0)
        .map(|(release, _)| release.name.as_str())
        .collect();
    let setting = match setting {
        None => "Without a guarantee".to_owned(),
        Some(epsilon) => format!("At ε = {}", (epsilon * 100.0).ceil() / 100.0),
    };
    let leak = strongest_attack(best).map(|attack| format!(", strongest AUC {:.3}", attack.auc));
    let compared = match (others.len(), alike.as_slice()) {
        (0, _) => "; it has no rival here".to_owned(),
        (_, []) => "; the others are less accurate beyond chance".to_owned(),
        (_, few) if few.len() <= 4 => format!("; not told apart from {}", join(few)),
        (_, many) => format!("; not told apart from {} others", many.len()),
    };
    Some(format!(
        "{setting}, {} is the most useful ({} {}{}{compared}).",
        best.name,
        utility.classifier,
        percent(&utility.accuracy),
        leak.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests;
