//! V-Net with one encoder and one to three decoders (Milletari, Navab and Ahmadi 2016, in the form of UA-MT and MC-Net:
//! no residual branches, the encoder's maps added to the decoder's).
//!
//! One network serves volumes and stacks of images: for images, kernels and strides are 1 along depth.

mod contrast;
mod decoder;
mod encoder;
mod level;

use serde::{Deserialize, Serialize};
use standin_data::Seed;
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{Module, burn};

pub use contrast::{Contrast, Contrasted};
pub use decoder::{Decoder, Enlargement};
pub use encoder::Encoder;

/// Levels of resolution, of which each but the first halves the one before.
pub const LEVELS: usize = 5;

/// How many times a level halves the patch in all.
pub const REDUCTION: usize = 1 << (LEVELS - 1);

/// Everything that rebuilds a [`VNet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Spatial axes: 2 for images in a stack, 3 for volumes.
    pub dimensions: usize,
    /// Channels of the finest level; each level below has twice as many.
    pub width: usize,
    /// Classes, background among them.
    pub classes: usize,
    /// How each decoder enlarges.
    pub decoders: Vec<Enlargement>,
}

impl Architecture {
    /// Kernel of the convolutions along depth, height and width.
    fn kernel(&self) -> [usize; 3] {
        if self.dimensions == 2 { [1, 3, 3] } else { [3; 3] }
    }

    /// How much a level halves along depth, height and width.
    fn factors(&self) -> [usize; 3] {
        if self.dimensions == 2 { [1, 2, 2] } else { [2; 3] }
    }

    /// Channels of a level.
    fn channels(&self, level: usize) -> usize {
        self.width << level
    }

    /// The network with random weights.
    pub fn build(&self, seed: Seed, device: &Device) -> VNet {
        let decoders = self.decoders.iter().enumerate().map(|(at, &enlargement)| {
            Decoder::new(self, enlargement, seed.derive("decoder").derive(&at.to_string()), device)
        });
        VNet { encoder: Encoder::new(self, seed.derive("encoder"), device), decoders: decoders.collect() }
    }
}

/// The network.
#[derive(Module, Debug)]
pub struct VNet {
    /// Shared by the decoders.
    pub encoder: Encoder,
    /// One answer each.
    pub decoders: Vec<Decoder>,
}

impl VNet {
    /// Logits of each decoder, `n × classes × depth × height × width`, for images `n × 1 × depth × height × width` whose
    /// axes are multiples of [`REDUCTION`] (depth only for volumes).
    pub fn forward(&self, images: Tensor<5>) -> Vec<Tensor<5>> {
        let maps = self.encoder.forward(images);
        self.decoders.iter().map(|decoder| decoder.forward(&maps)).collect()
    }
}

/// A network in training, with the heads that only its training needs.
#[derive(Module, Debug)]
pub struct Segmenter {
    /// What is kept.
    pub network: VNet,
    /// One for each decoder, or none.
    pub contrasts: Vec<Contrast>,
}

#[cfg(test)]
mod tests {
    use standin_nn::{DeviceChoice, initial, values};

    use super::*;

    #[test]
    fn one_network_serves_volumes_and_images() {
        let device = DeviceChoice::Cpu.inference();
        for (dimensions, depth) in [(3, 16), (2, 1), (2, 3)] {
            let architecture = Architecture {
                dimensions,
                width: 4,
                classes: 3,
                decoders: vec![Enlargement::Transposed, Enlargement::Linear, Enlargement::Nearest],
            };
            let network = architecture.build(Seed::new(1), &device);
            let logits = network.forward(initial::normal([2, 1, depth, 16, 32], 1.0, Seed::new(2), &device));
            assert_eq!(logits.len(), 3);
            assert!(logits.iter().all(|logits| logits.dims() == [2, 3, depth, 16, 32]));
            assert!(values(&network).iter().all(|value| value.is_finite()));
        }
    }

    /// In two dimensions no image of a stack sees another.
    #[test]
    fn images_of_a_stack_are_apart() {
        let device = DeviceChoice::Cpu.inference();
        let decoders = vec![Enlargement::Transposed];
        let architecture = Architecture { dimensions: 2, width: 4, classes: 2, decoders };
        let network = architecture.build(Seed::new(1), &device);
        let stack: Tensor<5> = initial::normal([2, 1, 1, 16, 16], 1.0, Seed::new(2), &device);
        let both = network.forward(stack.clone()).remove(0).into_data().iter::<f32>().collect::<Vec<_>>();
        let first = network.forward(stack.narrow(0, 0, 1)).remove(0).into_data().iter::<f32>().collect::<Vec<_>>();
        assert_eq!(both[..first.len()], first);
    }
}
