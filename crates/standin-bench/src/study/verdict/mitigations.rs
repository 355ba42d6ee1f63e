//! Every mitigation beside the same run without it.

use standin_measure::Estimate;
use toml::{Table, Value};

use super::headline_utility;
use crate::difference::{of_accuracies, of_attacks};
use crate::leakage::strongest_attack;
use crate::study::configuration::{Classifier, Generator, ReleasedClassifier, Study};
use crate::study::settings::{SettingDifference, setting_differences};
use crate::summary::{Effect, Mitigation, Release};

/// Two releases that differ in what a mitigation changes.
#[derive(Clone, Debug, PartialEq)]
struct Pair {
    with: String,
    without: String,
    differences: Vec<String>,
}

/// Every release that differs from an earlier one of its kind in settings, sampling, ε or answers, beside that one:
///
/// - generators of one family beside the first of that family in the study;
/// - private generators beside the first without a guarantee, of the family without noise if there is one (`dp-gan` and
///   `gan`); families differ in more than the noise;
/// - released generators as their generators;
/// - released classifiers beside the first that was trained on the same images, beside the same classifier trained on the
///   private images, and, where their generators are compared, beside the same classifier on the other's images.
///
/// Accuracy is that of the classifier the verdict rests on, the AUC that of the strongest attack on either side. Differences
/// are paired by seed where there are several.
pub fn mitigations(study: &Study, releases: &[Release]) -> Vec<Mitigation> {
    let named = |name: &str| releases.iter().find(|release| release.name == name);
    let pairs = generator_pairs(study).into_iter();
    let pairs = pairs.chain(released_generator_pairs(study)).chain(classifier_pairs(study));
    pairs.filter_map(|pair| Some(compare(named(&pair.with)?, named(&pair.without)?, pair.differences))).collect()
}

/// The differences of one pair of releases of one study.
fn compare(with: &Release, without: &Release, differences: Vec<String>) -> Mitigation {
    let both = headline_utility(with).zip(headline_utility(without));
    let accuracy = both.map(|(with, without)| of_accuracies(with, without, true));
    let attacks = strongest_attack(with).zip(strongest_attack(without));
    let auc = attacks.map(|(with, without)| of_attacks(with, without, true));
    let effect = effect(accuracy.as_ref(), auc.as_ref());
    Mitigation { release: with.name.clone(), without: without.name.clone(), differences, accuracy, auc, effect }
}

/// What two differences come to. What was not measured is neither better nor worse.
fn effect(accuracy: Option<&Estimate>, auc: Option<&Estimate>) -> Effect {
    if accuracy.is_none() && auc.is_none() {
        return Effect::NotMeasured;
    }
    let above = |difference: Option<&Estimate>| difference.is_some_and(|difference| difference.low > 0.0);
    let below = |difference: Option<&Estimate>| difference.is_some_and(|difference| difference.high < 0.0);
    let (better, worse) = (above(accuracy) || below(auc), below(accuracy) || above(auc));
    match (better, worse) {
        (true, false) => Effect::Helps,
        (false, true) => Effect::Costs,
        (true, true) => Effect::Trades,
        (false, false) => Effect::NotToldApart,
    }
}

fn generator_pairs(study: &Study) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (at, generator) in study.generators.iter().enumerate() {
        let pair = |without: &Generator, differences| Pair {
            with: generator.name.clone(),
            without: without.name.clone(),
            differences,
        };
        if let Some(first) = study.generators[..at].iter().find(|other| other.family == generator.family) {
            pairs.push(pair(first, generator_differences(generator, first)));
        }
        if let Some((epsilon, plain)) = generator.epsilon.zip(without_noise(study, generator)) {
            let words = format!("{} with ε = {epsilon} in the place of {}", generator.family, plain.family);
            pairs.push(pair(plain, vec![words]));
        }
    }
    pairs
}

/// The generator a private one is held against.
fn without_noise<'a>(study: &'a Study, generator: &Generator) -> Option<&'a Generator> {
    let plain = || study.generators.iter().filter(|other| other.epsilon.is_none());
    let counterpart = generator.family.strip_prefix("dp-");
    plain().find(|other| Some(other.family.as_str()) == counterpart).or_else(|| plain().next())
}

fn generator_differences(of: &Generator, from: &Generator) -> Vec<String> {
    let table = |generator: &Generator| {
        let mut table = Table::new();
        let mut put = |key: &str, value: Option<Value>| value.map(|value| table.insert(key.into(), value));
        put("ε", generator.epsilon.map(Value::Float));
        put("public images", generator.public.clone().map(Value::String));
        table
    };
    let sampling =
        |generator: &Generator| Table::try_from(&generator.sampling).expect("a study holds only what TOML can hold");
    let mut found = setting_differences(&table(of), &table(from));
    found.extend(setting_differences(&of.settings, &from.settings));
    found.extend(setting_differences(&sampling(of), &sampling(from)));
    in_words(&found)
}

fn in_words(differences: &[SettingDifference]) -> Vec<String> {
    match differences {
        [] => vec!["nothing but the randomness of training".into()],
        some => some.iter().map(SettingDifference::to_string).collect(),
    }
}

fn released_generator_pairs(study: &Study) -> Vec<Pair> {
    let released = |generator: &str| -> Vec<&str> {
        let of_it = study.released_generators.iter().filter(|release| release.generator == generator);
        of_it.map(|release| release.name.as_str()).collect()
    };
    let mut pairs = Vec::new();
    for Pair { with, without, differences } in generator_pairs(study) {
        let Some(without) = released(&without).first().copied() else { continue };
        for with in released(&with) {
            pairs.push(Pair { with: with.into(), without: without.into(), differences: differences.clone() });
        }
    }
    pairs
}

fn classifier_pairs(study: &Study) -> Vec<Pair> {
    let released = &study.released_classifiers;
    let generators = generator_pairs(study);
    let mut pairs = Vec::new();
    for (at, release) in released.iter().enumerate() {
        let mut add = |without: &ReleasedClassifier, differences| {
            pairs.push(Pair { with: release.name.clone(), without: without.name.clone(), differences });
        };
        if let Some(first) = released[..at].iter().find(|other| other.generator == release.generator) {
            add(first, classifier_differences(study, release, first));
        }
        let Some(generator) = &release.generator else { continue };
        let alike =
            |other: &&ReleasedClassifier| other.classifier == release.classifier && other.outputs == release.outputs;
        if let Some(on_real) = released.iter().filter(alike).find(|other| other.generator.is_none()) {
            add(on_real, vec![format!("images of {generator} in the place of the private ones")]);
        }
        for pair in generators.iter().filter(|pair| pair.with == *generator) {
            let other = released.iter().filter(alike).find(|other| other.generator.as_ref() == Some(&pair.without));
            if let Some(other) = other {
                add(other, pair.differences.clone());
            }
        }
    }
    pairs
}

fn classifier_differences(study: &Study, of: &ReleasedClassifier, from: &ReleasedClassifier) -> Vec<String> {
    let table = |release: &ReleasedClassifier| {
        let mut table = study.classifier(&release.classifier).map_or_else(Table::new, |each| each.settings.clone());
        let family = study.classifier(&release.classifier).map_or(release.classifier.as_str(), Classifier::family);
        table.insert("family".into(), Value::String(family.into()));
        let outputs = Value::try_from(release.outputs).expect("a study holds only what TOML can hold");
        table.insert("outputs".into(), outputs);
        table
    };
    in_words(&setting_differences(&table(of), &table(from)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::summary::ReleaseKind;
    use crate::summary::testing::{estimate, release};

    const STUDY: &str = r#"
name = "mitigations"
seeds = [1, 2, 3]
[data]
source = "digits"
train = 200
holdout = 200
[[generator]]
name = "vae"
family = "vae"
settings = { epochs = 200.0 }
[[generator]]
name = "early"
family = "vae"
settings = { epochs = 20.0 }
[[generator]]
name = "typical"
family = "vae"
settings = { epochs = 200.0 }
sampling = { temperature = 0.5, no_copies = { encoder = "pixels", false_match_rate = 0.05 } }
[[generator]]
name = "private-1"
family = "dp-merf"
epsilon = 1.0
[[generator]]
name = "private-10"
family = "dp-merf"
epsilon = 10.0
[[classifier]]
name = "cnn"
[[classifier]]
name = "decayed"
family = "cnn"
settings = { weight_decay = 0.3 }
[[released_classifier]]
name = "real"
classifier = "cnn"
[[released_classifier]]
name = "rounded"
classifier = "cnn"
outputs = { decimals = 2 }
[[released_classifier]]
name = "decayed-on-real"
classifier = "decayed"
[[released_classifier]]
name = "on-vae"
classifier = "cnn"
generator = "vae"
[[released_classifier]]
name = "on-early"
classifier = "cnn"
generator = "early"
[[released_generator]]
name = "vae-weights"
generator = "vae"
[[released_generator]]
name = "early-weights"
generator = "early"
"#;

    #[test]
    fn every_mitigation_stands_beside_the_same_run_without_it() {
        let study = Study::parse(STUDY, Path::new("study")).unwrap();
        let pairs = generator_pairs(&study).into_iter();
        let pairs = pairs.chain(released_generator_pairs(&study)).chain(classifier_pairs(&study));
        let words = |pair: Pair| format!("{} / {}: {}", pair.with, pair.without, pair.differences.join("; "));
        assert_eq!(
            pairs.map(words).collect::<Vec<_>>(),
            [
                "early / vae: epochs 20 instead of 200",
                "typical / vae: no_copies (encoder pixels, false_match_rate 0.05); temperature 0.5 instead of 1",
                "private-1 / vae: dp-merf with ε = 1 in the place of vae",
                "private-10 / private-1: ε 10 instead of 1",
                "private-10 / vae: dp-merf with ε = 10 in the place of vae",
                "early-weights / vae-weights: epochs 20 instead of 200",
                "rounded / real: outputs (decimals 2) instead of logits",
                "decayed-on-real / real: weight_decay 0.3",
                "on-vae / real: images of vae in the place of the private ones",
                "on-early / real: images of early in the place of the private ones",
                "on-early / on-vae: epochs 20 instead of 200",
            ]
        );
    }

    #[test]
    fn effects_follow_from_both_intervals() {
        let (up, down, open) = (estimate(0.1, 0.05), estimate(-0.1, 0.05), estimate(0.01, 0.05));
        let of = |accuracy: &Estimate, auc: &Estimate| effect(Some(accuracy), Some(auc));
        assert_eq!(of(&open, &down), Effect::Helps);
        assert_eq!(of(&up, &open), Effect::Helps);
        assert_eq!(of(&down, &open), Effect::Costs);
        assert_eq!(of(&open, &up), Effect::Costs);
        assert_eq!(of(&down, &down), Effect::Trades);
        assert_eq!(of(&up, &up), Effect::Trades);
        assert_eq!(of(&open, &open), Effect::NotToldApart);
        assert_eq!(effect(None, Some(&down)), Effect::Helps);
        assert_eq!(effect(None, None), Effect::NotMeasured);
    }

    #[test]
    fn differences_are_with_less_without() {
        let releases =
            [release("vae", ReleaseKind::Images, 0.9, 0.7, 0.0), release("early", ReleaseKind::Images, 0.8, 0.55, 0.0)];
        let study = Study::parse(STUDY, Path::new("study")).unwrap();
        let found = mitigations(&study, &releases);
        assert_eq!(found.len(), 1, "the others were not released here");
        let values = [&found[0].accuracy, &found[0].auc].map(|difference| difference.as_ref().unwrap().value);
        assert!((values[0] + 0.1).abs() < 1e-12 && (values[1] + 0.15).abs() < 1e-12, "{values:?}");
        assert_eq!(found[0].effect, Effect::Trades);
    }
}
