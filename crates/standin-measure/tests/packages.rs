//! Distances and scores against the packages most used for them: `fixtures/packages.py` made the expected values.

use serde_json::Value;
use standin_encode::{Embedding, Stamp};
use standin_measure::{
    Moments, cmmd, frechet_distance, frechet_distance_to, kernel_distance, kernel_distance_on_subsets,
    vendi_score_of_order,
};

fn uniform(rows: usize, columns: usize, seed: u64, factor: f32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        factor * ((state >> 40) as f32 / (1u64 << 24) as f32)
    };
    (0..rows * columns).map(|_| next()).collect()
}

fn embed(values: Vec<f32>, dimension: usize) -> Embedding {
    let stamp = Stamp::new("test", "");
    Embedding::new(values, dimension, stamp).unwrap()
}

fn pair() -> [Embedding; 2] {
    [embed(uniform(300, 24, 11, 1.0), 24), embed(uniform(300, 24, 12, 0.9), 24)]
}

/// Standard deviations over seven orders of magnitude.
fn scaled() -> [Embedding; 2] {
    pair().map(|set| {
        let values = set.values().iter().enumerate().map(|(at, x)| x * 2_f32.powi((at % 24) as i32 - 12));
        embed(values.collect(), 24)
    })
}

fn expected() -> Value {
    serde_json::from_str(include_str!("fixtures/packages.json")).unwrap()
}

#[track_caller]
fn assert_near(value: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    assert!((value - expected).abs() <= tolerance * expected.abs(), "{value} for {expected}");
}

#[test]
fn frechet_distance_equals_torch_fidelity() {
    let expected = expected();
    let [first, second] = pair();
    assert_near(frechet_distance(&first, &second).unwrap().value, &expected["fid"], 1e-9);
    let [first, second] = scaled();
    let value = frechet_distance(&first, &second).unwrap().value;
    assert_near(value, &expected["fid_scaled_exact"], 1e-9);
    // The package takes roots of the eigenvalues of a product, which keeps half of the digits.
    assert_near(value, &expected["fid_scaled"], 1e-6);
}

#[test]
fn kernel_distance_equals_torch_fidelity() {
    let expected = expected();
    let [first, second] = pair();
    assert_near(kernel_distance(&first, &second).unwrap().value, &expected["kid"], 1e-9);
    let (mean, deviation) = kernel_distance_on_subsets(&first, &second, 3, 300, standin_data::Seed::new(1)).unwrap();
    assert_near(mean, &expected["kid"], 1e-9);
    assert!(deviation < 1e-12, "{deviation}");
    let [first, second] = scaled();
    assert_near(kernel_distance(&first, &second).unwrap().value, &expected["kid_scaled"], 1e-9);
}

#[test]
fn cmmd_equals_the_published_formula() {
    let [first, second] = pair();
    assert_near(cmmd(&first, &second).unwrap().value, &expected()["cmmd"], 1e-9);
}

#[test]
fn vendi_scores_of_all_orders_equal_their_package() {
    let set = embed(uniform(300, 24, 11, 1.0).iter().map(|x| (f64::from(*x) - 0.3) as f32).collect(), 24);
    for (order, name) in [(0.5, "0.5"), (1.0, "1"), (2.0, "2"), (f64::INFINITY, "inf")] {
        let value = vendi_score_of_order(&set, order).unwrap().value;
        assert_near(value, &expected()["vendi_orders"][name], 1e-6);
    }
}

/// The statistics are of the images that `independent.rs` takes for training.
#[test]
fn statistics_of_pytorch_fid_give_the_distance_from_their_images() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pytorch_fid.npz");
    let stamp = Stamp::new("test", "");
    let reference = Moments::load(&path, Some(&stamp)).unwrap();
    let (train, synthetic) = (embed(uniform(60, 6, 1, 1.0), 6), embed(uniform(70, 6, 3, 0.5), 6));
    let (to, between) =
        (frechet_distance_to(&reference, &synthetic).unwrap(), frechet_distance(&synthetic, &train).unwrap());
    assert!((to.value - between.value).abs() < 1e-12 * between.value.max(1.0), "{to} {between}");
}
