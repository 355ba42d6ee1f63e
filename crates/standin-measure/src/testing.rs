//! Features with known properties, for tests.

use rand_distr::{Distribution, StandardNormal};
use standin_data::Seed;
use standin_encode::{Embedding, Stamp};

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
