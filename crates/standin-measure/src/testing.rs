//! Features with known properties, for tests.

use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use standin_data::Seed;
use standin_encode::{Embedding, Stamp};

use crate::Estimate;

pub(crate) fn embed(values: Vec<f32>, dimension: usize) -> Embedding {
    let stamp = Stamp::new("test", "");
    Embedding::new(values, dimension, stamp).unwrap()
}

/// Independent normal features with one mean and standard deviation.
pub(crate) fn gaussian(rows: usize, dimension: usize, deviation: f32, mean: f32, seed: u64) -> Embedding {
    let mut rng = Seed::new(seed).derive("gaussian").rng();
    let mut value = || {
        let standard: f32 = StandardNormal.sample(&mut rng);
        mean + deviation * standard
    };
    embed((0..rows * dimension).map(|_| value()).collect(), dimension)
}

/// Share of runs whose interval holds the truth.
pub(crate) fn covered(runs: u64, truth: f64, estimate: impl Fn(u64) -> Estimate + Sync) -> f64 {
    let covers = |run: &u64| {
        let estimate = estimate(*run);
        estimate.low <= truth && truth <= estimate.high
    };
    (0..runs).into_par_iter().filter(covers).count() as f64 / runs as f64
}

/// Share of runs whose interval holds the average value: the truth where it is that of sets of this size.
pub(crate) fn covered_average(runs: u64, estimate: impl Fn(u64) -> Estimate + Send + Sync) -> f64 {
    let estimates: Vec<Estimate> = (0..runs).into_par_iter().map(estimate).collect();
    let average = estimates.iter().map(|estimate| estimate.value).sum::<f64>() / runs as f64;
    let covers = |estimate: &&Estimate| estimate.low <= average && average <= estimate.high;
    estimates.iter().filter(covers).count() as f64 / runs as f64
}

/// The generator of `tests/fixtures/fidelity.py`: 24 high bits of a 64-bit linear congruential sequence.
pub(crate) fn uniform(rows: usize, columns: usize, seed: u64) -> Embedding {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    embed((0..rows * columns).map(|_| next()).collect(), columns)
}

/// The sets of `tests/fixtures/fidelity.py`.
pub(crate) struct Case {
    pub(crate) train: Embedding,
    pub(crate) holdout: Embedding,
    pub(crate) synthetic: Embedding,
}

pub(crate) fn case() -> Case {
    let train = uniform(60, 6, 1);
    let mut synthetic: Vec<f32> = uniform(70, 6, 3).values().iter().map(|x| 0.5 * x).collect();
    synthetic[..42].copy_from_slice(&train.values()[60..102]);
    Case { train, holdout: uniform(60, 6, 2), synthetic: embed(synthetic, 6) }
}

/// What `tests/fixtures/fidelity.py` computed.
pub(crate) fn expected() -> serde_json::Value {
    serde_json::from_str(include_str!("../tests/fixtures/fidelity.json")).unwrap()
}

#[track_caller]
pub(crate) fn assert_near(value: f64, expected: &serde_json::Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    assert!((value - expected).abs() <= tolerance * expected.abs(), "{value} for {expected}");
}
