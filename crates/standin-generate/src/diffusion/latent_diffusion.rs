use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::{DeviceChoice, values, with_values};

use super::autoencoder::{Autoencoder, AutoencoderOptions, CodeScale};
use super::latent::{CodeArchitecture, CodeDiffusion};
use super::objective::{Objective, Planes};
use super::options::{LossOptions, NetworkOptions, TrainingOptions};
use super::training::train;
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, Network, TrainedNetwork};
use crate::options::at_least;
use crate::{Fit, Generator, Result, Trained};

/// The options of [`LatentDiffusion`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LatentDiffusionOptions {
    /// The sizes of the network on the codes; its `patch` is that of the autoencoder.
    pub network: NetworkOptions,
    /// The autoencoder.
    pub autoencoder: AutoencoderOptions,
    /// The noise the network learns to take off; codes are scaled to `data_deviation`.
    pub loss: LossOptions,
    /// The training of the network.
    pub training: TrainingOptions,
    /// Noise levels of a sampling that asks for no number: 2 · `steps` − 1 passes of the network with Heun's method.
    pub steps: usize,
}

/// The network for codes: one level, because they are small.
pub(super) fn network_of_codes() -> NetworkOptions {
    NetworkOptions { width: 64, multipliers: vec![1], ..NetworkOptions::default() }
}

impl Default for LatentDiffusionOptions {
    fn default() -> Self {
        Self {
            network: network_of_codes(),
            autoencoder: AutoencoderOptions::default(),
            loss: LossOptions::default(),
            training: TrainingOptions::default(),
            steps: 18,
        }
    }
}

/// A diffusion model of the codes of an autoencoder (Rombach et al. 2022): both are trained on the images, one after the
/// other. Cheaper than [`Edm`](super::Edm) by as much as codes are smaller than images, and no sharper than the autoencoder.
#[derive(Clone, Debug)]
pub struct LatentDiffusion {
    options: LatentDiffusionOptions,
}

impl LatentDiffusion {
    /// The registered name.
    pub const NAME: &'static str = "latent-diffusion";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: LatentDiffusionOptions) -> Result<Self> {
        options.network.check(Self::NAME)?;
        options.autoencoder.check(Self::NAME)?;
        options.loss.check(Self::NAME)?;
        options.training.check(Self::NAME)?;
        at_least(Self::NAME, "steps", options.steps, 1)?;
        Ok(Self { options })
    }
}

/// What a network learns from codes that lie on the scale of its architecture.
pub(super) fn of_codes<'a>(
    codes: &'a [f32],
    labels: &'a [u32],
    architecture: &'a CodeArchitecture,
    loss: &LossOptions,
) -> Objective<'a> {
    Objective {
        planes: Planes::Codes(codes),
        labels,
        groups: None,
        sizes: &architecture.unet,
        scaling: loss.scaling(),
        law: loss.law(),
    }
}

impl Generator for LatentDiffusion {
    fn fit(&self, train_set: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        run.refuse_protection(Self::NAME)?;
        run.refuse_public(Self::NAME)?;
        let LatentDiffusionOptions { network, autoencoder, loss, training, steps } = &self.options;
        let labels = training_labels(Self::NAME, train_set)?;
        let (shape, classes) = (train_set.shape(), labels.classes.len());
        let mut architecture = CodeArchitecture::new(network, autoencoder, loss, *steps, shape, classes);
        let canvas = architecture.canvas;
        let coder = Autoencoder::train(&run, train_set, canvas, autoencoder)?;
        let mut codes = coder.encode(train_set, canvas);
        architecture.scale = CodeScale::of(&codes, autoencoder.channels, architecture.area());
        architecture.scale.standardise(&mut codes, architecture.area(), loss.data_deviation);

        let device = DeviceChoice::chosen().training();
        let mut model = CodeDiffusion::new(&architecture, run.seed.derive("weights"), &device);
        model.decoder = with_values(model.decoder, &values(&coder.decoder));
        let objective = of_codes(&codes, &labels.values, &architecture, loss);
        let learning = (&objective, train_set.len());
        let model = train(&run, "codes", model, &architecture, learning, training)?;
        let card = Card::new(Self::NAME, train_set, labels, run.seed, self.options(), architecture);
        Ok(Box::new(TrainedNetwork::new(model, card)))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
