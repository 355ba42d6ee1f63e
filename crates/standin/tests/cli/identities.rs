//! `standin audit --unit identity`: planted leaks are named, unseen identities are not, and what is missing is said.

use std::fs;
use std::path::Path;

use serde_json::Value;
use standin_data::{Column, ImageSet};
use standin_encode::{Embedding, EmbeddingFile, Stamp};

use crate::program::{self, document, standin, text};

const DIMENSION: usize = 32;

/// Numbers that look random, the same for the same seed.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    // The sum of four is bell-shaped enough.
    (0..count).map(|_| uniform() + uniform() + uniform() + uniform()).collect()
}

/// Features of photos of these identities, as a recogniser might give them.
fn photos(photos: &[(u64, u64)]) -> Vec<f32> {
    let of_one = |&(identity, photo): &(u64, u64)| {
        let (centre, own) = (noise(identity, DIMENSION), noise(1_000_000 + 1_000 * identity + photo, DIMENSION));
        centre.into_iter().zip(own).map(|(centre, own)| centre + 0.3 * own).collect::<Vec<_>>()
    };
    photos.iter().flat_map(of_one).collect()
}

fn write(path: &Path, photographed: &[(u64, u64)], labelled: bool) {
    let embedding = Embedding::new(photos(photographed), DIMENSION, Stamp::new("onnx:faces.onnx", "made up")).unwrap();
    let labels = labelled.then(|| photographed.iter().map(|&(identity, _)| identity as i64).collect());
    EmbeddingFile { embedding, labels }.write(path).unwrap();
}

/// 150 training and 150 holdout identities with two photos each, and synthetic photos of nobody and of five who were trained on.
fn features() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let two_of = |identities: std::ops::Range<u64>| identities.flat_map(|identity| [(identity, 0), (identity, 1)]);
    write(&folder.path().join("train.npz"), &two_of(0..150).collect::<Vec<_>>(), true);
    write(&folder.path().join("holdout.npz"), &two_of(200..350).collect::<Vec<_>>(), true);
    let honest: Vec<(u64, u64)> = two_of(400..500).collect();
    write(&folder.path().join("honest.npz"), &honest, true);
    let leaking: Vec<(u64, u64)> = honest.into_iter().chain((0..5).map(|at| (11 * at, 7))).collect();
    write(&folder.path().join("leaking.npz"), &leaking, false);
    folder
}

const AUDIT: [&str; 7] = ["audit", "--unit", "identity", "--train", "train.npz", "--holdout", "holdout.npz"];

#[test]
fn planted_identities_are_named_and_tables_hold_everybody() {
    let folder = features();
    let folder = folder.path();
    let sets = ["--synthetic", "honest.npz", "--synthetic", "leak=leaking.npz", "--out", "report"];
    let found = document(folder, &[&AUDIT[..], &sets].concat());
    let [honest, leak] = found["sets"].as_array().unwrap().as_slice() else { panic!("{found}") };
    assert_eq!((honest["name"].as_str(), leak["name"].as_str()), (Some("honest"), Some("leak")));
    assert_eq!(honest["audit"]["discoveries"], 0, "{honest}");
    let named: Vec<&str> =
        leak["named"].as_array().unwrap().iter().map(|found| found["identity"].as_str().unwrap()).collect();
    for planted in ["0", "11", "22", "33", "44"] {
        assert!(named.contains(&planted), "{planted} is not among {named:?}");
    }
    assert!(named.len() <= 6, "{named:?}");
    // Only the honest set names its identities.
    assert_eq!(honest["audit"]["identities"]["identities"], 100);
    assert_eq!(leak["audit"]["identities"], Value::Null);

    let mut table = csv::Reader::from_path(folder.join("report/leak/identities.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    assert_eq!((rows.len(), &rows[0][0], &rows[0][1]), (150, "0", "2"));
    assert!(rows.iter().find(|row| &row[0] == "11").unwrap()[7].parse::<f64>().unwrap() <= 0.05);
    for file in ["synthetic.parquet", "holdout-identities.csv", "pairs.csv", "identities.parquet"] {
        assert!(folder.join("report/leak").join(file).exists(), "{file}");
    }
    assert!(folder.join("report/honest/links.csv").exists());
    let page = fs::read_to_string(folder.join("report/report.html")).unwrap();
    assert!(page.contains("which identities leak?") && page.contains(" identities leaked; "));
    assert!(fs::read_to_string(folder.join("report/report.md")).unwrap().contains("who leaked"));

    let again = program::refusal(folder, &[&AUDIT[..], &sets].concat());
    assert!(again.contains("report.html") && again.contains("--force"), "{again}");
}

#[test]
fn the_table_for_people_says_who_leaked_and_by_how_much() {
    let folder = features();
    let output = standin(folder.path(), &[&AUDIT[..], &["--synthetic", "leaking.npz"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("identities leaked;") && said.contains("  11: similarity 0.9"), "{said}");
}

#[test]
fn gates_on_identities_decide_the_exit_status() {
    let folder = features();
    let folder = folder.path();
    let audit = |gates: &[&str], out: &str| {
        let gates = gates.iter().flat_map(|gate| ["--gate", gate]);
        let sets = ["--synthetic", "honest.npz", "--synthetic", "leaking.npz", "--out", out];
        standin(folder, &[&AUDIT[..], &sets, &gates.collect::<Vec<_>>()].concat())
    };
    let passed = audit(&["identities.auc.value < 0.7 and identities.most_alike <= 1"], "passed");
    assert!(passed.status.success(), "{}", text(&passed.stderr));
    let failed = audit(&["identities.named <= 0", "identities.leaked < 50%"], "failed");
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed.stderr));
    let said = text(&failed.stdout);
    assert!(said.contains("Gate FAILED: identities.named <= 0\n  leaking: identities named as leaked = "), "{said}");
    assert!(said.contains("Gate passed: identities.leaked < 50%"), "{said}");
    let report = |name: &str| fs::read_to_string(folder.join("failed").join(name)).unwrap();
    assert!(report("report.html").contains("A gate has failed"));
    assert!(report("report.md").contains("**Gate failed: identities.named \\<= 0**"), "{}", report("report.md"));
    let found: Value = serde_json::from_str(&report("report.json")).unwrap();
    assert_eq!((&found["gates"][0]["passed"], &found["gates"][1]["passed"]), (&false.into(), &true.into()));

    let refused = |gate: &str, words: &str| {
        let message = program::refusal(folder, &[&AUDIT[..], &["--synthetic", "honest.npz", "--gate", gate]].concat());
        assert!(message.contains(words), "{message}");
    };
    refused("attack.strongest.auc < 0.6", "identities.leaked");
    refused("identities.share < 0.6", "known are .leaked");
}

#[test]
fn without_unseen_identities_a_gate_on_names_does_not_pass() {
    let folder = features();
    let audit = ["audit", "--unit", "identity", "--train", "train.npz", "--synthetic", "honest.npz"];
    let output = standin(folder.path(), &[&audit[..], &["--gate", "identities.named <= 0"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("not measurable"), "{}", text(&output.stdout));
}

/// Digits with two images a patient.
fn pictures() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, from) in [("train", 0), ("holdout", 600), ("fakes", 1200)] {
        let images = standin_data::digits().select(&(from..from + 300).collect::<Vec<_>>()).without_labels();
        let values = (0..300).map(|image| format!("{name}-{}", image / 2)).collect();
        let images = if name == "fakes" {
            images
        } else {
            images.with_column(Column { name: "patient".into(), values }).unwrap()
        };
        images.save(&folder.path().join(name)).unwrap();
    }
    folder
}

#[test]
fn an_encoder_that_recognises_nobody_is_called_that_and_real_images_can_be_hidden() {
    let folder = pictures();
    let folder = folder.path();
    let arguments = [
        &["audit", "--unit", "identity", "--train", "train", "--holdout", "holdout", "--synthetic", "fakes"][..],
        &["--identity", "patient", "--encoder", "pixels", "--near-copies", "3", "--out"],
    ]
    .concat();
    let output = standin(folder, &[&arguments[..], &["open"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let warned = text(&output.stderr);
    assert!(warned.contains("hardly recognises these identities"), "{warned}");
    let page = |name: &str| fs::read_to_string(folder.join(name).join("report.html")).unwrap();
    assert!(page("open").contains("3 private training images"));
    let redacted = standin(folder, &[&arguments[..], &["hidden", "--redact"]].concat());
    assert!(redacted.status.success());
    assert!(!page("hidden").contains("private training images") && page("hidden").contains("made unrecognisable"));
    let picture =
        |page: &str| page.split("alt=\"Training image\"").next().unwrap().rsplit("base64,").next().unwrap().to_owned();
    assert!(picture(&page("open")) != picture(&page("hidden")));
}

#[test]
fn what_cannot_be_audited_is_refused_with_the_remedy() {
    let folder = features();
    let folder = folder.path();
    let refused = |arguments: &[&str], words: &str| {
        let message = program::refusal(folder, arguments);
        assert!(message.contains(words), "{message}");
    };
    let both = ["audit", "--unit", "identity", "--train", "train.npz", "--synthetic", "honest.npz", "--holdout"];
    refused(
        &[&both[..], &["train.npz"]].concat(),
        "identity \"0\" and 149 more are in the training and in the holdout set",
    );
    refused(&[&both[..], &["leaking.npz"]].concat(), "write the identity of each row as labels");
    refused(&[&AUDIT[..], &["--synthetic", "honest.npz", "--measure", "fd"]].concat(), "--unit");
    refused(&[&AUDIT[..], &["--synthetic", "honest.npz", "--false-match-rate", "1.5"]].concat(), "greater than 0");
    write(&folder.join("zero.npz"), &[(1, 1)], false);
    let zero = Embedding::new(vec![0.0; DIMENSION], DIMENSION, Stamp::new("onnx:faces.onnx", "made up")).unwrap();
    zero.save(&folder.join("zero.npz")).unwrap();
    refused(&[&AUDIT[..], &["--synthetic", "zero.npz"]].concat(), "row 0 is all zero");

    let folder = pictures();
    let refused = |arguments: &[&str], words: &str| {
        let message = program::refusal(folder.path(), arguments);
        assert!(message.contains(words), "{message}");
    };
    let pictures = ["audit", "--unit", "identity", "--train", "train", "--holdout", "holdout", "--synthetic", "fakes"];
    refused(&[&pictures[..], &["--identity", "patient"]].concat(), "--encoder onnx:");
    refused(&[&pictures[..], &["--encoder", "pixels"]].concat(), "--identity (it has patient)");
    refused(&[&pictures[..], &["--encoder", "pixels", "--identity", "person"]].concat(), "it has patient");
    let digits: ImageSet = standin_data::digits().select(&(0..4).collect::<Vec<_>>());
    let column = |name: &str| Column { name: name.into(), values: vec!["3".into(); 4] };
    digits.with_column(column("nose_x")).unwrap().save(&folder.path().join("landmarks")).unwrap();
    let landmarks =
        ["audit", "--unit", "identity", "--train", "landmarks", "--synthetic", "fakes", "--encoder", "pixels"];
    refused(&landmarks, "lacks left_eye_x");
}
