//! Products of bytes on processors with AVX-512 VNNI.

use std::arch::x86_64::*;

use super::ByteRows;
use crate::simd::LANES;

/// Rows of a register tile, and panels of sixteen columns.
const ROWS: usize = 8;
const PANELS: usize = 2;

pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
}

/// See [`ByteRows::inner_products`], which has checked all lengths.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn inner_products(
    left: &ByteRows,
    packed: &ByteRows,
    factor: f32,
    of_left: &[f32],
    of_packed: &[f32],
    into: &mut [f32],
) {
    let (groups, columns) = (left.groups(), of_packed.len());
    let panels = columns.div_ceil(LANES);
    for panel in (0..panels).step_by(PANELS) {
        // Where there is no second panel the first is computed twice.
        let place = |at: usize| (panel + at).min(panels - 1);
        let of_panels: [&[[u32; LANES]]; PANELS] =
            std::array::from_fn(|at| &packed.panels[place(at) * groups..][..groups]);
        for (first, into) in (0..of_left.len()).step_by(ROWS).zip(into.chunks_mut(ROWS * columns)) {
            let row_at = |at: usize| (first + at).min(of_left.len() - 1);
            let rows: [&[u32]; ROWS] = std::array::from_fn(|at| &left.fours[row_at(at) * groups..][..groups]);
            let tile = tile(rows, of_panels);
            for (at, into) in into.chunks_mut(columns).enumerate() {
                let row = first + at;
                let step = factor * left.steps[row];
                for (panel, products) in (panel..panels).zip(tile[at]) {
                    let part = panel * LANES..columns.min((panel + 1) * LANES);
                    let live = (u32::from(u16::MAX) >> (LANES - part.len())) as __mmask16;
                    // 128 was added to every value of the packed side: so often is the sum of the left row too much.
                    let exact = _mm512_sub_epi32(products, _mm512_set1_epi32(128 * left.sums[row]));
                    let exact = _mm512_cvtepi32_ps(exact);
                    let (steps, of_packed) = (&packed.steps[part.clone()], &of_packed[part.clone()]);
                    // SAFETY: lanes past the ends of the slices, which are as long as the part, are neither read nor written.
                    unsafe {
                        let steps = _mm512_maskz_loadu_ps(live, steps.as_ptr());
                        let of_packed = _mm512_maskz_loadu_ps(live, of_packed.as_ptr());
                        let others = _mm512_add_ps(_mm512_set1_ps(of_left[row]), of_packed);
                        let steps = _mm512_mul_ps(_mm512_set1_ps(step), steps);
                        let found = _mm512_fmadd_ps(exact, steps, others);
                        _mm512_mask_storeu_ps(into[part].as_mut_ptr(), live, found);
                    }
                }
            }
        }
    }
}

/// Σ over the bytes of rows, signed, times those of panels, unsigned.
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
fn tile(rows: [&[u32]; ROWS], panels: [&[[u32; LANES]]; PANELS]) -> [[__m512i; PANELS]; ROWS] {
    let groups = panels[0].len();
    assert!(panels.iter().all(|panel| panel.len() == groups) && rows.iter().all(|row| row.len() == groups));
    let mut tile = [[_mm512_setzero_si512(); PANELS]; ROWS];
    for group in 0..groups {
        let mut vectors = [_mm512_setzero_si512(); PANELS];
        for (vector, panel) in vectors.iter_mut().zip(&panels) {
            // SAFETY: every panel has as many groups.
            *vector = unsafe { _mm512_loadu_si512(panel.as_ptr().add(group).cast()) };
        }
        for (row, sums) in rows.iter().zip(&mut tile) {
            // SAFETY: every row has as many groups.
            let four = _mm512_set1_epi32(unsafe { *row.get_unchecked(group) } as i32);
            for (sum, vector) in sums.iter_mut().zip(vectors) {
                *sum = _mm512_dpbusd_epi32(*sum, vector, four);
            }
        }
    }
    tile
}
