//! Scores of whole folders: against MedPy, on empty volumes, on volumes that do not fit together.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::Deserialize;
use standin_data::{Progress, Silent};
use standin_segment::{Grid, SurfaceDistances, Volume, evaluate, overlaps};

#[derive(Deserialize)]
struct Case {
    shape: [usize; 3],
    spacing: [f64; 3],
    gap: usize,
    prediction: Vec<[i64; 8]>,
    reference: Vec<[i64; 8]>,
    scores: Vec<Scores>,
}

#[derive(Deserialize)]
struct Scores {
    label: u32,
    voxels: [u64; 2],
    dice: f64,
    jaccard: f64,
    average: f64,
    average_symmetric: f64,
    hausdorff_95: f64,
}

/// The volume of a case, by the rule in `fixtures/make_surfaces.py`.
fn labels(shape: [usize; 3], ellipsoids: &[[i64; 8]], gap: usize) -> Vec<u32> {
    (0..shape.iter().product::<usize>())
        .map(|index| {
            let place = [index % shape[0], index / shape[0] % shape[1], index / (shape[0] * shape[1])];
            if gap > 0 && (7 * place[0] + 13 * place[1] + 5 * place[2]).is_multiple_of(gap) {
                return 0;
            }
            let holds = |&&[_, cx, cy, cz, wx, wy, wz, bound]: &&[i64; 8]| {
                let [x, y, z] = place.map(|index| index as i64);
                wx * (x - cx).pow(2) + wy * (y - cy).pow(2) + wz * (z - cz).pow(2) <= bound
            };
            ellipsoids.iter().rev().find(holds).map_or(0, |ellipsoid| ellipsoid[0] as u32)
        })
        .collect()
}

#[test]
fn scores_equal_medpy() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("fixtures/surfaces.json")).unwrap();
    for case in cases {
        let prediction = labels(case.shape, &case.prediction, case.gap);
        let reference = labels(case.shape, &case.reference, case.gap);
        let overlaps = overlaps(&prediction, &reference);
        for expected in case.scores {
            let overlap = overlaps[&expected.label];
            assert_eq!([overlap.predicted, overlap.reference], expected.voxels);
            let distances =
                SurfaceDistances::between(&prediction, &reference, expected.label, case.shape, case.spacing).unwrap();
            for (found, expected) in [
                (overlap.dice().unwrap(), expected.dice),
                (overlap.jaccard().unwrap(), expected.jaccard),
                (distances.average(), expected.average),
                (distances.average_symmetric(), expected.average_symmetric),
                (distances.hausdorff_95(), expected.hausdorff_95),
            ] {
                assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
            }
        }
    }
}

const SHAPE: [usize; 3] = [10, 9, 8];

/// Two folders of label volumes on one grid.
struct Folders {
    root: tempfile::TempDir,
}

impl Folders {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("predictions")).unwrap();
        fs::create_dir(root.path().join("references")).unwrap();
        Self { root }
    }

    fn predictions(&self) -> PathBuf {
        self.root.path().join("predictions")
    }

    fn references(&self) -> PathBuf {
        self.root.path().join("references")
    }

    fn add(&self, name: &str, prediction: Vec<u32>, reference: Vec<u32>) {
        write(&self.predictions().join(format!("{name}.nii.gz")), prediction, 0.0);
        write(&self.references().join(format!("{name}.nii")), reference, 0.0);
    }

    fn error(&self) -> String {
        evaluate(&self.predictions(), &self.references(), &Silent).unwrap_err().to_string()
    }
}

fn write(path: &Path, labels: Vec<u32>, shear: f64) {
    let affine = [[0.5, 0.0, 0.0, -7.0], [0.0, 0.5, shear, 4.0], [0.0, 0.0, 2.0, 0.0]];
    Volume::new(Grid::new(SHAPE, affine).unwrap(), labels).unwrap().write(path).unwrap();
}

/// A 4×4×4 box of `label`, its first corner at `begin`.
fn cube(begin: [usize; 3], label: u32) -> Vec<u32> {
    (0..SHAPE.iter().product::<usize>())
        .map(|index| {
            let place = [index % SHAPE[0], index / SHAPE[0] % SHAPE[1], index / (SHAPE[0] * SHAPE[1])];
            if (0..3).all(|axis| (begin[axis]..begin[axis] + 4).contains(&place[axis])) { label } else { 0 }
        })
        .collect()
}

fn empty() -> Vec<u32> {
    vec![0; SHAPE.iter().product()]
}

#[test]
fn volumes_against_themselves_are_perfect() {
    let folders = Folders::new();
    for (name, x) in [("a", 1), ("b", 2), ("c", 5)] {
        folders.add(name, cube([x, 2, 3], 1), cube([x, 2, 3], 1));
    }
    let evaluation = evaluate(&folders.predictions(), &folders.references(), &Silent).unwrap();
    let [label] = evaluation.labels.as_slice() else { panic!("one label") };
    assert_eq!((label.label, label.scored, label.absent, label.without_distance), (1, 3, 0, 0));
    for (outcome, perfect) in [
        (&label.dice, 1.0),
        (&label.jaccard, 1.0),
        (&label.average_surface_distance, 0.0),
        (&label.average_symmetric_surface_distance, 0.0),
        (&label.hausdorff_95, 0.0),
    ] {
        let estimate = outcome.estimate().unwrap();
        assert_eq!((estimate.value, estimate.low, estimate.high, estimate.n), (perfect, perfect, perfect, 3));
    }
    let names: Vec<&str> = evaluation.volumes.iter().map(|volume| volume.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn an_empty_prediction_scores_zero_and_has_no_distance() {
    let folders = Folders::new();
    folders.add("a", cube([1, 2, 3], 1), cube([1, 2, 3], 1));
    folders.add("b", cube([2, 2, 3], 1), cube([1, 2, 3], 1));
    folders.add("c", empty(), cube([1, 2, 3], 1));
    folders.add("d", empty(), empty());
    let evaluation = evaluate(&folders.predictions(), &folders.references(), &Silent).unwrap();
    let label = &evaluation.labels[0];
    assert_eq!((label.scored, label.absent, label.without_distance), (3, 1, 1));
    let (dice, distance) = (label.dice.estimate().unwrap(), label.hausdorff_95.estimate().unwrap());
    assert!((dice.value - (1.0 + 0.75 + 0.0) / 3.0).abs() < 1e-12);
    assert_eq!((dice.n, distance.n, distance.value), (3, 2, 0.25));
    assert_eq!(evaluation.volumes[2].labels[0].surface, None);
    assert_eq!(evaluation.volumes[3].labels, []);
}

#[test]
fn a_label_in_the_wrong_place_is_scored_where_it_is() {
    let folders = Folders::new();
    folders.add("a", cube([1, 2, 3], 4), cube([1, 2, 3], 1));
    folders.add("b", cube([1, 2, 3], 1), cube([1, 2, 3], 1));
    let evaluation = evaluate(&folders.predictions(), &folders.references(), &Silent).unwrap();
    let found: Vec<_> = evaluation.labels.iter().map(|label| (label.label, label.scored, label.absent)).collect();
    assert_eq!(found, [(1, 2, 0), (4, 1, 1)]);
    assert!(evaluation.labels[1].dice.estimate().is_none(), "one volume gives no interval");
}

#[test]
fn unmatched_volumes_are_named() {
    let folders = Folders::new();
    folders.add("a", cube([1, 2, 3], 1), cube([1, 2, 3], 1));
    write(&folders.predictions().join("extra.nii.gz"), empty(), 0.0);
    assert!(folders.error().contains("extra"));
    fs::remove_file(folders.predictions().join("extra.nii.gz")).unwrap();
    write(&folders.references().join("forgotten.nii.gz"), empty(), 0.0);
    assert!(folders.error().contains("forgotten"));
    fs::remove_file(folders.references().join("forgotten.nii.gz")).unwrap();
    write(&folders.references().join("a.nii.gz"), empty(), 0.0);
    assert!(folders.error().contains("one name"));
}

#[test]
fn different_grids_are_refused_with_both_described() {
    let folders = Folders::new();
    folders.add("a", cube([1, 2, 3], 1), cube([1, 2, 3], 1));
    let affine = [[-0.5, 0.0, 0.0, -7.0], [0.0, 0.5, 0.0, 4.0], [0.0, 0.0, 2.0, 0.0]];
    let flipped = Volume::new(Grid::new(SHAPE, affine).unwrap(), cube([1, 2, 3], 1)).unwrap();
    flipped.write(&folders.predictions().join("a.nii.gz")).unwrap();
    let message = folders.error();
    for says in ["predictions", "references", "RAS", "LAS", "10×9×8", "resample"] {
        assert!(message.contains(says), "{message} for {says}");
    }
}

#[test]
fn a_sheared_grid_has_no_distances() {
    let folders = Folders::new();
    write(&folders.predictions().join("a.nii"), cube([1, 2, 3], 1), 0.5);
    write(&folders.references().join("a.nii"), cube([1, 2, 3], 1), 0.5);
    assert!(folders.error().contains("right angles"));
}

#[test]
fn folders_without_labels_are_refused() {
    let folders = Folders::new();
    assert!(folders.error().contains("is empty"));
    folders.add("a", empty(), empty());
    assert!(folders.error().contains("no label but 0"));
}

/// Keeps the warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Progress for Warnings {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn status(&self, _: &str) {}
    fn warn(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
    fn end(&self) {}
}

#[test]
fn files_left_aside_are_said() {
    let folders = Folders::new();
    folders.add("a", cube([1, 2, 3], 1), cube([1, 2, 3], 1));
    fs::write(folders.references().join("volumes.csv"), "name\n").unwrap();
    let warnings = Warnings::default();
    evaluate(&folders.predictions(), &folders.references(), &warnings).unwrap();
    let said = warnings.0.into_inner().unwrap();
    assert!(said.len() == 1 && said[0].contains("volumes.csv"), "{said:?}");
}
