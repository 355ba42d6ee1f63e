use rand::RngExt;
use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::{Batch, DeviceChoice, Plan, fit};
use standin_privacy::{Adjacency, Ledger, NoiseSource};

use super::embedding::{RandomNetwork, class_sums};
use super::release::{Multipliers, counts, means};
use super::synthetic::{Synthetic, frozen, optimization};
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::Card;
use crate::options::{above_zero, at_least};
use crate::trained_images::TrainedImages;
use crate::{Fit, Generator, Result, Trained};

/// The options of [`DpDistillation`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpDistillationOptions {
    /// Images made of each class.
    pub images_per_class: usize,
    /// Channels of the random networks: more tell more, and are noised all the same.
    pub width: usize,
    /// Random networks, each of which is one release.
    pub networks: usize,
    /// Steps of the images, each against one of the releases.
    pub steps: usize,
    /// Learning rate of Adam on the pixels, at first.
    pub learning_rate: f64,
}

impl Default for DpDistillationOptions {
    fn default() -> Self {
        Self { images_per_class: 20, width: 16, networks: 40, steps: 800, learning_rate: 0.03 }
    }
}

/// Private distribution matching: the means that the images are to meet are released once for each of a number of random
/// networks, with Gaussian noise (after Zheng & Li 2023, "Differentially private dataset condensation").
///
/// Everything after the release sees the releases alone. The images start from noise, never from private
/// images. The releases are kept beside the checkpoints: images that had met the releases of two runs would have spent
/// both.
#[derive(Clone, Debug)]
pub struct DpDistillation {
    options: DpDistillationOptions,
}

impl DpDistillation {
    /// The registered name.
    pub const NAME: &'static str = "dp-distillation";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: DpDistillationOptions) -> Result<Self> {
        let counts = [
            ("images_per_class", options.images_per_class),
            ("width", options.width),
            ("networks", options.networks),
            ("steps", options.steps),
        ];
        counts.into_iter().try_for_each(|(name, value)| at_least(Self::NAME, name, value, 1))?;
        above_zero(Self::NAME, "learning_rate", options.learning_rate)?;
        Ok(Self { options })
    }
}

impl Generator for DpDistillation {
    fn fit(&self, train: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        let protection = run.image_protection(Self::NAME)?;
        run.refuse_public(Self::NAME)?;
        let options = &self.options;
        let labels = training_labels(Self::NAME, train)?;
        let members = labels.by_class();
        let (classes, shape, seed) = (members.len(), train.shape(), run.seed);
        let budget = protection.target.budget(train.len())?;
        let multipliers = Multipliers::of(budget, options.networks)?;
        let width = RandomNetwork::width(shape, options.width);
        let network_seed = |network: usize| seed.derive(&format!("network {network}"));
        let (targets, ledger) = run.once(Self::NAME, || {
            let mut noise = NoiseSource::of(protection.noise, seed.derive("release"))?;
            let mut ledger = Ledger::new(protection.unit.clone(), Adjacency::AddRemove, protection.noise);
            let noisy_counts = counts(&members, multipliers, &mut noise, &mut ledger)?;
            let inference = DeviceChoice::chosen().inference();
            run.progress.begin("releasing", options.networks as u64);
            let mut targets = Vec::with_capacity(options.networks);
            for network in 0..options.networks {
                let network = RandomNetwork::new(shape, options.width, network_seed(network), &inference);
                let sums = class_sums(&network, train, &members, width);
                targets.push(means(sums, &noisy_counts, multipliers, &mut noise, &mut ledger)?);
                run.progress.advance(1);
            }
            run.progress.end();
            Ok((targets, ledger))
        })?;

        let count = classes * options.images_per_class;
        let device = DeviceChoice::chosen().training();
        let synthetic = Synthetic::noise(shape, count, seed.derive("start"), &device);
        let plan = Plan::steps(options.networks, 1, options.steps, seed.derive("training"));
        let objective = |synthetic: &Synthetic, batch: &Batch<'_>| {
            let network = batch.seed.rng().random_range(0..options.networks);
            let frozen = frozen(shape, options.width, network_seed(network));
            Ok(synthetic.mismatch(&frozen, &targets[network], classes))
        };
        let optimization = optimization(options.learning_rate);
        let checkpoints = run.checkpoints(Self::NAME)?;
        let fitted = fit(synthetic, &optimization, &plan, checkpoints.as_ref(), run.progress, objective)?;
        let images = fitted.model.images(&labels.classes)?;
        let not_covered = ["the number of images", "the classes' names", "the choice of hyper-parameters"];
        let not_covered = not_covered.iter().map(|&part| part.to_owned()).collect();
        let guarantee = ledger.guarantee(budget.delta, not_covered)?;
        let card = Card::private(Self::NAME, train, labels, seed, self.options(), shape, guarantee);
        Ok(Box::new(TrainedImages::new(images, card)?))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
