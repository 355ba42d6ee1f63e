use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Labels, Progress, Seed, Shape};

use crate::{Cnn, Error, Logistic, Logits, Result, TrainedCnn, TrainedLogistic};

/// A kind of classifier with its configuration, ready to be fitted.
pub trait Classifier: Send + Sync {
    /// Learns to tell the classes of a labelled set apart. Equal seeds on equal sets give equal classifiers, whatever the
    /// number of threads.
    ///
    /// # Errors
    /// If the set has no labels, images of fewer than two classes, or a shape the classifier cannot take, or if training
    /// diverges.
    fn fit(&self, train: &ImageSet, seed: Seed, progress: &dyn Progress) -> Result<Box<dyn TrainedClassifier>>;
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

/// Every classifier.
pub const CLASSIFIERS: &[Family] = &[
    Family {
        name: "cnn",
        summary: "convolutional network in the manner of LeNet, as deep as the images are large",
        cost: "linear in images and pixels; 700 images of 8×8 half a second, 60 000 of 28×28 40 s of one core",
        source: "LeCun et al. 1998, Gradient-based learning applied to document recognition",
        build: |table| Ok(Box::new(configured::<Cnn>("cnn", table)?.checked()?)),
        load: |folder| Ok(Box::new(TrainedCnn::load(folder)?)),
    },
    Family {
        name: "logistic",
        summary: "multinomial logistic regression on standardised pixels: what can be told apart linearly",
        cost: "linear in images, pixels and classes; 60 000 images of 28×28 13 s of one core; no seed used",
        source: "Bishop 2006, Pattern recognition and machine learning, section 4.3.4",
        build: |table| Ok(Box::new(configured::<Logistic>("logistic", table)?.checked()?)),
        load: |folder| Ok(Box::new(TrainedLogistic::load(folder)?)),
    },
];

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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    family: String,
}

/// Reads a classifier of any family that [`TrainedClassifier::save`] wrote into `folder`.
///
/// # Errors
/// If a file is missing, damaged, or of a family this build does not know.
pub fn load(folder: &Path) -> Result<Box<dyn TrainedClassifier>> {
    let path = folder.join(FILE);
    let text = std::fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
    let saved: Saved = toml::from_str(&text).map_err(|error| Error::damaged(&path, error.message()))?;
    (family(&saved.family)?.load)(folder)
}

pub(crate) fn save_family(folder: &Path, family: &str) -> Result<()> {
    let path = folder.join(FILE);
    std::fs::write(&path, format!("family = \"{family}\"\n")).map_err(Error::io("writing", &path))
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
