//! `standin segment evaluate` from the outside.

use std::fs;
use std::path::Path;
use std::process::Output;

use standin_segment::{Evaluation, Grid, IntensityVolume, LabelVolume};

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

/// Four volumes of 16³ voxels with a bright box, in one folder with their labels.
fn scans(root: &Path) {
    let shape = [16; 3];
    let affine = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
    let grid = Grid::new(shape, affine).unwrap();
    fs::create_dir(root.join("scans")).unwrap();
    for at in 0..4usize {
        let inside = |index: usize| {
            let place = [index % 16, index / 16 % 16, index / 256];
            place.iter().all(|&place| (3 + at..10 + at).contains(&place))
        };
        let voxels = (0..4096).map(|index| if inside(index) { 90.0 } else { (index * 7 % 13) as f32 }).collect();
        let labels = (0..4096).map(|index| u32::from(inside(index))).collect();
        let path = |kind: &str| root.join(format!("scans/v{at}-{kind}.nii.gz"));
        IntensityVolume::new(grid.clone(), voxels).unwrap().write(&path("image")).unwrap();
        LabelVolume::new(grid.clone(), labels).unwrap().write(&path("label")).unwrap();
    }
    fs::write(root.join("test.txt"), "v3\n").unwrap();
}

const TRAIN: [&str; 20] = [
    "segment",
    "train",
    "--images",
    "scans",
    "--labels",
    "scans",
    "--labelled",
    "2",
    "--test",
    "test.txt",
    "--set",
    "width=4",
    "--set",
    "patch=[16, 16, 16]",
    "--set",
    "steps=3",
    "--set",
    "batch=2",
    "--set",
    "labelled_per_batch=1",
];

#[test]
fn what_is_trained_predicts_and_is_scored_on_a_page() {
    let root = tempfile::tempdir().unwrap();
    scans(root.path());
    let output = standin(root.path(), &[&TRAIN[..], &["--out", "model", "--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let trained: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(trained["volumes"]["unlabelled"], serde_json::json!(["v2"]));
    assert!(!root.path().join("model/checkpoint.safetensors").exists());
    let predict =
        ["segment", "predict", "--model", "model", "--images", "scans", "--volumes", "test.txt", "--out", "found"];
    assert!(standin(root.path(), &[&predict[..], &["--stride", "8,8,4"]].concat()).status.success());
    let again = standin(root.path(), &predict);
    assert_eq!(again.status.code(), Some(2), "predictions are not replaced unasked");
    let evaluate = [
        "segment",
        "evaluate",
        "--predictions",
        "found",
        "--references",
        "scans",
        "--volumes",
        "test.txt",
        "--images",
        "scans",
        "--against",
        "found",
        "--out",
        "report",
    ];
    let output = standin(root.path(), &evaluate);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = fs::read_to_string(root.path().join("report/report.html")).unwrap();
    assert_eq!(page.matches("data:image/png").count(), 3);
    assert!(page.contains("id=\"comparison\"") && page.contains("alt=\"v3, axial slice"));
}

#[test]
fn what_is_held_out_cannot_be_learnt_from() {
    let root = tempfile::tempdir().unwrap();
    scans(root.path());
    fs::write(root.path().join("unlabelled.txt"), "v2\nv3\n").unwrap();
    let more = ["--unlabelled", "unlabelled.txt", "--out", "model"];
    let output = standin(root.path(), &[&TRAIN[..], &more].concat());
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("v3 is held out and to be learnt from without"), "{message}");
    assert!(!root.path().join("model").exists());
}

#[test]
fn segmentation_input_that_cannot_be_is_told() {
    let root = tempfile::tempdir().unwrap();
    scans(root.path());
    for (more, says) in [
        (&["--method", "fba-nett", "--out", "m"][..], "did you mean \"fba-net\""),
        (&["--set", "widht=3", "--out", "m"], "widht"),
        (&["--extra-labelled", "scans", "--out", "m"], "with a comma between"),
        (&["--folds", "9", "--fold", "0", "--out", "m"], "folds is 9"),
    ] {
        let output = standin(root.path(), &[&TRAIN[..], more].concat());
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && message.contains(says), "{message}");
    }
    let predict = ["segment", "predict", "--model", "scans", "--images", "scans", "--out", "found"];
    let message = String::from_utf8(standin(root.path(), &predict).stderr).unwrap();
    assert!(message.contains("holds no trained network"), "{message}");
}
