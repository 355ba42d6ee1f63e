//! The words for kinds, sides and chances: one place, so that the page, the Markdown and the plots say the same.

use standin_bench::summary::{DataSummary, Release, ReleaseKind, ReleaseVerdict, Thresholds};
use standin_privacy::{Adjacency, Guarantee, NoiseOrigin, Unit};

use crate::number::{count, fixed, plain, power, rate};

/// What is released.
pub(crate) fn kind(kind: ReleaseKind) -> &'static str {
    match kind {
        ReleaseKind::Images => "synthetic images",
        ReleaseKind::ClassifierOnSynthetic => "classifier trained on synthetic images",
        ReleaseKind::ClassifierOnReal => "classifier trained on the private images",
    }
}

/// What is released and which generator is behind it.
pub(crate) fn kind_and_generator(release: &Release) -> String {
    match &release.generator {
        Some((name, family)) if name == family => format!("{}, generator {name}", kind(release.kind)),
        Some((name, family)) => format!("{}, generator {name} ({family})", kind(release.kind)),
        None => kind(release.kind).into(),
    }
}

/// The outcome of the thresholds for one release.
pub(crate) fn outcome(verdict: &ReleaseVerdict) -> &'static str {
    match (verdict.useful, verdict.resists_attacks) {
        (true, true) => "Passes",
        (true, false) => "Useful, but leaks",
        (false, true) => "Resists, but not useful",
        (false, false) => "Fails both",
    }
}

/// What a release must reach to pass.
pub(crate) fn thresholds(thresholds: &Thresholds) -> String {
    format!(
        "A release passes when classifiers keep at least {} of the accuracy that the private images give, no attack \
         reaches an AUC above {}, and none finds more than {} of the members at {} false alarms. Attacks are judged at \
         the upper end of their 95{t}% intervals, and the last rule applies where that rate can be measured.",
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

/// How unusual a near copy is, from the share of holdout images that are at least as near to training images.
pub(crate) fn nearness(p_value: f64, data: &DataSummary) -> String {
    let resolution = 1.0 / data.holdout.max(1) as f64;
    if p_value < resolution {
        format!("nearer than every one of the {} holdout images", count(data.holdout))
    } else if p_value <= 0.5 {
        format!("1 in {} holdout images is as near", fixed(1.0 / p_value, 0))
    } else {
        "most holdout images are as near".into()
    }
}

/// A p-value, no smaller than the holdout images can show.
pub(crate) fn p_value(p_value: f64, data: &DataSummary) -> String {
    let resolution = 1.0 / data.holdout.max(1) as f64;
    if p_value < resolution {
        format!("p < {}", plain(resolution))
    } else {
        format!("p = {}", plain((p_value * 1e4).round() / 1e4))
    }
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

    fn data(holdout: usize) -> DataSummary {
        DataSummary {
            source: String::new(),
            licence: None,
            shape: standin_data::Shape { channels: 1, height: 1, width: 1 },
            classes: Vec::new(),
            train: 0,
            holdout,
            test: 0,
            duplicates_across_split: 0,
            grouped_by: None,
        }
    }

    #[test]
    fn nearness_states_no_more_than_the_holdout_shows() {
        assert_eq!(nearness(0.0, &data(2000)), "nearer than every one of the 2000 holdout images");
        assert_eq!(nearness(0.004, &data(2000)), "1 in 250 holdout images is as near");
        assert_eq!(nearness(0.8, &data(2000)), "most holdout images are as near");
        assert_eq!(p_value(0.0, &data(2000)), "p < 0.0005");
        assert_eq!(p_value(0.0123, &data(2000)), "p = 0.0123");
    }

    #[test]
    fn names_read_as_a_sentence() {
        assert_eq!(listed(&[]), "none");
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
    }
}
