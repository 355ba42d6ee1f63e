//! Numbers for the tests, and how far results are from what they should be.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Reproducible numbers.
pub struct Numbers(ChaCha8Rng);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Sums of uniform numbers: mean 0, variance 1.
    pub fn normal(&mut self, count: usize) -> Vec<f32> {
        let mut one = || (0..12).map(|_| self.0.random::<f32>()).sum::<f32>() - 6.0;
        (0..count).map(|_| one()).collect()
    }

    /// A whole number, bounds included.
    pub fn between(&mut self, least: usize, most: usize) -> usize {
        self.0.random_range(least..=most)
    }
}

/// Norm of the difference over the norm of what is expected.
pub fn apart(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |differences: &mut dyn Iterator<Item = f64>| differences.map(|v| v * v).sum::<f64>();
    let difference = square(&mut found.iter().zip(expected).map(|(found, expected)| f64::from(*found) - expected));
    let size = square(&mut expected.iter().copied());
    if difference == 0.0 { 0.0 } else { (difference / size).sqrt() }
}

/// The same on so many threads.
pub fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("threads can be started").install(work)
}
