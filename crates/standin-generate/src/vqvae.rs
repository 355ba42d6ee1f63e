mod code_images;
mod codebook;
mod convolutional;
mod features;
mod generator;
mod prior;
mod quantisation;
mod windows;

use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Progress, Seed, Shape};
use standin_nn::layer::Embedding;
use standin_nn::tensor::{Tensor, TensorData};
use standin_nn::{
    DeviceChoice, Module, Optimization, Plan, Schedule, burn, digest, fit, load_weights, read_architecture,
    save_weights, values, with_values,
};

use crate::decoder::Stack;
use crate::options::{above_zero, at_least};
use crate::surrogate::with_gradient;
use crate::{Error, Result};
use codebook::nearest;
use quantisation::{CodebookSizes, Quantisation, Quantised};
use windows::Windows;

pub(crate) use code_images::CodeImages;
pub use convolutional::QuantisedOptions;
pub use features::{ENCODERS, VqVaeEncoder, VqVaeFeatures, VqVaeView};
pub use generator::{VqVaeGenerator, VqVaeGeneratorOptions};
pub use prior::PriorOptions;

/// The options of [`VqVae`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VqVaeOptions {
    /// Codes in the codebook, 2 to 65 536.
    pub codes: usize,
    /// Values of a code vector.
    pub dimension: usize,
    /// Units of each hidden layer of the encoder and of the decoder; at least one layer.
    pub hidden: Vec<usize>,
    /// Weight β of the commitment of the encoder to the codes (van den Oord et al. 2017, equation 3).
    pub commitment: f64,
    /// Decay γ of the codes' moving averages, in [0, 1).
    pub decay: f64,
    /// Training steps, whatever the number of images.
    pub steps: usize,
    /// Images per step.
    pub batch_size: usize,
    /// Base learning rate of Adam.
    pub learning_rate: f64,
}

impl Default for VqVaeOptions {
    /// 256 codes of 16 values, two hidden layers of 128, β = 0.25, γ = 0.99, 1000 steps of 64 images, learning rate
    /// 2 · 10⁻³.
    fn default() -> Self {
        Self {
            codes: 256,
            dimension: 16,
            hidden: vec![128, 128],
            commitment: 0.25,
            decay: 0.99,
            steps: 1000,
            batch_size: 64,
            learning_rate: 2e-3,
        }
    }
}

impl VqVaeOptions {
    fn codebook(&self) -> CodebookSizes {
        CodebookSizes { codes: self.codes, dimension: self.dimension, decay: self.decay }
    }
}

/// A vector-quantised autoencoder (van den Oord, Vinyals & Kavukcuoglu 2017) for features of the images it was trained
/// on and of others like them.
///
/// An image becomes a grid of 7 × 7 to 8 × 8 vectors (4 × 4 for images of 8 × 8), each from a window of about a quarter
/// of the image's side; each vector is replaced by the nearest of a codebook, and a decoder learns to redraw the image
/// from these. Images with a longer side than 64 are averaged down first. The codebook follows the vectors by moving
/// averages, begins at vectors far from each other, and codes that nothing chooses are moved to where they are missing.
/// It learns without labels.
#[derive(Clone, Debug)]
pub struct VqVae {
    options: VqVaeOptions,
}

/// What a training made of its codebook.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodebookUse {
    /// Codes that occur in the training images.
    pub used: usize,
    /// e to the entropy of the codes' shares in the training images: as many equally frequent codes would have it.
    pub perplexity: f64,
    /// Squared error of the redrawn training images divided by the variance of their pixels, over the last steps: 0 is
    /// perfect, 1 as bad as one grey value.
    pub error: f64,
}

impl VqVae {
    /// The name of the training and of its continuous features.
    pub const NAME: &'static str = "vqvae";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: VqVaeOptions) -> Result<Self> {
        options.codebook().check(Self::NAME, "")?;
        let counts = [
            ("the number of hidden layers", options.hidden.len(), 1),
            ("steps", options.steps, 1),
            ("batch_size", options.batch_size, 1),
        ];
        counts.into_iter().try_for_each(|(name, value, least)| at_least(Self::NAME, name, value, least))?;
        options.hidden.iter().try_for_each(|&units| at_least(Self::NAME, "a layer in hidden", units, 1))?;
        above_zero(Self::NAME, "commitment", options.commitment)?;
        above_zero(Self::NAME, "learning_rate", options.learning_rate)?;
        Ok(Self { options })
    }

    /// The options.
    pub fn options(&self) -> &VqVaeOptions {
        &self.options
    }

    /// Trains on a set, labelled or not.
    ///
    /// The result depends on the options, the images and the seed alone, not on the number of threads. Cost: steps ×
    /// batch × windows × (window + hidden) × hidden multiplications, whatever the number of images.
    ///
    /// # Errors
    /// If the set has no image or training diverges.
    pub fn train(&self, images: &ImageSet, seed: Seed, progress: &dyn Progress) -> Result<TrainedVqVae> {
        if images.is_empty() {
            let (found, remedy) = ("it has no image".to_owned(), "give some hundreds of images or more".to_owned());
            return Err(Error::Training { family: Self::NAME, set: images.describe(), found, remedy });
        }
        let options = &self.options;
        let windows = Windows::new(images.shape());
        let device = DeviceChoice::chosen().training();
        let backwards: Vec<usize> = options.hidden.iter().rev().copied().collect();
        let (volume, dimension) = (windows.volume(), options.dimension);
        let network = Autoencoder {
            encoder: Stack::new(volume, &options.hidden, dimension, seed.derive("encoder"), &device),
            decoder: Stack::new(dimension, &backwards, volume, seed.derive("decoder"), &device),
        };
        let optimization = Optimization {
            learning_rate: options.learning_rate,
            schedule: Schedule::cosine(0.02),
            ..Optimization::default()
        };
        let plan = Plan::steps(images.len(), options.batch_size, options.steps, seed.derive("training"));
        let variance = variance(&windows, images);
        let mut quantisation = Quantisation::new(options.codebook(), seed.derive("codebook"));
        let mut errors = Vec::with_capacity(options.steps);
        let fitted = fit(network, &optimization, &plan, None, progress, |network: &Autoencoder, batch| {
            let targets = windows.pool(images, batch.indices);
            let rows = windows.cut(&targets);
            let count = rows.len() / volume;
            let vectors = network.encoder.forward(Tensor::from_data(TensorData::new(rows, [count, volume]), &device));
            let Quantised { vectors, commitment } = quantisation.pass(vectors, batch, &device);
            let drawn = network.decoder.forward(vectors);
            let values: Vec<f32> = drawn.clone().into_data().iter::<f32>().collect();
            let (error, gradient) = redrawing_error(&windows, &values, &targets, variance);
            errors.push(error);
            Ok(with_gradient(drawn, gradient, error, &device) + commitment * options.commitment)
        })?;
        let codebook = quantisation.codes().expect("training has at least one step");
        let recent = &errors[errors.len() - errors.len().min(50)..];

        let device = DeviceChoice::chosen().inference();
        let architecture = Architecture { shape: images.shape(), options: options.clone() };
        let parameters = [&values(&fitted.model.encoder), codebook].concat();
        let quantiser = with_values(architecture.quantiser(Seed::new(0), &device), &parameters);
        let mut trained = TrainedVqVae {
            weights: digest(&quantiser),
            card: Card {
                trained_on: images.describe(),
                images: images.len(),
                seed: seed.value().to_string(),
                architecture,
                codebook: CodebookUse {
                    used: 0,
                    perplexity: 0.0,
                    error: recent.iter().sum::<f64>() / recent.len() as f64,
                },
            },
            quantiser,
            windows,
        };
        let (used, perplexity) = usage(&trained.codes(images, progress)?, options.codes);
        trained.card.codebook = CodebookUse { used, perplexity, ..trained.card.codebook };
        warn_of_collapse((used, perplexity), options.codes, images, progress);
        Ok(trained)
    }
}

/// Both networks, trained together.
#[derive(Module, Debug)]
struct Autoencoder {
    encoder: Stack,
    decoder: Stack,
}

/// What features need: the decoder has done its work when training ends.
#[derive(Module, Debug)]
struct Quantiser {
    encoder: Stack,
    codebook: Embedding,
}

/// All that rebuilds a [`Quantiser`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Architecture {
    shape: Shape,
    options: VqVaeOptions,
}

impl Architecture {
    fn quantiser(&self, seed: Seed, device: &standin_nn::tensor::Device) -> Quantiser {
        let VqVaeOptions { codes, dimension, hidden, .. } = &self.options;
        let volume = Windows::new(self.shape).volume();
        Quantiser {
            encoder: Stack::new(volume, hidden, *dimension, seed, device),
            codebook: Embedding::new(*codes, *dimension, seed, device),
        }
    }
}

/// Everything about a trained quantiser except its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    trained_on: String,
    images: usize,
    /// As text because TOML's integers end at 2⁶³.
    seed: String,
    architecture: Architecture,
    codebook: CodebookUse,
}

/// Images encoded at a time; fixed, so that results do not depend on threads.
const ROWS: usize = 64;

/// A trained [`VqVae`]: the encoder and the codebook.
#[derive(Clone, Debug)]
pub struct TrainedVqVae {
    quantiser: Quantiser,
    weights: String,
    windows: Windows,
    card: Card,
}

impl TrainedVqVae {
    const FILE: &str = "vqvae.safetensors";

    /// What became of the codebook in training.
    pub fn codebook_use(&self) -> CodebookUse {
        self.card.codebook
    }

    /// Shape of the images it was trained on.
    pub fn shape(&self) -> Shape {
        self.card.architecture.shape
    }

    /// The BLAKE3 digest of encoder and codebook, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.weights
    }

    /// Rows and columns of the grid of codes.
    pub fn grid(&self) -> (usize, usize) {
        self.windows.grid()
    }

    /// The encoder's vectors before quantisation, one row of grid rows × grid columns × [`VqVaeOptions::dimension`]
    /// values per image.
    ///
    /// # Errors
    /// If the images are not of the shape of training.
    pub fn vectors(&self, images: &ImageSet, progress: &dyn Progress) -> Result<Vec<f32>> {
        self.encode(images, progress, |vectors| vectors)
    }

    /// The number of the code nearest to each vector, one row of grid rows × grid columns per image.
    ///
    /// # Errors
    /// If the images are not of the shape of training.
    pub fn codes(&self, images: &ImageSet, progress: &dyn Progress) -> Result<Vec<u32>> {
        let codebook = values(&self.quantiser.codebook);
        let dimension = self.card.architecture.options.dimension;
        self.encode(images, progress, |vectors| nearest(&codebook, &vectors, dimension).0)
    }

    fn encode<T: Send>(
        &self,
        images: &ImageSet,
        progress: &dyn Progress,
        of: impl Fn(Vec<f32>) -> Vec<T> + Sync,
    ) -> Result<Vec<T>> {
        if images.shape() != self.shape() {
            let found = format!("{} has images of {}", images.describe(), images.shape());
            return Err(Error::Encoding { family: VqVae::NAME, found, trained: self.shape() });
        }
        let device = DeviceChoice::chosen().inference();
        progress.begin(VqVae::NAME, images.len() as u64);
        let starts: Vec<usize> = (0..images.len()).step_by(ROWS).collect();
        let rows: Vec<Vec<T>> = starts
            .into_par_iter()
            .map(|start| {
                let indices: Vec<usize> = (start..(start + ROWS).min(images.len())).collect();
                let windows = self.windows.cut(&self.windows.pool(images, &indices));
                let shape = [windows.len() / self.windows.volume(), self.windows.volume()];
                let vectors =
                    self.quantiser.encoder.forward(Tensor::from_data(TensorData::new(windows, shape), &device));
                progress.advance(indices.len() as u64);
                of(vectors.into_data().iter::<f32>().collect())
            })
            .collect();
        progress.end();
        Ok(rows.into_iter().flatten().collect())
    }

    /// Writes `vqvae.safetensors` and `vqvae.toml` into an existing folder.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        Ok(save_weights(&folder.join(Self::FILE), &self.quantiser, &self.card)?)
    }

    /// Reads what [`TrainedVqVae::save`] wrote.
    ///
    /// # Errors
    /// If a file is missing, damaged, or does not fit the other.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(Self::FILE);
        let card: Card = read_architecture(&path)?;
        let beside = path.with_extension("toml");
        let remedy = "it must be as this program saved it; train again or restore the file";
        let Shape { channels, .. } = card.architecture.shape;
        if card.architecture.shape.volume() == 0 || !matches!(channels, 1 | 3) {
            return Err(Error::invalid(&beside, format!("images of shape {}", card.architecture.shape), remedy));
        }
        VqVae::new(card.architecture.options.clone())
            .map_err(|error| Error::invalid(&beside, error.to_string(), remedy))?;
        let empty = card.architecture.quantiser(Seed::new(0), &DeviceChoice::chosen().inference());
        let quantiser = load_weights(&path, empty)?;
        let windows = Windows::new(card.architecture.shape);
        Ok(Self { weights: digest(&quantiser), quantiser, windows, card })
    }
}

/// The variance of all averaged pixels of a set; 1 where they are all equal.
fn variance(windows: &Windows, images: &ImageSet) -> f64 {
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for start in (0..images.len()).step_by(1024) {
        let indices: Vec<usize> = (start..(start + 1024).min(images.len())).collect();
        for value in windows.pool(images, &indices) {
            let value = f64::from(value);
            sum += value;
            squares += value * value;
            count += 1.0;
        }
    }
    let variance = squares / count - (sum / count).powi(2);
    if variance > 1e-9 { variance } else { 1.0 }
}

/// The squared error of images drawn as windows, over the variance of the pixels, and its gradient with respect to the
/// windows' values.
fn redrawing_error(windows: &Windows, drawn: &[f32], targets: &[f32], variance: f64) -> (f64, Vec<f32>) {
    let scale = 1.0 / (targets.len() as f64 * variance);
    let mut differences = windows.add(drawn);
    differences.iter_mut().zip(targets).for_each(|(drawn, target)| *drawn -= target);
    let error = differences.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>() * scale;
    let slope = (2.0 * scale) as f32;
    differences.iter_mut().for_each(|value| *value *= slope);
    (error, windows.cut_with_zeros(&differences))
}

/// Says so where a codebook has collapsed.
fn warn_of_collapse((used, perplexity): (usize, f64), codes: usize, images: &ImageSet, progress: &dyn Progress) {
    if perplexity < 2.0 {
        progress.warn(&format!(
            "the codebook of `{}` collapsed on {}: {used} of {codes} codes are used, as unevenly as {perplexity:.1} would \
             be; its codes tell few images apart",
            VqVae::NAME,
            images.describe(),
        ));
    }
}

/// How many codes occur, and e to the entropy of their shares.
fn usage(codes: &[u32], size: usize) -> (usize, f64) {
    let mut counts = vec![0_usize; size];
    codes.iter().for_each(|&code| counts[code as usize] += 1);
    let shares = counts.iter().filter(|&&count| count > 0).map(|&count| count as f64 / codes.len() as f64);
    let entropy: f64 = shares.map(|share| -share * share.ln()).sum();
    (counts.iter().filter(|&&count| count > 0).count(), entropy.exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perplexity_is_the_number_of_equally_frequent_codes() {
        assert_eq!(usage(&[1, 3, 1, 3], 5), (2, usage(&[0, 1], 2).1));
        assert!((usage(&[1, 3, 1, 3], 5).1 - 2.0).abs() < 1e-12);
        let (used, perplexity) = usage(&[0, 0, 0, 1], 5);
        assert!(used == 2 && (perplexity - 4.0 / 27f64.powf(0.25)).abs() < 1e-12);
    }

    /// Central differences of the error along each window value, which is quadratic: exact up to rounding.
    #[test]
    fn the_gradient_of_the_redrawing_error_is_its_slope() {
        let shape = Shape { channels: 1, height: 5, width: 4 };
        let windows = Windows::new(shape);
        let value = |at: usize| (at * 37 % 101) as f32 / 101.0 - 0.5;
        let drawn: Vec<f32> = (0..2 * windows.positions() * windows.volume()).map(value).collect();
        let targets: Vec<f32> = (0..2 * shape.volume()).map(|at| value(at + 5)).collect();
        let (error, gradient) = redrawing_error(&windows, &drawn, &targets, 0.3);
        assert!(error > 0.0);
        for at in (0..drawn.len()).step_by(7) {
            let moved = |by: f32| {
                let mut drawn = drawn.clone();
                drawn[at] += by;
                redrawing_error(&windows, &drawn, &targets, 0.3).0
            };
            let slope = (moved(0.125) - moved(-0.125)) / 0.25;
            assert!((slope - f64::from(gradient[at])).abs() < 1e-5, "{slope} for {} at {at}", gradient[at]);
        }
    }
}
