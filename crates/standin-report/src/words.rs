//! The words for kinds, sides and chances: one place, so that the page, the Markdown and the plots say the same.

use standin_bench::leakage::Contradictions;
use standin_bench::summary::{Effect, Front, Ranking, Release, ReleaseKind, ReleaseVerdict, Summary};
use standin_privacy::{Adjacency, Guarantee, NoiseOrigin, Unit};

use crate::number::{fixed, plain, power, rate};

/// What is released.
pub(crate) fn kind(kind: ReleaseKind) -> &'static str {
    match kind {
        ReleaseKind::Images => "synthetic images",
        ReleaseKind::ClassifierOnSynthetic => "classifier trained on synthetic images",
        ReleaseKind::ClassifierOnReal => "classifier trained on the private images",
        ReleaseKind::Generator => "generator with its weights",
    }
}

/// What is released and where it came from: a generator of the study, or another tool.
pub(crate) fn kind_and_origin(release: &Release) -> String {
    if let Some(source) = &release.source {
        return format!("{}, from {source}", kind(release.kind));
    }
    match &release.generator {
        Some((name, family)) if name == family => format!("{}, generator {name}", kind(release.kind)),
        Some((name, family)) => format!("{}, generator {name} ({family})", kind(release.kind)),
        None => kind(release.kind).into(),
    }
}

/// Which way a measure is better, in a table.
pub(crate) fn better(better: &str) -> String {
    match better {
        "higher" | "lower" => better.into(),
        target => format!("near {target}"),
    }
}

/// What a ranking orders by: a measure and what it compares with, or what of a classifier or an attack.
pub(crate) fn ranking(ranking: &Ranking) -> String {
    let Ranking { measure, against, .. } = ranking;
    let first = ranked_by(ranking);
    if against.is_empty() { format!("{measure}, {first}") } else { format!("{measure} against {against}, {first}") }
}

/// The start of a ranking's protocol: the encoder of a measure, or what of a classifier or an attack.
pub(crate) fn ranked_by(ranking: &Ranking) -> &str {
    ranking.stamp.split([';', '(']).next().unwrap_or(&ranking.stamp).trim()
}

/// A chance in percent, certain only where it is.
pub(crate) fn chance(share: f64) -> String {
    let percent = match 100.0 * share {
        percent if percent > 0.0 && percent < 1.0 => "< 1".into(),
        percent if percent > 99.0 && percent < 100.0 => "> 99".into(),
        percent => fixed(percent, 0),
    };
    format!("{percent}\u{202f}%")
}

/// The outcome of the thresholds for one release, with what was never measured said as that and not as a failure.
pub(crate) fn outcome(release: &Release, verdict: &ReleaseVerdict) -> &'static str {
    let useful = (!release.utility.is_empty()).then_some(verdict.useful);
    let resists = (!release.attacks.is_empty()).then_some(verdict.resists_attacks);
    match (useful, resists) {
        (Some(true), Some(true)) => "Passes",
        (Some(true), Some(false)) => "Useful, but leaks",
        (Some(false), Some(true)) => "Resists, but not useful",
        (Some(false), Some(false)) => "Fails both",
        (Some(true), None) => "Useful; leaks not measured",
        (Some(false), None) => "Not useful; leaks not measured",
        (None, Some(true)) => "Resists; usefulness not measured",
        (None, Some(false)) => "Leaks; usefulness not measured",
        (None, None) => "Not judged",
    }
}

/// The sign before the outcome: passed, failed by at least one threshold, or open.
pub(crate) fn mark(release: &Release, verdict: &ReleaseVerdict) -> &'static str {
    let fails =
        (!verdict.useful && !release.utility.is_empty()) || (!verdict.resists_attacks && !release.attacks.is_empty());
    match (verdict.useful && verdict.resists_attacks, fails) {
        (true, _) => "✓",
        (false, true) => "✗",
        (false, false) => "–",
    }
}

/// Whether a release is on the Pareto front, as sure as that is.
pub(crate) fn front(verdict: &ReleaseVerdict) -> String {
    let Some((front, probability)) = verdict.front().zip(verdict.pareto_probability) else { return "–".into() };
    match front {
        Front::Certain => format!("certainly, {}", chance(probability)),
        Front::Possible => format!("possibly, {}", chance(probability)),
        Front::Unlikely if probability > 0.0 => format!("no, {}", chance(probability)),
        Front::Unlikely => "no".into(),
    }
}

/// What a mitigation does.
pub(crate) fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Helps => "helps",
        Effect::Costs => "costs",
        Effect::Trades => "trades one for the other",
        Effect::NotToldApart => "not told apart",
        Effect::NotMeasured => "not measured",
    }
}

/// What must be known before believing a number: the summary's warnings and what follows from its numbers, each once, and
/// without the failures, which stand above everything.
pub(crate) fn warnings(summary: &Summary, found: &Contradictions) -> Vec<String> {
    let kept = summary.warnings.iter().filter(|warning| !found.failures.contains(warning));
    let mut warnings: Vec<String> = kept.cloned().collect();
    warnings.extend(found.weak_attacks.iter().filter(|weak| !summary.warnings.contains(weak)).cloned());
    warnings
}

/// What a release must reach to pass.
pub(crate) fn thresholds(summary: &Summary) -> String {
    let thresholds = &summary.thresholds;
    let audited = summary.releases.iter().any(|release| !release.canaries.is_empty());
    let canaries = match audited {
        true => format!(" No canaries may be told apart with an AUC above {}.", plain(thresholds.canary_auc)),
        false => String::new(),
    };
    format!(
        "A release passes when classifiers keep at least {} of the accuracy that the private images give, no attack \
         reaches an AUC above {}, and none finds more than {} of the members at {} false alarms. Attacks are judged at \
         the upper end of their 95{t}% intervals, and the last rule applies where that rate can be measured.{canaries}",
        rate(thresholds.replacement_ratio),
        plain(thresholds.attack_auc),
        rate(thresholds.attack_tpr_at_1_percent),
        rate(0.01),
        t = '\u{202f}',
    )
}

/// The guarantee in a few words for tables.
pub(crate) fn guarantee_in_brief(guarantee: Option<&Guarantee>) -> String {
    match guarantee {
        None => "none".into(),
        Some(guarantee) => {
            let stamp = if guarantee.holds() { "" } else { ", NOT PRIVATE: reproducible noise" };
            format!(
                "ε = {}, δ = {} per {}{stamp}",
                plain(guarantee.epsilon),
                power(guarantee.delta),
                unit(&guarantee.unit)
            )
        }
    }
}

/// Whose presence is protected.
pub(crate) fn unit(unit: &Unit) -> String {
    match unit {
        Unit::Image => "image".into(),
        Unit::Group(column) => format!("{column} (all images of one {column})"),
    }
}

/// What makes two data sets neighbours.
pub(crate) fn adjacency(adjacency: Adjacency, unit: &Unit) -> String {
    let unit = match unit {
        Unit::Image => "image",
        Unit::Group(column) => column,
    };
    match adjacency {
        Adjacency::AddRemove => format!("one {unit} is added or removed"),
        Adjacency::ReplaceOne => format!("one {unit} is replaced by another"),
    }
}

/// Where the noise came from.
pub(crate) fn noise(origin: NoiseOrigin) -> &'static str {
    match origin {
        NoiseOrigin::Secret => "drawn from the operating system's secret randomness",
        NoiseOrigin::Reproducible => "reproducible from the seed",
    }
}

/// How unusual a near copy is, from its conformal p-value: the share of unseen real images that come at least as near
/// to a training image, the copy itself counted among them.
pub(crate) fn nearness(p_value: f64) -> String {
    if p_value <= 0.5 {
        format!("1 in {} real images comes as near by chance", fixed((1.0 / p_value).floor(), 0))
    } else {
        "most real images come as near by chance".into()
    }
}

/// A p-value, rounded up.
pub(crate) fn p_value(p_value: f64) -> String {
    format!("p = {}", plain((p_value * 1e4).ceil() / 1e4))
}

/// Names joined as in a sentence.
pub(crate) fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".into(),
        [only] => (*only).into(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearness_states_no_more_than_the_holdout_shows() {
        assert_eq!(nearness(1.0 / 2001.0), "1 in 2001 real images comes as near by chance");
        assert_eq!(nearness(0.004), "1 in 250 real images comes as near by chance");
        assert_eq!(nearness(0.8), "most real images come as near by chance");
        assert_eq!(p_value(1.0 / 2001.0), "p = 0.0005");
        assert_eq!(p_value(0.01234), "p = 0.0124");
    }

    #[test]
    fn chances_are_certain_only_where_they_are() {
        let shown = [0.0, 0.0005, 0.4, 0.9995, 1.0].map(|share| chance(share).replace('\u{202f}', " "));
        assert_eq!(shown, ["0 %", "< 1 %", "40 %", "> 99 %", "100 %"]);
    }

    #[test]
    fn names_read_as_a_sentence() {
        assert_eq!(listed(&[]), "none");
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
    }
}
