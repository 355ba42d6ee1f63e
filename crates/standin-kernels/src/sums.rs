use crate::simd::{LANES, Simd};
use crate::tile::sum_of_lanes;
use crate::transpose::load_part;

/// Numbers summed in single precision before the sum is added in double precision.
const BLOCK: usize = 64 * LANES;

/// Σ(x − c) and Σ(x − c)².
#[inline(always)]
pub(crate) fn moments_about<S: Simd>(simd: S, x: &[f32], centre: f32) -> (f64, f64) {
    let centre = simd.splat(centre);
    let (mut first, mut second) = (0.0, 0.0);
    for block in x.chunks(BLOCK) {
        let mut sums = [simd.splat(0.0); 4];
        let mut squares = [simd.splat(0.0); 4];
        let (fours, rest) = block.as_chunks::<{ 4 * LANES }>();
        for numbers in fours {
            let (numbers, _) = numbers.as_chunks::<LANES>();
            for ((sum, square), numbers) in sums.iter_mut().zip(&mut squares).zip(numbers) {
                let from_centre = simd.subtract(simd.load(numbers), centre);
                *sum = simd.add(*sum, from_centre);
                *square = simd.multiply_add(from_centre, from_centre, *square);
            }
        }
        let (vectors, rest) = rest.as_chunks::<LANES>();
        for ((sum, square), numbers) in sums.iter_mut().zip(&mut squares).zip(vectors) {
            let from_centre = simd.subtract(simd.load(numbers), centre);
            *sum = simd.add(*sum, from_centre);
            *square = simd.multiply_add(from_centre, from_centre, *square);
        }
        if !rest.is_empty() {
            // The lanes past the end are at the centre, and add nothing.
            let mut values = [0.0; LANES];
            simd.store(centre, &mut values);
            values[..rest.len()].copy_from_slice(rest);
            let from_centre = simd.subtract(simd.load(&values), centre);
            sums[3] = simd.add(sums[3], from_centre);
            squares[3] = simd.multiply_add(from_centre, from_centre, squares[3]);
        }
        let pairs = |of: [S::Vector; 4]| simd.add(simd.add(of[0], of[1]), simd.add(of[2], of[3]));
        first += f64::from(sum_of_lanes(simd, pairs(sums)));
        second += f64::from(sum_of_lanes(simd, pairs(squares)));
    }
    (first, second)
}

/// Σx.
#[inline(always)]
pub(crate) fn sum<S: Simd>(simd: S, x: &[f32]) -> f64 {
    let mut total = 0.0;
    for block in x.chunks(BLOCK) {
        let mut sums = [simd.splat(0.0); 4];
        for numbers in block.chunks(4 * LANES) {
            for (sum, numbers) in sums.iter_mut().zip(numbers.chunks(LANES)) {
                *sum = simd.add(*sum, load_part(simd, numbers));
            }
        }
        total += f64::from(sum_of_lanes(simd, simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3]))));
    }
    total
}
