//! Every measure against an independent implementation: `fixtures/independent.py` made the expected values.

use serde_json::Value;
use standin_encode::{Embedding, Stamp};
use standin_measure::{Convention, authenticity, dcr_share, frechet_distance, kernel_distance, manifold, vendi_score};

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

struct Case {
    train: Embedding,
    holdout: Embedding,
    synthetic: Embedding,
    expected: Value,
}

fn case() -> Case {
    let train = embed(uniform(60, 6, 1, 1.0), 6);
    let mut synthetic = uniform(70, 6, 3, 0.5);
    synthetic[..42].copy_from_slice(&train.values()[60..102]);
    Case {
        holdout: embed(uniform(60, 6, 2, 1.0), 6),
        synthetic: embed(synthetic, 6),
        train,
        expected: serde_json::from_str(include_str!("fixtures/independent.json")).unwrap(),
    }
}

#[track_caller]
fn assert_near(value: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    assert!((value - expected).abs() <= tolerance * expected.abs(), "{value} for {expected}");
}

/// SciPy's general matrix root loses about half the digits of a covariance's small eigenvalues.
#[test]
fn frechet_distance_equals_scipy() {
    let case = case();
    let value = frechet_distance(&case.synthetic, &case.train).unwrap().value;
    assert_near(value, &case.expected["frechet"], 1e-6);
    let wide = [4, 5].map(|seed| embed(uniform(12, 30, seed, 1.0), 30));
    assert_near(frechet_distance(&wide[0], &wide[1]).unwrap().value, &case.expected["frechet_wide"], 1e-9);
}

#[test]
fn kernel_distance_equals_numpy() {
    let case = case();
    assert_near(kernel_distance(&case.synthetic, &case.train).unwrap().value, &case.expected["kid"], 1e-9);
}

/// Shares of counts: nothing to tolerate but the last digit of a division.
#[test]
fn precision_recall_density_and_coverage_equal_prdc() {
    let case = case();
    let found = manifold(&case.synthetic, &case.train, Convention::Prdc).unwrap();
    let expected = &case.expected["prdc"];
    assert_near(found.precision.value, &expected["precision"], 1e-12);
    assert_near(found.recall.value, &expected["recall"], 1e-12);
    assert_near(found.density.value, &expected["density"], 1e-12);
    assert_near(found.coverage.value, &expected["coverage"], 1e-12);
}

#[test]
fn other_conventions_equal_their_definition_in_scipy() {
    let case = case();
    for (convention, name) in
        [(Convention::TorchFidelity, "torch_fidelity"), (Convention::DpImageBench, "dpimagebench")]
    {
        let found = manifold(&case.synthetic, &case.train, convention).unwrap();
        assert_near(found.precision.value, &case.expected[name][0], 1e-12);
        assert_near(found.recall.value, &case.expected[name][1], 1e-12);
    }
}

#[test]
fn vendi_score_equals_its_package() {
    let case = case();
    assert_near(vendi_score(&case.synthetic).unwrap().value, &case.expected["vendi"], 1e-9);
    let wide = embed(uniform(12, 30, 4, 1.0), 30);
    assert_near(vendi_score(&wide).unwrap().value, &case.expected["vendi_wide"], 1e-9);
}

#[test]
fn copying_measures_equal_scipy() {
    let case = case();
    let share = dcr_share(&case.synthetic, &case.train, &case.holdout).unwrap();
    assert_near(share.value, &case.expected["dcr"], 1e-12);
    assert_near(authenticity(&case.synthetic, &case.train).unwrap().value, &case.expected["authenticity"], 1e-12);
}
