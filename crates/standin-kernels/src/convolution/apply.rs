//! The forward pass and the gradient of the input: sums over taps at every position.

use rayon::prelude::*;

use super::plan::{Class, Direction, Plan};
use super::{Convolution, channels, positions};
use crate::instructions::Instructions;
use crate::simd::{LANES, Lanes};

/// Below so many channels of a result its positions fill vectors better than its channels do.
const FEW_CHANNELS: usize = 8;

/// Below so many products to a sum, putting channels side by side for the sum and in rows again costs more than it saves.
const FEW_PRODUCTS: usize = 20;

/// The weights of one group in the order that its inner loop reads them, for one class of positions.
enum Weights {
    /// Sixteen channels side by side: panel by panel, tap by tap.
    Channels(Vec<Lanes>),
    /// Blocks of few channels, tap by tap.
    Positions(Vec<f32>),
}

impl Convolution {
    pub(super) fn forward_on(
        &self,
        instructions: Instructions,
        x: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> Vec<f32> {
        let plan = Plan::new(self, Direction::Forward, self.groups);
        let products = plan.from * self.taps();
        let at = |group: usize, to: usize, from: usize, tap: usize| {
            weight[(group * plan.to + to) * products + from * self.taps() + tap]
        };
        apply(instructions, &plan, x, &at, bias)
    }

    pub(super) fn input_gradient_on(
        &self,
        instructions: Instructions,
        output_gradient: &[f32],
        weight: &[f32],
    ) -> Vec<f32> {
        let plan = Plan::new(self, Direction::Backward, self.groups);
        let products = plan.to * self.taps();
        let at = |group: usize, to: usize, from: usize, tap: usize| {
            weight[(group * plan.from + from) * products + to * self.taps() + tap]
        };
        apply(instructions, &plan, output_gradient, &at, None)
    }
}

fn arrange(
    plan: &Plan,
    class: &Class,
    group: usize,
    at: &(impl Fn(usize, usize, usize, usize) -> f32 + Sync),
) -> Weights {
    let taps = class.taps.len();
    let products = plan.from * taps;
    if plan.to < FEW_CHANNELS || products < FEW_PRODUCTS {
        let mut weights = Vec::with_capacity(plan.to * products);
        for block in positions::blocks(plan.to) {
            for from in 0..plan.from {
                for &tap in &class.taps {
                    weights.extend(block.clone().map(|to| at(group, to, from, tap)));
                }
            }
        }
        return Weights::Positions(weights);
    }
    let mut panels = vec![[0.0; LANES]; plan.to.div_ceil(LANES) * products];
    panels.par_chunks_mut(products).enumerate().for_each(|(panel, into)| {
        for lane in 0..LANES.min(plan.to - panel * LANES) {
            for from in 0..plan.from {
                for (into, &tap) in into[from * taps..].iter_mut().zip(&class.taps) {
                    into[lane] = at(group, panel * LANES + lane, from, tap);
                }
            }
        }
    });
    Weights::Channels(panels)
}

fn apply(
    instructions: Instructions,
    plan: &Plan,
    source: &[f32],
    weight: &(impl Fn(usize, usize, usize, usize) -> f32 + Sync),
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let batch = source.len() / (plan.groups * plan.from * plan.source);
    let mut result = vec![0.0; batch * plan.groups * plan.to * plan.destination];
    // Where the stride passes over every tap there is nothing to sum, and the gradient is zero.
    let classes: Vec<_> = plan.classes.iter().filter(|class| !class.taps.is_empty()).collect();
    let weights: Vec<Vec<Weights>> = (0..plan.groups)
        .map(|group| classes.iter().map(|class| arrange(plan, class, group, weight)).collect())
        .collect();
    let samples: Vec<u32> = (0..batch as u32).collect();
    let per_sample = plan.groups * plan.to * plan.destination;
    let workspace = || (plan.buffer(), Vec::new());
    result.par_chunks_mut(plan.samples * per_sample).zip(samples.par_chunks(plan.samples)).for_each_init(
        workspace,
        |(buffer, scratch), (into, samples)| {
            for band in 0..plan.bands {
                plan.fill(source, samples, 0, band, buffer);
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
    );
    result
}
