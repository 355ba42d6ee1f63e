//! Classifiers and the utility of a training set: how well does a classifier do on real images that was trained on these?
//!
//! A [`Classifier`] is a configuration; fitted on a set it becomes a [`TrainedClassifier`], which gives [`Logits`].
//! [`CLASSIFIERS`] lists every family. [`Answers`] holds which real test images were classified rightly, and the numbers
//! that follow: accuracy, balanced accuracy, accuracy per class, and the [`replacement_ratio`] of a synthetic set
//! (trained on synthetic, tested on real, over trained on real, tested on real; Esteban et al. 2017).
//!
//! ```
//! # fn main() -> Result<(), standin_classify::Error> {
//! use standin_classify::{Answers, family};
//! use standin_data::{ImageSet, Labels, Seed, Shape, Silent};
//!
//! // Dark images and light ones.
//! let pixels = (0..64).flat_map(|image| vec![if image % 2 == 0 { 60 } else { 190 } + image; 16]).collect();
//! let labels = Labels { values: (0..64).map(|image| image % 2).collect(), classes: vec!["dark".into(), "light".into()] };
//! let images = ImageSet::new(Shape { channels: 1, height: 4, width: 4 }, pixels)?.with_labels(labels)?;
//!
//! let classifier = (family("logistic")?.build)(&toml::Table::new())?;
//! let trained = classifier.fit(&images, Seed::new(1), &Silent)?;
//! assert_eq!(Answers::of(&*trained, &images)?.accuracy().value, 1.0);
//! # Ok(())
//! # }
//! ```
//!
//! No choice here ever looks at the test set: training length and settings are fixed by the configuration, because a
//! network picked by its score on real test images overstates utility and voids a privacy guarantee.

mod augment;
mod classifier;
mod encoder;
mod error;
mod families;
mod input;
mod lbfgs;
mod logistic;
mod logits;
mod mixup;
mod network;
mod network_classifier;
mod outputs;
mod private;
mod recipe;
mod standardise;
mod trained;
mod utility;

pub use augment::Augmentation;
pub use classifier::{Classifier, Family, TrainedClassifier, family, load};
pub use encoder::{ClassifierEncoder, ClassifierFeatures, ENCODERS};
pub use error::{Error, Result};
pub use families::CLASSIFIERS;
pub use logistic::{Logistic, TrainedLogistic};
pub use logits::Logits;
pub use outputs::Outputs;
pub use private::PrivateTraining;
pub use recipe::{Method, Recipe};
pub use utility::{Answers, GroupAnswers, replacement_ratio};
