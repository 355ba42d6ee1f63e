//! Images without high frequencies.

use serde::{Deserialize, Serialize};
use standin_data::{Seed, Shape};
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{DeviceChoice, Module, PixelRange, burn};

use super::convolutional::{Architecture, ConvolutionalGenerator, Synthesis, unit_rows};
use crate::cosine::CosineBasis;
use crate::network::{Chunk, Network, differentiable};
use crate::opened::Pass;
use crate::{Control, Decode};

/// The sizes of a [`SmoothGenerator`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SmoothArchitecture {
    /// Of the generator within.
    pub sizes: Architecture,
    /// Waves along each side of an image.
    pub frequencies: usize,
}

impl SmoothArchitecture {
    /// The waves that an image may have.
    pub(crate) fn basis(&self) -> CosineBasis {
        CosineBasis::new(self.sizes.shape, self.frequencies)
    }

    /// What takes the other frequencies from images.
    pub(crate) fn low_pass(&self, device: &Device) -> LowPass {
        let Shape { height, width, .. } = self.sizes.shape;
        let [down, across] = self.basis().projections();
        let plane = |values: Vec<f64>, side: usize| {
            let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
            Tensor::<2>::from_data(TensorData::new(values, [side, side]), device).reshape([1, 1, side, side])
        };
        LowPass { down: plane(down, height), across: plane(across, width) }
    }
}

/// The projection of every plane of an image onto its lowest frequencies.
#[derive(Clone, Debug)]
pub(crate) struct LowPass {
    /// Of columns, `1 × 1 × height × height`.
    down: Tensor<4>,
    /// Of rows, `1 × 1 × width × width`.
    across: Tensor<4>,
}

impl LowPass {
    /// `n × channels × height × width` images, smoothed. Values may leave their range a little.
    pub(crate) fn apply(&self, images: Tensor<4>) -> Tensor<4> {
        let [n, channels, ..] = images.dims();
        let each = |planes: &Tensor<4>| planes.clone().repeat_dim(0, n).repeat_dim(1, channels);
        each(&self.down).matmul(images).matmul(each(&self.across))
    }
}

/// A [`ConvolutionalGenerator`] whose images lose their high frequencies when they are drawn, for one that learns from gradients
/// without them: what it makes of them came about by chance. While it trains, the critics see all of it.
#[derive(Module, Debug)]
pub(crate) struct SmoothGenerator {
    within: ConvolutionalGenerator,
    #[module(skip)]
    architecture: SmoothArchitecture,
}

impl Synthesis for SmoothGenerator {
    fn synthesise(&self, labels: &[u32], seed: Seed, device: &Device) -> Tensor<4> {
        self.within.synthesise(labels, seed, device)
    }
}

impl Network for SmoothGenerator {
    type Architecture = SmoothArchitecture;
    const CONTROLS: &'static [Control] = ConvolutionalGenerator::CONTROLS;
    const CHUNK: usize = ConvolutionalGenerator::CHUNK;

    fn new(architecture: &SmoothArchitecture, seed: Seed, device: &Device) -> Self {
        let within = ConvolutionalGenerator::initial(&architecture.sizes, seed, device);
        Self { within, architecture: architecture.clone() }
    }

    fn check(architecture: &SmoothArchitecture) -> Result<(), &'static str> {
        if architecture.frequencies == 0 {
            return Err("the images have no frequency");
        }
        architecture.sizes.check()
    }

    fn shape(architecture: &SmoothArchitecture) -> Shape {
        architecture.sizes.shape
    }

    fn classes(architecture: &SmoothArchitecture) -> usize {
        architecture.sizes.classes
    }

    fn draw(&self, architecture: &SmoothArchitecture, chunk: &Chunk<'_>) -> (Tensor<4>, PixelRange) {
        let (images, range) = self.within.draw(&architecture.sizes, chunk);
        (architecture.low_pass(&images.device()).apply(images), range)
    }

    fn decoder<'a>(&'a self, architecture: &'a SmoothArchitecture) -> Option<Box<dyn Decode + 'a>> {
        let network = differentiable(self, architecture);
        let low_pass = architecture.low_pass(&DeviceChoice::chosen().training());
        let draw = move |latents: Tensor<2>, labels: &[u32]| {
            unit_rows(low_pass.apply(network.within.forward(latents, labels)))
        };
        Some(Box::new(Pass { latent: architecture.sizes.latent, logits: false, draw }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the basis itself, which is tested by itself.
    #[test]
    fn low_frequencies_pass_and_no_others() {
        let shape = Shape { channels: 3, height: 6, width: 9 };
        let sizes = Architecture { latent: 2, width: 2, classes: 2, shape };
        let architecture = SmoothArchitecture { sizes, frequencies: 4 };
        let device = DeviceChoice::chosen().inference();
        let values: Vec<f32> = (0..2 * shape.volume()).map(|at| ((at * at * 7 + 13) % 31) as f32 / 31.0).collect();
        let images = Tensor::from_data(TensorData::new(values.clone(), [2, 3, 6, 9]), &device);
        let found: Vec<f32> = architecture.low_pass(&device).apply(images).into_data().iter::<f32>().collect();
        let basis = architecture.basis();
        let coefficients = basis.analyse_each(&values);
        let expected = coefficients.chunks_exact(basis.len()).flat_map(|row| basis.synthesise(row));
        assert_eq!(found.len(), 2 * shape.volume());
        assert!(found.iter().zip(expected).all(|(found, expected)| (f64::from(*found) - expected).abs() < 1e-5));
    }
}
