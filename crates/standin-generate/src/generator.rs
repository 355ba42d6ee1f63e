use std::fmt;
use std::path::Path;

use serde::Serialize;
use standin_data::{ImageSet, Labels, Progress, Seed, Shape};
use standin_privacy::{Guarantee, NoiseOrigin, PrivacyTarget, Unit};

use crate::families::private_names;
use crate::network::NO_GUARANTEE;
use crate::{Control, Decode, Denoise, Discriminate, Error, Lineage, Result, SampleRequest, TranslationRequest, Work};

/// The privacy a generator must keep and the noise it keeps it with.
#[derive(Clone, Debug)]
pub struct Protection {
    /// ε and δ to stay within.
    pub target: PrivacyTarget,
    /// Whose presence is protected.
    pub unit: Unit,
    /// Where sampling and noise come from: secret, or reproducible from the seed of the fit and then not private.
    pub noise: NoiseOrigin,
}

/// What a fit is given beside the images to learn from.
#[derive(Clone)]
pub struct Fit<'a> {
    /// The privacy to keep, for a private method.
    pub protection: Option<Protection>,
    /// Images that need no protection, of the same shape: for methods that learn from public images first.
    pub public: Option<&'a ImageSet>,
    /// Decides initial weights, order and, with reproducible noise, the noise.
    pub seed: Seed,
    /// Where checkpoints and samples drawn on the way are kept; none to keep nothing.
    pub work: Option<&'a Work>,
    /// Where it says how far it is.
    pub progress: &'a dyn Progress,
}

/// A method that learns to make images like those of a labelled set.
pub trait Generator: Send + Sync + fmt::Debug {
    /// Trains on a labelled set.
    ///
    /// The result depends on the options, the sets, the protection and the seed alone, not on the number of threads nor on
    /// interruptions.
    ///
    /// # Errors
    /// If a private method gets no protection or another method gets one, public images are missing or of no use, the
    /// set has no labels or too few images, the target cannot be met, or training diverges.
    fn fit(&self, train: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>>;

    /// Every option with its value, defaults included, as accepted by [`Family::build`].
    fn options(&self) -> toml::Table;
}

/// A trained generator: draws images, and knows what it promises about the images it was trained on.
pub trait Trained: Send + Sync + fmt::Debug {
    /// Draws labelled images of the shape and classes of the training set.
    ///
    /// Image i depends on the seed, i and its class alone: neither on how many are drawn nor on the number of threads.
    ///
    /// # Errors
    /// If the request cannot be met, or has a [`Control`] that this generator does not have.
    fn sample(&self, request: &SampleRequest, seed: Seed, progress: &dyn Progress) -> Result<ImageSet>;

    /// Draws an image for each lineage, without labels: an image and its descendants are alike. For methods that search
    /// among what a generator can draw.
    ///
    /// # Errors
    /// If this generator draws from no noise, or a lineage is of a class it does not know.
    fn descend(&self, _lineages: &[Lineage], _seed: Seed, _progress: &dyn Progress) -> Result<ImageSet> {
        let remedy = "take one that draws from noise, such as a variational autoencoder or a diffusion model";
        Err(Error::request(format!("the generator {} cannot vary an image", self.description().family), remedy))
    }

    /// The groups that it is told beside the class, of which it can draw images; none for most.
    fn groups(&self) -> &[String] {
        &[]
    }

    /// Makes images of another group from others, which keep their classes, their attributes but the group, and more of what they show
    /// the lower the strength. Image i of source s depends on the seed, s, i and the source alone.
    ///
    /// Nothing is promised about the sources: each image shows one of them.
    ///
    /// # Errors
    /// If it is told no groups, or not the one that is asked for; if the sources have no labels or others than it knows, or another shape.
    fn translate(
        &self,
        _sources: &ImageSet,
        _request: &TranslationRequest,
        _seed: Seed,
        _progress: &dyn Progress,
    ) -> Result<ImageSet> {
        Err(cannot_translate(self.description().family))
    }

    /// Writes everything [`load`](crate::load) needs into an existing folder.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn save(&self, folder: &Path) -> Result<()>;

    /// What was promised about the training images; none for a method without a guarantee.
    fn guarantee(&self) -> Option<&Guarantee>;

    /// What it was trained with, for people: the description that is saved beside it.
    fn description(&self) -> Description<'_>;

    /// What of a request it can follow beyond count and balance.
    fn controls(&self) -> &'static [Control];

    /// Its network as one that takes noise off images; none where it does something else, or the images' codes.
    fn denoiser(&self) -> Option<Box<dyn Denoise + '_>> {
        None
    }

    /// Its network as one that draws an image from latent values in one pass; none where it does something else.
    fn decoder(&self) -> Option<Box<dyn Decode + '_>> {
        None
    }

    /// The discriminator that it was trained against; none where there was none, or it was not kept.
    fn discriminator(&self) -> Option<Box<dyn Discriminate + '_>> {
        None
    }
}

/// How a trained generator came to be.
#[derive(Clone, Debug, Serialize)]
pub struct Description<'a> {
    /// The registered name of the method.
    pub family: &'a str,
    /// The set it was trained on.
    pub trained_on: &'a str,
    /// The shape of its images.
    pub shape: Shape,
    /// The names of its classes.
    pub classes: &'a [String],
    /// Every option of the method.
    pub options: &'a toml::Table,
    /// The seed of its training.
    pub seed: &'a str,
}

/// A registered kind of generator.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The name in configurations and on the command line.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Whether it needs a privacy target and gives a guarantee.
    pub private: bool,
    /// Whether it learns from public images first.
    pub public: PublicImages,
    /// Time and memory, and how they grow.
    pub cost: &'static str,
    /// Paper.
    pub source: &'static str,
    /// Makes one from its options; options left out have their defaults.
    ///
    /// # Errors
    /// If an option is unknown, of another type or outside its range.
    pub build: fn(&toml::Table) -> Result<Box<dyn Generator>>,
    /// Reads one that was trained and saved.
    ///
    /// # Errors
    /// If a file is missing, damaged or of another family.
    pub load: fn(&Path) -> Result<Box<dyn Trained>>,
}

/// Whether a generator learns from public images first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicImages {
    /// It cannot.
    Unused,
    /// It can.
    Optional,
    /// It must.
    Needed,
}

impl<'a> Fit<'a> {
    /// Neither protection nor public images, nothing kept on the way.
    pub fn new(seed: Seed, progress: &'a dyn Progress) -> Self {
        Self { protection: None, public: None, seed, work: None, progress }
    }

    /// The same with protection.
    #[must_use]
    pub fn protected(self, protection: Option<Protection>) -> Self {
        Self { protection, ..self }
    }

    /// The protection that a private method needs.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn protection(&self, family: &'static str) -> Result<&Protection> {
        self.protection.as_ref().ok_or(Error::TargetMissing { family })
    }

    /// As [`Fit::protection`], for a method that can protect single images alone.
    ///
    /// # Errors
    /// If there is none, or it is to protect groups of images.
    pub(crate) fn image_protection(&self, family: &'static str) -> Result<&Protection> {
        let protection = self.protection(family)?;
        match &protection.unit {
            Unit::Image => Ok(protection),
            Unit::Group(column) => Err(Error::UnitNotOffered { family, column: column.clone() }),
        }
    }

    /// Refuses protection, for a method that gives none.
    ///
    /// # Errors
    /// If there is one.
    pub(crate) fn refuse_protection(&self, family: &'static str) -> Result<()> {
        match self.protection {
            None => Ok(()),
            Some(_) => Err(Error::TargetNotOffered { family, private: private_names() }),
        }
    }

    /// Refuses public images, for a method that has no use for them.
    ///
    /// # Errors
    /// If there are some.
    pub(crate) fn refuse_public(&self, family: &'static str) -> Result<()> {
        match self.public {
            None => Ok(()),
            Some(public) => Err(Error::PublicOfNoUse { family, set: public.describe() }),
        }
    }

    /// The public images that a method needs, of the shape of the private ones.
    ///
    /// # Errors
    /// If there is none, of another shape, or with a guarantee of its own: that was made from private images, and two looks at the
    /// same ones would be charged as one.
    pub(crate) fn public(&self, family: &'static str, train: &ImageSet) -> Result<&'a ImageSet> {
        self.maybe_public(train)?.ok_or(Error::PublicMissing { family })
    }

    /// As [`Fit::public`], for a method that does without them; none if there are none.
    ///
    /// # Errors
    /// If they are of another shape, or with a guarantee of their own.
    pub(crate) fn maybe_public(&self, train: &ImageSet) -> Result<Option<&'a ImageSet>> {
        let Some(public) = self.public.filter(|public| !public.is_empty()) else { return Ok(None) };
        if public.shape() != train.shape() {
            let (set, found, expected) = (public.describe(), public.shape(), train.shape());
            return Err(Error::PublicShape { set, found, expected });
        }
        match &public.provenance().guarantee {
            Some(guarantee) if guarantee != NO_GUARANTEE => {
                Err(Error::PublicWithGuarantee { set: public.describe(), guarantee: guarantee.clone() })
            }
            _ => Ok(Some(public)),
        }
    }
}

/// Says that a generator is told no groups.
pub(crate) fn cannot_translate(family: &str) -> Error {
    let remedy = "take one that is told groups: dual-edm, or dp-lora with its option group";
    Error::request(format!("the generator {family} cannot bring an image into another group"), remedy)
}

/// The labels of a set that a conditional generator can be trained on.
///
/// # Errors
/// If it has no labels or no image.
pub(crate) fn training_labels<'a>(family: &'static str, train: &'a ImageSet) -> Result<&'a Labels> {
    let labels = train.require_labels(&format!("the generator {family}"))?;
    if train.is_empty() {
        let (found, remedy) = ("it has no image".to_owned(), "give some hundreds of images or more".to_owned());
        return Err(Error::Training { family, set: train.describe(), found, remedy });
    }
    Ok(labels)
}
