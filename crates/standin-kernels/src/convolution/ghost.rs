//! Norms of units' gradients from products of pairs of positions, without the gradients.
//!
//! The gradient of a sample is G = Σ_p x̂_p ⊗ dy_p over its positions p, x̂_p what the kernel sees there. So the inner product
//! of the gradients of two samples is Σ_pq (x̂_p·x̂_q)(dy_p·dy_q) (Li et al. 2022, "ghost clipping"; Bu, Mao and Xu 2022 for
//! convolutions). x̂_p·x̂_q is itself a sum over taps of the products of two pixels, each of which serves all taps that see
//! the pair: with S pixels and T positions this takes S²·inputs + T²·(outputs + taps) products in place of
//! T·inputs·taps·outputs, and is the cheaper in deep layers, whose images are small and whose channels are many.

use super::gradient::Gradient;
use super::plan::Class;
use crate::instructions::{Instructions, Kernel};
use crate::offsets::Offsets;
use crate::product::Product;
use crate::simd::{LANES, Lanes, Simd};
use crate::tile::sum_of_lanes;

/// What a product costs here beside one of the gradient itself: matrices are small and padded, and read more often.
const EXPENSE: usize = 2;

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct Ghost {
    pixels: [Vec<f32>; 2],
    gradients: [Vec<f32>; 2],
    panels: Vec<Lanes>,
    of_pixels: Vec<f32>,
    of_positions: Vec<f32>,
}

/// The flat stretch of a padded image that holds all positions, those between its rows included.
struct Stretch {
    first: usize,
    /// Rounded up to whole vectors.
    length: usize,
    /// The positions, from `first` on.
    positions: Vec<u32>,
}

impl Stretch {
    fn new(class: &Class) -> Self {
        let first = class.runs.first().map_or(0, |run| run.0) as usize;
        let last = class.runs.last().map_or(0, |run| run.0) as usize + class.length;
        let positions = class.runs.iter().flat_map(|run| {
            let start = run.0 - first as u32;
            start..start + class.length as u32
        });
        Self { first, length: (last - first).next_multiple_of(LANES), positions: positions.collect() }
    }
}

impl Gradient {
    /// Whether products of pairs are the cheaper way for a unit of so many samples.
    pub(super) fn prefers_pairs(&self, samples: usize) -> bool {
        if self.plan.bands > 1 || samples == 0 {
            return false;
        }
        let positions = self.plan.destination;
        let (images, image) = self.plan.layout.images();
        let pixels = images * image * image * self.plan.from;
        let taps = self.plan.classes[0].taps.len();
        let pairs = samples * (samples + 1) / 2;
        let ghost = pairs * (pixels + positions * positions * (self.plan.to + taps));
        EXPENSE * ghost < samples * positions * self.products * self.plan.to
    }

    /// Squared norm of the gradient of one group, summed over samples.
    pub(super) fn squared_norm_of_pairs(
        &self,
        instructions: Instructions,
        (x, output_gradient): (&[f32], &[f32]),
        samples: &[u32],
        group: usize,
        ghost: &mut Ghost,
    ) -> f64 {
        let stretch = Stretch::new(&self.plan.classes[0]);
        let mut total = 0.0;
        for (at, one) in samples.iter().enumerate() {
            self.lay_out(instructions, x, output_gradient, *one, group, &stretch, ghost, 0);
            for (distance, other) in samples[at..].iter().enumerate() {
                self.lay_out(instructions, x, output_gradient, *other, group, &stretch, ghost, 1);
                let product = self.inner_product(instructions, &stretch, ghost);
                total += if distance == 0 { product } else { 2.0 * product };
            }
        }
        // Rounding can leave the norm of a gradient that cancels below zero.
        total.max(0.0)
    }

    /// Pads a sample and its output gradient.
    #[expect(clippy::too_many_arguments, reason = "the two places of a pair differ in nothing but their numbers")]
    fn lay_out(
        &self,
        instructions: Instructions,
        x: &[f32],
        output_gradient: &[f32],
        sample: u32,
        group: usize,
        stretch: &Stretch,
        ghost: &mut Ghost,
        place: usize,
    ) {
        let plan = &self.plan;
        let pixels = &mut ghost.pixels[place];
        pixels.resize(plan.sample() + LANES, 0.0);
        plan.fill(instructions, x, &[sample], group, 0, pixels);
        let gradients = &mut ghost.gradients[place];
        gradients.resize(plan.to * stretch.length, 0.0);
        for (channel, into) in gradients.chunks_mut(stretch.length).enumerate() {
            let from = ((sample as usize * plan.groups + group) * plan.to + channel) * plan.destination;
            let from = &output_gradient[from..from + plan.destination];
            let class = &plan.classes[0];
            for &(source, destination) in &class.runs {
                let start = source as usize - stretch.first;
                into[start..start + class.length].copy_from_slice(&from[destination as usize..][..class.length]);
            }
        }
    }

    /// Σ_pq (x̂_p·x̂_q)(dy_p·dy_q) for the two samples that are laid out.
    fn inner_product(&self, instructions: Instructions, stretch: &Stretch, ghost: &mut Ghost) -> f64 {
        let plan = &self.plan;
        let Ghost { pixels, gradients, panels, of_pixels, of_positions } = ghost;
        of_positions.resize(stretch.positions.len() * stretch.length, 0.0);
        panels.clear();
        for start in (0..stretch.length).step_by(LANES) {
            panels.extend(gradients[1].chunks(stretch.length).map(|channel| lanes(&channel[start..])));
        }
        let channels: Vec<u32> = (0..plan.to).map(|channel| (channel * stretch.length) as u32).collect();
        instructions.run(Product {
            x: &gradients[0],
            rows: &stretch.positions,
            offsets: Offsets::new(&channels),
            panels,
            bias: None,
            of_rows: None,
            columns: stretch.length,
            pitch: stretch.length,
            into: of_positions,
        });
        let (images, image) = plan.layout.images();
        let pitch = image.next_multiple_of(LANES);
        let rows: Vec<u32> = (0..image as u32).collect();
        let channels: Vec<u32> = (0..plan.from).map(|channel| (channel * plan.layout.plane()) as u32).collect();
        // The last row's vectors may start past its first column and end as far past its last.
        of_pixels.resize(image * pitch + stretch.length, 0.0);
        let taps = &plan.classes[0].offsets().values()[..plan.classes[0].taps.len()];
        let mut total = 0.0;
        for phase in 0..images {
            let within = phase * image..(phase + 1) * image;
            let taps: Vec<usize> = taps.iter().map(|&tap| tap as usize).filter(|tap| within.contains(tap)).collect();
            panels.clear();
            for start in (0..image).step_by(LANES) {
                let start = within.start + start;
                panels.extend(channels.iter().map(|&channel| lanes(&pixels[1][channel as usize + start..])));
            }
            instructions.run(Product {
                x: &pixels[0][within.start..],
                rows: &rows,
                offsets: Offsets::new(&channels),
                panels,
                bias: None,
                of_rows: None,
                columns: pitch,
                pitch,
                into: &mut of_pixels[..image * pitch],
            });
            total += instructions.run(Pairs {
                of_pixels,
                pitch,
                of_positions,
                stretch,
                taps: taps.iter().map(|tap| tap - within.start).collect(),
            });
        }
        total
    }
}

fn lanes(numbers: &[f32]) -> Lanes {
    *numbers.first_chunk().expect("buffers end with a vector to spare")
}

/// Σ over pairs of positions and taps of the products of what both see, times the product of the positions' gradients.
struct Pairs<'a> {
    of_pixels: &'a [f32],
    pitch: usize,
    of_positions: &'a [f32],
    stretch: &'a Stretch,
    taps: Vec<usize>,
}

impl Kernel for Pairs<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) -> f64 {
        let Stretch { first, length, positions } = self.stretch;
        let mut total = 0.0;
        for (&position, gradients) in positions.iter().zip(self.of_positions.chunks(*length)) {
            let (gradients, _) = gradients.as_chunks::<LANES>();
            let mut sums = [simd.splat(0.0); 2];
            for &tap in &self.taps {
                let row = (first + position as usize + tap) * self.pitch;
                let (pixels, _) = self.of_pixels[row + first + tap..][..*length].as_chunks::<LANES>();
                for (at, (pixels, gradients)) in pixels.iter().zip(gradients).enumerate() {
                    sums[at % 2] = simd.multiply_add(simd.load(pixels), simd.load(gradients), sums[at % 2]);
                }
            }
            total += f64::from(sum_of_lanes(simd, simd.add(sums[0], sums[1])));
        }
        total
    }
}
