//! Sums over taps with adjacent positions of the result side by side: for few channels, as in depthwise convolutions, and
//! for few products.

use std::ops::Range;

use crate::instructions::Kernel;
use crate::offsets::Offsets;
use crate::simd::{LANES, Simd};
use crate::tile;

/// The channels of a result in the blocks that share what is read: of four, then of two, then of one.
pub(super) fn blocks(channels: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let size = match channels - start {
            0 => return None,
            1 => 1,
            2 | 3 => 2,
            _ => 4,
        };
        start += size;
        Some(start - size..start)
    })
}

/// The sums of one class of positions of one sample for one group of channels.
///
/// What lies between two rows of positions in the padded image is summed as well and thrown away: it costs less than
/// stopping at the end of each row.
pub(super) struct Sum<'a> {
    /// The padded sample, from the group's first channel on.
    pub x: &'a [f32],
    /// Start of each row of positions, in the sample and in the result.
    pub runs: &'a [(u32, u32)],
    /// Positions of a row, and their distance in the result.
    pub length: usize,
    pub step: usize,
    pub offsets: Offsets<'a>,
    /// Weights block by block of channels, tap by tap.
    pub weights: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub channels: usize,
    /// From one channel of the result to the next.
    pub pitch: usize,
    pub into: &'a mut [f32],
    pub scratch: &'a mut Vec<f32>,
}

impl Kernel for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(mut self, simd: S) {
        for block in blocks(self.channels) {
            match (block.len(), ROWS >= 8) {
                (4, true) => self.block::<S, 4, 4>(simd, block),
                (4, false) => self.block::<S, 4, 1>(simd, block),
                (2, true) => self.block::<S, 2, 8>(simd, block),
                (2, false) => self.block::<S, 2, 2>(simd, block),
                (_, true) => self.block::<S, 1, 8>(simd, block),
                (_, false) => self.block::<S, 1, 3>(simd, block),
            }
        }
    }
}

impl Sum<'_> {
    #[inline(always)]
    fn block<S: Simd, const CHANNELS: usize, const VECTORS: usize>(&mut self, simd: S, block: Range<usize>) {
        let (Some(first), Some(last)) = (self.runs.first(), self.runs.last()) else { return };
        let first = first.0 as usize;
        let vectors = (last.0 as usize + self.length - first).div_ceil(LANES);
        let products = self.offsets.values().len();
        let (weights, _) = self.weights[block.start * products..block.end * products].as_chunks::<CHANNELS>();
        self.scratch.resize(CHANNELS * vectors * LANES, 0.0);
        let mut at = 0;
        while at + VECTORS <= vectors {
            let tile = tile::stream::<S, CHANNELS, VECTORS>(simd, self.x, first + at * LANES, self.offsets, weights);
            self.keep(simd, tile, at, vectors);
            at += VECTORS;
        }
        while at < vectors {
            let tile = tile::stream::<S, CHANNELS, 1>(simd, self.x, first + at * LANES, self.offsets, weights);
            self.keep(simd, tile, at, vectors);
            at += 1;
        }
        for (place, channel) in block.enumerate() {
            let bias = self.bias.map_or(0.0, |bias| bias[channel]);
            let sums = &self.scratch[place * vectors * LANES..];
            let into = &mut self.into[channel * self.pitch..];
            for &(source, destination) in self.runs {
                let sums = &sums[source as usize - first..][..self.length];
                let into = &mut into[destination as usize..];
                if self.step == 1 {
                    for (into, sum) in into.iter_mut().zip(sums) {
                        *into = sum + bias;
                    }
                } else {
                    for (into, sum) in into.iter_mut().step_by(self.step).zip(sums) {
                        *into = sum + bias;
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn keep<S: Simd, const CHANNELS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        tile: [[S::Vector; VECTORS]; CHANNELS],
        at: usize,
        vectors: usize,
    ) {
        let (scratch, _) = self.scratch.as_chunks_mut::<LANES>();
        for (channel, sums) in tile.into_iter().enumerate() {
            for (into, sum) in scratch[channel * vectors + at..].iter_mut().zip(sums) {
                simd.store(sum, into);
            }
        }
    }
}
