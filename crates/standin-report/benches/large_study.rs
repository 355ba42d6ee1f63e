//! The report of a large study, 60 releases, 3 seeds and 10 000 stages: `cargo bench -p standin-report --bench large_study`.
//!
//! It must take less than 10 s and each file less than 10 MB. With a folder as argument (`-- FOLDER`) the report stays there,
//! to look at.

use std::path::PathBuf;
use std::time::Instant;

use standin_bench::leakage::post_processing;
use standin_bench::ranking::{correlations, rankings};
use standin_bench::summary::{Effect, MeasureRow, Mitigation, Release, ReleaseKind, ReleaseVerdict, Summary, Verdict};
use standin_report::{Document, Report, Timing};

#[path = "../tests/report/sample.rs"]
mod sample;

const FAMILIES: [&str; 8] = ["vae", "gan", "edm", "flow", "dp-merf", "dp-mfa", "dp-gan", "vq-transformer"];
const SETTINGS: usize = 5;
const STAGES: usize = 10_000;

fn main() {
    let kept = std::env::args().skip(1).find(|argument| !argument.starts_with("--")).map(PathBuf::from);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = kept.unwrap_or_else(|| folder.path().join("report"));
    let study = folder.path().join("study");
    std::fs::create_dir_all(&study).expect("the folder is writable");
    sample::write(&study, &summary());
    let start = Instant::now();
    let report = Report::load(&study).expect("the study is sound").with_timings(timings());
    let paths = report.write(&out, true).expect("the folder is writable");
    let seconds = start.elapsed().as_secs_f64();
    let releases = report.summary().releases.len();
    println!("{releases} releases, {} seeds, {STAGES} stages: {seconds:.2} s", report.summary().seeds.len());
    assert!(seconds < 10.0, "the report took {seconds:.1} s");
    for path in paths {
        let bytes = std::fs::metadata(&path).expect("it was written").len();
        println!("{:<12} {:>6.2} MB", path.file_name().unwrap_or_default().display(), bytes as f64 / 1e6);
        assert!(bytes < 10_000_000, "{} has {bytes} bytes", path.display());
    }
}

fn timings() -> Vec<Timing> {
    let each = |(at, timing): (usize, Timing)| Timing {
        name: format!("{}-{}, seed {}", FAMILIES[at % 8], at % SETTINGS, at % 3),
        seconds: (at * 7919 % 1000) as f64 / 3.0,
        ..timing
    };
    sample::timings().into_iter().cycle().take(STAGES).enumerate().map(each).collect()
}

fn summary() -> Summary {
    let base = sample::summary();
    let [images, on_synthetic, on_real] = [0, 3, 4].map(|at| base.releases[at].clone());
    let private = base.releases[1].guarantee.clone();
    let mut releases: Vec<Release> = Vec::new();
    for (place, family) in FAMILIES.iter().enumerate() {
        for setting in 0..SETTINGS {
            let name = format!("{family}-setting-{setting}");
            let guarantee = family.starts_with("dp-").then(|| private.clone()).flatten();
            let accuracy = 0.6 + 0.03 * place as f64 + 0.01 * setting as f64;
            let leak = 0.02 + 0.1 * ((place * 5 + setting * 3) % 9) as f64;
            let generator = Some((name.clone(), (*family).to_owned()));
            let like = |kind: ReleaseKind, name: String, model: &Release| Release {
                name,
                kind,
                generator: generator.clone(),
                guarantee: guarantee.clone(),
                ..model.clone()
            };
            let mut set = like(ReleaseKind::Images, name.clone(), &images);
            set.utility = ["cnn", "forest"].map(|each| sample::utility(each, accuracy, Some(0.885))).to_vec();
            set.measures = ["scattering", "pixels", "vqvae-codes"]
                .into_iter()
                .flat_map(|encoder| measures(&images.measures, encoder, (place * SETTINGS + setting) as f64))
                .collect();
            set.attacks =
                ["nearest", "monte-carlo", "domias", "gan-leaks", "gan-leaks-calibrated", "classifier", "density"]
                    .map(|attack| thinned(sample::attack(&name, attack, "images", leak, 500)))
                    .to_vec();
            set.gallery = Some(sample::gallery(&name, 0.9));
            if setting == 0 {
                let mut model = like(ReleaseKind::ClassifierOnSynthetic, format!("cnn-on-{family}"), &on_synthetic);
                model.attacks = model.attacks.into_iter().map(thinned).collect();
                model.utility[0] = sample::utility("cnn", accuracy, Some(0.885));
                releases.push(model);
                let mut weights = set.clone();
                (weights.name, weights.kind) = (format!("{family}-weights"), ReleaseKind::Generator);
                (weights.gallery, weights.measures) = (None, Vec::new());
                releases.push(weights);
            }
            releases.push(set);
        }
    }
    for outputs in ["logits", "2-decimals", "prediction", "label-smoothing"] {
        let mut model = on_real.clone();
        model.name = format!("cnn-{outputs}");
        model.attacks = model.attacks.into_iter().map(thinned).collect();
        releases.push(model);
    }
    let verdict = |(at, release): (usize, &Release)| ReleaseVerdict {
        name: release.name.clone(),
        useful: release.utility[0].accuracy.value > 0.8,
        resists_attacks: at % 7 == 3,
        pareto: at % 11 == 0,
        pareto_probability: Some(match at % 11 {
            0 => 0.97,
            1 => 0.4,
            _ => 0.01,
        }),
        reasons: base.verdict.releases[0].reasons.clone(),
    };
    let mitigations = releases.windows(2).map(|pair| Mitigation {
        release: pair[1].name.clone(),
        without: pair[0].name.clone(),
        differences: vec!["epochs 20 instead of 200".into()],
        accuracy: Some(sample::utility("cnn", 0.1, None).accuracy),
        auc: None,
        effect: Effect::NotToldApart,
    });
    Summary {
        verdict: Verdict {
            headline: base.verdict.headline.clone(),
            releases: releases.iter().enumerate().map(verdict).collect(),
        },
        rankings: rankings(&releases),
        correlations: correlations(&releases),
        mitigations: mitigations.collect(),
        post_processing: post_processing(&releases),
        releases,
        ..base
    }
}

/// Rows like these in another encoder's features, moved a little from set to set.
fn measures(rows: &[MeasureRow], encoder: &str, at: f64) -> Vec<MeasureRow> {
    let moved = |row: &MeasureRow| {
        let mut row = row.clone();
        row.stamp = row.stamp.replacen("scattering", encoder, 1);
        if let standin_measure::Outcome::Measured(estimate) = &mut row.outcome {
            let shift = 0.004 * at * (1.0 + estimate.value.abs());
            estimate.value += shift;
            estimate.low += shift;
            estimate.high += shift;
        }
        row
    };
    rows.iter().map(moved).collect()
}

/// A curve with as many points as a study keeps.
fn thinned(mut attack: standin_bench::summary::AttackRow) -> standin_bench::summary::AttackRow {
    let last = attack.roc.len() - 1;
    let mut at = 0..;
    attack.roc.retain(|_| at.next().is_some_and(|index: usize| index.is_multiple_of(5) || index == last));
    attack
}
