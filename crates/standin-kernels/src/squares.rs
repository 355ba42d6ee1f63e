use rayon::prelude::*;

use crate::instructions::{Instructions, Kernel};
use crate::simd::{LANES, Simd};
use crate::tile::sum_of_lanes;
use crate::transpose::load_part;

/// Vectors squared and summed in single precision before the sum is added in double precision.
const BLOCK: usize = 64 * LANES;

struct Squares<'a>(&'a [f32]);

impl Kernel for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) -> f64 {
        let mut total = 0.0;
        for block in self.0.chunks(BLOCK) {
            let mut sums = [simd.splat(0.0); 4];
            for numbers in block.chunks(4 * LANES) {
                for (sum, numbers) in sums.iter_mut().zip(numbers.chunks(LANES)) {
                    let vector = load_part(simd, numbers);
                    *sum = simd.multiply_add(vector, vector, *sum);
                }
            }
            let sums = simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3]));
            total += f64::from(sum_of_lanes(simd, sums));
        }
        total
    }
}

pub(crate) fn sum_on(instructions: Instructions, numbers: &[f32]) -> f64 {
    instructions.run(Squares(numbers))
}

/// Squared Euclidean norm of each row of a matrix: of each unit's gradient, where all are kept.
///
/// # Panics
/// If `width` is zero or the numbers are not whole rows.
pub fn squared_norms(rows: &[f32], width: usize) -> Vec<f64> {
    assert!(width > 0 && rows.len().is_multiple_of(width), "{} numbers are not rows of {width}", rows.len());
    let instructions = Instructions::best();
    rows.par_chunks(width).map(|row| sum_on(instructions, row)).collect()
}
