//! Between channels in rows, as images lie in memory, and sixteen channels side by side, as register tiles take them.

use crate::simd::{LANES, Lanes, Simd};

/// The first sixteen numbers, with zeros after where there are fewer.
#[inline(always)]
pub(crate) fn load_part<S: Simd>(simd: S, from: &[f32]) -> S::Vector {
    match from.first_chunk::<LANES>() {
        Some(full) => simd.load(full),
        None => simd.load_first(from),
    }
}

/// As many lanes as `into` holds, at most sixteen.
#[inline(always)]
pub(crate) fn store_part<S: Simd>(simd: S, vector: S::Vector, into: &mut [f32]) {
    match into.first_chunk_mut::<LANES>() {
        Some(full) => simd.store(vector, full),
        None => simd.store_first(vector, into),
    }
}

/// `into[t][j]` = factor · from[j·pitch + t] for the `rows` ≤ 16 rows there are; zero for the others.
#[inline(always)]
pub(crate) fn side_by_side<S: Simd>(simd: S, from: &[f32], pitch: usize, rows: usize, factor: f32, into: &mut [Lanes]) {
    let factor = simd.splat(factor);
    let length = into.len();
    for (at, into) in into.chunks_mut(LANES).enumerate() {
        let start = at * LANES;
        let end = length.min(start + LANES);
        let mut block = [simd.splat(0.0); LANES];
        for (row, vector) in block.iter_mut().enumerate().take(rows) {
            *vector = simd.multiply(load_part(simd, &from[row * pitch + start..row * pitch + end]), factor);
        }
        for (column, into) in simd.transpose(block).into_iter().zip(into) {
            simd.store(column, into);
        }
    }
}

/// `into[j·pitch + t]` = from[t][j] for the `rows` ≤ 16 lanes that are wanted.
#[inline(always)]
pub(crate) fn in_rows<S: Simd>(simd: S, from: &[Lanes], rows: usize, into: &mut [f32], pitch: usize) {
    for (at, from) in from.chunks(LANES).enumerate() {
        let mut block = [simd.splat(0.0); LANES];
        for (vector, lanes) in block.iter_mut().zip(from) {
            *vector = simd.load(lanes);
        }
        for (row, vector) in simd.transpose(block).into_iter().enumerate().take(rows) {
            store_part(simd, vector, &mut into[row * pitch + at * LANES..][..from.len()]);
        }
    }
}
