//! Products of matrices in rows, with sixteen columns of the second side by side.

use rayon::prelude::*;

use crate::instructions::{Instructions, Kernel};
use crate::offsets::Offsets;
use crate::simd::{LANES, Lanes, Simd};
use crate::tile;
use crate::transpose::{load_part, side_by_side, store_part};

/// Products summed in registers before the sum is put away.
const BLOCK: usize = 768;

/// As few equal blocks as hold `length` with at most `most` each.
pub(crate) fn blocks(length: usize, most: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let block = length.div_ceil(length.div_ceil(most).max(1)).max(1);
    (0..length).step_by(block).map(move |start| start..length.min(start + block))
}

/// `into[i·pitch + j]` = Σₜ x[rows[i] + offsets[t]] · panels[j / 16][t][j mod 16] for the first `columns` columns.
pub(crate) struct Product<'a> {
    pub x: &'a [f32],
    pub rows: &'a [u32],
    pub offsets: Offsets<'a>,
    pub panels: &'a [Lanes],
    /// Added once to every row, where there is one.
    pub bias: Option<&'a [f32]>,
    /// Added once to every column, where there is one.
    pub of_rows: Option<&'a [f32]>,
    pub columns: usize,
    pub pitch: usize,
    pub into: &'a mut [f32],
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(mut self, simd: S) {
        let panels = self.columns.div_ceil(LANES);
        for terms in blocks(self.offsets.values().len(), BLOCK) {
            let mut panel = 0;
            while panel < panels {
                if ROWS >= 8 && panel + 1 < panels {
                    self.panels_at::<S, ROWS, 2>(simd, panel, terms.clone());
                    panel += 2;
                } else if ROWS >= 8 {
                    self.panels_at::<S, 16, 1>(simd, panel, terms.clone());
                    panel += 1;
                } else {
                    self.panels_at::<S, ROWS, 1>(simd, panel, terms.clone());
                    panel += 1;
                }
            }
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn panels_at<S: Simd, const ROWS: usize, const PANELS: usize>(
        &mut self,
        simd: S,
        panel: usize,
        terms: std::ops::Range<usize>,
    ) {
        let length = self.offsets.values().len();
        let mut panels = [self.panels; PANELS];
        for (at, panel) in (panel..).zip(&mut panels) {
            *panel = &self.panels[at * length + terms.start..at * length + terms.end];
        }
        let offsets = self.offsets.part(terms.clone());
        for (block, (rows, into)) in self.rows.chunks(ROWS).zip(self.into.chunks_mut(ROWS * self.pitch)).enumerate() {
            let mut starts = [rows[0]; ROWS];
            starts[..rows.len()].copy_from_slice(rows);
            let tile = tile::broadcast::<S, ROWS, PANELS>(simd, self.x, &starts, offsets, panels);
            for (row, (sums, into)) in tile.iter().zip(into.chunks_mut(self.pitch)).enumerate() {
                let of_row = match self.of_rows {
                    Some(of_rows) => simd.splat(of_rows[block * ROWS + row]),
                    None => simd.splat(0.0),
                };
                for (at, sum) in (panel..).zip(sums) {
                    let columns = at * LANES..self.columns.min((at + 1) * LANES);
                    let into = &mut into[columns.clone()];
                    let before = match (terms.start, self.bias) {
                        (0, None) => of_row,
                        (0, Some(bias)) => simd.add(of_row, load_part(simd, &bias[columns])),
                        _ => load_part(simd, into),
                    };
                    store_part(simd, simd.add(before, *sum), into);
                }
            }
        }
    }
}

/// The columns of a matrix in rows, sixteen side by side: panel by panel, row by row.
pub(crate) fn panels_of_columns(matrix: &[f32], columns: usize) -> Vec<Lanes> {
    let rows = matrix.len() / columns;
    let mut panels = vec![[0.0; LANES]; columns.div_ceil(LANES) * rows];
    panels.par_chunks_mut(rows).enumerate().for_each(|(panel, into)| {
        let start = panel * LANES;
        let live = LANES.min(columns - start);
        for (into, row) in into.iter_mut().zip(matrix.chunks(columns)) {
            into[..live].copy_from_slice(&row[start..start + live]);
        }
    });
    panels
}

/// The rows of a matrix, sixteen side by side: panel by panel, column by column.
pub(crate) fn panels_of_rows(instructions: Instructions, matrix: &[f32], columns: usize) -> Vec<Lanes> {
    let rows = matrix.len() / columns;
    let mut panels = vec![[0.0; LANES]; rows.div_ceil(LANES) * columns];
    panels.par_chunks_mut(columns).zip(matrix.par_chunks(LANES * columns)).for_each(|(into, from)| {
        instructions.run(SideBySide { from, into });
    });
    panels
}

struct SideBySide<'a> {
    from: &'a [f32],
    into: &'a mut [Lanes],
}

impl Kernel for SideBySide<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        let columns = self.into.len();
        side_by_side(simd, self.from, columns, self.from.len() / columns, 1.0, self.into);
    }
}
