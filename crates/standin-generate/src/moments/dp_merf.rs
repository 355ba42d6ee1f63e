use serde::{Deserialize, Serialize};
use standin_data::ImageSet;

use crate::families::write_options;
use crate::fourier::FourierFeatures;
use crate::moments::decoder_options::DecoderOptions;
use crate::moments::fourier_parts::FourierParts;
use crate::moments::one_shot::OneShot;
use crate::options::at_least;
use crate::{Error, Fit, Generator, Result, Trained};

/// The options of [`DpMerf`]. The defaults were tuned on Fashion-MNIST and on handwritten digits, which are public.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpMerfOptions {
    /// Number of random frequencies F; the embedding has 2F values per class. More cost time and no privacy: the noise
    /// that reaches the generator does not grow with F.
    pub frequencies: usize,
    /// Length scales of the kernel as multiples of √(values per image), values in [0, 1]: the distance between two
    /// images that differ by this much in every value. Must be public knowledge, never measured on private images.
    pub length_scales: Vec<f64>,
    /// Latent values per image.
    pub latent: usize,
    /// Units of each hidden layer of the generator; empty for two layers chosen by the image size.
    pub hidden: Vec<usize>,
    /// Training steps of the generator.
    pub steps: usize,
    /// Generated images per step, divided evenly among the classes (at least two of each).
    pub batch_size: usize,
    /// Frequencies compared in one step, in turn.
    pub frequencies_per_step: usize,
    /// Base learning rate of Adam.
    pub learning_rate: f64,
}

impl Default for DpMerfOptions {
    fn default() -> Self {
        let DecoderOptions { latent, hidden, steps, batch_size, learning_rate } = DecoderOptions::default();
        Self {
            frequencies: 4000,
            length_scales: vec![0.25],
            latent,
            hidden,
            steps,
            batch_size,
            frequencies_per_step: 1000,
            learning_rate,
        }
    }
}

impl DpMerfOptions {
    fn decoder(&self) -> DecoderOptions {
        let Self { latent, hidden, steps, batch_size, learning_rate, .. } = self.clone();
        DecoderOptions { latent, hidden, steps, batch_size, learning_rate }
    }
}

/// DP-MERF (Harder, Adamczewski & Park 2021): the private images are seen once, through a noisy release of class-wise
/// mean embeddings ([`crate::mean_embedding`]); a conditional generator is then trained until its images have the same
/// embedding. Only the release touches private data, so training may take any number of steps.
///
/// With the default options on 55 000 images of Fashion-MNIST and δ = 1/(N ln N), the project's convolutional classifier
/// trained on 60 000 synthetic images is right on 75.4 % of the real test images at ε = 1 and 75.0 % at ε = 10 (one seed
/// each). The noise is hardly felt there; what the embedding does not determine (fine texture) is what is lost.
#[derive(Clone, Debug)]
pub struct DpMerf {
    options: DpMerfOptions,
}

impl DpMerf {
    /// The registered name.
    pub const NAME: &'static str = "dp-merf";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: DpMerfOptions) -> Result<Self> {
        options.decoder().check(Self::NAME)?;
        at_least(Self::NAME, "frequencies", options.frequencies, 1)?;
        at_least(Self::NAME, "frequencies_per_step", options.frequencies_per_step, 1)?;
        check_length_scales(Self::NAME, &options.length_scales)?;
        let part = options.frequencies_per_step.min(options.frequencies);
        if !options.frequencies.is_multiple_of(part) {
            let reason = format!(
                "frequencies = {} is no multiple of frequencies_per_step = {part}: the rest would never be compared",
                options.frequencies
            );
            return Err(Error::Options { family: Self::NAME, reason });
        }
        Ok(Self { options })
    }
}

/// Checks that there is a length scale and each is in its range.
///
/// # Errors
/// Names the first that is not.
pub(crate) fn check_length_scales(family: &'static str, scales: &[f64]) -> Result<()> {
    at_least(family, "the number of length_scales", scales.len(), 1)?;
    match scales.iter().find(|scale| !(1e-3..=1e3).contains(*scale)) {
        None => Ok(()),
        Some(scale) => {
            let reason = format!("a length scale is {scale}; it must be between 0.001 and 1000");
            Err(Error::Options { family, reason })
        }
    }
}

impl Generator for DpMerf {
    fn fit(&self, train: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        let DpMerfOptions { length_scales, frequencies, frequencies_per_step, .. } = &self.options;
        let volume = train.shape().volume();
        let scales: Vec<f64> = length_scales.iter().map(|scale| scale * (volume as f64).sqrt()).collect();
        let features = FourierFeatures::draw(volume, &scales, *frequencies, run.seed.derive("frequencies"));
        let features = FourierParts::new(features, *frequencies_per_step.min(frequencies));
        let (decoder, options) = (self.options.decoder(), self.options());
        OneShot { family: Self::NAME, features: &features, decoder: &decoder, options }.fit(train, &run)
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
