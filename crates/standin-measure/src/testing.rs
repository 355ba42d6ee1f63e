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
