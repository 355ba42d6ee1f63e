//! The gradient of the weights: of a weighted sum of samples, or of each unit.

use std::ops::Range;

use rayon::prelude::*;

use super::Convolution;
use super::ghost::Ghost;
use super::plan::{Direction, Plan, prefers_positions};
use crate::instructions::{Instructions, Kernel};
use crate::offsets::Offsets;
use crate::parts::in_parts;
use crate::product::blocks;
use crate::simd::{LANES, Lanes, Simd};
use crate::transpose::{in_rows, side_by_side};
use crate::units::Units;
use crate::{squares, tile};

/// Positions summed in registers before the sums are put away.
const BLOCK: usize = 768;

/// What the sums of one task may hold, so that they stay in a second-level cache.
const SUMS: usize = 80 * 1024;

/// Tasks to share among threads. Their number does not depend on that of the threads, and so neither do the sums.
const TASKS: usize = 16;

/// Rows of every register tile divide this.
const ROWS_TOGETHER: usize = 48;

/// Buffers of one thread.
struct Workspace {
    x: Vec<f32>,
    panels: Vec<Lanes>,
    sums: Vec<Lanes>,
}

/// How gradients are summed for one geometry.
pub(super) struct Gradient {
    pub plan: Plan,
    /// Weights of an output channel.
    pub products: usize,
    /// Whether vectors hold positions, else output channels.
    by_position: bool,
    /// Output channels whose gradients one task sums.
    block: usize,
}

impl Gradient {
    pub(super) fn new(geometry: &Convolution) -> Self {
        let (from, to) = (geometry.inputs / geometry.groups, geometry.outputs / geometry.groups);
        let products = from * geometry.taps();
        let block = (SUMS / products / LANES * LANES).clamp(2 * LANES, 4 * LANES);
        // With tasks enough among output channels, samples need not be shared out.
        let tasks = geometry.groups * to.div_ceil(block);
        let most = if tasks >= TASKS / 2 { geometry.batch } else { geometry.batch * tasks / TASKS };
        let plan = Plan::new(geometry, Direction::Forward, 1, most);
        Self { by_position: prefers_positions(to, products), plan, products, block }
    }

    fn workspace(&self) -> Workspace {
        Workspace { x: self.plan.buffer(), panels: Vec::new(), sums: Vec::new() }
    }

    /// Sums the gradients of one group's outputs over samples, each times its factor, into `workspace.sums`.
    fn sum(
        &self,
        instructions: Instructions,
        (x, output_gradient): (&[f32], &[f32]),
        samples: &[u32],
        factors: Option<&[f32]>,
        (group, outputs): (usize, Range<usize>),
        workspace: &mut Workspace,
    ) {
        let panels = outputs.len().div_ceil(LANES);
        let sums = match self.by_position {
            true => (outputs.len() * self.products).div_ceil(LANES),
            false => panels * self.products.next_multiple_of(ROWS_TOGETHER),
        };
        workspace.sums.clear();
        workspace.sums.resize(sums, [0.0; LANES]);
        for samples in samples.chunks(self.plan.samples) {
            for band in 0..self.plan.bands {
                self.plan.fill(instructions, x, samples, group, band, &mut workspace.x);
                instructions.run(Accumulate {
                    gradient: self,
                    x: &workspace.x,
                    output_gradient,
                    samples,
                    factors,
                    group,
                    outputs: outputs.clone(),
                    band: self.plan.band(band),
                    panels: &mut workspace.panels,
                    sums: &mut workspace.sums,
                });
            }
        }
    }

    /// The sums in the order of the weights.
    fn in_order(&self, instructions: Instructions, sums: &[Lanes], into: &mut [f32]) {
        if self.by_position {
            into.copy_from_slice(&sums.as_flattened()[..into.len()]);
        } else {
            instructions.run(InOrder { sums, products: self.products, into });
        }
    }

    fn squared_norm(&self, instructions: Instructions, sums: &[Lanes]) -> f64 {
        if self.by_position {
            return squares::sum_on(instructions, sums.as_flattened());
        }
        // The rows that fill a panel up repeat others.
        let panels = sums.chunks(self.products.next_multiple_of(ROWS_TOGETHER));
        panels.map(|panel| squares::sum_on(instructions, panel[..self.products].as_flattened())).sum()
    }
}

impl Convolution {
    pub(super) fn weight_gradient_on(
        &self,
        instructions: Instructions,
        x: &[f32],
        output_gradient: &[f32],
        factors: Option<&[f32]>,
    ) -> Vec<f32> {
        let gradient = Gradient::new(self);
        let Plan { groups, to, samples: together, .. } = gradient.plan;
        let samples: Vec<u32> = (0..self.batch as u32).collect();
        let of_group: Vec<_> =
            (0..to).step_by(gradient.block).map(|start| start..to.min(start + gradient.block)).collect();
        let chunks = self.batch.div_ceil(together);
        // Each part of the samples takes another copy of the weights.
        let tasks = groups * of_group.len();
        let parts = if tasks >= TASKS / 2 { 1 } else { TASKS.div_ceil(tasks).min(chunks.max(1)) };
        let part = together * chunks.div_ceil(parts).max(1);
        let tasks: Vec<_> = (0..groups)
            .flat_map(|group| of_group.iter().map(move |outputs| (group, outputs)))
            .flat_map(|(group, outputs)| samples.chunks(part).map(move |samples| (group, outputs.clone(), samples)))
            .collect();
        let sums: Vec<Vec<f32>> = tasks
            .par_iter()
            .map_init(
                || gradient.workspace(),
                |workspace, (group, outputs, samples)| {
                    let block = (*group, outputs.clone());
                    gradient.sum(instructions, (x, output_gradient), samples, factors, block, workspace);
                    let mut into = vec![0.0; outputs.len() * gradient.products];
                    gradient.in_order(instructions, &workspace.sums, &mut into);
                    into
                },
            )
            .collect();
        let of_samples = tasks.len() / (groups * of_group.len());
        // The outputs of a group are in blocks of which the last may be smaller.
        let of_groups = sums.par_chunks(of_samples * of_group.len());
        let width = to * gradient.products;
        in_parts(
            groups * width,
            width,
            of_groups,
            || (),
            |(), _, into, of_blocks| {
                let blocks =
                    into.par_chunks_mut(gradient.block * gradient.products).zip(of_blocks.par_chunks(of_samples));
                blocks.for_each(|(into, of_samples)| {
                    for sums in of_samples {
                        for (into, sum) in into.iter_mut().zip(sums) {
                            *into += sum;
                        }
                    }
                });
            },
        )
    }

    pub(super) fn unit_gradients_on(
        &self,
        instructions: Instructions,
        x: &[f32],
        output_gradient: &[f32],
        units: &Units,
    ) -> Vec<f32> {
        let gradient = Gradient::new(self);
        let of_group = gradient.plan.to * gradient.products;
        let weights = self.weights();
        let each = (0..units.len()).into_par_iter();
        in_parts(
            units.len() * weights,
            weights,
            each,
            || gradient.workspace(),
            |workspace, _, into, unit| {
                for (group, into) in into.chunks_mut(of_group).enumerate() {
                    let block = (group, 0..gradient.plan.to);
                    gradient.sum(instructions, (x, output_gradient), units.members(unit), None, block, workspace);
                    gradient.in_order(instructions, &workspace.sums, into);
                }
            },
        )
    }

    /// Squared norms of the units' gradients, which are made and forgotten one after the other, or not made at all.
    pub(super) fn unit_squared_norms_on(
        &self,
        instructions: Instructions,
        x: &[f32],
        output_gradient: &[f32],
        units: &Units,
    ) -> Vec<f64> {
        let gradient = Gradient::new(self);
        let norm = |(workspace, ghost): &mut (Workspace, Ghost), unit: usize| {
            let samples = units.members(unit);
            let of_groups = (0..self.groups).map(|group| {
                if gradient.prefers_pairs(samples.len()) {
                    let numbers = (x, output_gradient);
                    return gradient.squared_norm_of_pairs(instructions, numbers, samples, group, ghost);
                }
                let block = (group, 0..gradient.plan.to);
                gradient.sum(instructions, (x, output_gradient), samples, None, block, workspace);
                gradient.squared_norm(instructions, &workspace.sums)
            });
            of_groups.sum()
        };
        let workspace = || (gradient.workspace(), Ghost::default());
        (0..units.len()).into_par_iter().map_init(workspace, norm).collect()
    }
}

struct InOrder<'a> {
    sums: &'a [Lanes],
    products: usize,
    into: &'a mut [f32],
}

impl Kernel for InOrder<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        let panels = self.sums.chunks(self.products.next_multiple_of(ROWS_TOGETHER));
        for (panel, into) in panels.zip(self.into.chunks_mut(LANES * self.products)) {
            let rows = into.len() / self.products;
            in_rows(simd, &panel[..self.products], rows, into, self.products);
        }
    }
}

/// Adds the gradients of a band of some samples.
struct Accumulate<'a> {
    gradient: &'a Gradient,
    /// The padded samples.
    x: &'a [f32],
    output_gradient: &'a [f32],
    samples: &'a [u32],
    factors: Option<&'a [f32]>,
    group: usize,
    outputs: Range<usize>,
    band: (usize, usize),
    panels: &'a mut Vec<Lanes>,
    sums: &'a mut [Lanes],
}

impl Kernel for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(mut self, simd: S) {
        if self.gradient.by_position {
            self.by_position::<S, ROWS>(simd);
            return;
        }
        let panels = self.outputs.len().div_ceil(LANES);
        let mut panel = 0;
        while panel < panels {
            if ROWS >= 8 && panel + 1 < panels {
                self.by_channel::<S, ROWS, 2>(simd, panel);
                panel += 2;
            } else if ROWS >= 8 {
                self.by_channel::<S, 16, 1>(simd, panel);
                panel += 1;
            } else {
                self.by_channel::<S, ROWS, 1>(simd, panel);
                panel += 1;
            }
        }
    }
}

impl Accumulate<'_> {
    fn factor(&self, sample: u32) -> f32 {
        self.factors.map_or(1.0, |factors| factors[sample as usize])
    }

    /// Output gradients of the band of one sample and an output channel of the group, and what follows in memory.
    fn gradients(&self, sample: u32, output: usize) -> &[f32] {
        let plan = &self.gradient.plan;
        let channel = (sample as usize * plan.groups + self.group) * plan.to + output;
        &self.output_gradient[channel * plan.destination + self.band.0 * plan.inner..]
    }

    #[inline(always)]
    fn by_channel<S: Simd, const ROWS: usize, const PANELS: usize>(&mut self, simd: S, panel: usize) {
        let plan = &self.gradient.plan;
        let class = &plan.classes[0];
        let count = class.rows(self.band.1) * class.length;
        let positions = self.samples.len() * count;
        let mut side = std::mem::take(self.panels);
        side.resize(PANELS * positions, [0.0; LANES]);
        for (at, side) in side.chunks_mut(positions).enumerate() {
            let first = (panel + at) * LANES;
            let live = LANES.min(self.outputs.len() - first);
            for (&sample, side) in self.samples.iter().zip(side.chunks_mut(count)) {
                let from = self.gradients(sample, self.outputs.start + first);
                side_by_side(simd, from, plan.destination, live, self.factor(sample), side);
            }
        }
        let products = self.gradient.products;
        let taps = class.offsets().values();
        let sources = Offsets::new(&class.sources[..positions]);
        for block in blocks(positions, BLOCK) {
            let panels: [&[Lanes]; PANELS] = std::array::from_fn(|at| &side[at * positions..][block.start..block.end]);
            for (at, taps) in taps.chunks(ROWS).enumerate() {
                let mut rows = [taps[0]; ROWS];
                rows[..taps.len()].copy_from_slice(taps);
                let tile = tile::broadcast::<S, ROWS, PANELS>(simd, self.x, &rows, sources.part(block.clone()), panels);
                for (row, sums) in tile.into_iter().enumerate() {
                    for (place, sum) in sums.into_iter().enumerate() {
                        let padded = products.next_multiple_of(ROWS_TOGETHER);
                        let into = &mut self.sums[(panel + place) * padded + at * ROWS + row];
                        let total = simd.add(simd.load(into), sum);
                        simd.store(total, into);
                    }
                }
            }
        }
        *self.panels = side;
    }

    #[inline(always)]
    fn by_position<S: Simd, const ROWS: usize>(&mut self, simd: S) {
        for place in 0..self.samples.len() {
            let mut output = 0;
            while output < self.outputs.len() {
                let left = self.outputs.len() - output;
                if ROWS >= 8 && left >= 4 {
                    self.of_outputs::<S, 4, 4>(simd, place, output);
                    output += 4;
                } else if left >= 2 {
                    self.of_outputs::<S, 2, 2>(simd, place, output);
                    output += 2;
                } else {
                    self.of_outputs::<S, 4, 1>(simd, place, output);
                    output += 1;
                }
            }
        }
    }

    #[inline(always)]
    fn of_outputs<S: Simd, const ROWS: usize, const OUTPUTS: usize>(&mut self, simd: S, place: usize, output: usize) {
        let plan = &self.gradient.plan;
        let class = &plan.classes[0];
        let runs = &class.runs[..class.rows(self.band.1)];
        let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return };
        let first = first.0 as usize;
        let vectors = (last.0 as usize + class.length - first).div_ceil(LANES);
        let sample = self.samples[place];
        let factor = self.factor(sample);
        // Between two rows of positions there is no output: its gradient is zero.
        let mut spread = std::mem::take(self.panels);
        spread.clear();
        spread.resize(OUTPUTS * vectors, [0.0; LANES]);
        for (at, spread) in spread.chunks_mut(vectors).enumerate() {
            let from = self.gradients(sample, self.outputs.start + output + at);
            for &(source, destination) in runs {
                let into = &mut spread.as_flattened_mut()[source as usize - first..][..class.length];
                for (into, number) in into.iter_mut().zip(&from[destination as usize..]) {
                    *into = number * factor;
                }
            }
        }
        let products = self.gradient.products;
        let taps = class.offsets().values();
        let x = &self.x[place * plan.sample() + first..];
        for (at, taps) in taps.chunks(ROWS).enumerate() {
            let mut rows = [taps[0]; ROWS];
            rows[..taps.len()].copy_from_slice(taps);
            let of: [&[Lanes]; OUTPUTS] = std::array::from_fn(|at| &spread[at * vectors..(at + 1) * vectors]);
            let tile = tile::dot::<S, ROWS, OUTPUTS>(simd, x, &rows, of);
            let sums = self.sums.as_flattened_mut();
            for (row, tile) in tile.into_iter().enumerate().take(taps.len()) {
                for (place, sum) in tile.into_iter().enumerate() {
                    sums[(output + place) * products + at * ROWS + row] += tile::sum_of_lanes(simd, sum);
                }
            }
        }
        *self.panels = spread;
    }
}
