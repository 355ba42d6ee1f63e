//! An audit as a run would leave it: six sets of a truncation sweep and one that copies, made by other tools, with
//! rankings, correlations, gates and scores of single images. Smaller truncation gives faithful images of little variety.

use standin_bench::gate::GateExpression;
use standin_bench::ranking::{correlations, rankings};
use standin_bench::summary::{
    DataSummary, GroupAccuracy, ImageScores, MeasureRow, Release, ReleaseKind, ReleaseVerdict, Summary, Utility,
    Verdict,
};
use standin_measure::{Estimate, Outcome, wilson};

use crate::sample;

const CLASSES: [&str; 2] = ["benign", "malignant"];
const TEST: usize = 600;
const GATES: [&str; 3] =
    ["fd_holdout < 60", "attack.strongest.tpr@1% .high < 0.05", "utility.cnn.accuracy > 0.55 or scores.copies <= 12"];

/// The summary of the audit.
pub fn summary() -> Summary {
    let mut releases: Vec<Release> =
        [0.3, 0.5, 0.6, 0.7, 0.85, 1.0].iter().map(|&truncation| set(truncation, false)).collect();
    releases.push(set(0.9, true));
    let mut summary = Summary {
        name: "Skin lesions of a text-to-image model".into(),
        seeds: vec![1],
        configuration: "train = \"lesions/train\"\nholdout = \"lesions/holdout\"\n".into(),
        data: DataSummary {
            source: "lesions, dermoscopic images".into(),
            classes: CLASSES.map(String::from).to_vec(),
            train: 1200,
            holdout: 500,
            test: TEST,
            duplicates_across_split: 0,
            population: None,
            ..sample::summary().data
        },
        rankings: rankings(&releases),
        correlations: correlations(&releases),
        mitigations: Vec::new(),
        post_processing: Vec::new(),
        questions: Vec::new(),
        verdict: Verdict {
            headline: "Release psi-0.85: the images are useful and no attack finds their training images.".into(),
            releases: releases.iter().map(|release| verdict(release, &releases)).collect(),
        },
        warnings: vec!["With 500 holdout images, true-positive rates below 0.2 % cannot be measured.".into()],
        releases,
        ..sample::summary()
    };
    summary.gates = GATES.iter().map(|text| text.parse::<GateExpression>().unwrap().evaluate(&summary)).collect();
    summary
}

fn verdict(release: &Release, all: &[Release]) -> ReleaseVerdict {
    let leak = |release: &Release| release.attacks.iter().map(|attack| attack.auc.value).fold(0.0, f64::max);
    let accuracy = |release: &Release| release.utility[0].accuracy.value;
    let beaten = |other: &Release| accuracy(other) > accuracy(release) && leak(other) < leak(release);
    ReleaseVerdict {
        name: release.name.clone(),
        useful: release.utility[0].replacement_ratio.as_ref().is_some_and(|ratio| ratio.value >= 0.9),
        resists_attacks: release.attacks.iter().all(|attack| attack.auc.high <= 0.6),
        pareto: !all.iter().any(beaten),
        pareto_probability: Some(if all.iter().any(beaten) { 0.0 } else { 0.97 }),
        reasons: vec!["Judged at the thresholds of the audit.".into()],
    }
}

fn estimate(value: f64, half: f64) -> Outcome {
    let method = "bootstrap, 1000 resamples".into();
    Outcome::Measured(Estimate { value, low: value - half, high: value + half, n: 500, method })
}

/// A set of the sweep, or one of copies.
fn set(truncation: f64, copies: bool) -> Release {
    let name = if copies { "copier".to_owned() } else { format!("psi-{truncation}") };
    let wobble = (37.0 * truncation).sin();
    let row = |measure: &str, aspect: &str, against: &str, better: &str, value: f64, half: f64| MeasureRow {
        measure: measure.into(),
        aspect: aspect.into(),
        against: against.into(),
        outcome: estimate(value, half),
        reference: None,
        better: better.into(),
        stamp: "onnx:fid-inception.onnx (299 × 299, antialiased); k=5; 500 synthetic, 500 training, 500 holdout".into(),
    };
    let gain = if copies { 25.0 } else { 0.0 };
    let accuracy = 0.52 + 0.25 * truncation + 0.012 * wobble;
    Release {
        name: name.clone(),
        kind: ReleaseKind::Images,
        generator: None,
        source: Some("a text-to-image model, 500 images".into()),
        guarantee: None,
        utility: vec![utility("cnn", accuracy, 0.81), utility("logistic", accuracy - 0.06, 0.72)],
        measures: vec![
            row("frechet-distance", "fidelity", "train", "lower", 70.0 - 35.0 * truncation - gain, 2.5),
            row("frechet-distance", "fidelity", "holdout", "lower", 71.0 - 34.0 * truncation, 2.5),
            row("precision", "fidelity", "holdout", "higher", 0.92 - 0.35 * truncation + 0.01 * wobble, 0.03),
            row("recall", "variety", "holdout", "higher", 0.1 + 0.5 * truncation, 0.03),
            row("coverage", "variety", "holdout", "higher", 0.4 + 0.3 * truncation + 0.03 * wobble, 0.03),
            row("dcr-share", "copying", "train", "0.5", if copies { 0.97 } else { 0.51 + 0.01 * wobble }, 0.03),
        ],
        attacks: vec![
            sample::attack(&name, "gan-leaks", "images", if copies { 2.2 } else { 0.02 }, 500),
            sample::attack(&name, "monte-carlo", "images", if copies { 1.4 } else { -0.02 }, 500),
        ],
        gallery: Some(sample::gallery(&name, if copies { 0.2 } else { 2.1 })),
        scores: Some(scores(&name, copies)),
        canaries: Vec::new(),
    }
}

fn utility(classifier: &str, accuracy: f64, real: f64) -> Utility {
    let share = |share: f64, n: usize| wilson((share * n as f64).round() as usize, n);
    let outcome = |value: f64, n: usize| Some(Outcome::Measured(share(value, n)));
    let group = |group: &str, images: usize, value: f64| GroupAccuracy {
        column: "site".into(),
        group: group.into(),
        images,
        accuracy: Outcome::Measured(share(value, images)),
        real: outcome(real, images),
    };
    Utility {
        per_class: vec![
            Outcome::Measured(share(accuracy + 0.08, TEST / 2)),
            Outcome::Measured(share(accuracy - 0.08, TEST / 2)),
        ],
        per_seed: vec![accuracy],
        real: outcome(real, TEST),
        real_on_synthetic: outcome(accuracy + 0.11, 500),
        augmented: outcome(real + 0.015, TEST),
        per_group: vec![group("trunk", 380, accuracy + 0.04), group("face", 120, accuracy - 0.09)],
        ..sample::utility(classifier, accuracy, Some(real))
    }
}

fn scores(name: &str, copies: bool) -> ImageScores {
    let holdout: Vec<f64> =
        (0..=20).map(|level| 6.0 + 0.5 * f64::from(level) + 0.01 * f64::from(level).powi(2)).collect();
    let nearer = |(level, distance): (usize, &f64)| {
        if copies { 0.2 + 0.4 * distance } else { distance + 0.3 * (level as f64).sin() }
    };
    ImageScores {
        table: format!("scores/{name}.parquet"),
        stamp: "onnx:fid-inception.onnx (299 × 299, antialiased), Euclidean".into(),
        images: 500,
        false_match_rate: 0.01,
        threshold: Some(6.1),
        copies: if copies { 311 } else { 4 },
        expected_copies: 5.0,
        near_holdout: Some(6),
        synthetic_quantiles: holdout.iter().enumerate().map(nearer).collect(),
        holdout_quantiles: holdout,
    }
}
