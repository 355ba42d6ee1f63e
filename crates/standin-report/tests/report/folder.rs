//! Reading a study's folder and writing the report's files.

use std::fs;
use std::path::Path;

use standin_bench::summary::{Summary, Utility};
use standin_report::{Document, Error, Report};

use crate::sample;

fn study() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path(), &sample::summary());
    folder
}

/// The message of the error that loading the folder gives.
fn refusal(folder: &Path) -> String {
    Report::load(folder).expect_err("the folder is damaged").to_string()
}

fn refusal_of(change: impl FnOnce(&mut Summary)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut summary = sample::summary();
    sample::write(folder.path(), &summary);
    change(&mut summary);
    fs::write(folder.path().join("summary.json"), serde_json::to_string(&summary).unwrap()).unwrap();
    refusal(folder.path())
}

fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "\"{part}\" is not in: {message}");
    }
}

#[test]
fn a_folder_without_a_summary_is_refused_with_what_to_give() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(&refusal(folder.path()), &["summary.json", "there is no such file", "finished study"]);
}

#[test]
fn foreign_and_damaged_summaries_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("summary.json");
    let refused = |text: &str| {
        fs::write(&path, text).unwrap();
        refusal(folder.path())
    };
    assert_says(&refused("not json"), &["summary.json", "not a JSON document"]);
    assert_says(&refused("{}"), &["names no schema", "standin.summary/5"]);
    assert_says(&refused(r#"{"schema": "standin.summary/9"}"#), &["standin.summary/9", "standin.summary/5", "version"]);
    assert_says(
        &refused(r#"{"schema": "standin.summary/5", "name": 3}"#),
        &["does not follow standin.summary/5", "line 1"],
    );
    let mut document = serde_json::to_value(sample::summary()).unwrap();
    document["releases"][0]["attacks"][0]["auc"]["value"] = serde_json::Value::Null;
    assert_says(&refused(&document.to_string()), &["does not follow", "null"]);
}

#[test]
fn a_summary_that_contradicts_itself_is_refused() {
    let first = |summary: &mut Summary, change: fn(&mut Utility)| change(&mut summary.releases[0].utility[0]);
    let message = refusal_of(|summary| summary.verdict.releases.swap(0, 1));
    assert_says(&message, &["verdict", "merf-1"]);
    let message = refusal_of(|summary| first(summary, |utility| utility.per_class.truncate(4)));
    assert_says(&message, &["vae with cnn", "4 class accuracies for 9 classes"]);
    let message = refusal_of(|summary| first(summary, |utility| utility.per_seed.push(0.5)));
    assert_says(&message, &["4 accuracies for 3 seeds"]);
    let message = refusal_of(|summary| summary.releases[0].attacks[0].roc.reverse());
    assert_says(&message, &["ROC curve of nearest on vae"]);
}

#[test]
fn a_missing_picture_is_named() {
    let folder = study();
    fs::remove_file(folder.path().join("merf-1/copy-2-train.png")).unwrap();
    assert_says(&refusal(folder.path()), &["merf-1/copy-2-train.png", "names this picture"]);
}

#[test]
fn a_picture_must_be_a_png_file_inside_the_folder() {
    let folder = study();
    fs::write(folder.path().join("vae/grid.png"), "GIF89a").unwrap();
    assert_says(&refusal(folder.path()), &["vae/grid.png", "not a PNG"]);
    for outside in ["../secret.png", "/etc/hostname", ""] {
        let message = refusal_of(|summary| summary.releases[0].gallery.as_mut().unwrap().grid = outside.into());
        assert_says(&message, &[outside, "not inside its folder"]);
    }
}

#[test]
fn nothing_is_overwritten_without_force() {
    let (folder, out) = (study(), tempfile::tempdir().unwrap());
    let out = out.path().join("made/for/it");
    let report = Report::load(folder.path()).unwrap();
    let paths = report.write(&out, false).unwrap();
    fs::write(&paths[2], "mine").unwrap();
    fs::remove_file(&paths[0]).unwrap();
    let refused = report.write(&out, false).unwrap_err();
    assert!(matches!(&refused, Error::Exists { path } if *path == paths[1]));
    assert_says(&refused.to_string(), &["report.json", "--force"]);
    assert!(!paths[0].exists(), "nothing is written where one file is in the way");
    assert_eq!(fs::read_to_string(&paths[2]).unwrap(), "mine");
    report.write(&out, true).unwrap();
    assert_eq!(fs::read_to_string(&paths[0]).unwrap(), report.html());
    assert_eq!(fs::read_to_string(&paths[2]).unwrap(), report.markdown());
    assert_eq!(fs::read_dir(&out).unwrap().count(), 3, "no half-written file is left");
}

#[test]
fn json_is_the_summary() {
    let report = Report::load(study().path()).unwrap();
    let back: Summary = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(back, sample::summary());
    assert_eq!(report.summary(), &back);
}

#[test]
fn equal_studies_give_equal_reports() {
    let [first, second] = [study(), study()].map(|folder| Report::load(folder.path()).unwrap());
    assert_eq!(first.html(), second.html());
    assert_eq!(first.markdown(), second.markdown());
}

#[test]
fn markdown_table_is_aligned_and_complete() {
    let folder = tempfile::tempdir().unwrap();
    let mut summary = sample::summary();
    summary.releases[0].name = "a|b".into();
    summary.verdict.releases[0].name = "a|b".into();
    sample::write(folder.path(), &summary);
    let markdown = Report::load(folder.path()).unwrap().markdown();
    let in_table = |line: &&str| line.starts_with('|');
    let table: Vec<&str> = markdown.lines().skip_while(|line| !in_table(line)).take_while(in_table).collect();
    assert_eq!(table.len(), summary.releases.len() + 2);
    let bars = |line: &&str| -> Vec<usize> {
        let characters: Vec<char> = line.chars().collect();
        let is_bar = |&index: &usize| characters[index] == '|' && (index == 0 || characters[index - 1] != '\\');
        (0..characters.len()).filter(is_bar).collect()
    };
    assert_eq!(bars(&table[0]).len(), 10);
    assert!(table.iter().all(|line| bars(line) == bars(&table[0])));
    assert!(table[2].contains("a\\|b"));
    assert!(markdown.contains(&summary.verdict.headline));
    for warning in &summary.warnings {
        assert!(markdown.contains(&format!("- {warning}")));
    }
}
