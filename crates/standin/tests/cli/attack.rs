//! `standin attack` as a user meets it: leaks are found, honest releases are not accused, and what is missing is named.

use std::path::Path;

use serde_json::Value;
use standin_data::{ImageSet, Labels, digits};

use crate::program::{self, standin, text};

fn document(folder: &Path, arguments: &[&str]) -> Value {
    program::document(folder, &[&["attack"], arguments].concat())
}

fn refusal(folder: &Path, arguments: &[&str]) -> String {
    program::refusal(folder, &[&["attack"], arguments].concat())
}

/// Digits of a writer follow each other: rows are taken in another order, in which neighbours have nothing in common.
fn row(at: usize) -> usize {
    at * 700 % 1797
}

/// 500 members, 500 non-members, 300 others, a release that copies a fifth of the members and one of other images altogether.
fn sets() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rows = |from: usize, to: usize| digits().select(&(from..to).map(row).collect::<Vec<_>>());
    for (name, from, to) in
        [("members", 0, 500), ("others", 500, 1000), ("reference", 1000, 1300), ("honest", 1300, 1700)]
    {
        rows(from, to).save(&folder.path().join(name)).unwrap();
    }
    let copies: Vec<usize> = (0..100).chain(1300..1700).map(row).collect();
    digits().select(&copies).save(&folder.path().join("leaking")).unwrap();
    folder
}

const SIDES: [&str; 6] = ["--members", "members", "--non-members", "others", "--reference", "reference"];

fn least_corrected(document: &Value) -> f64 {
    let attacks = document["attacks"].as_array().unwrap();
    attacks.iter().map(|row| row["corrected_p_value"].as_f64().unwrap()).fold(1.0, f64::min)
}

#[test]
fn copies_are_found_and_other_images_are_not_accused() {
    let folder = sets();
    let leaking =
        document(folder.path(), &[&SIDES[..], &["--synthetic", "leaking", "--scores", "scores.csv"]].concat());
    assert_eq!(leaking["attacks"].as_array().unwrap().len(), 9);
    assert!(least_corrected(&leaking) < 1e-3, "{leaking}");
    // The copies are a fifth of the members, and one in a hundred of the others is above the threshold by chance.
    let rate = leaking["attacks"][0]["true_positive_rates"][1]["outcome"]["measured"]["value"].as_f64().unwrap();
    assert!((0.2..0.25).contains(&rate), "{rate}");
    let honest = document(folder.path(), &[&SIDES[..], &["--synthetic", "honest"]].concat());
    assert!(least_corrected(&honest) > 0.05, "{honest}");
    assert!(honest["population"]["low"].as_f64().unwrap() <= 0.5, "{honest}");

    let mut table = csv::Reader::from_path(folder.path().join("scores.csv")).unwrap();
    assert_eq!(table.headers().unwrap().iter().take(3).collect::<Vec<_>>(), ["member", "index", "gan-leaks"]);
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1000);
    assert!(rows[..100].iter().all(|row| &row[2] == "-0" || &row[2] == "0"), "a copy is at distance 0");
    let output = standin(folder.path(), &[&["attack"], &SIDES[..], &["--synthetic", "leaking"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("The release tells members from non-members"), "{text}");
}

#[test]
fn what_would_fool_an_attack_is_said() {
    let folder = sets();
    let path = folder.path();
    // Non-members of two classes alone, half of them members as well.
    let labels = digits().labels().unwrap().values.clone();
    let two: Vec<usize> = (0..1000).filter(|&at| labels[row(at)] < 2).collect();
    digits().select(&two.iter().map(|&at| row(at)).collect::<Vec<_>>()).save(&path.join("narrow")).unwrap();
    let arguments = ["--synthetic", "honest", "--members", "members", "--non-members", "narrow"];
    let output = standin(path, &[&["attack"], &arguments[..]].concat());
    let warning = text(&output.stderr);
    assert!(warning.contains("members and non-members differ by themselves"), "{warning}");
    let text = String::from_utf8(output.stdout).unwrap();
    let shared = two.iter().filter(|&&at| at < 500).count();
    assert!(text.contains(&format!("{shared} non-members are the same as a member and were left out")), "{text}");
    assert!(text.contains("Left out: gan-leaks-calibrated, which needs reference images"), "{text}");

    let same = ["--synthetic", "honest", "--members", "members", "--non-members", "members"];
    assert!(refusal(path, &same).contains("all 500 non-members are members too"));
    let calibrated =
        ["--synthetic", "honest", "--members", "members", "--non-members", "others", "--attacks", "domias"];
    assert!(refusal(path, &calibrated).contains("domias needs reference images; give --reference"));
    let other = [&SIDES[..], &["--synthetic", "honest", "--attacks", "loss"]].concat();
    assert!(refusal(path, &other).contains("loss attacks classifier"));
}

#[test]
fn a_classifier_that_learnt_its_images_by_heart_is_found() {
    let folder = sets();
    let path = folder.path();
    // Wrong labels can only be learnt by heart.
    for name in ["members", "others", "reference"] {
        let set = ImageSet::open(&path.join(name)).unwrap();
        let Labels { values, classes } = set.labels().unwrap().clone();
        let values = values.iter().enumerate().map(|(at, label)| (label + 1 + at as u32 % 9) % 10).collect();
        let set = set.without_labels().with_labels(Labels { values, classes }).unwrap();
        set.save(&path.join(format!("wrong-{name}"))).unwrap();
    }
    for (out, train) in [("target", "wrong-members"), ("shadow", "wrong-reference")] {
        let arguments =
            ["classify", "--train", train, "--test", "honest", "--set", "epochs=60", "--out", out, "--quiet"];
        let output = standin(path, &arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let sides = ["--members", "wrong-members", "--non-members", "wrong-others"];
    let alone = document(path, &[&sides[..], &["--classifier", "target"]].concat());
    assert_eq!(alone["attacks"].as_array().unwrap().len(), 5);
    assert!(least_corrected(&alone) < 1e-3, "{alone}");
    let left_out: Vec<&str> =
        alone["left_out"].as_array().unwrap().iter().map(|row| row["attack"].as_str().unwrap()).collect();
    assert!(left_out.contains(&"lira-online") && left_out.contains(&"rmia-offline"), "{left_out:?}");
    let shadowed = document(
        path,
        &[&sides[..], &["--classifier", "target", "--shadow", "shadow", "--attacks", "rmia-offline"]].concat(),
    );
    assert!(least_corrected(&shadowed) < 1e-3, "{shadowed}");
    let online = [&sides[..], &["--classifier", "target", "--shadow", "shadow", "--attacks", "lira-online"]].concat();
    assert!(refusal(path, &online).contains("retrain the whole pipeline as shadows"));
    // The prediction alone tells as much as whether it is right, and nothing else.
    let hidden = document(path, &[&sides[..], &["--classifier", "target", "--outputs", "prediction"]].concat());
    let area = |found: &Value, name: &str| {
        let rows = found["attacks"].as_array().unwrap();
        rows.iter().find(|row| row["attack"] == name).unwrap()["auc"]["value"].as_f64().unwrap()
    };
    assert_eq!(area(&hidden, "loss"), area(&alone, "gap"));
    assert_eq!(area(&hidden, "confidence"), 0.5);
    let digits = [&sides[..], &["--classifier", "target", "--outputs", "9"]].concat();
    assert!(refusal(path, &digits).contains("1 to 6 decimals"));
}

#[test]
fn generators_are_attacked_with_their_weights() {
    let folder = sets();
    let path = folder.path();
    let rows = |from: usize| digits().select(&(from..from + 60).map(row).collect::<Vec<_>>());
    for (name, from) in [("few", 0), ("fewer", 600), ("shadow-1", 700), ("shadow-2", 800)] {
        rows(from).save(&path.join(format!("{name}-images"))).unwrap();
    }
    let generate = |train: &str, out: &str, family: &str, settings: &[&str]| {
        let train = format!("{train}-images");
        let given = ["generate", "--train", &train, "--generator", family, "--out", out, "--quiet"];
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let output = standin(path, &given.into_iter().chain(settings).collect::<Vec<_>>());
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    generate("few", "vae", "vae", &["least_steps=3000", "batch_size=60", "beta=0.05"]);
    let sides = ["--members", "few-images", "--non-members", "fewer-images"];
    let attacked = |arguments: &[&str]| document(path, &[&sides[..], arguments].concat());
    let names = |document: &Value, part: &str| -> Vec<String> {
        let rows = document[part].as_array().unwrap().iter();
        rows.map(|row| row["attack"].as_str().unwrap().to_owned()).collect()
    };
    let vae = attacked(&["--generator", "vae"]);
    assert_eq!(names(&vae, "attacks"), ["latent-search", "elbo", "drawn-extraction"]);
    assert!(names(&vae, "left_out").contains(&"secmi".to_owned()), "{vae}");
    assert!(least_corrected(&vae) < 1e-3, "{vae}");
    let unmet = [&sides[..], &["--generator", "vae", "--attacks", "discriminator"]].concat();
    assert!(refusal(path, &unmet).contains("keep_discriminator = true"));

    // Trainings too short to know anything by heart: what runs is what counts.
    let short = ["network.width=8", "network.attention=false", "training.least_steps=20", "training.epochs=1"];
    for (train, out) in [("few", "edm"), ("shadow-1", "first"), ("shadow-2", "second")] {
        generate(train, out, "edm", &short);
    }
    let alone = attacked(&["--generator", "edm"]);
    assert_eq!(names(&alone, "attacks"), ["diffusion-loss", "secmi", "pia", "drawn-extraction"]);
    let shadowed = attacked(&["--generator", "edm", "--shadow", "first", "--shadow", "second"]);
    assert!(names(&shadowed, "attacks").contains(&"diffusion-lira-offline".to_owned()), "{shadowed}");
    let online =
        [&sides[..], &["--generator", "edm", "--shadow", "first", "--attacks", "diffusion-lira-online"]].concat();
    assert!(refusal(path, &online).contains("shadows with and without each candidate"));

    let quick = ["autoencoder.least_steps=5", "autoencoder.epochs=0.1", "prior.training.least_steps=5"];
    generate("few", "codes", "vqvae", &[&quick[..], &["prior.training.epochs=0.1"]].concat());
    let codes = attacked(&["--generator", "codes"]);
    assert_eq!(names(&codes, "attacks"), ["drawn-extraction"], "nothing sees into codes, and anyone can draw");
    let both = refusal(path, &[&sides[..], &["--generator", "vae", "--synthetic", "honest"]].concat());
    assert!(both.contains("--synthetic"), "{both}");
}

/// Two generators on 30 images each: every candidate is searched for in both, and shown to both discriminators.
#[test]
fn a_mixture_of_generators_is_attacked_in_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (name, from) in [("members", 0), ("others", 600)] {
        digits().select(&(from..from + 60).map(row).collect::<Vec<_>>()).save(&path.join(name)).unwrap();
    }
    let settings = ["least_steps=1500", "batch_size=15", "width=16", "regularisation=r1", "penalty=0.1"];
    let game = ["keep_discriminator=true", "privacy_game.generators=2", "privacy_game.weight=0.1"];
    let given = ["generate", "--train", "members", "--generator", "gan", "--out", "pairs", "--quiet"];
    let settings = settings.iter().chain(&game).flat_map(|setting| ["--set", *setting]);
    let output = standin(path, &given.into_iter().chain(settings).collect::<Vec<_>>());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = document(path, &["--members", "members", "--non-members", "others", "--generator", "pairs"]);
    let attacks = found["attacks"].as_array().unwrap();
    let names: Vec<&str> = attacks.iter().map(|row| row["attack"].as_str().unwrap()).collect();
    assert_eq!(names, ["latent-search", "drawn-extraction", "discriminator"]);
    let looking = attacks.iter().filter(|row| row["attack"] != "drawn-extraction");
    assert!(looking.into_iter().all(|row| row["corrected_p_value"].as_f64().unwrap() < 1e-2), "{found}");
}
