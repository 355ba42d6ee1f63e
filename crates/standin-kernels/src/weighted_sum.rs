use crate::instructions::{Instructions, Kernel};
use crate::parts::in_parts_alone;
use crate::simd::{LANES, Simd};
use crate::transpose::{load_part, store_part};

/// Columns of a task: few enough for a first-level cache.
const TASK: usize = 2048;

/// Σ weight·row of the rows of a matrix: of units' gradients, where all are kept, the clipped sum.
///
/// # Panics
/// If the numbers are not as many rows of `width` as there are weights.
pub fn weighted_sum(rows: &[f32], width: usize, weights: &[f32]) -> Vec<f32> {
    let count = weights.len();
    assert_eq!(rows.len(), count * width, "{count} rows of {width}");
    let instructions = Instructions::best();
    in_parts_alone(width, TASK, |part, into| {
        instructions.run(Columns { rows, width, weights, first: part * TASK, into });
    })
}

struct Columns<'a> {
    rows: &'a [f32],
    width: usize,
    weights: &'a [f32],
    first: usize,
    into: &'a mut [f32],
}

impl Kernel for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        for (row, &weight) in self.rows.chunks(self.width).zip(self.weights) {
            let weight = simd.splat(weight);
            let row = &row[self.first..self.first + self.into.len()];
            for (into, numbers) in self.into.chunks_mut(LANES).zip(row.chunks(LANES)) {
                let sum = simd.multiply_add(load_part(simd, numbers), weight, load_part(simd, into));
                store_part(simd, sum, into);
            }
        }
    }
}
