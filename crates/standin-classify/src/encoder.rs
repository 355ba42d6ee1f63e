//! What a classifier has learnt to see, as features.

use std::path::Path;

use standin_data::{ImageSet, Progress, Seed};
use standin_encode::{
    Embedding, Encoder, Error, FittedEncoder, Stamp, TrainableEncoder, TrainableFamily, TrainingError,
};

use crate::families::cnn;
use crate::network::{Cnn, Design};
use crate::network_classifier::NetworkClassifier;
use crate::trained::TrainedNetwork;
use crate::{Result, TrainedClassifier};

/// The encoders of this crate.
pub const ENCODERS: &[TrainableFamily] = &[TrainableFamily {
    name: ClassifierEncoder::NAME,
    training: ClassifierEncoder::NAME,
    summary: "penultimate layer of the `cnn` trained on the labelled real images: sees what tells the classes apart",
    needs_labels: true,
    cost: "the training of `cnn`, then thousands of images of 28×28 a second; 128 features an image",
    source: "LeCun et al. 1998; as features, Sharif Razavian et al. 2014",
    build: |options| Ok(Box::new(ClassifierEncoder::new(options)?)),
    load: |folder| Ok(Box::new(ClassifierFeatures::of(TrainedNetwork::load("cnn", folder)?))),
}];

/// Features of the images as a classifier sees them: the penultimate layer of the `cnn` trained on the labels.
///
/// They keep what matters for the classes and lose the rest, so distances between them judge likeness as the
/// classification of interest does. A network separates its own training images further than others: fit it on train
/// and holdout together, so that neither side of a comparison is favoured.
#[derive(Clone, Debug)]
pub struct ClassifierEncoder {
    cnn: NetworkClassifier<Cnn>,
}

impl ClassifierEncoder {
    /// The registered name.
    pub const NAME: &'static str = "classifier";

    /// An encoder from the settings of its network; those left out have the defaults of the classifier `cnn`.
    ///
    /// # Errors
    /// Names the first setting that is unknown or outside its range; refuses `privacy`, whose guarantee features would not
    /// carry.
    pub fn new(options: &toml::Table) -> Result<Self> {
        let cnn = NetworkClassifier::configured(cnn(), options)?;
        if cnn.is_private() {
            let reason =
                "`privacy` is for classifiers; as an encoder it measures at home and promises nothing".to_owned();
            return Err(crate::Error::Configuration { classifier: Self::NAME, reason });
        }
        Ok(Self { cnn })
    }
}

impl TrainableEncoder for ClassifierEncoder {
    fn fit(
        &self,
        images: &ImageSet,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Box<dyn FittedEncoder>, TrainingError> {
        images.require_labels("the encoder `classifier`")?;
        Ok(Box::new(ClassifierFeatures::of(self.cnn.train(images, seed, progress)?)))
    }

    fn options(&self) -> toml::Table {
        self.cnn.settings()
    }
}

/// A fitted [`ClassifierEncoder`].
#[derive(Clone, Debug)]
pub struct ClassifierFeatures {
    trained: TrainedNetwork<<Cnn as Design>::Architecture>,
    weights: String,
}

impl ClassifierFeatures {
    /// The features of a trained network.
    fn of(trained: TrainedNetwork<<Cnn as Design>::Architecture>) -> Self {
        Self { weights: trained.digest(), trained }
    }
}

impl Encoder for ClassifierFeatures {
    fn stamp(&self, images: &ImageSet) -> standin_encode::Result<Stamp> {
        let shape = self.trained.shape();
        if images.shape() != shape {
            return Err(Error::Shape {
                encoder: ClassifierEncoder::NAME,
                shape: images.shape(),
                remedy: format!("it was trained on images of {shape}; resize these before, or train it on such images"),
            });
        }
        let dimension = self.trained.dimension();
        Ok(Stamp {
            encoder: ClassifierEncoder::NAME.to_owned(),
            weights: Some(self.weights.clone()),
            preprocessing: format!("{shape} pixels standardised per channel, hidden layer of {dimension} after ReLU"),
            metric: standin_encode::Metric::Euclidean,
        })
    }

    fn encode(&self, images: &ImageSet, progress: &dyn Progress) -> standin_encode::Result<Embedding> {
        let stamp = self.stamp(images)?;
        progress.begin(ClassifierEncoder::NAME, images.len() as u64);
        let features = self.trained.features(images).expect("the stamp has compared the shapes");
        progress.advance(images.len() as u64);
        progress.end();
        Embedding::new(features, self.trained.dimension(), stamp)
    }
}

impl FittedEncoder for ClassifierFeatures {
    fn save(&self, folder: &Path) -> Result<(), TrainingError> {
        Ok(self.trained.save(folder)?)
    }
}
