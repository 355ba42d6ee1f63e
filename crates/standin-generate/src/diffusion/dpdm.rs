use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::{DeviceChoice, Records};

use super::denoiser::ImageDiffusion;
use super::options::{LossOptions, NetworkOptions, PrivateOptions};
use super::training::{Account, train_privately};
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, Network, TrainedNetwork};
use crate::options::at_least;
use crate::{Fit, Generator, Result, Trained};

/// The options of [`Dpdm`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpdmOptions {
    /// The sizes of the network.
    pub network: NetworkOptions,
    /// The noise it learns to take off.
    pub loss: LossOptions,
    /// The private training.
    pub private: PrivateOptions,
    /// Noise levels of a sampling that asks for no number: 2 · `steps` − 1 passes of the network with Heun's method.
    pub steps: usize,
}

impl Default for DpdmOptions {
    fn default() -> Self {
        Self {
            network: NetworkOptions::private(),
            loss: LossOptions::default(),
            private: PrivateOptions::default(),
            steps: 18,
        }
    }
}

/// A diffusion model trained privately from scratch (Dockhorn, Cao, Vahdat & Kreis 2023, DPDM): [`Edm`](super::Edm) under
/// DP-SGD, with several noises of each image in one clipped gradient.
///
/// The label is part of the protected record. Class shares are private and taken as equal in sampling.
#[derive(Clone, Debug)]
pub struct Dpdm {
    options: DpdmOptions,
}

impl Dpdm {
    /// The registered name.
    pub const NAME: &'static str = "dpdm";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: DpdmOptions) -> Result<Self> {
        options.network.check(Self::NAME)?;
        options.loss.check(Self::NAME)?;
        options.private.check(Self::NAME)?;
        at_least(Self::NAME, "steps", options.steps, 1)?;
        Ok(Self { options })
    }
}

impl Generator for Dpdm {
    fn fit(&self, train_set: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        run.refuse_public(Self::NAME)?;
        let protection = run.protection(Self::NAME)?;
        let DpdmOptions { network, loss, private, steps } = &self.options;
        let labels = training_labels(Self::NAME, train_set)?;
        let records = Records::of(train_set, &protection.unit)?;
        let account = Account::open(protection, &records)?;
        let architecture = network.of_images(loss, *steps, train_set.shape(), labels.classes.len());
        let device = DeviceChoice::chosen().training();
        let model = ImageDiffusion::new(&architecture, run.seed.derive("weights"), &device);
        let objective = loss.of_images(train_set, &labels.values, &architecture);
        let (model, guarantee) = train_privately(&run, model, &architecture, &objective, &account, private)?;
        let card = Card::private(Self::NAME, train_set, labels, run.seed, self.options(), architecture, guarantee);
        Ok(Box::new(TrainedNetwork::new(model, card)))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
