//! `standin segment evaluate` from the outside.

use std::fs;
use std::path::Path;
use std::process::Output;

use standin_segment::{Evaluation, Grid, LabelVolume};

use crate::program::standin;

const SHAPE: [usize; 3] = [8, 6, 5];

/// A volume with a 3×3×3 box of label 1 that begins at voxel (`x`, 1, 1).
fn write(path: &Path, x: usize) {
    let inside = |index: usize| {
        let place = [index % SHAPE[0], index / SHAPE[0] % SHAPE[1], index / (SHAPE[0] * SHAPE[1])];
        (x..x + 3).contains(&place[0]) && (1..4).contains(&place[1]) && (1..4).contains(&place[2])
    };
    let labels = (0..SHAPE.iter().product()).map(|index| u32::from(inside(index))).collect();
    let affine = [[0.5, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]];
    LabelVolume::new(Grid::new(SHAPE, affine).unwrap(), labels).unwrap().write(path).unwrap();
}

fn folders() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for folder in ["predictions", "references"] {
        fs::create_dir(root.path().join(folder)).unwrap();
    }
    for (name, x) in [("first", 1), ("second", 2), ("third", 3)] {
        write(&root.path().join(format!("predictions/{name}.nii.gz")), x);
        write(&root.path().join(format!("references/{name}.nii.gz")), 1);
    }
    root
}

fn evaluate(root: &Path, more: &[&str]) -> Output {
    let sides = ["segment", "evaluate", "--predictions", "predictions", "--references", "references"];
    standin(root, &[&sides[..], more].concat())
}

#[test]
fn json_holds_means_and_volumes() {
    let root = folders();
    let output = evaluate(root.path(), &["--json"]);
    assert!(output.status.success());
    let evaluation: Evaluation = serde_json::from_slice(&output.stdout).unwrap();
    let dice = evaluation.labels[0].dice.estimate().unwrap();
    assert!((dice.value - (1.0 + 2.0 / 3.0 + 1.0 / 3.0) / 3.0).abs() < 1e-12);
    assert!(dice.low < dice.value && dice.value < dice.high && dice.n == 3);
    assert_eq!(evaluation.volumes[2].labels[0].surface.unwrap().hausdorff_95, 1.0);
}

#[test]
fn json_is_the_same_for_any_number_of_threads() {
    let root = folders();
    let one = evaluate(root.path(), &["--json", "--threads", "1"]);
    assert!(one.status.success());
    assert_eq!(one.stdout, evaluate(root.path(), &["--json", "--threads", "4"]).stdout);
}

#[test]
fn tables_show_intervals_and_volumes_when_asked() {
    let root = folders();
    let text = |more: &[&str]| String::from_utf8(evaluate(root.path(), more).stdout).unwrap();
    let summary = text(&[]);
    assert!(summary.contains("0.667 [0.000, 1.000]") && summary.contains("3 of 3"), "{summary}");
    assert!(!summary.contains("second"));
    assert!(text(&["--per-volume"]).contains("second"));
}

#[test]
fn a_missing_prediction_is_an_error_of_the_input() {
    let root = folders();
    fs::remove_file(root.path().join("predictions/second.nii.gz")).unwrap();
    let output = evaluate(root.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("second") && message.contains("references"), "{message}");
}
