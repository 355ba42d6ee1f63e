//! `standin classify` as a user meets it: train, evaluate, keep, load, ask.

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use standin_data::{Column, ImageSet};

use crate::program;

fn standin(folder: &Path, arguments: &[&str]) -> Output {
    program::standin(folder, &[&["classify"], arguments].concat())
}

fn document(folder: &Path, arguments: &[&str]) -> Value {
    program::document(folder, &[&["classify"], arguments].concat())
}

fn refusal(folder: &Path, arguments: &[&str]) -> String {
    program::refusal(folder, &[&["classify"], arguments].concat())
}

/// 600 digits for training and 300 for the test, each with a patient and a site.
fn sets() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, from, to) in [("train", 0, 600), ("test", 600, 900)] {
        let images = standin_data::digits().select(&(from..to).collect::<Vec<_>>());
        let column = |name: &str, of: &dyn Fn(usize) -> String| Column {
            name: name.into(),
            values: (0..images.len()).map(of).collect(),
        };
        let patient = column("patient", &|image| format!("p{}", image % 150));
        let site = column("site", &|image| if image % 3 == 0 { "north".into() } else { "south".into() });
        let images = images.clone().with_column(patient).unwrap().with_column(site).unwrap();
        images.save(&folder.path().join(name)).unwrap();
    }
    folder
}

const SIDES: [&str; 4] = ["--train", "train", "--test", "test"];

fn accuracy(document: &Value) -> f64 {
    document["evaluation"]["accuracy"]["value"].as_f64().unwrap()
}

#[test]
fn a_classifier_is_trained_kept_loaded_and_answers_alike() {
    let folder = sets();
    let folder = folder.path();
    let more = ["--set", "epochs=20", "--group", "site", "--out", "kept", "--predictions", "answers.csv"];
    let trained = document(folder, &[&SIDES[..], &more].concat());
    assert!(accuracy(&trained) > 0.9, "{trained}");
    assert_eq!(trained["training"]["settings"]["epochs"], 20.0);
    assert_eq!(trained["training"]["settings"]["hidden"], 128, "defaults are shown too");
    assert_eq!(trained["guarantee"], Value::Null);
    let classes = trained["evaluation"]["classes"].as_array().unwrap();
    assert_eq!(classes.len(), 10);
    assert!(classes.iter().all(|class| class["accuracy"]["measured"]["low"].as_f64().unwrap() > 0.3));
    let sites = trained["evaluation"]["groups"]["site"].as_array().unwrap();
    assert_eq!((&sites[0]["name"], &sites[0]["images"]), (&"north".into(), &100.into()));

    let loaded = document(folder, &["--load", "kept", "--test", "test", "--group", "site"]);
    assert_eq!(loaded["evaluation"], trained["evaluation"]);

    let mut table = csv::Reader::from_path(folder.join("answers.csv")).unwrap();
    let head = table.headers().unwrap().clone();
    assert_eq!(head.iter().take(4).collect::<Vec<_>>(), ["image", "label", "prediction", "p(0)"]);
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let right = rows.iter().filter(|row| row[1] == row[2]).count();
    assert!((right as f64 / 300.0 - accuracy(&trained)).abs() < 1e-12);
    for row in &rows {
        let sum: f64 = row.iter().skip(3).map(|p| p.parse::<f64>().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5);
    }
}

#[test]
fn a_private_classifier_carries_its_guarantee() {
    let folder = sets();
    let folder = folder.path();
    let privacy = ["--privacy-epsilon", "8", "--privacy-unit", "patient", "--privacy-reproducible"];
    let small = ["--set", "fewest_steps=20", "--set", "epochs=1", "--set", "privacy.clipping={name='automatic'}"];
    let trained = document(folder, &[&SIDES[..], &privacy, &small, &["--out", "kept"]].concat());
    let guarantee = &trained["guarantee"];
    assert!(guarantee["epsilon"].as_f64().unwrap() <= 8.0);
    assert_eq!(guarantee["unit"]["group"], "patient");
    assert_eq!(guarantee["noise"], "reproducible");
    assert_eq!(trained["training"]["settings"]["privacy"]["clipping"]["name"], "automatic");
    let again = document(folder, &[&SIDES[..], &privacy, &small].concat());
    assert_eq!(again["evaluation"], trained["evaluation"]);

    let output = standin(folder, &["--load", "kept", "--test", "test", "--quiet"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("NOT PRIVATE") && text.contains("ε = 8.00"), "{text}");
}

#[test]
fn images_without_labels_are_answered_about_and_not_evaluated() {
    let folder = sets();
    let folder = folder.path();
    let test = ImageSet::open(&folder.join("test")).unwrap();
    test.clone().without_labels().save(&folder.join("new")).unwrap();
    document(folder, &["--train", "train", "--set", "fewest_steps=20", "--set", "epochs=1", "--out", "kept"]);
    let ask = ["--load", "kept", "--test", "new"];
    let message = refusal(folder, &ask);
    assert!(message.contains("labels") && message.contains("--predictions"), "{message}");
    let answered = document(folder, &[&ask[..], &["--predictions", "new.csv"]].concat());
    assert_eq!(answered["evaluation"], Value::Null);
    let head = std::fs::read_to_string(folder.join("new.csv")).unwrap();
    assert!(head.starts_with("image,prediction,p(0)"), "{}", &head[..40]);

    let threes: Vec<usize> = (0..300).filter(|&image| test.labels().unwrap().values[image] == 3).collect();
    let threes = test.select(&threes);
    let names: Vec<&str> = threes.labels().unwrap().names().collect();
    let alone = standin_data::Labels::from_names(&names);
    threes.clone().with_labels(alone).unwrap().save(&folder.join("threes")).unwrap();
    let one = document(folder, &["--load", "kept", "--test", "threes"]);
    assert_eq!(one["evaluation"]["images"], threes.len(), "a test set may know fewer classes");
}

#[test]
fn nothing_is_lost_or_forgotten() {
    let folder = sets();
    let folder = folder.path();
    let message = refusal(folder, &["--train", "train"]);
    assert!(message.contains("--test") && message.contains("--out"), "{message}");
    let message = refusal(folder, &["--train", "train", "--out", "kept", "--predictions", "answers.csv"]);
    assert!(message.contains("--predictions"), "{message}");
    std::fs::write(folder.join("answers.csv"), "mine").unwrap();
    let quick = ["--set", "fewest_steps=5", "--set", "epochs=0.1", "--predictions", "answers.csv"];
    let message = refusal(folder, &[&SIDES[..], &quick].concat());
    assert!(message.contains("answers.csv") && message.contains("--force"), "{message}");
    assert_eq!(std::fs::read_to_string(folder.join("answers.csv")).unwrap(), "mine");
    document(folder, &[&SIDES[..], &quick, &["--force"]].concat());
}

#[test]
fn wrong_usage_is_told_with_what_to_do() {
    let folder = sets();
    let folder = folder.path();
    for (more, words) in [
        (&["--classifier", "svm"][..], &["svm", "resnet-9"][..]),
        (&["--set", "epoch=3"], &["epoch", "epochs"]),
        (&["--set", "epochs"], &["KEY=VALUE"]),
        (&["--set", "privacy.epsilon=1", "--privacy-epsilon", "2"], &["privacy.epsilon", "twice"]),
        (&["--privacy-delta", "1e-5"], &["--privacy-epsilon"]),
        (&["--privacy-epsilon", "-1"], &["privacy.epsilon", "above 0"]),
        (&["--privacy-epsilon", "1", "--privacy-delta", "0.1"], &["0.1", "600"]),
        (&["--privacy-epsilon", "1", "--privacy-unit", "person"], &["person", "patient"]),
        (&["--classifier", "logistic", "--privacy-epsilon", "1"], &["scattering-logistic"]),
        (&["--classifier", "resnet-9", "--set", "norm=batch"], &["\"group\""]),
        (&["--group", "sex", "--set", "epochs=0.1", "--set", "fewest_steps=5"], &["sex", "site"]),
        (&["--load", "nowhere"], &["--load"]),
    ] {
        let message = refusal(folder, &[&SIDES[..], more].concat());
        for word in words {
            assert!(message.contains(word), "{more:?}: {word} is missing in {message}");
        }
    }
    let message = refusal(folder, &["--load", "train", "--test", "test"]);
    assert!(message.contains("classifier.toml"), "{message}");
}

/// A released classifier that was trained privately keeps its promise in the study, and its attacks are held against it.
#[test]
fn a_study_shows_the_guarantee_of_a_released_classifier() {
    let folder = tempfile::tempdir().unwrap();
    let study = "\
        name = \"private-classifier\"\nseeds = [1]\n[data]\nsource = \"digits\"\ntrain = 300\nholdout = 300\n\
        [[classifier]]\nname = \"private\"\nfamily = \"cnn\"\n\
        [classifier.settings]\nfewest_steps = 20\nepochs = 1\n\
        [classifier.settings.privacy]\nepsilon = 4.0\nnoise = \"reproducible\"\n\
        [[released_classifier]]\nname = \"released\"\nclassifier = \"private\"\n";
    std::fs::write(folder.path().join("study.toml"), study).unwrap();
    let summary = program::document(folder.path(), &["bench", "study.toml"]);
    let release = &summary["releases"][0];
    let (epsilon, delta) = (&release["guarantee"]["epsilon"], &release["guarantee"]["delta"]);
    assert!(epsilon.as_f64().unwrap() <= 4.0 && epsilon.as_f64().unwrap() > 3.9, "{epsilon}");
    assert!((delta.as_f64().unwrap() - 1.0 / (300.0 * 300f64.ln())).abs() < 1e-9, "{delta}");
    assert!(summary["warnings"].to_string().contains("released"), "reproducible noise is said");
}
