//! Features for tests.

use standin_data::Seed;

use crate::{Embedding, Stamp};

pub(crate) fn embed(values: Vec<f32>, dimension: usize) -> Embedding {
    let stamp = Stamp::new("test", "");
    Embedding::new(values, dimension, stamp).unwrap()
}

/// Values in [-1, 1), from the seed alone.
pub(crate) fn random(rows: usize, dimension: usize, seed: u64) -> Vec<f32> {
    let seed = Seed::new(seed);
    (0..rows * dimension)
        .map(|at| (seed.derive(&at.to_string()).value() >> 40) as f32 / (1u64 << 23) as f32 - 1.0)
        .collect()
}
