//! `standin measure` as a user meets it: images, features, statistics, pairs.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::program;

fn standin(folder: &Path, arguments: &[&str]) -> Output {
    program::standin(folder, &[&["measure"], arguments].concat())
}

fn document(folder: &Path, arguments: &[&str]) -> Value {
    program::document(folder, &[&["measure"], arguments].concat())
}

fn sets() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, from) in [("real", 0), ("fake", 800)] {
        let images = standin_data::digits().select(&(from..from + 300).collect::<Vec<_>>());
        images.save(&folder.path().join(name)).unwrap();
    }
    folder
}

const SIDES: [&str; 4] = ["--real", "real", "--synthetic", "fake"];

fn value(document: &Value, measure: &str) -> f64 {
    let findings = document["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["measure"] == measure).unwrap();
    finding["outcome"]["measured"]["value"].as_f64().unwrap()
}

#[test]
fn images_their_features_and_their_statistics_give_the_same_numbers() {
    let folder = sets();
    let folder = folder.path();
    let measures = ["--measures", "fd,kid,precision"];
    let keep = ["--save-features", "features", "--save-statistics", "real.npz"];
    let images = document(folder, &[&SIDES[..], &measures, &keep].concat());
    assert_eq!(images["real"], 300);
    let files = ["--real", "features/real.npy", "--synthetic", "features/synthetic.npy"];
    let features = document(folder, &[&files[..], &measures].concat());
    assert_eq!(features["findings"], images["findings"]);
    assert_eq!(features["stamp"], images["stamp"]);
    let statistics = document(folder, &["--real", "real.npz", "--synthetic", "fake", "--measures", "fd"]);
    let (kept, direct) = (value(&statistics, "frechet-distance"), value(&images, "frechet-distance"));
    assert!((kept - direct).abs() < 1e-9 * direct.max(1e-3), "{kept} {direct}");
}

#[test]
fn fid_is_a_matter_of_the_features_not_of_the_option() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, shift) in [("real", 0.0), ("fake", 0.5)] {
        let values = (0..600).map(|at| shift + (at * 37 % 101) as f32).collect();
        let stamp = standin_encode::Stamp::new("onnx:fid-inception.onnx", "made up");
        let features = standin_encode::Embedding::new(values, 4, stamp).unwrap();
        features.save(&folder.join(format!("{name}.npy"))).unwrap();
    }
    let found = document(folder, &["--real", "real.npy", "--synthetic", "fake.npy", "--measures", "fid"]);
    assert!((value(&found, "frechet-distance") - 1.0).abs() < 1e-6, "four features, each 0.5 away");
}

#[test]
fn a_tools_convention_is_that_of_its_own_measure() {
    let folder = sets();
    let precision = |extra: &[&str]| document(folder.path(), &[&SIDES[..], extra].concat());
    let torch = precision(&["--measures", "precision", "--convention", "torch-fidelity"]);
    let named = precision(&["--measures", "precision-torch-fidelity"]);
    assert_eq!(torch["findings"], named["findings"]);
}

#[test]
fn pairs_are_measured_image_by_image() {
    let folder = sets();
    let same = document(folder.path(), &["--real", "real", "--synthetic", "fake", "--pairs", "psnr"]);
    assert_eq!(same[0]["per_image"].as_array().unwrap().len(), 300);
    assert!(same[0]["mean"]["measured"]["value"].as_f64().unwrap() < 20.0);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let folder = sets();
    let folder = folder.path();
    document(folder, &[&SIDES[..], &["--measures", "fd", "--encoder", "pixels", "--save-features", "p"]].concat());
    for (arguments, said) in [
        (vec!["--real", "p/real.npy", "--synthetic", "fake"], vec!["pixels", "scattering"]),
        ([&SIDES[..], &["--measures", "fid"]].concat(), vec!["inception", "frechet-distance"]),
        ([&SIDES[..], &["--measures", "density", "--convention", "torch-fidelity"]].concat(), vec!["precision"]),
        ([&SIDES[..], &["--measures", "fd", "--encoder", "pixels", "--save-features", "p"]].concat(), vec!["--force"]),
        ([&SIDES[..], &["--pairs", "psnr", "--save-features", "q"]].concat(), vec!["--save-features", "leave it out"]),
        ([&SIDES[..], &["--pairs", "lpips"]].concat(), vec!["lpips:FILE.onnx"]),
        ([&SIDES[..], &["--pairs", "ms-ssim"]].concat(), vec!["161"]),
    ] {
        let output = standin(folder, &arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        for said in said {
            assert!(message.contains(said), "{arguments:?}: {message}");
        }
    }
}
