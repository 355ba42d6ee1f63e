use std::fmt;
use std::path::Path;

use standin_data::{ImageSet, Labels, Progress, Seed};
use standin_privacy::{Guarantee, NoiseSource, PrivacyTarget};

use crate::{Error, Result, SampleRequest};

/// The privacy a generator must keep and the noise it keeps it with.
///
/// A fit consumes its noise source, so no two releases can share noise.
#[derive(Debug)]
pub struct Protection {
    /// ε and δ to stay within.
    pub target: PrivacyTarget,
    /// Where noise is drawn.
    pub noise: NoiseSource,
}

/// A method that learns to make images like those of a labelled set.
pub trait Generator: Send + Sync + fmt::Debug {
    /// Trains on a labelled set.
    ///
    /// The result depends on the options, the set, the protection and the seed alone, not on the number of threads.
    ///
    /// # Errors
    /// If a private method gets no protection or another method gets one, the set has no labels or too few images, the
    /// target cannot be met, or training diverges.
    fn fit(
        &self,
        train: &ImageSet,
        protection: Option<Protection>,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Box<dyn Trained>>;

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
    /// If the request cannot be met; see [`SampleRequest::labels`] and [`SampleRequest::temperature`].
    fn sample(&self, request: &SampleRequest, seed: Seed, progress: &dyn Progress) -> Result<ImageSet>;

    /// Writes everything [`load`](crate::load) needs into an existing folder.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn save(&self, folder: &Path) -> Result<()>;

    /// What was promised about the training images; none for a method without a guarantee.
    fn guarantee(&self) -> Option<&Guarantee>;
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
