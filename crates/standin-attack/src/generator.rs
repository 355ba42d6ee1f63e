use standin_data::{ImageSet, Seed};
use standin_generate::{Decode, Denoise, Discriminate, Trained};

use crate::{Error, Need, Result};

pub mod denoising;
pub mod discriminator;
pub mod latent;
pub mod loss_ratio;

/// A released generator with its weights, the candidates, and what the attacker has besides.
#[derive(Clone, Copy, Debug)]
pub struct GeneratorTarget<'a> {
    generator: &'a dyn Trained,
    candidates: &'a ImageSet,
    classes: &'a [u32],
    shadows: &'a [GeneratorShadow<'a>],
    seed: Seed,
}

/// A generator trained like the target on a known part of the candidates.
#[derive(Clone, Copy, Debug)]
pub struct GeneratorShadow<'a> {
    /// The generator.
    pub generator: &'a dyn Trained,
    /// Whether each candidate was among its training images.
    pub member: &'a [bool],
}

impl<'a> GeneratorTarget<'a> {
    /// The generator, candidates with their labels, and shadows (none for attacks without). What an attack draws at
    /// random follows from the seed, and is the same for all candidates and shadows.
    ///
    /// # Errors
    /// If there is no candidate, candidates have another shape than the generator draws, no labels or labels that it does
    /// not know, or the lengths do not fit together.
    pub fn new(
        generator: &'a dyn Trained,
        candidates: &'a ImageSet,
        shadows: &'a [GeneratorShadow<'a>],
        seed: Seed,
    ) -> Result<Self> {
        let expected = candidates.len();
        if expected == 0 {
            return Err(Error::Empty { what: "candidates" });
        }
        let labels = candidates.require_labels("an attack on a generator")?;
        let (found, trained) = (candidates.shape(), generator.description());
        if found != trained.shape {
            return Err(Error::Shape { found, expected: trained.shape });
        }
        let classes = trained.classes.len();
        if let Some(candidate) = labels.values.iter().position(|&label| label as usize >= classes) {
            return Err(Error::Label { candidate, label: labels.values[candidate], classes });
        }
        for (index, shadow) in shadows.iter().enumerate() {
            let found = shadow.member.len();
            if found != expected {
                return Err(Error::Length { what: format!("membership flags of shadow {index}"), found, expected });
            }
        }
        Ok(Self { generator, candidates, classes: &labels.values, shadows, seed })
    }

    /// What was released.
    pub fn generator(&self) -> &'a dyn Trained {
        self.generator
    }

    /// The images whose membership is in question.
    pub fn candidates(&self) -> &'a ImageSet {
        self.candidates
    }

    /// The class of each candidate.
    pub fn classes(&self) -> &'a [u32] {
        self.classes
    }

    /// Generators trained like the target.
    pub fn shadows(&self) -> &'a [GeneratorShadow<'a>] {
        self.shadows
    }

    /// Decides what is drawn at random.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// Whether a generator is, or holds, what an attack needs of the release itself; no for everything else.
    pub fn holds(generator: &dyn Trained, need: Need) -> bool {
        match need {
            Need::Denoiser => generator.denoiser().is_some(),
            Need::Decoder => generator.decoder().is_some(),
            Need::Likelihood => generator.decoder().is_some_and(|decoder| decoder.has_likelihood()),
            Need::Discriminator => generator.discriminator().is_some(),
            Need::Labels
            | Need::Reference
            | Need::EuclideanFeatures
            | Need::Pictures
            | Need::ShadowsInAndOut
            | Need::ShadowsOut => false,
        }
    }

    fn lacks(&self, need: Need) -> Error {
        Error::Release { family: self.generator.description().family.to_owned(), need }
    }

    fn denoiser(&self) -> Result<Box<dyn Denoise + 'a>> {
        self.generator.denoiser().ok_or_else(|| self.lacks(Need::Denoiser))
    }

    fn decoder(&self) -> Result<Box<dyn Decode + 'a>> {
        self.generator.decoder().ok_or_else(|| self.lacks(Need::Decoder))
    }

    fn discriminator(&self) -> Result<Box<dyn Discriminate + 'a>> {
        self.generator.discriminator().ok_or_else(|| self.lacks(Need::Discriminator))
    }

    /// The values of all candidates in [0, 1], one after the other.
    fn values(&self) -> Vec<f32> {
        self.candidates.pixels().iter().map(|&value| f32::from(value) / 255.0).collect()
    }
}
