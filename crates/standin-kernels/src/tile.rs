//! Sums of products held in registers: the inner loops of everything here that is a convolution or a matrix product.
//!
//! Loops stand where `array::map` and `from_fn` would say the same: their closures are not always inlined, and a closure on
//! its own is compiled without the instructions.

use crate::offsets::Offsets;
use crate::simd::{LANES, Lanes, Simd};

/// `tile[i][p]` = Σₜ x[rows[i] + offsets[t]] · panels[p][t]: single numbers of `x`, anywhere in it, times vectors.
///
/// With rows for positions, offsets for taps and panels of weights this is a convolution; with rows for taps, offsets for
/// positions and panels of output gradients it is the gradient of the weights; with equal steps it is a matrix product.
#[inline(always)]
pub(crate) fn broadcast<S: Simd, const ROWS: usize, const PANELS: usize>(
    simd: S,
    x: &[f32],
    rows: &[u32; ROWS],
    offsets: Offsets<'_>,
    panels: [&[Lanes]; PANELS],
) -> [[S::Vector; PANELS]; ROWS] {
    let furthest = rows.iter().fold(0, |most, &row| most.max(row as usize));
    assert!(furthest + offsets.reach() < x.len(), "a tile stays inside its numbers");
    let panels = panels.map(|panel| &panel[..offsets.values().len()]);
    let mut tile = [[simd.splat(0.0); PANELS]; ROWS];
    // Neighbours need one address instead of one each, which is worth it where each is used only once.
    let first = rows[0] as usize;
    let adjacent = || rows.iter().enumerate().all(|(at, &row)| row as usize == first + at);
    if PANELS == 1 && rows[ROWS - 1] as usize == first + ROWS - 1 && adjacent() {
        for (at, &offset) in offsets.values().iter().enumerate() {
            let mut vectors = [simd.splat(0.0); PANELS];
            for (vector, panel) in vectors.iter_mut().zip(&panels) {
                // SAFETY: every panel was cut to as many vectors as there are offsets.
                *vector = simd.load(unsafe { panel.get_unchecked(at) });
            }
            // SAFETY: the last row is `furthest`, and no offset is past the reach; their sum was checked to be inside.
            let numbers: &[f32; ROWS] = unsafe { &*x.as_ptr().add(first + offset as usize).cast() };
            for (number, sums) in numbers.iter().zip(&mut tile) {
                let number = simd.splat(*number);
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = simd.multiply_add(number, vector, *sum);
                }
            }
        }
        return tile;
    }
    for (at, &offset) in offsets.values().iter().enumerate() {
        let mut vectors = [simd.splat(0.0); PANELS];
        for (vector, panel) in vectors.iter_mut().zip(&panels) {
            // SAFETY: every panel was cut to as many vectors as there are offsets.
            *vector = simd.load(unsafe { panel.get_unchecked(at) });
        }
        for (row, sums) in rows.iter().zip(&mut tile) {
            // SAFETY: no row is past `furthest` and no offset past the reach; their sum was checked to be inside.
            let number = simd.splat(unsafe { *x.get_unchecked(*row as usize + offset as usize) });
            for (sum, vector) in sums.iter_mut().zip(vectors) {
                *sum = simd.multiply_add(number, vector, *sum);
            }
        }
    }
    tile
}

/// `tile[o][v]` = Σₜ weights[t][o] · x[start + offsets[t] + 16v ..]: vectors of adjacent numbers of `x` times single
/// weights.
#[inline(always)]
pub(crate) fn stream<S: Simd, const OUTPUTS: usize, const VECTORS: usize>(
    simd: S,
    x: &[f32],
    start: usize,
    offsets: Offsets<'_>,
    weights: &[[f32; OUTPUTS]],
) -> [[S::Vector; VECTORS]; OUTPUTS] {
    assert!(start + offsets.reach() + VECTORS * LANES <= x.len(), "a tile stays inside its numbers");
    let mut tile = [[simd.splat(0.0); VECTORS]; OUTPUTS];
    for (&offset, weights) in offsets.values().iter().zip(weights) {
        let from = start + offset as usize;
        let mut vectors = [simd.splat(0.0); VECTORS];
        for (at, vector) in vectors.iter_mut().enumerate() {
            // SAFETY: the last vector at the greatest offset was checked to end inside.
            *vector = simd.load(unsafe { lanes_at(x, from + LANES * at) });
        }
        for (&weight, sums) in weights.iter().zip(&mut tile) {
            let weight = simd.splat(weight);
            for (sum, vector) in sums.iter_mut().zip(vectors) {
                *sum = simd.multiply_add(weight, vector, *sum);
            }
        }
    }
    tile
}

/// `tile[i][o]` = Σᵥ x[rows[i] + 16v ..] · of[o][v], to be summed over its lanes: adjacent numbers times adjacent numbers.
#[inline(always)]
pub(crate) fn dot<S: Simd, const ROWS: usize, const OUTPUTS: usize>(
    simd: S,
    x: &[f32],
    rows: &[u32; ROWS],
    of: [&[Lanes]; OUTPUTS],
) -> [[S::Vector; OUTPUTS]; ROWS] {
    let vectors = of.iter().fold(usize::MAX, |least, of| least.min(of.len()));
    let furthest = rows.iter().fold(0, |most, &row| most.max(row as usize));
    assert!(furthest + vectors * LANES <= x.len(), "a tile stays inside its numbers");
    let mut tile = [[simd.splat(0.0); OUTPUTS]; ROWS];
    for at in 0..vectors {
        let mut factors = [simd.splat(0.0); OUTPUTS];
        for (factor, of) in factors.iter_mut().zip(&of) {
            // SAFETY: no factor has fewer than `vectors` vectors.
            *factor = simd.load(unsafe { of.get_unchecked(at) });
        }
        for (row, sums) in rows.iter().zip(&mut tile) {
            // SAFETY: the last vector from the furthest row was checked to end inside.
            let numbers = simd.load(unsafe { lanes_at(x, *row as usize + LANES * at) });
            for (sum, factor) in sums.iter_mut().zip(factors) {
                *sum = simd.multiply_add(numbers, factor, *sum);
            }
        }
    }
    tile
}

/// Sixteen numbers from `start`.
///
/// # Safety
/// `start + 16` is at most the length of `x`.
#[inline(always)]
unsafe fn lanes_at(x: &[f32], start: usize) -> &Lanes {
    // SAFETY: the caller keeps `start + 16` inside; `Lanes` is sixteen `f32` with their alignment.
    unsafe { &*x.as_ptr().add(start).cast::<Lanes>() }
}

/// Sum of the lanes, in pairs.
#[inline(always)]
pub(crate) fn sum_of_lanes<S: Simd>(simd: S, vector: S::Vector) -> f32 {
    let mut values = [0.0; LANES];
    simd.store(vector, &mut values);
    let mut width = LANES / 2;
    while width > 0 {
        for at in 0..width {
            values[at] += values[at + width];
        }
        width /= 2;
    }
    values[0]
}
