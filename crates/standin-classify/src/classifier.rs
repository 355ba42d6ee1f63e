use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Labels, Progress, Seed, Shape};
use standin_privacy::Guarantee;

use crate::{CLASSIFIERS, Error, Logits, Result};

/// A kind of classifier with its configuration, ready to be fitted.
pub trait Classifier: Send + Sync {
    /// Learns to tell the classes of a labelled set apart. Equal seeds on equal sets give equal classifiers, whatever the
    /// number of threads, but for one trained privately with secret noise.
    ///
    /// # Errors
    /// If the set has no labels, images of fewer than two classes, or a shape the classifier cannot take; if the privacy
    /// asked for cannot be had on this set; or if training diverges.
    fn fit(&self, train: &ImageSet, seed: Seed, progress: &dyn Progress) -> Result<Box<dyn TrainedClassifier>>;

    /// Every setting with its value, defaults included, as accepted by [`Family::build`].
    fn options(&self) -> toml::Table;
}

/// A classifier that was fitted.
pub trait TrainedClassifier: Send + Sync {
    /// One row per image, one column per class, in the order of [`TrainedClassifier::classes`].
    ///
    /// # Errors
    /// If the images are not of the shape of training.
    fn logits(&self, images: &ImageSet) -> Result<Logits>;

    /// Class names, in the order of the training set.
    fn classes(&self) -> &[String];

    /// What was promised about the training images; none for a classifier without a guarantee.
    fn guarantee(&self) -> Option<&Guarantee>;

    /// Writes the classifier into an existing folder, for [`load`].
    ///
    /// # Errors
    /// If a file cannot be written.
    fn save(&self, folder: &Path) -> Result<()>;
}

/// A registered classifier.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The name in configurations and on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Time and how it grows.
    pub cost: &'static str,
    /// Paper.
    pub source: &'static str,
    /// Makes one from its configuration; what is left out takes the default, and an unknown key is an error.
    pub build: fn(&toml::Table) -> Result<Box<dyn Classifier>>,
    /// Reads one that [`TrainedClassifier::save`] wrote.
    pub load: fn(&Path) -> Result<Box<dyn TrainedClassifier>>,
}

/// The family of that name.
///
/// # Errors
/// If there is none; names those there are.
pub fn family(name: &str) -> Result<&'static Family> {
    CLASSIFIERS.iter().find(|family| family.name == name).ok_or_else(|| Error::Unknown {
        name: name.to_owned(),
        known: CLASSIFIERS.iter().map(|family| family.name).collect::<Vec<_>>().join(", "),
    })
}

/// The file that says which family a folder holds.
const FILE: &str = "classifier.toml";

/// What that file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    family: String,
    /// Digest of the weights that the guarantee is about; there is one only beside a guarantee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weights: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guarantee: Option<Guarantee>,
}

impl Saved {
    /// `digest` is that of the weights, asked for where there is a guarantee.
    pub(crate) fn new(family: &str, guarantee: Option<&Guarantee>, digest: impl FnOnce() -> String) -> Self {
        Self { family: family.to_owned(), weights: guarantee.map(|_| digest()), guarantee: guarantee.cloned() }
    }

    /// Writes the file into a folder.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let text = toml::to_string(self).map_err(|error| Error::damaged(&path, error.to_string()))?;
        std::fs::write(&path, text).map_err(Error::io("writing", &path))
    }

    /// Reads the file of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
        toml::from_str(&text).map_err(|error| Error::damaged(&path, error.message()))
    }

    /// The guarantee, if it is one about the weights of this digest.
    pub(crate) fn guarantee_of(self, folder: &Path, digest: &str) -> Result<Option<Guarantee>> {
        if self.guarantee.is_some() && self.weights.as_deref() != Some(digest) {
            return Err(Error::damaged(
                &folder.join(FILE),
                "its guarantee is about other weights than those beside it",
            ));
        }
        Ok(self.guarantee)
    }
}

/// Reads a classifier of any family that [`TrainedClassifier::save`] wrote into `folder`.
///
/// # Errors
/// If a file is missing, damaged, or of a family this build does not know.
pub fn load(folder: &Path) -> Result<Box<dyn TrainedClassifier>> {
    (family(&Saved::read(folder)?.family)?.load)(folder)
}

pub(crate) fn configured<C: DeserializeOwned>(classifier: &'static str, table: &toml::Table) -> Result<C> {
    C::deserialize(table.clone())
        .map_err(|error| Error::Configuration { classifier, reason: error.message().to_owned() })
}

/// The labels of a training set that has something to tell apart.
pub(crate) fn require_classes(train: &ImageSet) -> Result<&Labels> {
    let labels = train.require_labels("training a classifier")?;
    let present = labels.by_class().iter().filter(|members| !members.is_empty()).count();
    if present < 2 {
        let (images, classes) = (train.len(), labels.classes.len());
        return Err(Error::TooFewClasses { set: train.describe(), images, present, classes });
    }
    Ok(labels)
}

pub(crate) fn require_shape(images: &ImageSet, expected: Shape) -> Result<()> {
    if images.shape() == expected {
        return Ok(());
    }
    Err(Error::OtherShape { set: images.describe(), found: images.shape(), expected })
}
