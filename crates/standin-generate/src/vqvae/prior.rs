//! A prior of grids of codes: each code is predicted from those before it, row by row from the top left.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use standin_data::Seed;
use standin_nn::layer::{Conv2d, Embedding, Linear, indices, relu};
use standin_nn::tensor::activation::sigmoid;
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{Module, burn};

use super::codebook::draw;
use crate::Result;
use crate::decoder::one_hot;
use crate::diffusion::TrainingOptions;
use crate::options::at_least;
use crate::surrogate::with_gradient;

/// The prior of codes of a [`VqVaeGenerator`](super::VqVaeGenerator).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriorOptions {
    /// Channels of its features.
    pub width: usize,
    /// Blocks; each lets a code depend on two rows above and two columns to the left more, and one column to the right.
    pub blocks: usize,
    /// Its training.
    pub training: TrainingOptions,
}

impl Default for PriorOptions {
    fn default() -> Self {
        let training = TrainingOptions { epochs: 2.0, average_decay: 0.998, ..TrainingOptions::default() };
        Self { width: 48, blocks: 4, training }
    }
}

impl PriorOptions {
    /// Checks that every number is in its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub(super) fn check(&self, family: &'static str) -> Result<()> {
        at_least(family, "prior.width", self.width, 1)?;
        at_least(family, "prior.blocks", self.blocks, 1)?;
        self.training.check(family)
    }
}

/// The sizes of a [`Prior`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PriorSizes {
    /// Codes of the codebook.
    pub(super) codes: usize,
    /// Number of classes.
    pub(super) classes: usize,
    /// Channels of the features.
    pub(super) width: usize,
    /// Number of blocks.
    pub(super) blocks: usize,
}

/// A gated PixelCNN of codes (van den Oord et al. 2016, *Conditional image generation with PixelCNN decoders*).
///
/// The vertical stack sees the rows above a code, the horizontal stack the codes to its left and the vertical stack. Both
/// are causal because planes are shifted by one row or column beside zeros, so that no kernel needs a mask.
#[derive(Module, Debug)]
pub(crate) struct Prior {
    embedding: Embedding,
    blocks: Vec<Block>,
    hidden: Linear,
    output: Linear,
}

/// One layer of both stacks (van den Oord et al. 2016, figure 2).
#[derive(Module, Debug)]
struct Block {
    vertical: Conv2d,
    vertical_class: Linear,
    /// From the vertical to the horizontal stack.
    across: Conv2d,
    /// On a code and the two to its left, as channels.
    horizontal: Conv2d,
    horizontal_class: Linear,
    merge: Conv2d,
}

impl Block {
    fn new(width: usize, classes: usize, seed: Seed, device: &Device) -> Self {
        let convolution =
            |inputs, outputs, kernel, purpose| Conv2d::new(inputs, outputs, kernel, seed.derive(purpose), device);
        Self {
            vertical: convolution(width, 2 * width, 3, "vertical").with_padding(1),
            vertical_class: Linear::zero(classes, 2 * width, device),
            across: convolution(2 * width, 2 * width, 1, "across"),
            horizontal: convolution(3 * width, 2 * width, 1, "horizontal"),
            horizontal_class: Linear::zero(classes, 2 * width, device),
            merge: convolution(width, width, 1, "merge"),
        }
    }
}

/// Planes moved by one place down (axis 2) or to the right (axis 3); zeros come in.
fn shifted(x: Tensor<4>, axis: usize) -> Tensor<4> {
    let size = x.dims()[axis];
    let mut border = x.dims();
    border[axis] = 1;
    let zeros = Tensor::zeros(border, &x.device());
    if size == 1 { zeros } else { Tensor::cat(vec![zeros, x.narrow(axis, 0, size - 1)], axis) }
}

/// tanh(a) · σ(b) of the two halves of the channels (van den Oord et al. 2016, equation 2).
fn gated(x: Tensor<4>) -> Tensor<4> {
    let width = x.dims()[1] / 2;
    x.clone().narrow(1, 0, width).tanh() * sigmoid(x.narrow(1, width, width))
}

/// What a class adds to every position, `n × channels × 1 × 1`.
fn everywhere(x: Tensor<2>) -> Tensor<4> {
    let [n, channels] = x.dims();
    x.reshape([n, channels, 1, 1])
}

impl Prior {
    pub(super) fn new(sizes: &PriorSizes, seed: Seed, device: &Device) -> Self {
        let PriorSizes { codes, classes, width, blocks } = *sizes;
        let block = |index: usize| Block::new(width, classes, seed.derive(&format!("block {index}")), device);
        Self {
            embedding: Embedding::new(codes, width, seed.derive("embedding"), device),
            blocks: (0..blocks).map(block).collect(),
            hidden: Linear::new(width, 2 * width, seed.derive("hidden"), device),
            output: Linear::new(2 * width, codes, seed.derive("output"), device),
        }
    }

    /// Codes of `n` grids, one after the other, to `n × width × rows × columns`.
    fn embed(
        &self,
        codes: impl IntoIterator<Item = u32>,
        [n, rows, columns]: [usize; 3],
        device: &Device,
    ) -> Tensor<4> {
        let rows_of_width = self.embedding.forward(indices(codes, device));
        let width = rows_of_width.dims()[1];
        rows_of_width.reshape([n, rows, columns, width]).permute([0, 3, 1, 2])
    }

    /// What the vertical stack tells each block of the horizontal one, at each code from the rows above it.
    fn above(&self, embedded: Tensor<4>, classes: &Tensor<2>) -> Vec<Tensor<4>> {
        let mut x = shifted(embedded, 2);
        let step = |block: &Block| {
            let class = everywhere(block.vertical_class.forward(classes.clone()));
            let y = shifted(block.vertical.forward(x.clone()), 2) + class;
            x = gated(y.clone());
            block.across.forward(y)
        };
        self.blocks.iter().map(step).collect()
    }

    /// The features of each code, from the codes to its left in its row and from `above`.
    fn along(&self, embedded: Tensor<4>, above: &[Tensor<4>], classes: &Tensor<2>) -> Tensor<4> {
        let mut x = shifted(embedded, 3);
        for (block, above) in self.blocks.iter().zip(above) {
            let class = everywhere(block.horizontal_class.forward(classes.clone()));
            let left = shifted(x.clone(), 3);
            let farther = shifted(left.clone(), 3);
            let y = block.horizontal.forward(Tensor::cat(vec![x.clone(), left, farther], 1)) + above.clone() + class;
            x = x + block.merge.forward(gated(y));
        }
        x
    }

    /// Features, `n × width × rows × columns`, to logits, one row of as many values as there are codes for each position.
    fn score(&self, features: Tensor<4>) -> Tensor<2> {
        let [n, width, rows, columns] = features.dims();
        let positions = features.permute([0, 2, 3, 1]).reshape([n * rows * columns, width]);
        self.output.forward(relu(self.hidden.forward(relu(positions))))
    }

    /// The logits of every code of grids of `[rows, columns]` given those before it, `n · rows · columns × codes`.
    fn logits(&self, codes: &[u32], grid: [usize; 2], classes: &Tensor<2>, device: &Device) -> Tensor<2> {
        let [rows, columns] = grid;
        let embedded = self.embed(codes.iter().copied(), [classes.dims()[0], rows, columns], device);
        let above = self.above(embedded.clone(), classes);
        self.score(self.along(embedded, &above, classes))
    }

    /// The mean over the codes of −ln p(code | codes before it, class), in nats.
    pub(super) fn negative_likelihood(
        &self,
        sizes: &PriorSizes,
        codes: &[u32],
        grid: [usize; 2],
        labels: &[u32],
        device: &Device,
    ) -> Tensor<1> {
        let logits = self.logits(codes, grid, &one_hot(labels, sizes.classes, device), device);
        let values: Vec<f32> = logits.clone().into_data().iter::<f32>().collect();
        let (loss, gradient) = cross_entropy(&values, codes);
        with_gradient(logits, gradient, loss, device)
    }

    /// Draws a grid of codes for each label, position by position. `uniforms` has one value in [0, 1] for each position of
    /// each grid; logits are divided by the temperature, and at 0 the most probable code is taken.
    ///
    /// The vertical stack runs once a row, the horizontal one on the row up to the position: together about four times the
    /// cost of a whole pass, where passes for every position would be as many as there are positions.
    pub(super) fn sample(
        &self,
        sizes: &PriorSizes,
        [rows, columns]: [usize; 2],
        labels: &[u32],
        uniforms: &[f32],
        temperature: f64,
        device: &Device,
    ) -> Vec<u32> {
        let (n, area) = (labels.len(), rows * columns);
        let classes = one_hot(labels, sizes.classes, device);
        let mut codes = vec![0; n * area];
        for row in 0..rows {
            // The row itself is not drawn yet, and the vertical stack does not see it.
            let known = codes.chunks_exact(area).flat_map(|grid| &grid[..(row + 1) * columns]).copied();
            let above = self.above(self.embed(known, [n, row + 1, columns], device), &classes);
            let above: Vec<Tensor<4>> = above.into_iter().map(|plane| plane.narrow(2, row, 1)).collect();
            for column in 0..columns {
                let left = codes.chunks_exact(area).flat_map(|grid| &grid[row * columns..=row * columns + column]);
                let embedded = self.embed(left.copied(), [n, 1, column + 1], device);
                let above: Vec<Tensor<4>> = above.iter().map(|plane| plane.clone().narrow(3, 0, column + 1)).collect();
                let features = self.along(embedded, &above, &classes).narrow(3, column, 1);
                let logits: Vec<f32> = self.score(features).into_data().iter::<f32>().collect();
                let at = row * columns + column;
                for (image, logits) in logits.chunks_exact(sizes.codes).enumerate() {
                    codes[image * area + at] = choose(logits, temperature, uniforms[image * area + at].into());
                }
            }
        }
        codes
    }
}

/// The code at which the distribution function of softmax(logits / temperature) passes a uniform value.
fn choose(logits: &[f32], temperature: f64, uniform: f64) -> u32 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // The most probable codes have weight 1 at every temperature, where 0 / 0 has none.
    let weight = |&logit: &f32| if logit == most { 1.0 } else { (f64::from(logit - most) / temperature).exp() as f32 };
    let weights: Vec<f32> = logits.iter().map(weight).collect();
    draw(&weights, uniform).map_or(0, |code| code as u32)
}

/// The mean over the rows of −ln softmax(logits) at the targets, and its gradient with respect to the logits. In one pass
/// over plain values, as there are as many logits to a position as codes.
fn cross_entropy(logits: &[f32], targets: &[u32]) -> (f64, Vec<f32>) {
    let codes = logits.len() / targets.len();
    let scale = 1.0 / targets.len() as f32;
    let mut gradient = vec![0.0; logits.len()];
    let rows = gradient.par_chunks_exact_mut(codes).zip(logits.par_chunks_exact(codes));
    let losses: Vec<f64> = rows
        .zip(targets)
        .map(|((gradient, logits), &target)| {
            let target = target as usize;
            let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            gradient.iter_mut().zip(logits).for_each(|(slope, logit)| *slope = (logit - most).exp());
            let total: f32 = gradient.iter().sum();
            gradient.iter_mut().for_each(|slope| *slope *= scale / total);
            gradient[target] -= scale;
            f64::from(total).ln() - f64::from(logits[target] - most)
        })
        .collect();
    (losses.iter().sum::<f64>() / targets.len() as f64, gradient)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_nn::tensor::TensorData;
    use standin_nn::{DeviceChoice, values, with_values};

    use super::*;

    const SIZES: PriorSizes = PriorSizes { codes: 7, classes: 2, width: 6, blocks: 3 };
    const GRID: [usize; 2] = [4, 5];
    const AREA: usize = 20;

    /// Weights drawn anew, so that no part is 0 as it is at the start of a training.
    fn prior() -> Prior {
        let device = DeviceChoice::chosen().inference();
        let prior = Prior::new(&SIZES, Seed::new(1), &device);
        let mut rng = Seed::new(2).rng();
        let weights: Vec<f32> = values(&prior).iter().map(|_| rng.random::<f32>() - 0.5).collect();
        with_values(prior, &weights)
    }

    fn grids(count: usize, seed: u64) -> Vec<u32> {
        let mut rng = Seed::new(seed).rng();
        (0..count * AREA).map(|_| rng.random_range(0..SIZES.codes as u32)).collect()
    }

    fn logits(prior: &Prior, codes: &[u32], labels: &[u32]) -> Vec<f32> {
        let device = DeviceChoice::chosen().inference();
        let logits = prior.logits(codes, GRID, &one_hot(labels, SIZES.classes, &device), &device);
        logits.into_data().iter::<f32>().collect()
    }

    #[test]
    fn a_code_changes_what_comes_after_it_and_nothing_before() {
        let (prior, codes) = (prior(), grids(1, 3));
        let before = logits(&prior, &codes, &[1]);
        for at in 0..AREA {
            let mut other = codes.clone();
            other[at] = (other[at] + 1) % SIZES.codes as u32;
            let after = logits(&prior, &other, &[1]);
            let (same, later) = (7 * (at + 1), 7 * (at + 1)..);
            assert_eq!(before[..same], after[..same], "the code at {at} is seen too early");
            assert_eq!(before[later.clone()] != after[later], at + 1 < AREA, "the code at {at} is not seen");
        }
    }

    /// Three blocks reach five columns to the left, six rows above.
    #[test]
    fn the_last_code_depends_on_every_other() {
        let (prior, codes) = (prior(), grids(1, 3));
        let before = logits(&prior, &codes, &[0]);
        for at in 0..AREA - 1 {
            let mut other = codes.clone();
            other[at] = (other[at] + 3) % SIZES.codes as u32;
            let after = logits(&prior, &other, &[0]);
            let last = 7 * (AREA - 1);
            assert_ne!(before[last..], after[last..], "{at}");
        }
    }

    #[test]
    fn the_class_changes_every_logit() {
        let (prior, codes) = (prior(), grids(1, 3));
        let (one, other) = (logits(&prior, &codes, &[0]), logits(&prior, &codes, &[1]));
        assert!(one.iter().zip(&other).all(|(a, b)| a != b));
    }

    /// Each drawn code is the one that the logits of the whole grid give for the same uniform value.
    #[test]
    fn sampling_row_by_row_draws_from_the_logits_of_the_whole_grid() {
        let (prior, labels) = (prior(), [0, 1, 1]);
        let mut rng = Seed::new(4).rng();
        let uniforms: Vec<f32> = (0..labels.len() * AREA).map(|_| rng.random()).collect();
        for temperature in [0.0, 0.7, 1.0] {
            let device = DeviceChoice::chosen().inference();
            let codes = prior.sample(&SIZES, GRID, &labels, &uniforms, temperature, &device);
            let logits = logits(&prior, &codes, &labels);
            let rows = logits.chunks_exact(SIZES.codes).zip(&uniforms);
            let expected: Vec<u32> =
                rows.map(|(logits, &uniform)| choose(logits, temperature, uniform.into())).collect();
            assert_eq!(codes, expected, "at temperature {temperature}");
        }
    }

    /// Shares 1/7, 2/7 and 4/7, and their squares at temperature ½.
    #[test]
    fn codes_are_chosen_with_the_probabilities_of_the_softmax() {
        let logits = [5.0, 5.0 + 2f32.ln(), 5.0 + 4f32.ln()];
        let below = |temperature: f64, code: u32| {
            let hits = (0..21_000).filter(|&at| choose(&logits, temperature, (f64::from(at) + 0.5) / 21e3) <= code);
            hits.count() as f64 / 21e3
        };
        assert!((below(1.0, 0) - 1.0 / 7.0).abs() < 1e-4 && (below(1.0, 1) - 3.0 / 7.0).abs() < 1e-4);
        assert!((below(0.5, 0) - 1.0 / 21.0).abs() < 1e-4 && (below(0.5, 1) - 5.0 / 21.0).abs() < 1e-4);
        assert_eq!((choose(&logits, 0.0, 0.0), choose(&logits, 1e-300, 0.5), choose(&logits, 1.0, 1.0)), (2, 2, 2));
    }

    /// ln Σ eˡ − l at the target in f64, and central differences.
    #[test]
    fn cross_entropy_and_its_gradient_equal_their_formulas() {
        let logits = [1.0, 2.0, 0.5, 0.0, 300.0, 0.0];
        let targets = [1, 1];
        let (loss, gradient) = cross_entropy(&logits, &targets);
        let partition = (1f64.exp() + 2f64.exp() + 0.5f64.exp()).ln();
        assert!((loss - (partition - 2.0) / 2.0).abs() < 1e-6, "{loss}");
        for at in 0..3 {
            let moved = |by: f32| {
                let mut logits = logits;
                logits[at] += by;
                cross_entropy(&logits, &targets).0
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((slope - f64::from(gradient[at])).abs() < 1e-4, "{slope} for {}", gradient[at]);
        }
        assert!(gradient[3..].iter().all(|slope| slope.abs() < 1e-9));
    }

    /// With weights of 0 every code has the same probability, whatever comes before it.
    #[test]
    fn a_prior_without_weights_needs_the_logarithm_of_the_number_of_codes() {
        let device = DeviceChoice::chosen().training();
        let prior = Prior::new(&SIZES, Seed::new(1), &device);
        let zeros = vec![0.0; values(&prior).len()];
        let prior = with_values(prior, &zeros);
        let loss = prior.negative_likelihood(&SIZES, &grids(2, 1), GRID, &[0, 1], &device);
        assert!((loss.into_scalar::<f32>() - 7f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn planes_are_shifted_beside_zeros() {
        let device = DeviceChoice::chosen().inference();
        let plane: Tensor<4> = Tensor::from_data(TensorData::new(vec![1f32, 2.0, 3.0, 4.0], [1, 1, 2, 2]), &device);
        let values = |x: Tensor<4>| x.into_data().iter::<f32>().collect::<Vec<_>>();
        assert_eq!(values(shifted(plane.clone(), 2)), [0.0, 0.0, 1.0, 2.0]);
        assert_eq!(values(shifted(plane.clone(), 3)), [0.0, 1.0, 0.0, 3.0]);
        assert_eq!(values(shifted(plane.narrow(2, 0, 1), 2)), [0.0, 0.0]);
    }
}
