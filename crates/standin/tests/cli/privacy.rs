//! `standin privacy` as a user meets it.

use std::env::temp_dir;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::program;

fn standin(folder: &Path, arguments: &[&str]) -> Output {
    program::standin(folder, &[&["privacy"], arguments].concat())
}

fn here(arguments: &[&str]) -> Output {
    standin(&temp_dir(), arguments)
}

fn document(arguments: &[&str]) -> Value {
    program::parsed(&here(&[arguments, &["--json"]].concat()))
}

fn message(arguments: &[&str]) -> String {
    program::refusal(&temp_dir(), &[&["privacy"], arguments].concat())
}

const TRAINING: [&str; 9] =
    ["epsilon", "--sampling-rate", "0.01", "--noise-multiplier", "1", "--steps", "10000", "--delta", "1e-5"];

#[test]
fn epsilon_shows_the_bracket_and_both_accountants() {
    let found = document(&TRAINING);
    let number = |key: &str| found[key].as_f64().unwrap();
    assert!(number("low") <= 6.1878 && number("high") >= 6.1877 && number("high") < 6.2, "{found}");
    assert!((number("rdp") - 6.713).abs() < 1e-3, "{found}");
    assert_eq!(found["ledger"]["events"][0][1], 10_000);
    let text = String::from_utf8(here(&TRAINING).stdout).unwrap();
    assert!(text.contains("Rényi differential privacy") && text.contains("6.7127"), "{text}");
}

#[test]
fn sizes_and_passes_say_the_same_as_rate_and_steps() {
    let by_size = ["epsilon", "--examples", "60000", "--batch-size", "600", "--epochs", "2.5"];
    let by_rate = ["epsilon", "--sampling-rate", "0.01", "--steps", "250"];
    let rest = ["--noise-multiplier", "1.1", "--delta", "1e-6"];
    let (one, other) = (document(&[&by_size[..], &rest].concat()), document(&[&by_rate[..], &rest].concat()));
    assert_eq!(one, other);
}

#[test]
fn events_compose_with_training() {
    let alone = document(&TRAINING)["high"].as_f64().unwrap();
    let more = document(&[&TRAINING[..], &["--event", "gaussian:2", "--event", "laplace:10*3"]].concat());
    assert!(more["high"].as_f64().unwrap() > alone + 0.05);
    assert_eq!(more["ledger"]["events"].as_array().unwrap().len(), 3);
}

#[test]
fn what_was_calibrated_costs_no_more_than_the_budget() {
    let found =
        document(&["calibrate", "--epsilon", "3", "--delta", "1e-5", "--sampling-rate", "0.01", "--steps", "2000"]);
    let noise = found["noise_multiplier"].as_f64().unwrap().to_string();
    let spent = document(&[
        "epsilon",
        "--sampling-rate",
        "0.01",
        "--steps",
        "2000",
        "--noise-multiplier",
        &noise,
        "--delta",
        "1e-5",
    ]);
    let high = spent["high"].as_f64().unwrap();
    assert!(high <= 3.0 && high > 2.99, "{high}");
    let steps = document(&[
        "calibrate",
        "--epsilon",
        "3",
        "--delta",
        "1e-5",
        "--sampling-rate",
        "0.01",
        "--noise-multiplier",
        &noise,
    ]);
    assert!(steps["steps"].as_u64().unwrap() >= 2000, "{steps}");
}

#[test]
fn a_curve_is_drawn_and_never_replaced_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [&TRAINING[..], &["--curve", "curve.svg"]].concat();
    assert!(standin(folder.path(), &arguments).status.success());
    let svg = std::fs::read_to_string(folder.path().join("curve.svg")).unwrap();
    assert!(svg.starts_with("<svg xmlns") && svg.contains("after 10000"), "{svg}");
    let again = standin(folder.path(), &arguments);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8(again.stderr).unwrap().contains("--force"));
    assert!(standin(folder.path(), &[&arguments[..], &["--force"]].concat()).status.success());
}

#[test]
fn a_refuted_claim_is_exit_status_1() {
    let guesses = ["audit", "--canaries", "1000", "--guesses", "100", "--correct", "95", "--delta", "1e-5"];
    let output = here(&[&guesses[..], &["--claimed", "2"]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("REFUTED"));
    assert_eq!(here(&[&guesses[..], &["--claimed", "3"]].concat()).status.code(), Some(0));
    let rates =
        ["audit", "--true-positives", "900", "--positives", "1000", "--false-positives", "30", "--negatives", "1000"];
    let found = document(&[&rates[..], &["--delta", "1e-5"]].concat());
    assert!((found["bound"]["epsilon"].as_f64().unwrap() - 3.0289).abs() < 1e-3, "{found}");
    assert!(found["gaussian"]["epsilon"].as_f64().unwrap() > 15.0, "{found}");
}

#[test]
fn scores_of_canaries_are_read_from_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let leaking: String = (0..400).map(|i| format!("{},{}\n", i % 2 * 10 + i % 7, i % 2)).collect();
    std::fs::write(folder.path().join("leaking.csv"), format!("score,member\n{leaking}")).unwrap();
    let found =
        program::parsed(&standin(folder.path(), &["audit", "--scores", "leaking.csv", "--delta", "1e-5", "--json"]));
    assert!(found["bound"]["epsilon"].as_f64().unwrap() > 3.0, "{found}");
    std::fs::write(folder.path().join("broken.csv"), "score,member\n1.5,1\nhigh,0\n").unwrap();
    let arguments = ["privacy", "audit", "--scores", "broken.csv", "--delta", "1e-5"];
    let text = program::refusal(folder.path(), &arguments);
    assert!(text.contains("row 3") && text.contains("`high`"), "{text}");
}

#[test]
fn impossible_requests_say_what_would_do() {
    for (arguments, parts) in [
        (&["epsilon", "--event", "shuffled:64,1*10", "--delta", "1e-5"][..], &["Poisson sampling"][..]),
        (
            &["epsilon", "--sampling-rate", "1.5", "--noise-multiplier", "1", "--steps", "3", "--delta", "1e-5"],
            &["sampling_rate is 1.5"],
        ),
        (&["epsilon", "--sampling-rate", "0.1", "--steps", "3", "--delta", "1e-5"], &["--noise-multiplier is missing"]),
        (
            &["epsilon", "--sampling-rate", "0.1", "--noise-multiplier", "1", "--steps", "3", "--delta", "1"],
            &["delta is 1"],
        ),
        (&["epsilon", "--delta", "1e-5"], &["--sampling-rate is missing"]),
        (
            &[
                "epsilon",
                "--examples",
                "10",
                "--batch-size",
                "20",
                "--steps",
                "3",
                "--noise-multiplier",
                "1",
                "--delta",
                "1e-5",
            ],
            &["--batch-size is 20"],
        ),
        (
            &["epsilon", "--event", "poisson:0.1,1*5", "--delta", "1e-5", "--adjacency", "replace-one"],
            &["add_remove", "2ε"],
        ),
        (
            &[
                "calibrate",
                "--epsilon",
                "0.5",
                "--delta",
                "1e-5",
                "--sampling-rate",
                "0.1",
                "--steps",
                "9",
                "--before",
                "gaussian:1",
            ],
            &["the least that can be had is epsilon 4.37"],
        ),
        (
            &[
                "calibrate",
                "--epsilon",
                "1",
                "--delta",
                "0.1",
                "--examples",
                "100",
                "--batch-size",
                "10",
                "--steps",
                "9",
            ],
            &["1/N"],
        ),
        (
            &["calibrate", "--epsilon", "1", "--delta", "auto", "--sampling-rate", "0.1", "--steps", "9"],
            &["--examples is missing"],
        ),
        (&["calibrate", "--epsilon", "1", "--delta", "1e-5", "--sampling-rate", "0.1"], &["--steps is missing"]),
        (&["audit", "--canaries", "10", "--guesses", "11", "--correct", "3", "--delta", "0"], &["guesses is 11"]),
        (&["audit", "--delta", "0"], &["what did the attack achieve"]),
    ] {
        let text = message(arguments);
        for part in parts {
            assert!(text.contains(part), "`{part}` is missing in: {text}");
        }
    }
}
