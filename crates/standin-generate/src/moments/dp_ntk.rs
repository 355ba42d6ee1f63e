use serde::{Deserialize, Serialize};
use standin_data::ImageSet;

use crate::families::write_options;
use crate::moments::decoder_options::DecoderOptions;
use crate::moments::one_shot::OneShot;
use crate::moments::tangent::TangentFeatures;
use crate::options::at_least;
use crate::{Fit, Generator, Result, Trained};

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
        let features = TangentFeatures::draw(train.shape().volume(), *units, run.seed.derive("network"));
        OneShot { family: Self::NAME, features: &features, decoder, options: self.options() }.fit(train, &run)
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
