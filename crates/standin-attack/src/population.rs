use standin_data::Seed;
use standin_encode::Embedding;
use standin_measure::{Estimate, two_sample_neighbours};

use crate::Result;

/// Rows of either side that are compared.
const COMPARED: usize = 2000;

/// The share of members and non-members whose nearest other is of their own side, at most 2000 of each, evenly spaced: ½ where
/// both are of one population, as every attack's evaluation assumes (Schilling 1986; the interval is that of [`two_sample_neighbours`]).
///
/// Where its interval lies above ½ the two differ by themselves, and an attack may succeed without any leak.
///
/// # Errors
/// If a side has fewer than 2 rows, or their protocols differ.
pub fn population(members: &Embedding, non_members: &Embedding, seed: Seed) -> Result<Estimate> {
    let some = |set: &Embedding| {
        let count = set.rows().min(COMPARED);
        set.select(&(0..count).map(|at| at * set.rows() / count).collect::<Vec<_>>())
    };
    Ok(two_sample_neighbours(&some(members), &some(non_members), seed)?)
}
