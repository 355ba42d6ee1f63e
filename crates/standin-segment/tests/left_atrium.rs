//! Scores on real labels, where they are at hand: under `../shared/data` beside the project or `STANDIN_TEST_DATA`.

use std::array;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use standin_segment::{LabelVolume, SurfaceDistances, overlaps, surface};

/// The folder of volumes at half resolution, or a line that says why the test does nothing.
fn folder() -> Option<PathBuf> {
    let data = std::env::var_os("STANDIN_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let folder = data.join("left-atrium/half");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no volumes of the left atrium in {}", folder.display());
    None
}

fn label(folder: &Path, name: &str) -> LabelVolume {
    LabelVolume::read(&folder.join(format!("{name}-label.nii.gz"))).unwrap()
}

/// The labels of a volume inside a larger one, from `begin`.
fn placed(volume: &LabelVolume, begin: [usize; 3], shape: [usize; 3]) -> Vec<u32> {
    let [nx, ny, nz] = volume.grid().shape();
    let mut placed = vec![0; shape.iter().product()];
    for z in 0..nz {
        for y in 0..ny {
            let from = nx * (y + ny * z);
            let to = begin[0] + shape[0] * (begin[1] + y + shape[1] * (begin[2] + z));
            placed[to..to + nx].copy_from_slice(&volume.voxels()[from..from + nx]);
        }
    }
    placed
}

#[derive(Deserialize)]
struct Scores {
    reference: String,
    prediction: String,
    dice: f64,
    jaccard: f64,
    average: f64,
    average_symmetric: f64,
    hausdorff_95: f64,
}

#[test]
fn scores_of_real_shapes_equal_medpy() {
    let Some(folder) = folder() else { return };
    let rows: Vec<Scores> = serde_json::from_str(include_str!("fixtures/left_atrium.json")).unwrap();
    for expected in rows {
        let (prediction, reference) = (label(&folder, &expected.prediction), label(&folder, &expected.reference));
        let shape: [usize; 3] =
            array::from_fn(|axis| prediction.grid().shape()[axis].max(reference.grid().shape()[axis]));
        let (prediction, reference) = (placed(&prediction, [0; 3], shape), placed(&reference, [0; 3], shape));
        let overlap = overlaps(&prediction, &reference)[&1];
        let distances = SurfaceDistances::between(&prediction, &reference, 1, shape, [1.25, 1.25, 2.0]).unwrap();
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

/// Each voxel of the shifted surface is on the other surface or one spacing from the voxel that it came from.
#[test]
fn a_label_shifted_by_one_voxel_is_one_spacing_off_where_it_left_the_surface() {
    let Some(folder) = folder() else { return };
    let volume = label(&folder, "test-00");
    assert_eq!(volume.grid().spacing(), [1.25; 3]);
    let shape = volume.grid().shape().map(|length| length + 3);
    let reference = placed(&volume, [1; 3], shape);
    let on_reference: HashSet<[usize; 3]> = surface(&reference, 1, shape).into_iter().collect();
    for axis in 0..3 {
        let mut begin = [1; 3];
        begin[axis] = 2;
        let prediction = placed(&volume, begin, shape);
        let shifted = surface(&prediction, 1, shape);
        let off = shifted.iter().filter(|place| !on_reference.contains(*place)).count();
        let distances = SurfaceDistances::between(&prediction, &reference, 1, shape, [1.25; 3]).unwrap();
        let expected = 1.25 * off as f64 / shifted.len() as f64;
        assert!(off > 0 && (distances.average() - expected).abs() < 1e-12);
        assert!((distances.average_symmetric() - expected).abs() < 1e-12, "the shift back leaves as many");
        assert_eq!(distances.hausdorff_95(), 1.25);
    }
}

#[test]
fn a_label_against_itself_is_perfect() {
    let Some(folder) = folder() else { return };
    let volume = label(&folder, "train-05");
    let (voxels, grid) = (volume.voxels(), volume.grid());
    assert_eq!(overlaps(voxels, voxels)[&1].dice(), Some(1.0));
    let distances = SurfaceDistances::between(voxels, voxels, 1, grid.shape(), grid.spacing()).unwrap();
    assert_eq!((distances.average_symmetric(), distances.hausdorff_95()), (0.0, 0.0));
}
