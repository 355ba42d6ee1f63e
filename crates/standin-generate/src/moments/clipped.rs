//! Sums over clipped records without rounding, the quantities that one-shot methods release with noise.
//!
//! A sum of floating-point numbers depends on the order of its terms, and one term more can change it by more than that
//! term (Casacuberta, Shoemate, Vadhan & Wagaman 2022). Here every coordinate of a clipped record is a whole multiple of
//! 1/[`STEPS`], so that sums, and sums of products of two coordinates, are whole numbers below 2⁵³ that double precision
//! adds exactly, in whatever order.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Steps between 0 and the clipping bound.
pub(crate) const STEPS: f64 = (1 << 15) as f64;

/// The most records whose products add up exactly.
pub(crate) const MOST_RECORDS: usize = 1 << 23;

/// Records in one task, which bounds memory.
const RECORDS: usize = 512;

/// Divides a vector by its bound, or by its norm if that is larger, and cuts every coordinate to a whole number of steps
/// towards 0: the result, in steps, has norm at most [`STEPS`].
///
/// The bound holds without rounding: the sum of the squares is a whole number that exceeds STEPS² by less than 1.
pub(crate) fn clip(vector: &mut [f64], bound: f64) {
    let norm = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    let scale = STEPS / norm.max(bound);
    vector.iter_mut().for_each(|value| *value = (*value * scale).trunc());
}

/// The first and second moments of the clipped records of each group, as sums.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sums {
    /// Records in the group.
    pub count: f64,
    /// Σ v in units of the clipping bound, `dimension` values.
    pub first: Vec<f64>,
    /// Σ v vᵀ in units of the squared bound, `dimension × dimension`; empty where it was not asked for.
    pub second: Vec<f64>,
}

/// Which moments are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moments {
    /// Counts and [`Sums::first`].
    First,
    /// All of [`Sums`].
    Second,
}

/// The sums over the records of each group, where `record` writes the clipped vector of a record into zeros and gives its
/// group.
///
/// Cost: records × dimension², or × dimension without second moments, operations in parallel; memory groups × dimension²
/// for each thread.
///
/// # Panics
/// If there are more than [`MOST_RECORDS`] records.
pub(crate) fn sums(
    records: usize,
    dimension: usize,
    groups: usize,
    moments: Moments,
    record: impl Fn(usize, &mut [f64]) -> usize + Sync,
) -> Vec<Sums> {
    assert!(records <= MOST_RECORDS, "products of more records do not add up exactly");
    let products = if moments == Moments::Second { dimension * dimension } else { 0 };
    let empty = || {
        let (first, second) = (vec![0.0; dimension], vec![0.0; products]);
        vec![Sums { count: 0.0, first, second }; groups]
    };
    let starts: Vec<usize> = (0..records).step_by(RECORDS).collect();
    let add_block = |mut sums: Vec<Sums>, &start: &usize| {
        let mut rows: Vec<Vec<f64>> = vec![Vec::new(); groups];
        let mut vector = vec![0.0; dimension];
        for index in start..(start + RECORDS).min(records) {
            vector.fill(0.0);
            let group = record(index, &mut vector);
            rows[group].extend_from_slice(&vector);
        }
        for (sum, rows) in sums.iter_mut().zip(&rows) {
            sum.add(rows);
        }
        sums
    };
    let add = |mut a: Vec<Sums>, b: Vec<Sums>| {
        for (a, b) in a.iter_mut().zip(b) {
            a.count += b.count;
            a.first.iter_mut().zip(&b.first).for_each(|(a, b)| *a += b);
            a.second.iter_mut().zip(&b.second).for_each(|(a, b)| *a += b);
        }
        a
    };
    let mut sums = starts.par_iter().fold(empty, add_block).reduce(empty, add);
    for sum in &mut sums {
        sum.first.iter_mut().for_each(|value| *value /= STEPS);
        sum.second.iter_mut().for_each(|value| *value /= STEPS * STEPS);
    }
    sums
}

impl Sums {
    fn add(&mut self, rows: &[f64]) {
        let dimension = self.first.len();
        let count = rows.len() / dimension;
        self.count += count as f64;
        for row in rows.chunks_exact(dimension) {
            self.first.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        if self.second.is_empty() {
            return;
        }
        let rows = MatRef::from_row_major_slice(rows, count, dimension);
        let into = MatMut::from_row_major_slice_mut(&mut self.second, dimension, dimension);
        matmul(into, Accum::Add, rows.transpose(), rows, 1.0, Par::Seq);
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::Seed;

    use super::*;

    fn vectors(count: usize, dimension: usize) -> Vec<Vec<f64>> {
        let mut rng = Seed::new(1).rng();
        let scale = |index: usize| 10_f64.powi(index as i32 % 7 - 3);
        (0..count).map(|i| (0..dimension).map(|_| scale(i) * (rng.random::<f64>() - 0.4)).collect()).collect()
    }

    fn sums_of(vectors: &[Vec<f64>], groups: usize) -> Vec<Sums> {
        sums(vectors.len(), vectors[0].len(), groups, Moments::Second, |index, into| {
            into.copy_from_slice(&vectors[index]);
            clip(into, 1.0);
            index % groups
        })
    }

    #[test]
    fn a_clipped_vector_is_whole_steps_and_within_the_bound() {
        for dimension in [1, 2, 7, 300] {
            for mut vector in vectors(200, dimension) {
                let norm = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
                let before = vector.clone();
                clip(&mut vector, 1.0);
                assert!(vector.iter().all(|value| value.fract() == 0.0));
                assert!(vector.iter().map(|value| value * value).sum::<f64>() <= STEPS * STEPS);
                let scale = STEPS / norm.max(1.0);
                assert!(vector.iter().zip(&before).all(|(a, b)| (a - b * scale).abs() < 1.0 + 1e-9));
            }
        }
        let mut zero = [0.0; 3];
        clip(&mut zero, 2.0);
        assert_eq!(zero, [0.0; 3]);
    }

    #[test]
    fn sums_equal_those_added_one_by_one_to_the_last_bit() {
        let vectors = vectors(1500, 5);
        let found = sums_of(&vectors, 3);
        for (group, sum) in found.iter().enumerate() {
            let (mut first, mut second, mut count) = ([0.0; 5], [0.0; 25], 0.0);
            for vector in vectors.iter().skip(group).step_by(3) {
                let mut clipped = vector.clone();
                clip(&mut clipped, 1.0);
                count += 1.0;
                for i in 0..5 {
                    first[i] += clipped[i];
                    (0..5).for_each(|j| second[i * 5 + j] += clipped[i] * clipped[j]);
                }
            }
            assert_eq!(sum.count, count);
            assert_eq!(sum.first, first.map(|value| value / STEPS));
            assert_eq!(sum.second, second.map(|value| value / (STEPS * STEPS)));
        }
    }

    #[test]
    fn one_record_more_changes_each_sum_by_that_record_exactly() {
        let mut vectors = vectors(901, 4);
        let with = sums_of(&vectors, 1).remove(0);
        let mut last = vectors.pop().expect("901 of them");
        let without = sums_of(&vectors, 1).remove(0);
        clip(&mut last, 1.0);
        for i in 0..4 {
            assert_eq!((with.first[i] - without.first[i]) * STEPS, last[i]);
            for j in 0..4 {
                let change = (with.second[i * 4 + j] - without.second[i * 4 + j]) * STEPS * STEPS;
                assert_eq!(change, last[i] * last[j]);
            }
        }
    }
}
