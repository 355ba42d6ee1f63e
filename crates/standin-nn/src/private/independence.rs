use burn::tensor::Tensor;
use standin_data::Seed;

use super::{PrivateBatch, Records};
use crate::{Error, Result};

/// Relative difference of a loss beyond which another example is taken to have caused it: far above what f32 leaves, far below
/// what normalising over a batch of two does.
const TOLERANCE: f64 = 1e-4;

/// Whether the loss of a row stays what it is when the row beside it is exchanged.
///
/// Only the answer leaves this function. It is a property of the network and not of the images, but for a network that
/// mixes on some inputs alone.
///
/// # Errors
/// If it does not, or as `losses`.
pub(super) fn check(
    records: &Records,
    seed: Seed,
    mut losses: impl FnMut(&PrivateBatch<'_>) -> Result<Tensor<1>>,
) -> Result<()> {
    if records.units() < 3 {
        return Ok(());
    }
    let first = |unit: usize| records.members(unit)[0];
    let mut loss = |beside: usize| -> Result<f64> {
        let indices = [first(0), first(beside)];
        let given: Vec<f64> = losses(&PrivateBatch { step: 0, indices: &indices, seed })?.into_data().iter().collect();
        if given.len() != indices.len() {
            return Err(Error::Losses { found: given.len(), rows: indices.len() });
        }
        Ok(given[0])
    };
    let (alone, beside) = (loss(1)?, loss(2)?);
    if (alone - beside).abs() <= TOLERANCE * alone.abs().max(beside.abs()) {
        return Ok(());
    }
    Err(Error::Mixed { alone, beside })
}
