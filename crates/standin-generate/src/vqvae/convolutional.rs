//! A quantised autoencoder whose encoder and decoder are those of a latent diffusion model.

use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{
    Batch, DeviceChoice, Learner, Module, Optimization, Plan, Schedule, Trainer, TrainerState, burn, loss, states_of,
    train,
};

use super::codebook::nearest;
use super::quantisation::{CodebookSizes, Quantisation, Quantised};
use super::{usage, warn_of_collapse};
use crate::diffusion::autoencoder::{AutoencoderSizes, Decoder, Encoder, planes};
use crate::diffusion::canvas::Canvas;
use crate::options::{above_zero, at_least};
use crate::{Fit, Result};

/// The autoencoder of a [`VqVaeGenerator`](super::VqVaeGenerator).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuantisedOptions {
    /// Side of the squares of pixels that the networks see as channels of one position. A code stands for twice as many
    /// pixels in both directions.
    pub patch: usize,
    /// Channels of the finest level; twice as many where the codes are.
    pub width: usize,
    /// Codes in the codebook, 2 to 65 536.
    pub codes: usize,
    /// Values of a code vector.
    pub dimension: usize,
    /// Weight β of the commitment of the encoder to the codes (van den Oord et al. 2017, equation 3).
    pub commitment: f64,
    /// Decay γ of the codes' moving averages, in [0, 1).
    pub decay: f64,
    /// Times each training image is seen, unless that is fewer steps than `least_steps`.
    pub epochs: f64,
    /// Training steps for sets so small that `epochs` would be over too soon.
    pub least_steps: usize,
    /// Images per step.
    pub batch_size: usize,
    /// Base learning rate of Adam.
    pub learning_rate: f64,
}

impl Default for QuantisedOptions {
    fn default() -> Self {
        Self {
            patch: 2,
            width: 32,
            codes: 256,
            dimension: 16,
            commitment: 0.25,
            decay: 0.99,
            epochs: 2.0,
            least_steps: 1000,
            batch_size: 64,
            learning_rate: 2e-3,
        }
    }
}

impl QuantisedOptions {
    /// Checks that every number is in its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub(super) fn check(&self, family: &'static str) -> Result<()> {
        self.codebook().check(family, "autoencoder.")?;
        let counts = [
            ("patch", self.patch),
            ("width", self.width),
            ("least_steps", self.least_steps),
            ("batch_size", self.batch_size),
        ];
        let numbers = [("commitment", self.commitment), ("epochs", self.epochs), ("learning_rate", self.learning_rate)];
        let within = |name: &str| format!("autoencoder.{name}");
        counts.into_iter().try_for_each(|(name, value)| at_least(family, &within(name), value, 1))?;
        numbers.into_iter().try_for_each(|(name, value)| above_zero(family, &within(name), value))
    }

    fn codebook(&self) -> CodebookSizes {
        CodebookSizes { codes: self.codes, dimension: self.dimension, decay: self.decay }
    }

    /// Its sizes for planes of a canvas, whose sides must be even.
    pub(super) fn sizes(&self, canvas: Canvas) -> AutoencoderSizes {
        AutoencoderSizes { plane: canvas.channels(), width: self.width, channels: self.dimension }
    }
}

/// Both halves.
#[derive(Module, Debug)]
struct Autoencoder {
    encoder: Encoder,
    decoder: Decoder,
}

/// A trained quantised autoencoder.
pub(super) struct QuantisedAutoencoder {
    encoder: Encoder,
    pub(super) decoder: Decoder,
    /// Code vectors, row-major.
    pub(super) codebook: Vec<f32>,
    dimension: usize,
    canvas: Canvas,
}

/// Images encoded at a time.
const ENCODED: usize = 256;

impl QuantisedAutoencoder {
    /// Trains on images that need no protection, of which `canvas` holds one.
    ///
    /// The loss is the squared error over the variance of pixel values, plus the weighted commitment per value (van den Oord
    /// et al. 2017, equation 3); the codes follow the encoder by moving averages.
    ///
    /// # Errors
    /// If training diverges or a checkpoint cannot be used.
    pub(super) fn train(run: &Fit<'_>, images: &ImageSet, canvas: Canvas, options: &QuantisedOptions) -> Result<Self> {
        let device = DeviceChoice::chosen().training();
        let seed = run.seed.derive("autoencoder");
        let sizes = options.sizes(canvas);
        let model = Autoencoder {
            encoder: Encoder::new(&sizes, options.dimension, seed.derive("encoder"), &device),
            decoder: Decoder::new(&sizes, seed.derive("decoder"), &device),
        };
        let optimization = Optimization {
            learning_rate: options.learning_rate,
            schedule: Schedule::cosine(0.02),
            clip_norm: Some(1.0),
            ..Optimization::default()
        };
        let mut plan = Plan::epochs(images.len(), options.batch_size, options.epochs, seed.derive("order"));
        plan.steps = plan.steps.max(options.least_steps);
        let mut learner = Quantising {
            trainer: Trainer::new(model, &optimization)?,
            quantisation: Quantisation::new(options.codebook(), seed.derive("codebook")),
            images,
            canvas,
            scale: 1.0 / (variance(images) * canvas.volume() as f64),
            commitment: options.commitment,
            device,
        };
        train(&mut learner, &plan, run.checkpoints("autoencoder")?.as_ref(), run.progress)?;
        let Autoencoder { encoder, decoder } = learner.trainer.finished();
        let codebook = learner.quantisation.codes().expect("training has at least one step").to_vec();
        Ok(Self { encoder, decoder, codebook, dimension: options.dimension, canvas })
    }

    /// The grid of codes of each image, row by row; warns where the codebook has collapsed.
    pub(super) fn encode(&self, run: &Fit<'_>, images: &ImageSet) -> Vec<u32> {
        let device = DeviceChoice::chosen().inference();
        let mut codes = Vec::new();
        for start in (0..images.len()).step_by(ENCODED) {
            let block = start..images.len().min(start + ENCODED);
            let (vectors, _) = rows(self.encoder.forward(planes(images, self.canvas, block, &device)));
            let vectors: Vec<f32> = vectors.into_data().iter::<f32>().collect();
            codes.extend(nearest(&self.codebook, &vectors, self.dimension).0);
        }
        let count = self.codebook.len() / self.dimension;
        warn_of_collapse(usage(&codes, count), count, images, run.progress);
        codes
    }
}

/// The vectors of planes, `n × dimension × h × w`, one to a row, and `[n, h, w, dimension]`.
fn rows(planes: Tensor<4>) -> (Tensor<2>, [usize; 4]) {
    let [n, dimension, height, width] = planes.dims();
    let rows = planes.permute([0, 2, 3, 1]).reshape([n * height * width, dimension]);
    (rows, [n, height, width, dimension])
}

/// The variance of the pixel values of a set, scaled to [−1, 1]; 1 where they are all equal.
fn variance(images: &ImageSet) -> f64 {
    let (sum, squares) = images.pixels().iter().fold((0, 0), |(sum, squares), &value| {
        let value = u64::from(value);
        (sum + value, squares + value * value)
    });
    let count = images.pixels().len() as f64;
    let variance = (squares as f64 / count - (sum as f64 / count).powi(2)) / 127.5_f64.powi(2);
    if variance > 1e-9 { variance } else { 1.0 }
}

/// The training of encoder, decoder and codebook.
struct Quantising<'a> {
    trainer: Trainer<Autoencoder>,
    quantisation: Quantisation,
    images: &'a ImageSet,
    canvas: Canvas,
    /// Turns the squared error of an image into that per value, over the variance.
    scale: f64,
    commitment: f64,
    device: Device,
}

impl Learner for Quantising<'_> {
    fn learn(&mut self, batch: &Batch<'_>) -> standin_nn::Result<f64> {
        let Autoencoder { encoder, decoder } = self.trainer.model();
        let planes = planes(self.images, self.canvas, batch.indices.iter().copied(), &self.device);
        let (vectors, shape) = rows(encoder.forward(planes.clone()));
        let Quantised { vectors, commitment } = self.quantisation.pass(vectors, batch, &self.device);
        let drawn = decoder.forward(vectors.reshape(shape).permute([0, 3, 1, 2]));
        let error = loss::squared_error(drawn, planes).mean() * self.scale;
        self.trainer.step(&(error + commitment * self.commitment), batch)
    }

    fn states(&self) -> Vec<(&'static str, TrainerState)> {
        vec![("model", self.trainer.state())]
    }

    fn restore(&mut self, states: Vec<(String, TrainerState)>) -> std::result::Result<(), String> {
        let [state] = states_of(states)?;
        self.trainer.restore(state)
    }

    fn memory(&self) -> Option<String> {
        Some(self.quantisation.memory())
    }

    fn recall(&mut self, memory: &str) -> std::result::Result<(), String> {
        self.quantisation.recall(memory)
    }
}

#[cfg(test)]
mod tests {
    use standin_data::Shape;

    use super::*;

    /// Values 0 and 255 are −1 and 1.
    #[test]
    fn the_variance_is_that_of_values_between_minus_one_and_one() {
        let set = |pixels: Vec<u8>| ImageSet::new(Shape { channels: 1, height: 1, width: 2 }, pixels).unwrap();
        assert_eq!(variance(&set(vec![0, 255, 255, 0])), 1.0);
        assert!((variance(&set(vec![0, 0, 0, 255])) - 0.75).abs() < 1e-12);
        assert_eq!(variance(&set(vec![9, 9])), 1.0);
    }
}
