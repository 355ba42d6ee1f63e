//! `standin data` as a user meets it: documents, files and exit status.

use std::path::Path;

use serde_json::Value;

use crate::program;

fn document(folder: &Path, arguments: &[&str]) -> Value {
    program::document(folder, &[&["data"], arguments].concat())
}

fn refusal(folder: &Path, arguments: &[&str]) -> String {
    program::refusal(folder, &[&["data"], arguments].concat())
}

#[test]
fn a_set_is_imported_split_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    document(folder, &["export", "digits", "--as", "class-folders", "--out", "pictures"]);
    let imported = document(folder, &["import", "pictures", "--resize", "4x4", "--out", "small"]);
    assert_eq!(imported["parts"][0]["images"], 1797);
    assert_eq!(imported["parts"][0]["shape"]["height"], 4);
    assert_eq!(imported["parts"][0]["classes"][3]["images"], 183);
    document(folder, &["split", "digits", "--train", "100", "--holdout", "100", "--test", "0.1", "--out", "sides"]);
    let info = document(folder, &["info", "sides"]);
    let sizes: Vec<(&str, u64)> = info["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| (part["name"].as_str().unwrap(), part["images"].as_u64().unwrap()))
        .collect();
    assert_eq!(sizes, [("train", 100), ("holdout", 100), ("test", 180)]);
}

#[test]
fn existing_results_are_replaced_only_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["import", "digits", "--out", "set"];
    document(folder.path(), &arguments);
    let message = refusal(folder.path(), &arguments);
    assert!(message.contains("set: it exists already") && message.contains("--force"), "{message}");
    document(folder.path(), &["import", "digits", "--out", "set", "--force"]);
}

#[test]
fn wrong_usage_ends_with_status_2_and_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(refusal(folder, &["info", "nowhere"]).contains("no such file or folder"));
    assert!(refusal(folder, &["get", "fashion-minst", "--out", "x"]).contains("did you mean \"fashion-mnist\""));
    assert!(refusal(folder, &["import", "digits", "--resize", "8", "--out", "x"]).contains("HEIGHTxWIDTH"));
    assert!(refusal(folder, &["split", "digits", "--group", "writer", "--out", "x"]).contains("no grouping column"));
}

#[test]
fn the_list_prints_every_data_set() {
    let list = document(Path::new("."), &["list"]);
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|set| set["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"digits") && names.contains(&"dermamnist"), "{names:?}");
}
