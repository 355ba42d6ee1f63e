use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::DeviceChoice;

use super::denoiser::ImageDiffusion;
use super::options::{LossOptions, NetworkOptions, TrainingOptions};
use super::training::train;
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, Network, TrainedNetwork};
use crate::options::at_least;
use crate::{Fit, Generator, Result, Trained};

/// The options of [`Edm`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EdmOptions {
    /// The sizes of the network.
    pub network: NetworkOptions,
    /// The noise it learns to take off.
    pub loss: LossOptions,
    /// The training.
    pub training: TrainingOptions,
    /// Noise levels of a sampling that asks for no number: 2 · `steps` − 1 passes of the network with Heun's method.
    pub steps: usize,
}

impl Default for EdmOptions {
    fn default() -> Self {
        Self {
            network: NetworkOptions::default(),
            loss: LossOptions::default(),
            training: TrainingOptions::default(),
            steps: 18,
        }
    }
}

/// A class-conditional diffusion model (Karras et al. 2022, EDM) with a small U-Net.
#[derive(Clone, Debug)]
pub struct Edm {
    options: EdmOptions,
}

impl Edm {
    /// The registered name.
    pub const NAME: &'static str = "edm";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: EdmOptions) -> Result<Self> {
        options.network.check(Self::NAME)?;
        options.loss.check(Self::NAME)?;
        options.training.check(Self::NAME)?;
        at_least(Self::NAME, "steps", options.steps, 1)?;
        Ok(Self { options })
    }
}

impl Generator for Edm {
    fn fit(&self, train_set: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        run.refuse_protection(Self::NAME)?;
        run.refuse_public(Self::NAME)?;
        let EdmOptions { network, loss, training, steps } = &self.options;
        let labels = training_labels(Self::NAME, train_set)?;
        let architecture = network.of_images(loss, *steps, train_set.shape(), labels.classes.len());
        let device = DeviceChoice::chosen().training();
        let model = ImageDiffusion::new(&architecture, run.seed.derive("weights"), &device);
        let objective = loss.of_images(train_set, &labels.values, &architecture);
        let learning = (&objective, train_set.len());
        let model = train(&run, "edm", model, &architecture, learning, training)?;
        let card = Card::new(Self::NAME, train_set, labels, run.seed, self.options(), architecture);
        Ok(Box::new(TrainedNetwork::new(model, card)))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
