//! `standin bench` as a user meets it: a whole study, resumption, and what is refused before anything is trained.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::program::{command, standin, text};

#[path = "../../../standin-report/tests/report/validator.rs"]
mod validator;

/// A study of a few seconds that has every kind of stage.
const STUDY: &str = r#"
name = "small"
seeds = [1]

[data]
source = "digits"
train = 200
holdout = 200
test = 200

[privacy]
noise = "reproducible"

[[generator]]
name = "vae"
family = "vae"
settings = { least_steps = 100 }

[[generator]]
name = "private"
family = "dp-merf"
epsilon = 2.0
settings = { steps = 100, frequencies = 100 }

[[classifier]]
name = "logistic"

[[released_classifier]]
name = "released"
classifier = "logistic"
generator = "vae"

[measures]
near_copies = 3

[attacks]
shadows = 4
"#;

/// Runs the study in `study.toml` and returns its summary, byte by byte.
fn summary(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = standin(folder, &[&["bench", "study.toml", "--quiet", "--json"], arguments].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    output.stdout
}

#[test]
fn a_study_runs_once_and_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("study.toml"), STUDY).unwrap();
    let first = standin(folder, &["bench", "study.toml", "--out", "report"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let table = text(&first.stdout);
    for release in ["vae", "private", "released"] {
        assert!(table.lines().any(|line| line.starts_with(release)), "{table}");
    }
    for file in ["report.html", "report.json", "report.md"] {
        assert!(folder.join("report").join(file).exists(), "{file}");
    }

    let second = standin(folder, &["bench", "study.toml", "--out", "report"]);
    assert_eq!(second.stdout, first.stdout);
    assert!(text(&second.stderr).contains("nothing to do"), "{}", text(&second.stderr));

    let found: Value = serde_json::from_slice(&summary(folder, &[])).unwrap();
    assert_eq!(found["schema"], "standin.summary/5");
    assert_eq!(found["releases"].as_array().unwrap().len(), 3);
    let attacks = found["releases"][2]["attacks"].as_array().unwrap();
    assert!(attacks.iter().any(|attack| attack["attack"] == "lira-online"), "shadows are there for LiRA");

    let verified = standin(folder, &["runs", "verify"]);
    assert!(verified.status.success() && text(&verified.stdout).contains("sound"));
    let listed = standin(folder, &["runs", "list", "--kind", "summarise", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let digest = listed[0]["digest"].as_str().unwrap();
    let report = standin(folder, &["report", &digest[..8], "--out", "again", "--without-training-pictures"]);
    assert!(report.status.success(), "{}", text(&report.stderr));
    assert!(folder.join("again/report.html").exists());

    let compared = standin(folder, &["report", "--compare", &digest[..8], "again", "--out", "compared", "--json"]);
    assert!(compared.status.success(), "{}", text(&compared.stderr));
    let compared: Value = serde_json::from_slice(&compared.stdout).unwrap();
    assert_eq!(compared["releases"].as_array().unwrap().len(), 3);
    assert_eq!(compared["warnings"], serde_json::json!([]));
    assert_eq!(compared["releases"][0]["figures"][0]["difference"]["value"], 0.0);
    assert!(folder.join("compared/comparison.html").exists());

    let schema = standin(folder, &["report", "--schema"]);
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert_eq!(validator::violations(&schema, &found), [""; 0]);
    let nothing = standin(folder, &["report"]);
    assert_eq!(nothing.status.code(), Some(2), "{}", text(&nothing.stderr));
}

#[test]
fn generators_are_releases_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let released = |name: &str, generator: &str| {
        format!("\n[[released_generator]]\nname = \"{name}\"\ngenerator = \"{generator}\"\n")
    };
    let study = format!("{STUDY}{}{}", released("weights", "vae"), released("private-weights", "private"));
    fs::write(folder.join("study.toml"), &study).unwrap();
    let found: Value = serde_json::from_slice(&summary(folder, &[])).unwrap();
    let release = |name: &str| {
        let releases = found["releases"].as_array().unwrap();
        releases.iter().find(|release| release["name"] == name).unwrap().clone()
    };
    let attacks = |name: &str| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let release = release(name);
        let rows = release["attacks"].as_array().unwrap();
        rows.iter().map(|row| (text(&row["access"]), text(&row["attack"]))).collect()
    };
    // Its weights are attacked, and images drawn from it as those of the release of images.
    let (weights, images) = (attacks("weights"), attacks("vae"));
    let (own, drawn): (Vec<_>, Vec<_>) = weights.into_iter().partition(|(access, _)| access == "generator");
    assert_eq!(
        own.iter().map(|(_, attack)| attack.as_str()).collect::<Vec<_>>(),
        ["latent-search", "elbo", "drawn-extraction"]
    );
    assert_eq!(drawn, images);
    assert_eq!(release("weights")["kind"], "generator");
    assert_eq!(release("weights")["utility"], release("vae")["utility"]);
    assert_eq!(release("weights")["guarantee"], Value::Null);
    assert_eq!(release("private-weights")["guarantee"], release("private")["guarantee"]);
    assert!(release("private-weights")["guarantee"]["epsilon"].as_f64().unwrap() <= 2.0);

    let names = "[attacks]\nnames = [\"latent-search\"]\n";
    for (study, said) in [
        (STUDY.replace("[attacks]\n", names), "without a [[released_generator]]"),
        (format!("{STUDY}{}", released("weights", "vea")), "vea"),
        (format!("{STUDY}{}", released("vae", "vae")), "vae"),
    ] {
        fs::write(folder.join("study.toml"), study).unwrap();
        let output = standin(folder, &["bench", "study.toml"]);
        let message = text(&output.stderr);
        assert!(output.status.code() == Some(2) && message.contains(said), "{message}");
    }
}

#[test]
fn a_plan_says_what_there_is_to_do_and_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("study.toml"), STUDY).unwrap();
    let plan = || -> Vec<Value> {
        let output = standin(folder, &["bench", "study.toml", "--dry-run", "--json"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let planned: Value = serde_json::from_slice(&output.stdout).unwrap();
        planned["stages"].as_array().unwrap().clone()
    };
    let of = |plan: Vec<Value>| plan.into_iter().filter(|stage| stage["kind"] == "generate").collect::<Vec<_>>();
    // Two generators, and one of them for each of four shadows.
    let before = of(plan());
    assert!(before.len() == 6 && before.iter().all(|stage| stage["finished"] == false), "{before:?}");
    assert!(!folder.join("reports").exists());
    let output = standin(folder, &["bench", "study.toml", "--quiet"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(plan().iter().all(|stage| stage["finished"] == true));
    // Another seed: trainings like those that are there, whose cost is known.
    fs::write(folder.join("study.toml"), STUDY.replace("seeds = [1]", "seeds = [2]")).unwrap();
    let other = of(plan());
    assert_eq!(other.iter().filter(|stage| stage["finished"] == true).count(), 4, "{other:?}");
    for stage in other.iter().filter(|stage| stage["finished"] == false) {
        assert_eq!(stage["expected"]["basis"], "same", "{stage}");
        assert!(
            stage["expected"]["core_seconds"].as_f64() > Some(0.0) && stage["expected"]["bytes"].as_u64() > Some(0)
        );
    }
    for (form, said) in [("--dry-run", "to do; about "), ("--dry-run=stages", "split, seed 2")] {
        let table = text(&standin(folder, &["bench", "study.toml", form]).stdout);
        assert!(table.contains(said), "{table}");
    }
    let costs = text(&standin(folder, &["runs", "costs"]).stdout);
    assert!(costs.lines().any(|line| line.starts_with("generate") && line.contains("dp-merf")), "{costs}");
}

#[test]
fn a_part_of_a_study_runs_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("study.toml"), STUDY).unwrap();
    let output = standin(folder, &["bench", "study.toml", "--only", "private*", "--quiet"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let kinds: Value = serde_json::from_slice(&standin(folder, &["runs", "list", "--json"]).stdout).unwrap();
    let kinds: Vec<&str> = kinds.as_array().unwrap().iter().map(|stage| stage["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"generate") && kinds.contains(&"split") && !kinds.contains(&"classify"), "{kinds:?}");
    assert!(!folder.join("reports").exists());
    let nothing = standin(folder, &["bench", "study.toml", "--only", "tarin"]);
    assert!(nothing.status.code() == Some(2) && text(&nothing.stderr).contains("--dry-run=stages"));
}

#[test]
fn a_preset_takes_other_data_and_other_settings() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let sources = ["--data", "scans", "--set", "data.group=patient", "--set", "seeds=[4]", "--show"];
    let shown = standin(folder, &[&["bench", "medical"], &sources[..]].concat());
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let study: toml::Table = text(&shown.stdout).parse().unwrap();
    let source = study["data"]["source"].as_str().unwrap();
    assert!(Path::new(source).is_absolute() && source.ends_with("scans"), "{source}");
    assert_eq!((study["data"]["group"].as_str(), study["seeds"].as_array().unwrap().len()), (Some("patient"), 1));
    let refused = standin(folder, &["bench", "--set", "name.first=x", "--show"]);
    assert!(refused.status.code() == Some(2) && text(&refused.stderr).contains("name.first"));
}

#[test]
fn shares_of_images_become_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let shares = STUDY.replace("train = 200\nholdout = 200\ntest = 200", "train = 0.2\nholdout = 0.1\ntest = 0.05");
    fs::write(folder.join("study.toml"), shares).unwrap();
    let found: Value = serde_json::from_slice(&summary(folder, &[])).unwrap();
    let data = &found["data"];
    assert_eq!((&data["train"], &data["holdout"], &data["test"]), (&359.into(), &179.into(), &89.into()));
    fs::write(folder.join("study.toml"), STUDY.replace("train = 200", "train = 1.5")).unwrap();
    let refused = standin(folder, &["bench", "study.toml"]);
    assert!(refused.status.code() == Some(2) && text(&refused.stderr).contains("data.train = 1.5"));
}

#[test]
fn several_data_sets_are_several_studies_with_reports_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    standin_data::digits().select(&(0..900).collect::<Vec<_>>()).save(&folder.join("half")).unwrap();
    let text_of = STUDY.replace("source = \"digits\"\n", "").replace("shadows = 4", "shadows = 0");
    let text_of =
        format!("{text_of}\n[matrix.data]\nall = {{ source = \"digits\" }}\nhalf = {{ source = \"half\" }}\n");
    fs::write(folder.join("study.toml"), text_of).unwrap();
    let output = standin(folder, &["bench", "study.toml", "--quiet", "--json", "--out", "reports"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> = found.as_array().unwrap().iter().map(|summary| summary["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["small-all", "small-half"]);
    assert!(names.iter().all(|name| folder.join("reports").join(name).join("report.html").exists()));
}

#[test]
fn images_that_are_there_twice_are_left_out_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let twice = (0..700).chain(0..100).collect::<Vec<_>>();
    standin_data::digits().select(&twice).save(&folder.join("twice")).unwrap();
    let study = STUDY.replace("source = \"digits\"", "source = \"twice\"");
    let warnings = |study: String, out: &str| {
        fs::write(folder.join("study.toml"), study).unwrap();
        let found: Value = serde_json::from_slice(&summary(folder, &["--runs", "runs", "--out", out])).unwrap();
        found["warnings"].to_string()
    };
    let said = "equal pixel by pixel and may lie on both sides";
    assert!(warnings(study.clone(), "a").contains(said));
    let without = study.replace("train = 200\n", "train = 200\ndeduplicate = true\n");
    assert!(!warnings(without, "b").contains(said));
}

#[test]
fn a_killed_study_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("study.toml"), STUDY).unwrap();
    let whole = summary(folder, &["--runs", "whole", "--out", "a", "--threads", "2"]);
    for (delay, threads) in [(80, "1"), (250, "2"), (600, "1"), (900, "3")] {
        let arguments = ["bench", "study.toml", "--quiet", "--runs", "killed", "--out", "b", "--threads", threads];
        let mut child = command(folder, &arguments).stdout(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(delay));
        // It may have finished by then; the result must be the same either way.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let resumed = summary(folder, &["--runs", "killed", "--out", "b", "--threads", "1", "--force"]);
    assert_eq!(text(&resumed), text(&whole));
}

#[test]
fn another_seed_gives_other_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("study.toml"), STUDY).unwrap();
    let one = summary(folder, &[]);
    fs::write(folder.join("study.toml"), STUDY.replace("seeds = [1]", "seeds = [2]")).unwrap();
    let other = summary(folder, &[]);
    let accuracy = |bytes: &[u8]| {
        let summary: Value = serde_json::from_slice(bytes).unwrap();
        summary["releases"][0]["attacks"][0]["auc"]["value"].as_f64().unwrap()
    };
    assert_ne!(accuracy(&one), accuracy(&other));
}

#[test]
fn secret_noise_is_the_default_and_carries_no_stamp() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let study = STUDY.replace("noise = \"reproducible\"", "");
    fs::write(folder.join("study.toml"), study).unwrap();
    let found: Value = serde_json::from_slice(&summary(folder, &[])).unwrap();
    assert_eq!(found["releases"][1]["guarantee"]["noise"], "secret");
    assert!(!found["warnings"].to_string().contains("shadow"), "{}", found["warnings"]);
    assert!(!found["warnings"].to_string().contains("not private"), "{}", found["warnings"]);
}

#[test]
fn a_classifier_that_was_spared_the_strongest_attack_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("study.toml"), STUDY.replace("shadows = 4", "shadows = 0")).unwrap();
    let found: Value = serde_json::from_slice(&summary(folder, &[])).unwrap();
    assert!(found["warnings"].to_string().contains("without shadow models"), "{}", found["warnings"]);
}

/// The message of a study that must be refused with exit status 2, leaving no store behind.
fn refusal(folder: &Path, study: &str) -> String {
    fs::write(folder.join("study.toml"), study).unwrap();
    let output = standin(folder, &["bench", "study.toml", "--quiet"]);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(output.stdout.is_empty() && !folder.join("runs").exists(), "refused studies leave nothing");
    message
}

#[test]
fn impossible_settings_are_refused_with_their_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |from: &str, to: &str| {
        assert!(STUDY.contains(from), "{from}");
        refusal(folder.path(), &STUDY.replace(from, to))
    };
    let message = refused("shadows = 4", "shadow = 4");
    assert!(message.contains("study.toml") && message.contains("did you mean \"shadows\"?"), "{message}");
    assert!(refused("shadows = 4", "shadows = 3").contains("even number"));
    assert!(refused("epsilon = 2.0", "epsilon = 0.0").contains("epsilon"));
    assert!(refused("epsilon = 2.0", "epsilon = -1.0").contains("epsilon"));
    assert!(refused("epsilon = 2.0\n", "").contains("add, for example, epsilon = 1.0"));
    let message = refused("noise = \"reproducible\"", "delta = 0.005");
    assert!(message.contains("0.005") && message.contains("allow_large_delta"), "{message}");
    assert!(refused("family = \"vae\"", "family = \"vaee\"").contains("did you mean \"vae\"?"));
    assert!(refused("least_steps = 100", "least_step = 100").contains("least_step"));
    assert!(refused("classifier = \"logistic\"", "classifier = \"forest\"").contains("no classifier \"forest\""));
    assert!(refused("train = 200", "train = 4000").contains("1797"));
    assert!(refused("train = 200", "train = 1").contains("at least two images"));
    assert!(refused("seeds = [1]", "seeds = []").contains("one or more seeds"));
    assert!(refused("source = \"digits\"", "source = \"nowhere\"").contains("nowhere"));
}

/// Writes a PGM picture of one value.
fn picture(path: &Path, side: usize, value: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut bytes = format!("P5 {side} {side} 255\n").into_bytes();
    bytes.extend(std::iter::repeat_n(value, side * side));
    fs::write(path, bytes).unwrap();
}

#[test]
fn bad_images_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let study = STUDY.replace("\"digits\"", "\"images\"").replace("= 200", "= 4");
    let images = folder.join("images");
    fs::create_dir(&images).unwrap();
    assert!(refusal(folder, &study).contains("images"), "an empty folder");

    for index in 0..8 {
        picture(&images.join(format!("dark/{index}.pgm")), 8, index);
    }
    assert!(refusal(folder, &study).contains("class"), "one class only");

    for index in 0..8 {
        picture(&images.join(format!("light/{index}.pgm")), 8, 200 + index);
    }
    picture(&images.join("light/large.pgm"), 9, 250);
    let message = refusal(folder, &study);
    assert!(message.contains("large.pgm") && message.contains("resize"), "{message}");

    fs::write(images.join("light/large.pgm"), b"P5 8 8 255\n\0\0").unwrap();
    assert!(refusal(folder, &study).contains("large.pgm"), "a truncated image");
}

#[test]
fn a_published_holdout_that_overlaps_train_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (part, first) in [("train", 0), ("validation", 50), ("test", 100)] {
        for (class, offset) in [("a", 0), ("b", 20)] {
            for index in 0..8 {
                picture(&folder.join(format!("images/{part}/{class}/{index}.pgm")), 8, first + offset + index);
            }
        }
    }
    picture(&folder.join("images/validation/a/copied.pgm"), 8, 3);
    let study = STUDY
        .replace("\"digits\"", "\"images\"")
        .replace("train = 200", "train = 16")
        .replace("holdout = 200", "holdout = \"validation\"")
        .replace("test = 200", "test = \"test\"");
    let message = refusal(folder, &study);
    assert!(message.contains("validation") && message.contains("train"), "{message}");
}

#[test]
fn another_report_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("study.toml"), STUDY).unwrap();
    summary(folder, &["--out", "report"]);
    fs::write(folder.join("study.toml"), STUDY.replace("\"small\"", "\"other\"")).unwrap();
    let output = standin(folder, &["bench", "study.toml", "--quiet", "--out", "report"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--force"), "{}", text(&output.stderr));
}
