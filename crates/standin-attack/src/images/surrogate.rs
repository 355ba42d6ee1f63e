//! Attacks that train a network of their own on the released images and ask it about the candidates.

use standin_classify::TrainedClassifier;
use standin_data::{ImageSet, Labels, Seed, Silent};

use super::Pictures;
use crate::classifier::{Logits, scaled_confidences};
use crate::{Attack, Error, Result, Target};

/// What is trained, and asked.
///
/// LOGAN's other black-box attack, by the discriminator of an adversarial network that is trained on the released images, is left
/// out: where a twentieth of the members were released twelve times each, its AUC was 0.58 to 0.84 with how long and how lightly
/// penalised it was trained, without order, and 0.96 that of the network here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surrogate {
    /// A convolutional network that tells released from reference images (Hayes, Melis, Danezis & De Cristofaro 2019, LOGAN,
    /// the black-box attack with knowledge of the population, arXiv 1705.07663): the logit of "released".
    Separator,
    /// A classifier that is trained on the released images and another on reference images: the difference of the scaled
    /// confidences in the true label. What a classifier trained on the release tells, an attacker can have without one being
    /// released; the second takes off how easy an image is (Watson, Guo, Cormode & Sablayrolles 2022, difficulty
    /// calibration).
    Auxiliary,
}

impl Surrogate {
    fn name(self) -> &'static str {
        match self {
            Self::Separator => "logan",
            Self::Auxiliary => "auxiliary",
        }
    }
}

/// The seed of all trainings: a score depends on the images alone.
const SEED: Seed = Seed::new(1);

impl Attack for Surrogate {
    fn score(&self, target: &Target<'_>) -> Result<Vec<f64>> {
        let name = self.name();
        let Pictures { released, reference, candidates } =
            *target.images()?.pictures().ok_or(Error::NoPictures { attack: name })?;
        let reference = || reference.ok_or(Error::NoReference { attack: name });
        match self {
            Self::Separator => {
                let network = network(&separated(released, reference()?)?)?;
                confidences(network.as_ref(), candidates, &vec![RELEASED; candidates.len()])
            }
            Self::Auxiliary => {
                let classes = &released.require_labels("a classifier as attack")?.classes;
                let among = |set: &ImageSet| -> Result<Labels> {
                    Ok(set.require_labels("a classifier as attack")?.among(classes)?)
                };
                let reference = reference()?;
                let reference = reference.clone().without_labels().with_labels(among(reference)?)?;
                let labels = among(candidates)?.values;
                let of_released = confidences(network(released)?.as_ref(), candidates, &labels)?;
                let of_reference = confidences(network(&reference)?.as_ref(), candidates, &labels)?;
                Ok(of_released.iter().zip(&of_reference).map(|(released, reference)| released - reference).collect())
            }
        }
    }
}

/// The scaled confidence of a network in a class of each image.
fn confidences(network: &dyn TrainedClassifier, images: &ImageSet, classes: &[u32]) -> Result<Vec<f64>> {
    let logits = network.logits(images)?;
    Ok(scaled_confidences(Logits::new(logits.values(), logits.classes())?, classes))
}

/// The class of released images, beside that of reference images.
const RELEASED: u32 = 1;

/// Reference and released images, labelled by which they are.
fn separated(released: &ImageSet, reference: &ImageSet) -> Result<ImageSet> {
    let (real, made) = (reference.clone().without_labels(), released.clone().without_labels());
    let values = [vec![0; real.len()], vec![RELEASED; made.len()]].concat();
    let labels = Labels { values, classes: vec!["reference".to_owned(), "released".to_owned()] };
    Ok(real.concat(&made)?.with_labels(labels)?)
}

/// A network trained for so long, and without weight decay, that it knows few images by heart.
fn network(train: &ImageSet) -> Result<Box<dyn TrainedClassifier>> {
    let options = toml::toml! {
        epochs = 20.0
        fewest_steps = 2000
        most_steps = 6000
        weight_decay = 0.0
    };
    let classifier = (standin_classify::family("cnn")?.build)(&options)?;
    Ok(classifier.fit(train, SEED, &Silent)?)
}
