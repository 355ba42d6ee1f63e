use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Seed};
use standin_nn::{Batch, DeviceChoice, Module, Plan, fit};

use super::embedding::{RandomNetwork, class_sums};
use super::synthetic::{Synthetic, frozen, optimization};
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::Card;
use crate::options::{above_zero, at_least};
use crate::trained_images::TrainedImages;
use crate::{Error, Fit, Generator, Result, Trained};

/// The options of [`DistributionMatching`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DistributionMatchingOptions {
    /// Images made of each class.
    pub images_per_class: usize,
    /// Channels of the random networks.
    pub width: usize,
    /// Steps, each with a network of its own.
    pub steps: usize,
    /// Training images of each class seen in a step, at most.
    pub batch_size: usize,
    /// Learning rate of Adam on the pixels, at first.
    pub learning_rate: f64,
    /// Start from training images drawn at random, as published, and not from noise. What comes out may then lie near them.
    pub start_from_real: bool,
}

impl Default for DistributionMatchingOptions {
    fn default() -> Self {
        Self {
            images_per_class: 20,
            width: 32,
            steps: 600,
            batch_size: 128,
            learning_rate: 0.03,
            start_from_real: false,
        }
    }
}

/// Dataset distillation by distribution matching (Zhao & Bilen 2023): a few images of each class whose mean embedding under
/// any random network is that of the training images. The images are all there is: sampling draws from them.
///
/// Other than published, embeddings have length 1, images start from noise unless asked otherwise, pixels move by Adam, and
/// neither side is augmented.
#[derive(Clone, Debug)]
pub struct DistributionMatching {
    options: DistributionMatchingOptions,
}

impl DistributionMatching {
    /// The registered name.
    pub const NAME: &'static str = "distribution-matching";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: DistributionMatchingOptions) -> Result<Self> {
        let counts = [
            ("images_per_class", options.images_per_class),
            ("width", options.width),
            ("steps", options.steps),
            ("batch_size", options.batch_size),
        ];
        counts.into_iter().try_for_each(|(name, value)| at_least(Self::NAME, name, value, 1))?;
        above_zero(Self::NAME, "learning_rate", options.learning_rate)?;
        Ok(Self { options })
    }
}

/// So many of each class, drawn without replacement; again from the start where there are fewer.
fn drawn(members: &[Vec<usize>], each: usize, seed: Seed) -> Vec<Vec<usize>> {
    let draw = |(class, of_class): (usize, &Vec<usize>)| {
        let mut order = of_class.clone();
        order.shuffle(&mut seed.derive(&format!("class {class}")).rng());
        order.into_iter().cycle().take(each).collect()
    };
    members.iter().enumerate().map(draw).collect()
}

impl Generator for DistributionMatching {
    fn fit(&self, train: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        run.refuse_protection(Self::NAME)?;
        run.refuse_public(Self::NAME)?;
        let options = &self.options;
        let labels = training_labels(Self::NAME, train)?;
        let members = labels.by_class();
        require_every_class(Self::NAME, train, &members)?;
        let (classes, shape, seed) = (members.len(), train.shape(), run.seed);
        let device = DeviceChoice::chosen().training();
        let synthetic = if options.start_from_real {
            let chosen = drawn(&members, options.images_per_class, seed.derive("start")).concat();
            Synthetic::real(train, &chosen, &device)
        } else {
            Synthetic::noise(shape, classes * options.images_per_class, seed.derive("start"), &device)
        };
        let width = RandomNetwork::width(shape, options.width);
        let plan = Plan::steps(train.len(), classes * options.batch_size, options.steps, seed.derive("training"));
        let checkpoints = run.checkpoints(Self::NAME)?;
        let objective = |synthetic: &Synthetic, batch: &Batch<'_>| {
            let network = frozen(shape, options.width, batch.seed.derive("network"));
            let each = options.batch_size.min(members.iter().map(Vec::len).max().unwrap_or(1));
            let batch = drawn(&members, each, batch.seed.derive("real"));
            let sums = class_sums(&network.valid(), train, &batch, width);
            let means: Vec<f32> = sums.into_iter().map(|sum| (sum / each as f64) as f32).collect();
            Ok(synthetic.mismatch(&network, &means, classes))
        };
        let optimization = optimization(options.learning_rate);
        let fitted = fit(synthetic, &optimization, &plan, checkpoints.as_ref(), run.progress, objective)?;
        let images = fitted.model.images(&labels.classes)?;
        let card = Card::new(Self::NAME, train, labels, seed, self.options(), shape);
        Ok(Box::new(TrainedImages::new(images, card)?))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}

/// Refuses a set with a class of which there is no image.
pub(super) fn require_every_class(family: &'static str, train: &ImageSet, members: &[Vec<usize>]) -> Result<()> {
    match members.iter().position(Vec::is_empty) {
        None => Ok(()),
        Some(class) => {
            let name = train.labels().map_or("", |labels| &labels.classes[class]);
            let found = format!("the class \"{name}\" has no image");
            let remedy = "leave the class out of the set".to_owned();
            Err(Error::Training { family, set: train.describe(), found, remedy })
        }
    }
}
