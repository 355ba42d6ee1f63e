//! An autoencoder of images with codes of a quarter of their sides: what a latent diffusion model learns instead of pixels
//! (Rombach et al. 2022).

use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Seed};
use standin_nn::layer::{Conv2d, ConvTranspose2d, GroupNormSilu};
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{DeviceChoice, Module, Plan, burn, fit, loss};

use super::block::norm_silu;
use super::canvas::Canvas;
use super::options::TrainingOptions;
use crate::options::{above_zero, at_least};
use crate::{Fit, Result};

/// The autoencoder of a latent diffusion model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AutoencoderOptions {
    /// Channels of its finest level; twice as many where the codes are.
    pub width: usize,
    /// Channels of a code, at each position of 4 × 4 pixels (with patches of 2).
    pub channels: usize,
    /// Weight of the Kullback–Leibler term that keeps codes near N(0, I), in nats per code value against squared errors per
    /// pixel value: small, so that codes keep what images need.
    pub divergence: f64,
    /// Its training.
    pub training: TrainingOptions,
}

impl Default for AutoencoderOptions {
    fn default() -> Self {
        let training = TrainingOptions { epochs: 2.0, ..TrainingOptions::default() };
        Self { width: 32, channels: 4, divergence: 1e-3, training }
    }
}

impl AutoencoderOptions {
    /// Checks that every number is in its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub(crate) fn check(&self, family: &'static str) -> Result<()> {
        at_least(family, "autoencoder.width", self.width, 1)?;
        at_least(family, "autoencoder.channels", self.channels, 1)?;
        above_zero(family, "autoencoder.divergence", self.divergence)?;
        self.training.check(family)
    }

    /// Its sizes for planes of a canvas, whose sides must be even.
    pub(crate) fn sizes(&self, canvas: Canvas) -> AutoencoderSizes {
        AutoencoderSizes { plane: canvas.channels(), width: self.width, channels: self.channels }
    }
}

/// The sizes of an [`Autoencoder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AutoencoderSizes {
    /// Channels of the plane.
    pub(crate) plane: usize,
    /// Channels of the finest level.
    pub(crate) width: usize,
    /// Channels of a code.
    pub(crate) channels: usize,
}

/// From codes, `n × channels × h × w`, to planes, `n × plane × 2h × 2w`.
#[derive(Module, Debug)]
pub(crate) struct Decoder {
    first: Conv2d,
    first_norm: GroupNormSilu,
    up: ConvTranspose2d,
    second_norm: GroupNormSilu,
    second: Conv2d,
    last_norm: GroupNormSilu,
    last: Conv2d,
}

impl Decoder {
    pub(crate) fn new(sizes: &AutoencoderSizes, seed: Seed, device: &Device) -> Self {
        let AutoencoderSizes { plane, width, channels } = *sizes;
        let convolution =
            |inputs, outputs, purpose| Conv2d::new(inputs, outputs, 3, seed.derive(purpose), device).with_padding(1);
        Self {
            first: convolution(channels, 2 * width, "first"),
            first_norm: norm_silu(2 * width, device),
            up: ConvTranspose2d::new(2 * width, width, 2, seed.derive("up"), device).with_stride(2),
            second_norm: norm_silu(width, device),
            second: convolution(width, width, "second"),
            last_norm: norm_silu(width, device),
            last: convolution(width, plane, "last"),
        }
    }

    pub(crate) fn forward(&self, codes: Tensor<4>) -> Tensor<4> {
        let x = self.up.forward(self.first_norm.forward(self.first.forward(codes)));
        let x = self.second.forward(self.second_norm.forward(x));
        self.last.forward(self.last_norm.forward(x))
    }
}

/// From planes, `n × plane × 2h × 2w`, to `n × outputs × h × w`.
#[derive(Module, Debug)]
pub(crate) struct Encoder {
    first: Conv2d,
    first_norm: GroupNormSilu,
    down: Conv2d,
    last_norm: GroupNormSilu,
    last: Conv2d,
}

impl Encoder {
    /// `outputs` may differ from the channels of a code, which the other sizes are those of.
    pub(crate) fn new(sizes: &AutoencoderSizes, outputs: usize, seed: Seed, device: &Device) -> Self {
        let AutoencoderSizes { plane, width, .. } = *sizes;
        let convolution =
            |inputs, outputs, purpose| Conv2d::new(inputs, outputs, 3, seed.derive(purpose), device).with_padding(1);
        Self {
            first: convolution(plane, width, "first"),
            first_norm: norm_silu(width, device),
            down: convolution(width, 2 * width, "down").with_stride(2),
            last_norm: norm_silu(2 * width, device),
            last: convolution(2 * width, outputs, "last"),
        }
    }

    pub(crate) fn forward(&self, planes: Tensor<4>) -> Tensor<4> {
        let x = self.down.forward(self.first_norm.forward(self.first.forward(planes)));
        self.last.forward(self.last_norm.forward(x))
    }
}

/// Both halves; the encoder gives means and logarithms of variances of codes.
#[derive(Module, Debug)]
pub(crate) struct Autoencoder {
    encoder: Encoder,
    pub(crate) decoder: Decoder,
}

/// Images encoded at a time.
const ENCODED: usize = 256;

impl Autoencoder {
    fn new(sizes: &AutoencoderSizes, seed: Seed, device: &Device) -> Self {
        Self {
            encoder: Encoder::new(sizes, 2 * sizes.channels, seed.derive("encoder"), device),
            decoder: Decoder::new(sizes, seed.derive("decoder"), device),
        }
    }

    /// The means and the logarithms of the variances of the codes of planes.
    fn posterior(&self, planes: Tensor<4>) -> [Tensor<4>; 2] {
        let y = self.encoder.forward(planes);
        let channels = y.dims()[1] / 2;
        // Variances outside e^±10 mean nothing for codes of order 1, and overflow.
        [y.clone().narrow(1, 0, channels), y.narrow(1, channels, channels).clamp(-10.0, 10.0)]
    }

    /// Trains on images that need no protection, of which `canvas` holds one.
    ///
    /// The loss is the mean squared error per value plus the weighted divergence per code value, with one draw of the code
    /// (Kingma & Welling 2014).
    ///
    /// # Errors
    /// If training diverges or a checkpoint cannot be used.
    pub(crate) fn train(
        run: &Fit<'_>,
        images: &ImageSet,
        canvas: Canvas,
        options: &AutoencoderOptions,
    ) -> Result<Self> {
        let device = DeviceChoice::chosen().training();
        let seed = run.seed.derive("autoencoder");
        let model = Self::new(&options.sizes(canvas), seed.derive("weights"), &device);
        let training = &options.training;
        let mut plan = Plan::epochs(images.len(), training.batch_size, training.epochs, seed.derive("order"));
        plan.steps = plan.steps.max(training.least_steps);
        let checkpoints = run.checkpoints("autoencoder")?;
        let fitted =
            fit(model, &training.optimization(), &plan, checkpoints.as_ref(), run.progress, |model: &Self, batch| {
                let planes = planes(images, canvas, batch.indices.iter().copied(), &device);
                let [mean, log_variance] = model.posterior(planes.clone());
                let mut rng = batch.seed.rng();
                let draws = (0..mean.shape().num_elements()).map(|_| rng.sample::<f32, _>(StandardNormal)).collect();
                let noise = Tensor::<4>::from_data(TensorData::new::<f32, _>(draws, mean.dims()), &device);
                let codes = mean.clone() + (log_variance.clone() * 0.5).exp() * noise;
                let values = mean.shape().num_elements() as f64;
                let divergence =
                    (mean.square() + log_variance.clone().exp() - log_variance - 1.0).sum() * (0.5 / values);
                let error = loss::squared_error(model.decoder.forward(codes), planes).mean() / canvas.volume() as f64;
                Ok(error + divergence * options.divergence)
            })?;
        Ok(fitted.model)
    }

    /// The mean code of each image, `images × values`, as the encoder gives them.
    pub(crate) fn encode(&self, images: &ImageSet, canvas: Canvas) -> Vec<f32> {
        let device = DeviceChoice::chosen().inference();
        let mut codes = Vec::new();
        for start in (0..images.len()).step_by(ENCODED) {
            let block = start..images.len().min(start + ENCODED);
            let [mean, _] = self.posterior(planes(images, canvas, block, &device));
            codes.extend(mean.into_data().iter::<f32>());
        }
        codes
    }
}

/// Images on their planes, values in [−1, 1].
pub(crate) fn planes(
    images: &ImageSet,
    canvas: Canvas,
    places: impl ExactSizeIterator<Item = usize>,
    device: &Device,
) -> Tensor<4> {
    let n = places.len();
    let values: Vec<f32> = places.flat_map(|place| canvas.symmetric(images.image(place))).collect();
    Tensor::from_data(TensorData::new(values, [n, canvas.channels(), canvas.height, canvas.width]), device)
}

/// The mean and the standard deviation of each channel of codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodeScale {
    /// Mean of each channel.
    pub(crate) mean: Vec<f64>,
    /// Standard deviation of each channel, above 0.
    pub(crate) deviation: Vec<f64>,
}

impl CodeScale {
    /// Of codes, `n × channels × area` values.
    pub(crate) fn of(codes: &[f32], channels: usize, area: usize) -> Self {
        let of_channel = |channel: usize| codes.chunks_exact(area).skip(channel).step_by(channels).flatten();
        let count = (codes.len() / channels).max(1) as f64;
        let mean: Vec<f64> = (0..channels)
            .map(|channel| of_channel(channel).map(|&code| f64::from(code)).sum::<f64>() / count)
            .collect();
        let deviation = mean.iter().enumerate().map(|(channel, mean)| {
            let square = of_channel(channel).map(|&code| (f64::from(code) - mean).powi(2)).sum::<f64>() / count;
            square.sqrt().max(1e-6)
        });
        Self { deviation: deviation.collect(), mean }
    }

    /// Codes to mean 0 and standard deviation `to` in every channel.
    pub(crate) fn standardise(&self, codes: &mut [f32], area: usize, to: f64) {
        for (at, plane) in codes.chunks_exact_mut(area).enumerate() {
            let channel = at % self.mean.len();
            let (mean, scale) = (self.mean[channel] as f32, (to / self.deviation[channel]) as f32);
            plane.iter_mut().for_each(|code| *code = (*code - mean) * scale);
        }
    }

    /// Undoes [`CodeScale::standardise`].
    pub(crate) fn restore(&self, codes: &mut [f32], area: usize, from: f64) {
        for (at, plane) in codes.chunks_exact_mut(area).enumerate() {
            let channel = at % self.mean.len();
            let (mean, scale) = (self.mean[channel] as f32, (self.deviation[channel] / from) as f32);
            plane.iter_mut().for_each(|code| *code = *code * scale + mean);
        }
    }

    /// Whether it is of so many channels, and all numbers are of use.
    pub(crate) fn fits(&self, channels: usize) -> bool {
        let Self { mean, deviation } = self;
        mean.len() == channels
            && deviation.len() == channels
            && mean.iter().all(|value| value.is_finite())
            && deviation.iter().all(|value| value.is_finite() && *value > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standardised_codes_have_the_deviation_asked_for_and_come_back() {
        let codes: Vec<f32> =
            (0..240).map(|at| ((at * 37) % 17) as f32 * if at / 4 % 2 == 0 { 1.0 } else { 9.0 }).collect();
        let scale = CodeScale::of(&codes, 2, 4);
        assert!(scale.fits(2) && !scale.fits(3));
        let mut standard = codes.clone();
        scale.standardise(&mut standard, 4, 0.5);
        let again = CodeScale::of(&standard, 2, 4);
        for channel in 0..2 {
            assert!(again.mean[channel].abs() < 1e-5 && (again.deviation[channel] - 0.5).abs() < 1e-5);
        }
        scale.restore(&mut standard, 4, 0.5);
        assert!(codes.iter().zip(&standard).all(|(a, b)| (a - b).abs() < 1e-3));
    }
}
