use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::{DeviceChoice, Records};
use standin_privacy::{Event, NoiseSource};

use super::central::CentralSums;
use super::denoiser::ImageDiffusion;
use super::options::{LossOptions, NetworkOptions, PrivateOptions, TrainingOptions, proper_share, release_noise};
use super::training::{Account, train, train_privately, trainable};
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, Network, TrainedNetwork};
use crate::options::{above_zero, at_least};
use crate::{Fit, Generator, Result, Trained};

/// The options of [`DpFeta`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpFetaOptions {
    /// The sizes of the network.
    pub network: NetworkOptions,
    /// The noise it learns to take off.
    pub loss: LossOptions,
    /// Share of the budget for the means, in (0, 1): see the documentation of the method.
    pub central_share: f64,
    /// Root mean square of pixel values in [0, 1] beyond which an image is scaled down before it is added. Public knowledge,
    /// never measured on private images.
    pub norm_bound: f64,
    /// The training on the means: so few images that `least_steps` decides.
    pub warm_up: TrainingOptions,
    /// The private training.
    pub private: PrivateOptions,
    /// Noise levels of a sampling that asks for no number: 2 · `steps` − 1 passes of the network with Heun's method.
    pub steps: usize,
}

impl Default for DpFetaOptions {
    fn default() -> Self {
        Self {
            network: NetworkOptions::private(),
            loss: LossOptions::default(),
            central_share: 0.1,
            norm_bound: 0.6,
            warm_up: TrainingOptions { epochs: 1.0, least_steps: 200, ..TrainingOptions::default() },
            private: PrivateOptions::default(),
            steps: 18,
        }
    }
}

/// A diffusion model that learns the noised mean of each class first, then privately the images (Gong et al. 2025, DP-FETA,
/// "from easy to hard").
///
/// The means of all classes are one Gaussian release of sums and counts over all images; the paper averages several random
/// subsets. One ledger holds the release and the private training. Class shares in sampling are the noised ones.
#[derive(Clone, Debug)]
pub struct DpFeta {
    options: DpFetaOptions,
}

impl DpFeta {
    /// The registered name.
    pub const NAME: &'static str = "dp-feta";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: DpFetaOptions) -> Result<Self> {
        options.network.check(Self::NAME)?;
        options.loss.check(Self::NAME)?;
        options.private.check(Self::NAME)?;
        at_least(Self::NAME, "steps", options.steps, 1)?;
        options.warm_up.check(Self::NAME)?;
        proper_share(Self::NAME, "central_share", options.central_share)?;
        above_zero(Self::NAME, "norm_bound", options.norm_bound)?;
        Ok(Self { options })
    }
}

impl Generator for DpFeta {
    fn fit(&self, train_set: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        run.refuse_public(Self::NAME)?;
        let protection = run.image_protection(Self::NAME)?;
        let DpFetaOptions { network, loss, central_share, norm_bound, warm_up, private, steps } = &self.options;
        let labels = training_labels(Self::NAME, train_set)?;
        let records = Records::of(train_set, &protection.unit)?;
        let mut account = Account::open(protection, &records)?;
        let architecture = network.of_images(loss, *steps, train_set.shape(), labels.classes.len());
        let device = DeviceChoice::chosen().training();
        let model = ImageDiffusion::new(&architecture, run.seed.derive("weights"), &device);

        let sigma = release_noise(account.budget, *central_share)?;
        let central = run.once("central-images", || {
            let mut noise = NoiseSource::of(protection.noise, run.seed.derive("central images"))?;
            CentralSums::of(train_set, labels, *norm_bound).release(sigma, &mut noise)
        })?;
        account.before.record(Event::Gaussian { noise_multiplier: sigma }, 1)?;

        // Each mean as often as it takes to fill a batch: a step on ten rows would be a noisy one.
        let classes: Vec<u32> = (0..warm_up.batch_size).map(|row| (row % labels.classes.len()) as u32).collect();
        let rows: Vec<usize> = classes.iter().map(|&class| class as usize).collect();
        let repeated = ImageSet::new(train_set.shape(), central.pixels)?.select(&rows);
        let objective = loss.of_images(&repeated, &classes, &architecture);
        let learning = (&objective, repeated.len());
        let model = train(&run, "central", model, &architecture, learning, warm_up)?;

        let objective = loss.of_images(train_set, &labels.values, &architecture);
        let model = trainable(&model, &architecture);
        let (model, guarantee) = train_privately(&run, model, &architecture, &objective, &account, private)?;
        let card = Card::private(Self::NAME, train_set, labels, run.seed, self.options(), architecture, guarantee);
        Ok(Box::new(TrainedNetwork::new(model, card.with_shares(central.shares))))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
