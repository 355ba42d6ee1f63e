use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::{DeviceChoice, Records, values, with_values};

use super::autoencoder::{Autoencoder, AutoencoderOptions, CodeScale};
use super::latent::{CodeArchitecture, CodeDiffusion};
use super::latent_diffusion::{network_of_codes, of_codes};
use super::options::{LossOptions, NetworkOptions, PrivateOptions, TrainingOptions};
use super::training::{Account, public_classes, train, train_network_privately, trainable};
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, Network, TrainedNetwork};
use crate::options::at_least;
use crate::{Fit, Generator, Result, Trained};

/// The options of [`DpLdm`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpLdmOptions {
    /// The sizes of the network on the codes; its `patch` is that of the autoencoder.
    pub network: NetworkOptions,
    /// The autoencoder, which learns from public images.
    pub autoencoder: AutoencoderOptions,
    /// The noise the network learns to take off; codes are scaled to `data_deviation`.
    pub loss: LossOptions,
    /// The training of the network on the codes of public images.
    pub pretraining: TrainingOptions,
    /// The private training.
    pub private: PrivateOptions,
    /// Noise levels of a sampling that asks for no number: 2 · `steps` − 1 passes of the network with Heun's method.
    pub steps: usize,
}

impl Default for DpLdmOptions {
    fn default() -> Self {
        Self {
            network: network_of_codes(),
            autoencoder: AutoencoderOptions::default(),
            loss: LossOptions::default(),
            pretraining: TrainingOptions::default(),
            private: PrivateOptions::default(),
            steps: 18,
        }
    }
}

/// A latent diffusion model whose autoencoder and first training are public, and whose network is then trained privately on the
/// codes of the private images (Liu, Lyu, Vinaroz & Park 2024, DP-LDM).
///
/// The paper trains the attention and the embedding of the classes alone, of networks far larger than this one; here all of the
/// network is trained. The autoencoder and the scale of the codes never see a private image.
#[derive(Clone, Debug)]
pub struct DpLdm {
    options: DpLdmOptions,
}

impl DpLdm {
    /// The registered name.
    pub const NAME: &'static str = "dp-ldm";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: DpLdmOptions) -> Result<Self> {
        options.network.check(Self::NAME)?;
        options.autoencoder.check(Self::NAME)?;
        options.loss.check(Self::NAME)?;
        options.pretraining.check(Self::NAME)?;
        options.private.check(Self::NAME)?;
        at_least(Self::NAME, "steps", options.steps, 1)?;
        Ok(Self { options })
    }
}

impl Generator for DpLdm {
    fn fit(&self, train_set: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        let protection = run.protection(Self::NAME)?;
        let public = run.public(Self::NAME, train_set)?;
        let DpLdmOptions { network, autoencoder, loss, pretraining, private, steps } = &self.options;
        let labels = training_labels(Self::NAME, train_set)?;
        let records = Records::of(train_set, &protection.unit)?;
        let account = Account::open(protection, &records)?;
        let (shape, classes) = (train_set.shape(), labels.classes.len());
        let mut architecture = CodeArchitecture::new(network, autoencoder, loss, *steps, shape, classes);
        let (canvas, area) = (architecture.canvas, architecture.area());
        let coder = Autoencoder::train(&run, public, canvas, autoencoder)?;
        let mut codes = coder.encode(public, canvas);
        architecture.scale = CodeScale::of(&codes, autoencoder.channels, area);
        architecture.scale.standardise(&mut codes, area, loss.data_deviation);

        let device = DeviceChoice::chosen().training();
        let mut model = CodeDiffusion::new(&architecture, run.seed.derive("weights"), &device);
        model.decoder = with_values(model.decoder, &values(&coder.decoder));
        let public_labels = public_classes(public, classes);
        let objective = of_codes(&codes, &public_labels, &architecture, loss);
        let learning = (&objective, public.len());
        let model = train(&run, "public", model, &architecture, learning, pretraining)?;

        let mut codes = coder.encode(train_set, canvas);
        architecture.scale.standardise(&mut codes, area, loss.data_deviation);
        let objective = of_codes(&codes, &labels.values, &architecture, loss);
        let unet = trainable(&model, &architecture).unet;
        let (unet, guarantee) = train_network_privately(&run, unet, &objective, &account, private)?;
        let model = CodeDiffusion { unet, decoder: model.decoder };
        let card = Card::private(Self::NAME, train_set, labels, run.seed, self.options(), architecture, guarantee);
        Ok(Box::new(TrainedNetwork::new(model, card)))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
