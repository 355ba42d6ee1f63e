use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::{DeviceChoice, Records};
use standin_privacy::{Event, NoiseSource};

use super::cells::Cells;
use super::denoiser::ImageDiffusion;
use super::options::{LossOptions, NetworkOptions, PrivateOptions, TrainingOptions, proper_share, release_noise};
use super::query::{Votes, subset};
use super::training::{Account, train, train_privately, trainable};
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, Network, TrainedNetwork};
use crate::options::at_least;
use crate::{Fit, Generator, Result, Trained};

/// The options of [`PrivImage`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrivImageOptions {
    /// The sizes of the network.
    pub network: NetworkOptions,
    /// The noise it learns to take off.
    pub loss: LossOptions,
    /// Cells that the public images are divided into.
    pub cells: usize,
    /// Cells that each private class chooses.
    pub chosen: usize,
    /// Share of the budget for the histogram, in (0, 1): see the documentation of the method.
    pub query_share: f64,
    /// The training on public images.
    pub pretraining: TrainingOptions,
    /// The private training.
    pub private: PrivateOptions,
    /// Noise levels of a sampling that asks for no number: 2 · `steps` − 1 passes of the network with Heun's method.
    pub steps: usize,
}

impl Default for PrivImageOptions {
    fn default() -> Self {
        Self {
            network: NetworkOptions::private(),
            loss: LossOptions::default(),
            cells: 50,
            chosen: 5,
            query_share: 0.05,
            pretraining: TrainingOptions::default(),
            private: PrivateOptions::default(),
            steps: 18,
        }
    }
}

/// A diffusion model trained on the public images that are most like the private ones, then privately on those (Li, Wang,
/// Chen & Liu 2024, PrivImage).
///
/// What is like what is told by the cells of a k-means division of the public images, where the paper uses a classifier of
/// ImageNet's classes; each private image votes in its class for one cell, and the histogram is released once with noise. The
/// chosen images are learnt under the private class that chose them. One ledger holds the histogram and the private training.
#[derive(Clone, Debug)]
pub struct PrivImage {
    options: PrivImageOptions,
}

impl PrivImage {
    /// The registered name.
    pub const NAME: &'static str = "privimage";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: PrivImageOptions) -> Result<Self> {
        options.network.check(Self::NAME)?;
        options.loss.check(Self::NAME)?;
        options.private.check(Self::NAME)?;
        at_least(Self::NAME, "steps", options.steps, 1)?;
        options.pretraining.check(Self::NAME)?;
        at_least(Self::NAME, "cells", options.cells, 1)?;
        at_least(Self::NAME, "chosen", options.chosen, 1)?;
        proper_share(Self::NAME, "query_share", options.query_share)?;
        Ok(Self { options })
    }
}

impl Generator for PrivImage {
    fn fit(&self, train_set: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        let protection = run.image_protection(Self::NAME)?;
        let public = run.public(Self::NAME, train_set)?;
        let PrivImageOptions { network, loss, cells, chosen, query_share, pretraining, private, steps } = &self.options;
        let labels = training_labels(Self::NAME, train_set)?;
        let records = Records::of(train_set, &protection.unit)?;
        let mut account = Account::open(protection, &records)?;
        let architecture = network.of_images(loss, *steps, train_set.shape(), labels.classes.len());
        let device = DeviceChoice::chosen().training();
        let model = ImageDiffusion::new(&architecture, run.seed.derive("weights"), &device);

        let division = Cells::of(public, *cells, run.seed.derive("cells"));
        let sigma = release_noise(account.budget, *query_share)?;
        let chosen = run.once("chosen-cells", || {
            let mut noise = NoiseSource::of(protection.noise, run.seed.derive("histogram"))?;
            Votes::of(train_set, labels, &division).release(sigma, *chosen, &mut noise)
        })?;
        account.before.record(Event::NoisedHistogram { noise_multiplier: sigma }, 1)?;
        let (places, classes) = subset(&division.nearest(public), &chosen);
        let pretrained = public.select(&places);

        let objective = loss.of_images(&pretrained, &classes, &architecture);
        let learning = (&objective, pretrained.len());
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
