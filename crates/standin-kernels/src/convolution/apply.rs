//! The forward pass and the gradient of the input: sums over taps at every position.

use rayon::prelude::*;

use super::plan::{Class, Direction, Plan, prefers_positions};
use super::{Convolution, channels, positions};
use crate::instructions::{Instructions, Kernel};
use crate::parts::in_parts;
use crate::simd::{LANES, Lanes, Simd};
use crate::transpose::side_by_side;

/// Tasks to share among threads, at least, where there are so many samples.
const TASKS: usize = 8;

/// The weights of one group in the order that its inner loop reads them, for one class of positions.
enum Weights {
    /// Sixteen channels side by side: panel by panel, tap by tap.
    Channels(Vec<Lanes>),
    /// Blocks of few channels, tap by tap.
    Positions(Vec<f32>),
}

/// The weights, `outputs × inputs/groups × kernel`, and which of the two channels is summed over.
#[derive(Clone, Copy)]
struct Kernels<'a> {
    weight: &'a [f32],
    direction: Direction,
    /// Channels of a group that are read, and that are written.
    from: usize,
    to: usize,
    taps: usize,
}

impl<'a> Kernels<'a> {
    /// The taps from a channel to a channel of a group, and what follows in memory.
    fn taps(self, group: usize, to: usize, from: usize) -> &'a [f32] {
        let pair = match self.direction {
            Direction::Forward => (group * self.to + to) * self.from + from,
            Direction::Backward => (group * self.from + from) * self.to + to,
        };
        &self.weight[pair * self.taps..]
    }

    /// From the taps of one channel that is written to those of the next.
    fn pitch(self) -> usize {
        match self.direction {
            Direction::Forward => self.from * self.taps,
            Direction::Backward => self.taps,
        }
    }

    fn arrange(self, instructions: Instructions, class: &Class, group: usize) -> Weights {
        let products = self.from * class.taps.len();
        if prefers_positions(self.to, products) {
            let mut weights = Vec::with_capacity(self.to * products);
            for block in positions::blocks(self.to) {
                for from in 0..self.from {
                    for &tap in &class.taps {
                        weights.extend(block.clone().map(|to| self.taps(group, to, from)[tap]));
                    }
                }
            }
            return Weights::Positions(weights);
        }
        let mut panels = vec![[0.0; LANES]; self.to.div_ceil(LANES) * products];
        panels.par_chunks_mut(products).enumerate().for_each(|(panel, into)| {
            instructions.run(Arrange { kernels: self, class, group, first: panel * LANES, into });
        });
        Weights::Channels(panels)
    }
}

/// Puts the weights of sixteen channels side by side, tap by tap.
struct Arrange<'a> {
    kernels: Kernels<'a>,
    class: &'a Class,
    group: usize,
    first: usize,
    into: &'a mut [Lanes],
}

impl Kernel for Arrange<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        let Self { kernels, class, group, first, into } = self;
        let rows = LANES.min(kernels.to - first);
        if kernels.direction == Direction::Forward {
            side_by_side(simd, kernels.taps(group, first, 0), kernels.pitch(), rows, 1.0, into);
            return;
        }
        let mut all = vec![[0.0; LANES]; kernels.taps];
        for (from, into) in into.chunks_mut(class.taps.len()).enumerate() {
            if kernels.taps == 1 {
                into[0][..rows].copy_from_slice(&kernels.taps(group, first, from)[..rows]);
                continue;
            }
            side_by_side(simd, kernels.taps(group, first, from), kernels.pitch(), rows, 1.0, &mut all);
            for (into, &tap) in into.iter_mut().zip(&class.taps) {
                *into = all[tap];
            }
        }
    }
}

impl Convolution {
    pub(super) fn forward_on(
        &self,
        instructions: Instructions,
        x: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> Vec<f32> {
        self.apply(instructions, Direction::Forward, x, weight, bias)
    }

    pub(super) fn input_gradient_on(
        &self,
        instructions: Instructions,
        output_gradient: &[f32],
        weight: &[f32],
    ) -> Vec<f32> {
        self.apply(instructions, Direction::Backward, output_gradient, weight, None)
    }

    fn apply(
        &self,
        instructions: Instructions,
        direction: Direction,
        source: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> Vec<f32> {
        let plan = Plan::new(self, direction, self.groups, self.batch / TASKS);
        let kernels = Kernels { weight, direction, from: plan.from, to: plan.to, taps: self.taps() };
        apply(instructions, &plan, source, kernels, bias)
    }
}

fn apply(
    instructions: Instructions,
    plan: &Plan,
    source: &[f32],
    kernels: Kernels<'_>,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    // Where the stride passes over every tap there is nothing to sum, and the gradient is zero.
    let classes: Vec<_> = plan.classes.iter().filter(|class| !class.taps.is_empty()).collect();
    let weights: Vec<Vec<Weights>> = (0..plan.groups)
        .map(|group| classes.iter().map(|class| kernels.arrange(instructions, class, group)).collect())
        .collect();
    let batch = source.len() / (plan.groups * plan.from * plan.source);
    let samples: Vec<u32> = (0..batch as u32).collect();
    let per_sample = plan.groups * plan.to * plan.destination;
    in_parts(
        batch * per_sample,
        plan.samples * per_sample,
        samples.par_chunks(plan.samples),
        || (plan.buffer(), Vec::new()),
        |(buffer, scratch), _, into, samples| {
            for band in 0..plan.bands {
                plan.fill(instructions, source, samples, 0, band, buffer);
                let (start, length) = plan.band(band);
                for (group, weights) in weights.iter().enumerate() {
                    let x = &buffer[group * plan.from * plan.layout.plane()..];
                    let into = &mut into[group * plan.to * plan.destination + start * plan.inner..];
                    let bias = bias.map(|bias| &bias[group * plan.to..(group + 1) * plan.to]);
                    for (class, weights) in classes.iter().zip(weights) {
                        let rows = class.rows(length);
                        match weights {
                            Weights::Channels(panels) => {
                                let count = samples.len() * rows * class.length;
                                instructions.run(channels::Sum {
                                    x,
                                    sources: &class.sources[..count],
                                    destinations: &class.destinations[..count],
                                    offsets: class.offsets(),
                                    panels,
                                    bias,
                                    channels: plan.to,
                                    pitch: plan.destination,
                                    into,
                                });
                            }
                            Weights::Positions(weights) => {
                                for place in 0..samples.len() {
                                    instructions.run(positions::Sum {
                                        x: &x[place * plan.sample()..],
                                        runs: &class.runs[..rows],
                                        length: class.length,
                                        step: class.step,
                                        offsets: class.offsets(),
                                        weights,
                                        bias,
                                        channels: plan.to,
                                        pitch: plan.destination,
                                        into: &mut into[place * per_sample..],
                                        scratch,
                                    });
                                }
                            }
                        }
                    }
                }
            }
        },
    )
}
