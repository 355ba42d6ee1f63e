//! Sums over taps with sixteen or thirty-two channels of the result side by side.

use crate::instructions::Kernel;
use crate::offsets::Offsets;
use crate::product::blocks;
use crate::simd::{LANES, Lanes, Simd};
use crate::tile;
use crate::transpose::load_part;

/// Products summed in registers before the sum is put away: what is read meanwhile stays in the second-level cache, and
/// the sums of sums are the more exact.
const BLOCK: usize = 768;

/// The sums of one class of positions for one group of channels.
pub(super) struct Sum<'a> {
    /// Padded samples, from the group's first channel on.
    pub x: &'a [f32],
    pub sources: &'a [u32],
    pub destinations: &'a [u32],
    pub offsets: Offsets<'a>,
    /// Weights: panel by panel, tap by tap, sixteen channels side by side.
    pub panels: &'a [Lanes],
    pub bias: Option<&'a [f32]>,
    pub channels: usize,
    /// From one channel of the result to the next.
    pub pitch: usize,
    pub into: &'a mut [f32],
}

impl Kernel for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(mut self, simd: S) {
        let panels = self.channels.div_ceil(LANES);
        for taps in blocks(self.offsets.values().len(), BLOCK) {
            let mut panel = 0;
            while panel < panels {
                if ROWS >= 8 && panel + 1 < panels {
                    self.panels_at::<S, ROWS, 2>(simd, panel, taps.clone());
                    panel += 2;
                } else if ROWS >= 8 {
                    self.panels_at::<S, 16, 1>(simd, panel, taps.clone());
                    panel += 1;
                } else {
                    self.panels_at::<S, ROWS, 1>(simd, panel, taps.clone());
                    panel += 1;
                }
            }
        }
    }
}

impl Sum<'_> {
    #[inline(always)]
    fn panels_at<S: Simd, const ROWS: usize, const PANELS: usize>(
        &mut self,
        simd: S,
        panel: usize,
        taps: std::ops::Range<usize>,
    ) {
        let products = self.offsets.values().len();
        let panels = std::array::from_fn(|at| &self.panels[(panel + at) * products..][taps.start..taps.end]);
        let mut start = [simd.splat(0.0); PANELS];
        if let (Some(bias), 0) = (self.bias, taps.start) {
            for (start, bias) in start.iter_mut().zip(bias[panel * LANES..].chunks(LANES)) {
                *start = load_part(simd, bias);
            }
        }
        let offsets = self.offsets.part(taps.clone());
        for (sources, destinations) in self.sources.chunks(ROWS).zip(self.destinations.chunks(ROWS)) {
            let mut rows = [sources[0]; ROWS];
            rows[..sources.len()].copy_from_slice(sources);
            let tile = tile::broadcast::<S, ROWS, PANELS>(simd, self.x, &rows, offsets, panels);
            for at in 0..PANELS {
                let mut block = [simd.splat(0.0); LANES];
                for (row, sums) in block.iter_mut().zip(&tile) {
                    *row = simd.add(sums[at], start[at]);
                }
                put_in_rows::<S, ROWS>(
                    simd,
                    block,
                    destinations,
                    self.channels - (panel + at) * LANES,
                    taps.start > 0,
                    &mut self.into[(panel + at) * LANES * self.pitch..],
                    self.pitch,
                );
            }
        }
    }
}

/// Writes, or adds where some of the sum is there already, the lanes of each row of a tile to that row's place in as many
/// channels.
#[inline(always)]
fn put_in_rows<S: Simd, const ROWS: usize>(
    simd: S,
    block: [S::Vector; LANES],
    places: &[u32],
    channels: usize,
    add: bool,
    into: &mut [f32],
    pitch: usize,
) {
    let columns = simd.transpose(block);
    let first = places[0] as usize;
    let adjacent = places.len() == ROWS && places[ROWS - 1] as usize == first + ROWS - 1;
    for (channel, column) in columns.iter().enumerate().take(channels) {
        let mut values = [0.0; LANES];
        simd.store(*column, &mut values);
        let into = &mut into[channel * pitch..];
        if adjacent {
            // A copy of fixed length: faster than the masked stores that the rows would take otherwise.
            let into: &mut [f32; ROWS] = into[first..].first_chunk_mut().expect("the places are inside");
            for (into, value) in into.iter_mut().zip(values) {
                *into = if add { *into + value } else { value };
            }
        } else {
            for (&place, value) in places.iter().zip(values) {
                let into = &mut into[place as usize];
                *into = if add { *into + value } else { value };
            }
        }
    }
}
