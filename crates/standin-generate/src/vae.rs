use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Labels, Seed};
use standin_nn::initial::normal;
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{Batch, DeviceChoice, Module, Optimization, Plan, Schedule, Watch, burn, fit_watched};

use crate::aggregate::Aggregate;
use crate::decoder::{Architecture, Decoder, Stack, one_hot};
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, TrainedNetwork};
use crate::options::{above_zero, at_least};
use crate::surrogate::with_gradient;
use crate::{Fit, Generator, Result, Trained};

/// The options of [`Vae`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VaeOptions {
    /// Latent values per image.
    pub latent: usize,
    /// Units of each hidden layer of the decoder, and in reverse of the encoder; empty for two layers chosen by
    /// the image size.
    pub hidden: Vec<usize>,
    /// Weight β of the Kullback–Leibler term (Higgins et al. 2017): 1 is the variational bound; less gives sharper
    /// images from latent vectors further from N(0, I), which sampling makes up for.
    pub beta: f64,
    /// Times each training image is seen, unless that is fewer steps than `least_steps`.
    pub epochs: f64,
    /// Training steps for sets so small that `epochs` would be over too soon.
    pub least_steps: usize,
    /// Images per step.
    pub batch_size: usize,
    /// Base learning rate of Adam.
    pub learning_rate: f64,
}

impl Default for VaeOptions {
    fn default() -> Self {
        Self {
            latent: 20,
            hidden: Vec::new(),
            beta: 0.2,
            epochs: 10.0,
            least_steps: 1500,
            batch_size: 128,
            learning_rate: 2e-3,
        }
    }
}

/// A conditional variational autoencoder (Kingma & Welling 2014; with classes, Sohn, Yan & Lee 2015).
///
/// The encoder sees an image and its class and gives mean and variance of a latent vector; the decoder sees a latent
/// vector and the class and gives each pixel value the probability of being on (cross-entropy with values in [0, 1]).
/// Samples decode latent vectors drawn from a Gaussian that was fitted to each class's posteriors after training; the
/// pixel values are the probabilities, without sampling noise.
#[derive(Clone, Debug)]
pub struct Vae {
    options: VaeOptions,
}

impl Vae {
    /// The registered name.
    pub const NAME: &'static str = "vae";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: VaeOptions) -> Result<Self> {
        let counts =
            [("latent", options.latent), ("least_steps", options.least_steps), ("batch_size", options.batch_size)];
        counts.into_iter().try_for_each(|(name, value)| at_least(Self::NAME, name, value, 1))?;
        options.hidden.iter().try_for_each(|&units| at_least(Self::NAME, "a layer in hidden", units, 1))?;
        let numbers = [("beta", options.beta), ("epochs", options.epochs), ("learning_rate", options.learning_rate)];
        numbers.into_iter().try_for_each(|(name, value)| above_zero(Self::NAME, name, value))?;
        Ok(Self { options })
    }
}

/// Both networks, trained together.
#[derive(Module, Debug)]
struct Autoencoder {
    encoder: Stack,
    decoder: Decoder,
}

impl Generator for Vae {
    fn fit(&self, train: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        run.refuse_protection(Self::NAME)?;
        run.refuse_public(Self::NAME)?;
        let seed = run.seed;
        let options = &self.options;
        let labels = training_labels(Self::NAME, train)?;
        let classes = labels.classes.len();
        let shape = train.shape();
        let mut architecture = Architecture::new(options.latent, &options.hidden, classes, shape);
        let device = DeviceChoice::chosen().training();
        let backwards: Vec<usize> = architecture.hidden.iter().rev().copied().collect();
        let inputs = shape.volume() + classes;
        let model = Autoencoder {
            encoder: Stack::new(inputs, &backwards, 2 * options.latent, seed.derive("encoder"), &device),
            decoder: Decoder::new(&architecture, seed.derive("decoder"), &device),
        };
        let optimization = Optimization {
            learning_rate: options.learning_rate,
            schedule: Schedule::cosine(0.02),
            ..Optimization::default()
        };
        let mut plan = Plan::epochs(train.len(), options.batch_size, options.epochs, seed.derive("training"));
        plan.steps = plan.steps.max(options.least_steps);
        let checkpoints = run.checkpoints("vae")?;
        let mut samples = run.watch("vae", &architecture, |model: Autoencoder| model.decoder)?;
        let watch = samples.as_mut().map(|samples| samples as &mut dyn Watch<Autoencoder>);
        let objective = |model: &Autoencoder, batch: &Batch<'_>| {
            let batch_labels: Vec<u32> = batch.indices.iter().map(|&index| labels.values[index]).collect();
            let scaled = batch.indices.iter().flat_map(|&index| train.image(index));
            let targets: Vec<f32> = scaled.map(|&value| f32::from(value) / 255.0).collect();
            Ok(negative_bound(model, &targets, &batch_labels, classes, options, batch.seed, &device))
        };
        let fitted = fit_watched(model, &optimization, &plan, checkpoints.as_ref(), watch, run.progress, objective)?;
        architecture.latents = aggregates(&fitted.model.encoder, train, labels, options.latent);
        let card = Card::new(Self::NAME, train, labels, seed, self.options(), architecture);
        Ok(Box::new(TrainedNetwork::new(fitted.model.decoder, card)))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}

/// Images encoded at a time after training.
const ENCODED: usize = 512;

/// Where the latent vectors of each class lie.
fn aggregates(encoder: &Stack, train: &ImageSet, labels: &Labels, latent: usize) -> Vec<Aggregate> {
    let device = DeviceChoice::chosen().inference();
    let mut means = Vec::with_capacity(train.len() * latent);
    let mut variances = Vec::with_capacity(train.len() * latent);
    let blocks = train.pixels().chunks(ENCODED * train.shape().volume()).zip(labels.values.chunks(ENCODED));
    for (pixels, block) in blocks {
        let values = pixels.iter().map(|&value| f32::from(value) / 255.0).collect();
        let posterior = encode(encoder, values, one_hot(block, labels.classes.len(), &device), &device);
        means.extend(posterior.mean.into_data().iter::<f32>());
        variances.extend(posterior.log_variance.exp().into_data().iter::<f32>());
    }
    let rows = |values: &'_ [f32], members: &[usize]| -> Vec<Vec<f32>> {
        members.iter().map(|&image| values[image * latent..(image + 1) * latent].to_vec()).collect()
    };
    let aggregate = |members: &Vec<usize>| match members.as_slice() {
        [] => Aggregate::standard(latent),
        members => Aggregate::of(&rows(&means, members), &rows(&variances, members)),
    };
    labels.by_class().iter().map(aggregate).collect()
}

/// The Gaussian posteriors of a batch's latent vectors, each `n × latent`.
struct Posterior {
    mean: Tensor<2>,
    log_variance: Tensor<2>,
}

/// Pixel values, `n × pixels`, and one-hot classes to posteriors.
fn encode(encoder: &Stack, pixels: Vec<f32>, classes: Tensor<2>, device: &Device) -> Posterior {
    let n = classes.dims()[0];
    let width = pixels.len() / n;
    let images = Tensor::from_data(TensorData::new(pixels, [n, width]), device);
    let output = encoder.forward(Tensor::cat(vec![images, classes], 1));
    let latent = output.dims()[1] / 2;
    Posterior {
        mean: output.clone().slice([0..n, 0..latent]),
        // Variances outside e^±10 mean nothing for values of order 1, and overflow.
        log_variance: output.slice([0..n, latent..2 * latent]).clamp(-10.0, 10.0),
    }
}

/// The mean over a batch of −E[ln p(x | z, c)] + β KL(q(z | x, c) ‖ N(0, I)) in nats, with one draw of z per image
/// (Kingma & Welling 2014, equations 7 and 10).
fn negative_bound(
    model: &Autoencoder,
    targets: &[f32],
    labels: &[u32],
    classes: usize,
    options: &VaeOptions,
    seed: Seed,
    device: &Device,
) -> Tensor<1> {
    let (n, latent) = (labels.len(), options.latent);
    let classes = one_hot(labels, classes, device);
    let Posterior { mean, log_variance } = encode(&model.encoder, targets.to_vec(), classes.clone(), device);
    let noise = normal([n, latent], 1.0, seed, device);
    let z = mean.clone() + (log_variance.clone() * 0.5).exp() * noise;
    let divergence = (mean.square() + log_variance.clone().exp() - log_variance - 1.0).sum() * (0.5 / n as f64);
    let logits = model.decoder.logits(z, classes);
    let (loss, gradient) = cross_entropy(&logits.clone().into_data().iter::<f32>().collect::<Vec<_>>(), targets, n);
    with_gradient(logits, gradient, loss, device) + divergence * options.beta
}

/// Mean over `n` images of the binary cross-entropy summed over their values, and its gradient with respect to the
/// logits. In one pass over plain values, which the tensor library would make seven of.
fn cross_entropy(logits: &[f32], targets: &[f32], n: usize) -> (f64, Vec<f32>) {
    let width = logits.len() / n;
    let mut gradient = vec![0.0; logits.len()];
    let rows = gradient.par_chunks_exact_mut(width).zip(logits.par_chunks_exact(width));
    let losses: Vec<f64> = rows
        .zip(targets.par_chunks_exact(width))
        .map(|((gradient, logits), targets)| {
            let mut loss = 0.0;
            for ((slope, &x), &target) in gradient.iter_mut().zip(logits).zip(targets) {
                let small = (-x.abs()).exp();
                let on = if x >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
                *slope = (on - target) / n as f32;
                loss += f64::from(x.max(0.0) - x * target + small.ln_1p());
            }
            loss
        })
        .collect();
    (losses.iter().sum::<f64>() / n as f64, gradient)
}
