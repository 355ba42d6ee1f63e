//! FID from pixels: resize, values, network and distance together, against torch-fidelity.

use std::path::{Path, PathBuf};

use standin_data::{ImageSet, Shape, Silent};
use standin_encode::encoder;
use standin_measure::frechet_distance;

/// The smooth colour fields of `fields.py`, 3×40×48, from whole numbers alone.
fn fields(number: usize, first: usize) -> ImageSet {
    let shape = Shape { channels: 3, height: 40, width: 48 };
    let mut pixels = Vec::with_capacity(number * shape.volume());
    for image in first..first + number {
        for channel in 0..3 {
            let across = (image * 7 + channel * 5) % 11 + 1;
            let down = (image * 5 + channel * 3) % 13 + 1;
            let phase = image * 37 + channel * 91;
            let waves = (0..40 * 48).map(|at| (across * (at % 48) + down * (at / 48) + phase) % 510);
            pixels.extend(waves.map(|wave| if wave < 256 { wave as u8 } else { (510 - wave) as u8 }));
        }
    }
    ImageSet::new(shape, pixels).unwrap()
}

#[test]
fn fid_from_pixels_is_that_of_torch_fidelity_and_of_clean_fid() {
    let data = std::env::var_os("STANDIN_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let network = data.join("weights/fid-inception-2015.onnx");
    if !network.exists() {
        println!("skipped: {} is not there; STANDIN_TEST_DATA names the folder of test data", network.display());
        return;
    }
    let reference: serde_json::Value = serde_json::from_str(include_str!("fixtures/fid_from_pixels.json")).unwrap();
    for (preset, peer) in [("fid-inception-legacy", "torch_fidelity"), ("fid-inception", "clean_fid")] {
        let encoder = encoder(&format!("onnx:{}#{preset}", network.display())).unwrap();
        let [first, second] = [0, 8].map(|first| encoder.encode(&fields(8, first), &Silent).unwrap());
        let ours = frechet_distance(&first, &second).unwrap().value;
        let theirs = reference[peer].as_f64().unwrap();
        println!("{peer}: {theirs}, ours {ours}");
        assert!((ours / theirs - 1.0).abs() < 1e-4, "{peer}: {ours} against {theirs}");
    }
}
