use serde::{Deserialize, Serialize};
use standin_data::{Seed, Shape};
use standin_nn::layer::indices;
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{Module, PixelRange, burn};
use statrs::distribution::{ContinuousCDF, Normal};

use super::convolutional::{Architecture, ConvolutionalGenerator};
use crate::network::{Chunk, Network};
use crate::opened::Mixed;
use crate::{Control, Decode};

/// The sizes of a [`Mixture`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MixtureArchitecture {
    /// Generators.
    pub generators: usize,
    /// Of each of them.
    pub each: Architecture,
}

impl MixtureArchitecture {
    /// The entry that the architecture of one generator does not have.
    pub(crate) const ENTRY: &str = "generators";

    /// The fewest and the most generators.
    pub(crate) const GENERATORS: std::ops::RangeInclusive<usize> = 2..=8;

    /// Checks a number of generators that comes from a file.
    pub(crate) fn check_generators(generators: usize) -> Result<(), &'static str> {
        if Self::GENERATORS.contains(&generators) { Ok(()) } else { Err("the number of its generators is not 2 to 8") }
    }
}

/// Generators of which each draws its share of the images: which one draws image i depends on the seed and i alone, and not on
/// its class, so that every class comes from all of them.
#[derive(Module, Debug)]
pub(crate) struct Mixture {
    members: Vec<ConvolutionalGenerator>,
}

impl Mixture {
    /// At least one generator, all of the same sizes.
    pub(crate) fn of(members: Vec<ConvolutionalGenerator>) -> Self {
        Self { members }
    }
}

/// Which of so many generators a standard normal value stands for; each is as probable as the others.
fn chosen(value: f32, generators: usize) -> usize {
    let share = Normal::standard().cdf(f64::from(value));
    ((share * generators as f64) as usize).min(generators - 1)
}

impl Network for Mixture {
    type Architecture = MixtureArchitecture;
    const CONTROLS: &'static [Control] = ConvolutionalGenerator::CONTROLS;
    const CHUNK: usize = ConvolutionalGenerator::CHUNK;

    fn new(architecture: &MixtureArchitecture, seed: Seed, device: &Device) -> Self {
        let member = |member: usize| {
            ConvolutionalGenerator::initial(&architecture.each, seed.derive(&format!("generator {member}")), device)
        };
        Self { members: (0..architecture.generators).map(member).collect() }
    }

    fn check(architecture: &MixtureArchitecture) -> Result<(), &'static str> {
        MixtureArchitecture::check_generators(architecture.generators)?;
        architecture.each.check()
    }

    fn shape(architecture: &MixtureArchitecture) -> Shape {
        architecture.each.shape
    }

    fn classes(architecture: &MixtureArchitecture) -> usize {
        architecture.each.classes
    }

    /// Every generator draws the whole chunk, so that an image does not depend on who draws the others.
    fn draw(&self, architecture: &MixtureArchitecture, chunk: &Chunk<'_>) -> (Tensor<4>, PixelRange) {
        let images = chunk.labels.len();
        let latents = chunk.normal("latent", architecture.each.latent) * chunk.request.temperature;
        let drawn = self.members.iter().map(|member| member.forward(latents.clone(), chunk.labels)).collect();
        let members = chunk.values("generator", 1).into_iter().map(|value| chosen(value, self.members.len()));
        let rows = members.enumerate().map(|(image, member)| (member * images + image) as u32);
        (Tensor::cat(drawn, 0).select(0, indices(rows, &chunk.device())), PixelRange::Symmetric)
    }

    fn decoder<'a>(&'a self, architecture: &'a MixtureArchitecture) -> Option<Box<dyn Decode + 'a>> {
        let parts: Option<Vec<_>> = self.members.iter().map(|member| member.decoder(&architecture.each)).collect();
        Some(Box::new(Mixed { parts: parts? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generator_stands_for_an_equal_share_of_normal_values() {
        // Quantiles at 1/8, 3/8, 5/8 and 7/8, and values whose distribution function rounds to 0 or 1.
        let values = [-1.1503, -0.3186, 0.3186, 1.1503, -40.0, 40.0];
        assert_eq!(values.map(|value| chosen(value, 4)), [0, 1, 2, 3, 0, 3]);
        assert_eq!(values.map(|value| chosen(value, 2)), [0, 0, 1, 1, 0, 1]);
    }
}
