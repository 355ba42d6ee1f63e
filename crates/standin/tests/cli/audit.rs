//! `standin audit` as a user meets it: images made elsewhere, planted copies and a null, gates, errors.

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use standin_data::{Column, ImageSet, ImportOptions, Provenance, Silent, import};

use crate::program::{self, text};

fn standin(folder: &Path, arguments: &[&str]) -> Output {
    program::standin(folder, &[&["audit"], arguments].concat())
}

/// Digits 0 to 599 as training images, 600 to 1199 as holdout, and two sets in the place of synthetic images: the other
/// digits, which copy nothing, and 100 training images among 300 of those.
fn sets() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let digits = standin_data::digits();
    let range = |from: usize, to: usize| digits.select(&(from..to).collect::<Vec<_>>());
    let groups = (0..600).map(|image| if image % 2 == 0 { "even" } else { "odd" }.to_owned()).collect();
    let holdout = range(600, 1200).with_column(Column { name: "half".into(), values: groups }).unwrap();
    range(0, 600).save(&folder.path().join("train")).unwrap();
    holdout.save(&folder.path().join("holdout")).unwrap();
    let provenance = Provenance { guarantee: Some("ε = 1.00, δ = 1e-5".into()), ..Provenance::default() };
    range(1200, 1600).with_provenance(provenance).save(&folder.path().join("honest")).unwrap();
    range(0, 100).concat(&range(1200, 1500)).unwrap().save(&folder.path().join("copying")).unwrap();
    folder
}

const BOTH: [&str; 4] = ["--train", "train", "--holdout", "holdout"];
const QUICK: [&str; 6] = ["--encoder", "pixels", "--classifier", "logistic", "--repetitions", "1"];

fn found(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
}

fn release<'a>(summary: &'a Value, name: &str) -> &'a Value {
    summary["releases"].as_array().unwrap().iter().find(|release| release["name"] == name).unwrap()
}

#[test]
fn copies_among_images_made_elsewhere_are_found_and_left_out() {
    let folder = sets();
    let folder = folder.path();
    let gates = ["--gate", "scores.copies_share < 0.05", "--gate", "utility.logistic.accuracy > 0.5"];
    let sets = ["--synthetic", "honest", "--synthetic", "leak=copying", "--filter-copies", "clean", "--group", "half"];
    let output = standin(folder, &[&BOTH[..], &QUICK, &gates, &sets, &["--augmented", "--json", "--quiet"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let summary = found(&output);

    let (honest, leak) = (release(&summary, "honest"), release(&summary, "leak"));
    let copies = |release: &Value| release["scores"]["copies"].as_u64().unwrap();
    assert!(copies(honest) < 20, "{}", copies(honest));
    assert!((100..130).contains(&copies(leak)), "{}", copies(leak));
    let auc = |release: &Value| {
        let attacks = release["attacks"].as_array().unwrap();
        attacks.iter().find(|attack| attack["attack"] == "gan-leaks").unwrap()["auc"].clone()
    };
    assert!(
        auc(honest)["low"].as_f64().unwrap() < 0.5 && auc(honest)["high"].as_f64().unwrap() > 0.5,
        "{}",
        auc(honest)
    );
    assert!(auc(leak)["low"].as_f64().unwrap() > 0.53, "{}", auc(leak));

    let utility = &honest["utility"][0];
    for protocol in ["real", "real_on_synthetic", "augmented"] {
        let accuracy = utility[protocol]["measured"]["value"].as_f64().unwrap();
        assert!(accuracy > 0.8, "{protocol} {accuracy}");
    }
    let groups: Vec<&str> =
        utility["per_group"].as_array().unwrap().iter().map(|group| group["group"].as_str().unwrap()).collect();
    assert_eq!(groups, ["even", "odd"]);
    let gates = summary["gates"].as_array().unwrap();
    assert_eq!(gates.iter().map(|gate| gate["passed"].as_bool().unwrap()).collect::<Vec<_>>(), [false, true]);
    assert!(gates[0]["figures"][0].as_str().unwrap().contains("leak"), "{}", gates[0]);
    assert!(!summary["rankings"].as_array().unwrap().is_empty());
    assert_eq!(summary["questions"].as_array().unwrap().len(), 0);

    // What was left out is what was found, and the original copies are among it.
    let clean = import(&folder.join("clean/leak"), &ImportOptions::default(), &Silent).unwrap();
    assert_eq!(clean.only().unwrap().len() as u64, 400 - copies(leak));
    let left_out = std::fs::read_to_string(folder.join("clean/leak/left-out.csv")).unwrap();
    let indices: Vec<usize> =
        left_out.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    assert_eq!(indices.len() as u64, copies(leak));
    assert_eq!(indices.iter().filter(|&&index| index < 100).count(), 100);

    // Leaving out what is near to private images is no post-processing.
    let card = std::fs::read_to_string(folder.join("clean/honest/README.md")).unwrap();
    assert!(card.contains("does not cover"), "{card}");

    // The single images' table and the report are written, and a second run has nothing to do.
    let report = std::fs::read_dir(folder.join("reports")).unwrap().next().unwrap().unwrap().path();
    let table = std::fs::read_to_string(report.join("scores/leak.csv")).unwrap();
    assert!(report.join("scores/leak.parquet").exists());
    assert_eq!(table.lines().count(), 401);
    assert!(std::fs::metadata(report.join("report.html")).unwrap().len() > 10_000);
    let again =
        standin(folder, &[&BOTH[..], &QUICK, &["--synthetic", "honest", "--synthetic", "leak=copying"]].concat());
    assert_eq!(again.status.code(), Some(0));
    let text = String::from_utf8(again.stdout).unwrap();
    assert!(text.contains("synthetic → real") && text.contains("ranking by"), "{text}");
}

/// Digits of a writer follow each other, so the first 600 and the next are of two populations; every 700th, around and around, are of
/// one.
#[test]
fn sides_of_two_populations_are_found_out_and_p_values_say_what_an_attack_found() {
    let folder = sets();
    let folder = folder.path();
    let mixed = |from: usize, to: usize| {
        standin_data::digits().select(&(from..to).map(|at| at * 700 % 1797).collect::<Vec<_>>())
    };
    for (name, from, to) in [("mixed-train", 0, 600), ("mixed-holdout", 600, 1200), ("mixed-honest", 1200, 1600)] {
        mixed(from, to).save(&folder.join(name)).unwrap();
    }
    mixed(0, 100).concat(&mixed(1200, 1500)).unwrap().save(&folder.join("mixed-copying")).unwrap();
    let warned = |summary: &Value| summary["warnings"].to_string().contains("Train and holdout differ by themselves");
    let arguments = ["--synthetic", "honest", "--json", "--quiet"];
    let two = found(&standin(folder, &[&BOTH[..], &QUICK, &arguments].concat()));
    assert!(warned(&two) && two["data"]["population"]["low"].as_f64().unwrap() > 0.5, "{}", two["warnings"]);

    let sides = ["--train", "mixed-train", "--holdout", "mixed-holdout"];
    let releases = ["--synthetic", "mixed-honest", "--synthetic", "mixed-copying", "--json", "--quiet"];
    let gates = ["--gate", "attack.strongest.p_value > 0.05"];
    let output = standin(folder, &[&sides[..], &QUICK, &releases, &gates].concat());
    let one = found(&output);
    assert_eq!(output.status.code(), Some(1), "{}", one["gates"]);
    assert!(!warned(&one) && one["data"]["population"]["low"].as_f64().unwrap() <= 0.5, "{}", one["data"]);
    let corrected = |name: &str| -> Vec<f64> {
        let rows = release(&one, name)["attacks"].as_array().unwrap().iter();
        rows.map(|row| row["corrected_p_value"].as_f64().unwrap()).collect()
    };
    assert!(corrected("mixed-copying").iter().any(|&p| p < 1e-3), "{:?}", corrected("mixed-copying"));
    assert!(corrected("mixed-honest").iter().all(|&p| p > 0.05), "{:?}", corrected("mixed-honest"));
}

#[test]
fn without_holdout_and_labels_nothing_is_called_safe() {
    let folder = sets();
    let bare = |name: &str| {
        let set = ImageSet::open(&folder.path().join(name)).unwrap().without_labels();
        set.save(&folder.path().join(format!("bare-{name}"))).unwrap();
    };
    bare("train");
    bare("honest");
    let output =
        standin(folder.path(), &["--train", "bare-train", "--synthetic", "bare-honest", "--encoder", "pixels"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    assert!(printed.contains("No verdict") && printed.contains("no holdout images"), "{printed}");
    assert!(text(&output.stderr).contains("the real images have no labels"));
}

#[test]
fn an_audit_is_a_study_that_bench_can_run() {
    let folder = sets();
    let arguments = [&BOTH[..], &QUICK, &["--synthetic", "honest", "--show"]].concat();
    let output = standin(folder.path(), &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    std::fs::write(folder.path().join("audit.toml"), &output.stdout).unwrap();
    let bench = program::standin(folder.path(), &["bench", "audit.toml", "--json", "--quiet"]);
    let direct = standin(folder.path(), &[&arguments[..arguments.len() - 1], &["--json", "--quiet"]].concat());
    assert_eq!(found(&bench)["releases"][0]["measures"], found(&direct)["releases"][0]["measures"]);
    assert_eq!(found(&bench)["releases"][0]["utility"], found(&direct)["releases"][0]["utility"]);
}

#[test]
fn what_cannot_work_is_refused_before_any_work() {
    let folder = sets();
    let small = standin_data::digits().select(&[0, 1, 2]);
    ImageSet::new(standin_data::Shape { channels: 1, height: 2, width: 2 }, vec![7; 16])
        .unwrap()
        .save(&folder.path().join("tiny"))
        .unwrap();
    let labels = standin_data::Labels::from_names(&["x", "y", "x"]);
    small.with_labels(labels).unwrap().save(&folder.path().join("others")).unwrap();
    let honest = [&BOTH[..], &["--synthetic", "honest"]].concat();
    for (arguments, said) in [
        ([&BOTH[..], &["--synthetic", "nowhere"]].concat(), "no such file or folder"),
        ([&BOTH[..], &["--synthetic", "tiny"]].concat(), "--resize 2x2"),
        ([&BOTH[..], &["--synthetic", "others"]].concat(), "no class \"x\""),
        (vec!["--train", "train", "--holdout", "train", "--synthetic", "honest"], "holdout overlaps train"),
        ([&honest[..], &["--gate", "fid_holdot < 20"]].concat(), "column 1"),
        ([&honest[..], &["--gate", "fd_holdout = 20"]].concat(), "column 12"),
        ([&honest[..], &["--measure", "precison"]].concat(), "did you mean `precision`"),
        ([&honest[..], &["--encoder", "scatering"]].concat(), "did you mean \"scattering\""),
        ([&honest[..], &["--encoder", "onnx:nowhere.onnx"]].concat(), "nowhere.onnx"),
        ([&honest[..], &["--attack", "lira-online"]].concat(), "shadows"),
        ([&honest[..], &["--convention", "pytorch-fid"]].concat(), "torch-fidelity"),
        ([&honest[..], &["--group", "tone"]].concat(), "no column"),
        (vec!["--train", "train", "--synthetic", "honest", "--filter-copies", "clean"], "give --holdout"),
    ] {
        let output = standin(folder.path(), &arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(said), "{arguments:?}: {message}");
    }
    assert!(!folder.path().join("reports").exists() && !folder.path().join("clean").exists());
}
