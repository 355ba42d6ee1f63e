//! Reading what nibabel wrote, and writing it back.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use standin_segment::{Grid, IntensityVolume, LabelVolume, Volume};

/// What nibabel reads from a file; see `fixtures/make_nifti.py`.
#[derive(Deserialize)]
struct Expected {
    file: String,
    shape: [usize; 3],
    spacing: [f64; 3],
    affine: [[f64; 4]; 3],
    orientation: String,
    values: Vec<f64>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn expected() -> Vec<Expected> {
    serde_json::from_str(&fs::read_to_string(fixture("nifti.json")).unwrap()).unwrap()
}

fn read_error(path: &Path) -> String {
    let message = LabelVolume::read(path).unwrap_err().to_string();
    assert!(message.contains(&path.display().to_string()), "{message}");
    message
}

/// A header as bytes, with the voxels after it.
fn altered(name: &str, alter: impl FnOnce(&mut Vec<u8>)) -> tempfile::NamedTempFile {
    let mut bytes = fs::read(fixture("nifti").join(name)).unwrap();
    alter(&mut bytes);
    let file = tempfile::Builder::new().suffix(".nii").tempfile().unwrap();
    fs::write(file.path(), bytes).unwrap();
    file
}

#[test]
fn volumes_read_as_nibabel_reads_them() {
    for expected in expected() {
        let volume = IntensityVolume::read(&fixture("nifti").join(&expected.file)).unwrap();
        let grid = volume.grid();
        assert_eq!(grid.shape(), expected.shape, "{}", expected.file);
        assert_eq!(grid.orientation(), expected.orientation, "{}", expected.file);
        for (found, expected) in grid.spacing().iter().zip(expected.spacing) {
            assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
        }
        for (found, wanted) in grid.affine().iter().flatten().zip(expected.affine.iter().flatten()) {
            assert!((found - wanted).abs() < 1e-5, "{found} for {wanted} in {}", expected.file);
        }
        for (found, expected) in volume.voxels().iter().zip(&expected.values) {
            assert_eq!(*found, *expected as f32);
        }
    }
}

#[test]
fn writing_keeps_values_and_geometry() {
    let folder = tempfile::tempdir().unwrap();
    for expected in expected() {
        let volume = IntensityVolume::read(&fixture("nifti").join(&expected.file)).unwrap();
        for ending in ["nii", "nii.gz"] {
            let path = folder.path().join(format!("a.name.with.dots.{ending}"));
            volume.write(&path).unwrap();
            let again = IntensityVolume::read(&path).unwrap();
            assert_eq!(again.voxels(), volume.voxels());
            assert_eq!(again.grid().affine(), volume.grid().affine());
            assert_eq!(again.grid().spacing(), volume.grid().spacing());
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing unfinished is left behind");
}

#[test]
fn geometry_is_written_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("again.nii");
    for name in ["oblique_qform_scaled.nii", "extension_float64_labels.nii"] {
        let path = fixture("nifti").join(name);
        IntensityVolume::read(&path).unwrap().write(&written).unwrap();
        let (before, after) = (fs::read(&path).unwrap(), fs::read(&written).unwrap());
        // The fields dim, pixdim up to the third axis, and from qform_code to srow_z, by their offsets in nifti1.h.
        for field in [40..48, 76..92, 252..328] {
            assert_eq!(before[field.clone()], after[field.clone()], "bytes {field:?} of {name}");
        }
    }
}

#[test]
fn what_the_scanner_noted_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let (path, written) = (fixture("nifti/extension_float64_labels.nii"), folder.path().join("again.nii"));
    let holds_note = |path: &Path| fs::read(path).unwrap().windows(7).any(|window| window == b"scanner");
    assert!(holds_note(&path));
    IntensityVolume::read(&path).unwrap().write(&written).unwrap();
    assert!(!holds_note(&written));
}

#[test]
fn labels_of_any_size_survive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.nii");
    let grid = Grid::new([3, 1, 2], [[2.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]).unwrap();
    for (largest, bytes) in [(255, 1), (65_535, 2), (u32::MAX, 4)] {
        let labels = vec![0, 1, largest, 3, 0, 7];
        Volume::new(grid.clone(), labels.clone()).unwrap().write(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 352 + 6 * bytes);
        assert_eq!(LabelVolume::read(&path).unwrap().voxels(), labels);
    }
}

#[test]
fn a_slope_that_is_no_number_leaves_values_as_they_are() {
    let plain = LabelVolume::read(&fixture("nifti/spacing_alone.nii")).unwrap();
    let file = altered("spacing_alone.nii", |bytes| bytes[112..116].copy_from_slice(&f32::NAN.to_le_bytes()));
    assert_eq!(LabelVolume::read(file.path()).unwrap().voxels(), plain.voxels());
}

#[test]
fn what_is_no_label_volume_is_refused_with_a_remedy() {
    assert!(read_error(&fixture("nifti/series.nii.gz")).contains("4×3×2×5"));
    assert!(read_error(&fixture("nifti/rotated_sform.nii.gz")).contains("threshold"));
    assert!(read_error(&fixture("nifti.json")).contains("single-file NIfTI-1"));
    assert!(read_error(&fixture("nifti/absent.nii")).contains("reading"));
}

#[test]
fn damaged_files_are_refused() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(Damage, &str); 11] = [
        (|bytes| bytes.truncate(400), "ends early"),
        (|bytes| bytes.truncate(100), "ends before its header"),
        (|bytes| bytes.clear(), "ends before its header"),
        (|bytes| bytes[72..74].copy_from_slice(&8_i16.to_le_bytes()), "bits for a voxel"),
        (|bytes| bytes[70..72].copy_from_slice(&77_i16.to_le_bytes()), "datatype"),
        (|bytes| bytes[70..74].copy_from_slice(&[128, 0, 24, 0]), "Rgb24"),
        (|bytes| bytes[80..84].copy_from_slice(&0_f32.to_le_bytes()), "spacing"),
        (|bytes| bytes[123] = 5, "unknown unit"),
        (|bytes| bytes[40..42].copy_from_slice(&0_i16.to_le_bytes()), "damaged"),
        (|bytes| bytes[108..112].copy_from_slice(&f32::INFINITY.to_le_bytes()), "ends early"),
        (|bytes| bytes[344..348].copy_from_slice(b"ni1\0"), "pair"),
    ];
    for (damage, says) in damages {
        let message = read_error(altered("spacing_alone.nii", damage).path());
        assert!(message.contains(says), "{message} for {says}");
    }
}

#[test]
fn a_flipped_bit_under_gzip_is_noticed() {
    let mut bytes = fs::read(fixture("nifti/rotated_sform.nii.gz")).unwrap();
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 1;
    let file = tempfile::Builder::new().suffix(".nii.gz").tempfile().unwrap();
    fs::write(file.path(), bytes).unwrap();
    assert!(IntensityVolume::read(file.path()).is_err());
}

#[test]
fn a_file_that_is_named_otherwise_is_not_written() {
    let grid = Grid::new([1, 1, 1], [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]).unwrap();
    let volume = Volume::new(grid, vec![1_u32]).unwrap();
    let message = volume.write(Path::new("labels.png")).unwrap_err().to_string();
    assert!(message.contains("labels.png") && message.contains(".nii.gz"), "{message}");
}
