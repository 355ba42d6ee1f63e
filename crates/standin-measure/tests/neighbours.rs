//! Neighbour measures at several sizes, with equal distances and repeated rows, and rank correlations:
//! `fixtures/neighbours.py` made the expected values.

use serde_json::Value;
use standin_encode::{Embedding, Stamp};
use standin_measure::{Convention, authenticity, manifold, spearman};

fn features(kind: &str, rows: usize, dimension: usize, seed: u64) -> Embedding {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let mut next = || if kind == "lattice" { (4.0 * uniform()).floor() } else { uniform() };
    let values = (0..rows * dimension).map(|_| next()).collect();
    let stamp = Stamp::new("test", "");
    Embedding::new(values, dimension, stamp).unwrap()
}

fn expected() -> Value {
    serde_json::from_str(include_str!("fixtures/neighbours.json")).unwrap()
}

/// Shares of counts: nothing to tolerate but the last digit of a division.
#[track_caller]
fn assert_equal(value: f64, expected: &Value, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!((value - expected).abs() < 1e-12, "{what}: {value} for {expected}");
}

#[test]
fn every_convention_equals_its_tool_at_any_size_and_with_equal_distances() {
    let expected = expected();
    for case in expected["cases"].as_array().unwrap() {
        let size = |name| case[name].as_u64().unwrap() as usize;
        let set = |rows, seed| features(case["features"].as_str().unwrap(), size(rows), size("dimension"), seed);
        let (generated, real) = (set("generated", 11), set("real", 12));
        for convention in Convention::ALL {
            let found = manifold(&generated, &real, convention).unwrap();
            let values = [found.precision, found.recall, found.density, found.coverage];
            for (value, expected) in values.iter().zip(case[convention.name()].as_array().unwrap()) {
                assert_equal(value.value, expected, &format!("{convention} of {case}"));
                assert!(value.low <= value.value && value.value <= value.high, "{value}");
            }
        }
        if !case["authenticity"].is_null() {
            let found = authenticity(&generated, &real).unwrap();
            assert_equal(found.value, &case["authenticity"], "authenticity");
        }
    }
}

#[test]
fn rank_correlations_equal_scipy() {
    for case in expected()["ranks"].as_array().unwrap() {
        let values =
            |name: &str| -> Vec<f64> { case[name].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect() };
        assert_equal(spearman(&values("x"), &values("y")).unwrap(), &case["spearman"], "Spearman");
    }
}
