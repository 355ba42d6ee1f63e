use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_privacy::NoiseSource;

use crate::families::write_options;
use crate::generator::training_labels;
use crate::mean_embedding::ClassSums;
use crate::moments::decoder_options::DecoderOptions;
use crate::moments::tangent::{MOST_IMAGES, TangentFeatures};
use crate::network::{Card, TrainedNetwork};
use crate::options::at_least;
use crate::{Error, Fit, Generator, Protection, Result, Trained};

/// The options of [`DpNtk`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpNtkOptions {
    /// Units of the random network whose tangent features are released. More cost time and memory and no privacy: the noise
    /// that reaches the generator does not grow with them.
    pub units: usize,
    /// The generator and its training.
    pub decoder: DecoderOptions,
}

impl Default for DpNtkOptions {
    fn default() -> Self {
        Self { units: 400, decoder: DecoderOptions::default() }
    }
}

/// DP-NTK (Yang, Adamczewski, Li, Sutherland & Park 2023): as [`DpMerf`](crate::DpMerf), with the features of a neural
/// tangent kernel in the place of random Fourier features.
#[derive(Clone, Debug)]
pub struct DpNtk {
    options: DpNtkOptions,
}

impl DpNtk {
    /// The registered name.
    pub const NAME: &'static str = "dp-ntk";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: DpNtkOptions) -> Result<Self> {
        at_least(Self::NAME, "units", options.units, 1)?;
        options.decoder.check(Self::NAME)?;
        Ok(Self { options })
    }
}

impl Generator for DpNtk {
    fn fit(&self, train: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        let DpNtkOptions { units, decoder } = &self.options;
        let Protection { target, noise, .. } = run.image_protection(Self::NAME)?;
        run.refuse_public(Self::NAME)?;
        let (seed, shape) = (run.seed, train.shape());
        let labels = training_labels(Self::NAME, train)?;
        if train.len() > MOST_IMAGES {
            let found = format!("it has {} images, and sums are exact for {MOST_IMAGES} at most", train.len());
            let remedy = "give a part of them".to_owned();
            return Err(Error::Training { family: Self::NAME, set: train.describe(), found, remedy });
        }
        let budget = target.budget(train.len())?;
        let features = TangentFeatures::draw(shape.volume(), *units, seed.derive("network"));
        let release = run.once(Self::NAME, || {
            let noise = NoiseSource::of(*noise, seed)?;
            ClassSums::of(train, labels, &features, run.progress).release(train.len(), budget, noise)
        })?;
        let architecture = decoder.architecture(labels.classes.len(), shape);
        let trained = decoder.fit(&run, Self::NAME, &architecture, &features, &release)?;
        let guarantee = release.guarantee;
        let card = Card::private(Self::NAME, train, labels, seed, self.options(), architecture, guarantee);
        Ok(Box::new(TrainedNetwork::new(trained, card.with_shares(release.shares))))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
