//! `standin augment` and `standin data tone`.

use std::fs;
use std::path::Path;

use standin_data::{Column, ImageSet, Shape, digits};

use crate::program::{document, refusal, standin, text};

/// Handwritten digits of which every second of each class is dark on light.
fn write_digits(folder: &Path) {
    let digits = digits();
    let labels = digits.labels().unwrap().clone();
    let mut seen = vec![0; labels.classes.len()];
    let (mut pixels, mut values) = (Vec::new(), Vec::new());
    for (image, &label) in labels.values.iter().enumerate() {
        seen[label as usize] += 1;
        let dark = seen[label as usize] % 2 == 0;
        pixels.extend(digits.image(image).iter().map(|&value| if dark { 255 - value } else { value }));
        values.push(if dark { "dark" } else { "light" }.to_owned());
    }
    let patients = (0..values.len()).map(|image| (image / 2).to_string()).collect();
    let set = ImageSet::new(digits.shape(), pixels).unwrap().with_labels(labels).unwrap();
    let set = set.with_column(Column { name: "tone".into(), values }).unwrap();
    set.with_column(Column { name: "patient".into(), values: patients }).unwrap().save(folder).unwrap();
}

const STUDY: &str = r#"
name = "digits"
seeds = [1, 2]
arms = ["majority-only", "real", "classical", "synthetic", "real-and-synthetic"]
[data]
source = "set"
group = "tone"
majority = ["light"]
minority = ["dark"]
patient = "patient"
test = 0.5
[[scenario]]
name = "no"
per_class = 0
[[scenario]]
name = "few"
per_class = 2
[generator.settings]
network = { width = 8, patch = 1 }
training = { least_steps = 25, epochs = 0.1 }
[translation]
per_class = 6
steps = 4
strengths = [0.4, 1.0]
trial = { per_class = 2, shown = 5 }
[[backbone]]
name = "cnn"
settings = { channels = 4, fewest_steps = 30, epochs = 1.0 }
[measures]
encoders = ["pixels"]
"#;

#[test]
fn a_study_runs_once_and_ends_with_the_same_figures_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_digits(&folder.join("set"));
    fs::write(folder.join("study.toml"), STUDY).unwrap();
    let run = |more: &[&str]| document(folder, &[&["augment", "run", "study.toml"], more].concat());
    let planned = run(&["--dry-run"]);
    assert!(planned.to_string().contains("train-arm"), "{planned}");
    let found = run(&["--out", "report", "--images", "made"]);
    assert_eq!(found["schema"], "standin.augmentation/1");
    let all = run(&["--set", "translation.accept=false", "--out", "all"]);
    let [no, few] = found["scenarios"].as_array().unwrap().as_slice() else { panic!("two scenarios: {found}") };
    // Without an image of the minority there is nothing to learn it from, and that is said.
    let arms = |scenario: &serde_json::Value, key: &str| -> Vec<String> {
        scenario[key].as_array().unwrap().iter().map(|one| one["arm"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(arms(no, "arms"), ["majority-only", "classical"]);
    assert_eq!(arms(no, "skipped"), ["real", "synthetic", "real-and-synthetic"]);
    // Of a generator that has hardly learnt, too few images may be accepted to train on them alone: then that is said.
    let run_arms = [arms(few, "arms"), arms(few, "skipped")].concat();
    assert_eq!(run_arms.len(), 5, "{few}");
    assert!(
        ["majority-only", "real", "classical", "real-and-synthetic"]
            .iter()
            .all(|arm| arms(few, "arms").contains(&(*arm).to_owned()))
    );
    assert_eq!(
        arms(&all["scenarios"][1], "arms"),
        ["majority-only", "real", "classical", "synthetic", "real-and-synthetic"]
    );
    assert!(few["train"].as_array().unwrap().iter().all(|of_class| of_class["minority"] == 2), "{}", few["train"]);
    let result = &few["arms"][1];
    let figure = result["minority_balanced"]["value"].as_f64().unwrap();
    let by_seed: Vec<f64> = result["by_seed"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    assert!((figure - by_seed.iter().sum::<f64>() / 2.0).abs() < 1e-12 && by_seed.len() == 2);
    assert_eq!(few["acceptance"]["made"], 2 * 60);
    assert_eq!(few["strengths"].as_array().unwrap().len(), 2);
    assert!(all["scenarios"][1]["memorised"].as_array().unwrap().iter().any(|one| one["side"] == "minority"));
    let page = fs::read_to_string(folder.join("report/report.html")).unwrap();
    assert!(page.contains("Images of the majority and what they become") && page.contains("data:image/png"));
    assert!(folder.join("report/report.md").exists() && folder.join("made/few").is_dir());

    let again = standin(folder, &["augment", "run", "study.toml", "--out", "report"]);
    assert!(again.status.success() && text(&again.stderr).contains("nothing to do"), "{}", text(&again.stderr));
    assert_eq!(run(&["--runs", "elsewhere", "--out", "report", "--threads", "1"]), found);
}

#[test]
fn what_cannot_be_studied_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_digits(&folder.join("set"));
    fs::write(folder.join("study.toml"), STUDY).unwrap();
    let run = |setting: &str| refusal(folder, &["augment", "run", "study.toml", "--set", setting]);
    assert!(run("data.group=\"skin\"").contains("tone"), "columns are named");
    assert!(run("data.minority=[\"medium\"]").contains("no test image has one of medium"));
    assert!(run("data.grup=\"tone\"").contains("did you mean \"group\""));
    assert!(run("data.group=\"skin-tone\"").contains("grey"), "a tone is a colour");
    assert!(run("translation.strength=2").contains("strength is 2"));
    assert!(refusal(folder, &["augment", "run", "none.toml"]).contains("none.toml"));
}

#[test]
fn images_are_brought_into_another_group() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_digits(&folder.join("set"));
    let generate = ["generate", "--train", "set", "--generator", "dual-edm", "--out", "model"];
    let settings =
        ["--set", "group.column=tone", "--set", "network.width=8", "--set", "training.least_steps=5", "--set"];
    document(folder, &[&generate[..], &settings, &["training.epochs=0.1"]].concat());
    let translate = ["augment", "translate", "model", "--sources", "set@tone=light@label=3", "--steps", "4"];
    let found = document(
        folder,
        &[
            &translate[..],
            &["--to", "dark", "--out", "made", "--format", "saved", "--grid", "grid.png", "--sweep", "0.3,1"],
        ]
        .concat(),
    );
    let made = ImageSet::open(&folder.join("made")).unwrap();
    assert_eq!(found["images"].as_u64().unwrap() as usize, made.len());
    assert!(made.column("tone").unwrap().values.iter().all(|value| value == "dark"));
    assert!(made.labels().unwrap().names().all(|name| name == "3"));
    assert!(folder.join("grid.png").exists());
    let refused = |more: &[&str]| refusal(folder, &[&translate[..], more].concat());
    assert!(refused(&["--to", "medium", "--out", "x"]).contains("dark, light"));
    assert!(refused(&["--to", "dark", "--out", "made"]).contains("--force"));
    assert!(refused(&["--to", "dark", "--strength", "0", "--out", "x"]).contains("strength is 0"));
    let drawn =
        ["sample", "model", "--count", "5", "--group", "dark", "--steps", "2", "--format", "saved", "--out", "drawn"];
    document(folder, &drawn);
    assert!(ImageSet::open(&folder.join("drawn")).unwrap().column("tone").unwrap().values.iter().all(|v| v == "dark"));
}

#[test]
fn skin_tones_become_columns_and_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let shape = Shape { channels: 3, height: 6, width: 6 };
    let colours = [[240, 210, 195], [75, 45, 35], [200, 205, 250]];
    let pixels = colours.iter().flat_map(|colour| colour.iter().flat_map(|&value| [value; 36])).collect();
    let values = ["1", "6", "1"].map(str::to_owned).to_vec();
    let set = ImageSet::new(shape, pixels).unwrap().with_column(Column { name: "type".into(), values }).unwrap();
    set.save(&folder.join("set")).unwrap();
    let found = document(folder, &["data", "tone", "set", "--against", "type", "--out", "toned"]);
    assert_eq!((&found["colour_casts"], &found["against"]["agreement"]), (&1.into(), &1.0.into()));
    let toned = ImageSet::open(&folder.join("toned")).unwrap();
    assert_eq!(toned.column("skin-tone").unwrap().values, ["1", "6", "1"]);
    assert!(toned.column("ita").unwrap().values.iter().all(|angle| angle.parse::<f64>().is_ok()));
    assert!(refusal(folder, &["data", "tone", "digits"]).contains("grey"));
    let warned = standin(folder, &["data", "tone", "set"]);
    assert!(text(&warned.stderr).contains("colour cast"), "{}", text(&warned.stderr));
}
