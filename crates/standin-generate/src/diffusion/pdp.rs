use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::{DeviceChoice, Records};

use super::denoiser::ImageDiffusion;
use super::options::{LossOptions, NetworkOptions, PrivateOptions, TrainingOptions};
use super::training::{Account, public_classes, train, train_privately, trainable};
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, Network, TrainedNetwork};
use crate::options::at_least;
use crate::{Fit, Generator, Result, Trained};

/// The options of [`PdpDiffusion`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PdpDiffusionOptions {
    /// The sizes of the network.
    pub network: NetworkOptions,
    /// The noise it learns to take off.
    pub loss: LossOptions,
    /// The training on public images.
    pub pretraining: TrainingOptions,
    /// The private training.
    pub private: PrivateOptions,
    /// Noise levels of a sampling that asks for no number: 2 · `steps` − 1 passes of the network with Heun's method.
    pub steps: usize,
}

impl Default for PdpDiffusionOptions {
    fn default() -> Self {
        Self {
            network: NetworkOptions::private(),
            loss: LossOptions::default(),
            pretraining: TrainingOptions::default(),
            private: PrivateOptions::default(),
            steps: 18,
        }
    }
}

/// A diffusion model trained on public images, then privately on the private ones (Ghalebikesabi et al. 2023).
///
/// Public images are learnt under their own labels, which need not be those of the private images; the private training
/// starts from the averaged network.
#[derive(Clone, Debug)]
pub struct PdpDiffusion {
    options: PdpDiffusionOptions,
}

impl PdpDiffusion {
    /// The registered name.
    pub const NAME: &'static str = "pdp-diffusion";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: PdpDiffusionOptions) -> Result<Self> {
        options.network.check(Self::NAME)?;
        options.loss.check(Self::NAME)?;
        options.private.check(Self::NAME)?;
        at_least(Self::NAME, "steps", options.steps, 1)?;
        options.pretraining.check(Self::NAME)?;
        Ok(Self { options })
    }
}

impl Generator for PdpDiffusion {
    fn fit(&self, train_set: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        let protection = run.protection(Self::NAME)?;
        let public = run.public(Self::NAME, train_set)?;
        let PdpDiffusionOptions { network, loss, pretraining, private, steps } = &self.options;
        let labels = training_labels(Self::NAME, train_set)?;
        let records = Records::of(train_set, &protection.unit)?;
        let account = Account::open(protection, &records)?;
        let classes = labels.classes.len();
        let architecture = network.of_images(loss, *steps, train_set.shape(), classes);
        let device = DeviceChoice::chosen().training();
        let model = ImageDiffusion::new(&architecture, run.seed.derive("weights"), &device);

        let public_labels = public_classes(public, classes);
        let objective = loss.of_images(public, &public_labels, &architecture);
        let learning = (&objective, public.len());
        let model = train(&run, "public", model, &architecture, learning, pretraining)?;

        let objective = loss.of_images(train_set, &labels.values, &architecture);
        let model = trainable(&model, &architecture);
        let (model, guarantee) = train_privately(&run, model, &architecture, &objective, &account, private)?;
        let card = Card::private(Self::NAME, train_set, labels, run.seed, self.options(), architecture, guarantee);
        Ok(Box::new(TrainedNetwork::new(model, card)))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
