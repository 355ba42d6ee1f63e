use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ClassifierTarget, Error, GeneratorTarget, ImagesTarget, Result};

/// What an attacker sees of the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// The released images and nothing else.
    Images,
    /// The answers of a released classifier.
    Classifier,
    /// A released generator with its weights.
    Generator,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Images => "images",
            Self::Classifier => "classifier",
            Self::Generator => "generator",
        })
    }
}

/// What an attacker must have besides access to the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// The true label of each candidate.
    Labels,
    /// Real images of the same population that are neither members nor candidates.
    Reference,
    /// Features that compare by Euclidean distance, not codes that are equal or not.
    EuclideanFeatures,
    /// The images themselves, and not their features alone.
    Pictures,
    /// Models trained like the target on known subsets of the candidates, in and out.
    ShadowsInAndOut,
    /// Models trained like the target without the candidate; those with it are not needed.
    ShadowsOut,
    /// A generator that takes noise off images.
    Denoiser,
    /// A generator that draws an image from latent values in one pass.
    Decoder,
    /// Such a generator whose pixels are probabilities.
    Likelihood,
    /// The discriminator that a generator was trained against.
    Discriminator,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Labels => "labels",
            Self::Reference => "reference images",
            Self::EuclideanFeatures => "features with Euclidean distances",
            Self::Pictures => "the images themselves",
            Self::ShadowsInAndOut => "shadows with and without each candidate",
            Self::ShadowsOut => "shadows without each candidate",
            Self::Denoiser => "a diffusion model of images",
            Self::Decoder => "a generator that draws from latent values in one pass",
            Self::Likelihood => "a generator whose pixels are probabilities",
            Self::Discriminator => "the discriminator",
        })
    }
}

/// What is attacked, with the candidates and everything the attacker has.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Target<'a> {
    /// Released images.
    Images(ImagesTarget<'a>),
    /// A released classifier.
    Classifier(ClassifierTarget<'a>),
    /// A released generator.
    Generator(GeneratorTarget<'a>),
}

impl<'a> Target<'a> {
    /// What the attacker sees.
    pub fn access(&self) -> Access {
        match self {
            Self::Images(_) => Access::Images,
            Self::Classifier(_) => Access::Classifier,
            Self::Generator(_) => Access::Generator,
        }
    }

    /// Number of candidates, and hence of scores.
    pub fn candidates(&self) -> usize {
        match self {
            Self::Images(images) => images.candidates().rows(),
            Self::Classifier(classifier) => classifier.logits().rows(),
            Self::Generator(generator) => generator.candidates().len(),
        }
    }

    /// The released images.
    ///
    /// # Errors
    /// If something else was released.
    pub fn images(&self) -> Result<&ImagesTarget<'a>> {
        match self {
            Self::Images(images) => Ok(images),
            other => Err(Error::Access { needed: Access::Images, given: other.access() }),
        }
    }

    /// The released classifier.
    ///
    /// # Errors
    /// If something else was released.
    pub fn classifier(&self) -> Result<&ClassifierTarget<'a>> {
        match self {
            Self::Classifier(classifier) => Ok(classifier),
            other => Err(Error::Access { needed: Access::Classifier, given: other.access() }),
        }
    }

    /// The released generator.
    ///
    /// # Errors
    /// If something else was released.
    pub fn generator(&self) -> Result<&GeneratorTarget<'a>> {
        match self {
            Self::Generator(generator) => Ok(generator),
            other => Err(Error::Access { needed: Access::Generator, given: other.access() }),
        }
    }
}

/// Membership inference.
pub trait Attack: Send + Sync {
    /// One score per candidate, in order: the higher, the more likely a member. Only the order of the scores has a
    /// meaning; none is NaN.
    ///
    /// # Errors
    /// If the target is of another access, or lacks what the attack needs.
    fn score(&self, target: &Target<'_>) -> Result<Vec<f64>>;
}

/// A registered attack.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The name in configurations and on the command line.
    pub name: &'static str,
    /// What the attacker sees.
    pub access: Access,
    /// What else the attacker must have.
    pub needs: &'static [Need],
    /// What it does, in one line.
    pub summary: &'static str,
    /// Time and memory, and how they grow.
    pub cost: &'static str,
    /// Paper.
    pub source: &'static str,
    /// Makes one.
    pub(crate) make: fn() -> Box<dyn Attack>,
}

impl Family {
    /// The attack itself, with its published parameters.
    pub fn build(&self) -> Box<dyn Attack> {
        (self.make)()
    }

    /// Whether any shadow must be trained for it.
    pub fn needs_shadows(&self) -> bool {
        self.needs.iter().any(|need| matches!(need, Need::ShadowsInAndOut | Need::ShadowsOut))
    }
}
