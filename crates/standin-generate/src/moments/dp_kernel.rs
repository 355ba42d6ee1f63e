use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Labels, Seed};
use standin_nn::initial::normal;
use standin_nn::tensor::Device;
use standin_nn::tensor::activation::sigmoid;
use standin_nn::{Batch, DeviceChoice, Learner, Plan, Trainer, TrainerState, Watch, show, states_of, train};
use standin_privacy::{Adjacency, Event, Ledger, NoiseOrigin, NoiseSource, calibrate, gaussian};

use crate::decoder::{Architecture, Decoder, one_hot};
use crate::families::write_options;
use crate::generator::training_labels;
use crate::mean_embedding::shares;
use crate::moments::decoder_options::{DecoderOptions, values};
use crate::moments::dp_merf::check_length_scales;
use crate::moments::kernel::GaussianKernels;
use crate::network::{Card, TrainedNetwork};
use crate::options::at_least;
use crate::surrogate::with_gradient;
use crate::{Fit, Generator, Protection, Result, Trained};

/// The options of [`DpKernel`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpKernelOptions {
    /// Length scales of the kernels as multiples of √(values per image), values in [0, 1]. Must be public knowledge, never
    /// measured on private images.
    pub length_scales: Vec<f64>,
    /// Expected number of private images in a step, at most all.
    pub private_batch: usize,
    /// The generator and its training; every step is a release.
    pub decoder: DecoderOptions,
}

impl Default for DpKernelOptions {
    fn default() -> Self {
        Self { length_scales: vec![0.25, 0.125], private_batch: 1024, decoder: DecoderOptions::default() }
    }
}

/// DP-Kernel (Jiang, Sun & Yu 2023): the mean embedding of a sample of private images, released as a function with a Gaussian
/// process as noise ([`super::kernel`]), in every step of a generator that follows its slopes.
#[derive(Clone, Debug)]
pub struct DpKernel {
    options: DpKernelOptions,
}

/// The part of the budget, as squared inverse noise, that the class counts have.
const COUNT_PART: f64 = 0.02;

/// Noise is this much larger than accounted, for what f64 rounds in sums and factors.
const ROUNDING: f64 = 1.0 + 1e-6;

impl DpKernel {
    /// The registered name.
    pub const NAME: &'static str = "dp-kernel";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: DpKernelOptions) -> Result<Self> {
        check_length_scales(Self::NAME, &options.length_scales)?;
        at_least(Self::NAME, "private_batch", options.private_batch, 1)?;
        options.decoder.check(Self::NAME)?;
        Ok(Self { options })
    }
}

/// A decoder that learns from what is released.
struct Sanitised<'a> {
    trainer: Trainer<Decoder>,
    kernels: GaussianKernels,
    images: &'a ImageSet,
    labels: &'a Labels,
    /// Class of each generated image, class by class.
    drawn: Vec<u32>,
    latent: usize,
    /// Released share of each class.
    shares: Vec<f64>,
    event: Event,
    sampling_rate: f64,
    noise_multiplier: f64,
    origin: NoiseOrigin,
    /// What was spent before the first step.
    before: Ledger,
    ledger: Ledger,
    watch: Option<&'a mut dyn Watch<Decoder>>,
    device: Device,
}

impl Sanitised<'_> {
    /// The noisy slopes of the sample's mean embedding at the generated images, and with them the gradient of
    /// Σ over classes of ‖share × mean of κ(y, ·) − mean of κ(x, ·)‖² / Σ share² with respect to the images.
    fn gradient(&mut self, points: &[f32], seed: Seed) -> Result<Vec<f32>> {
        let (images, labels, kernels) = (self.images, self.labels, &self.kernels);
        let classes = labels.classes.len();
        let volume = images.shape().volume();
        let mut noise = NoiseSource::of(self.origin, seed)?;
        let mut sampled: Vec<Vec<f64>> = vec![Vec::new(); classes];
        for image in noise.sample(self.sampling_rate, images.len())? {
            let pixels = images.image(image).iter().map(|&value| f64::from(value) / 255.0);
            sampled[labels.values[image] as usize].extend(pixels);
        }
        let (expected, sigma) = (self.sampling_rate * images.len() as f64, ROUNDING * self.noise_multiplier);
        let square: f64 = self.shares.iter().map(|share| share * share).sum();
        let of_class = |class: usize, points: &[f32]| -> Result<Vec<f32>> {
            let share = self.shares[class];
            let mut noise = NoiseSource::of(self.origin, seed.derive(&format!("class {class}")))?;
            let points: Vec<f64> = points.iter().map(|&value| f64::from(value)).collect();
            let k = (points.len() / volume) as f64;
            let real = kernels.slopes(&points, sampled[class].chunks_exact(volume));
            let noise = kernels.noise_slopes(&points, &mut noise)?;
            let own = kernels.slopes(&points, points.chunks_exact(volume));
            let slopes = real.iter().zip(noise).zip(own).map(|((real, noise), own)| {
                let towards = (real + sigma * noise) / expected;
                (2.0 * share / k * (share / (k - 1.0) * own - towards) / square) as f32
            });
            Ok(slopes.collect())
        };
        // Each class has a source of noise of its own, so that classes can be worked on side by side.
        let parts = points.par_chunks_exact(points.len() / classes).enumerate();
        let parts: Vec<Vec<f32>> = parts.map(|(class, points)| of_class(class, points)).collect::<Result<_>>()?;
        self.ledger.record(self.event.clone(), 1)?;
        Ok(parts.concat())
    }
}

impl Learner for Sanitised<'_> {
    /// The number it gives is the length of the noisy gradient, which is covered.
    fn learn(&mut self, batch: &Batch<'_>) -> standin_nn::Result<f64> {
        let latents = normal([self.drawn.len(), self.latent], 1.0, batch.seed, &self.device);
        let classes = one_hot(&self.drawn, self.labels.classes.len(), &self.device);
        let images = sigmoid(self.trainer.model().logits(latents, classes));
        let gradient =
            self.gradient(&values(&images), batch.seed.derive("release")).map_err(standin_nn::Error::objective)?;
        let length = gradient.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        self.trainer.step(&with_gradient(images, gradient, length, &self.device), batch)?;
        show(self.watch.as_deref_mut(), batch, || self.trainer.finished())?;
        Ok(length)
    }

    fn states(&self) -> Vec<(&'static str, TrainerState)> {
        vec![("model", self.trainer.state())]
    }

    fn restore(&mut self, states: Vec<(String, TrainerState)>) -> std::result::Result<(), String> {
        let [state] = states_of(states)?;
        self.trainer.restore(state)
    }

    fn promise(&self) -> Option<String> {
        let unit = self.ledger.unit();
        Some(format!("releases of {}, {:?} noise, units {unit:?}, after {:?}", self.event, self.origin, self.before))
    }

    fn memory(&self) -> Option<String> {
        Some(serde_json::to_string(&self.ledger).expect("numbers and names have a JSON form"))
    }

    fn recall(&mut self, memory: &str) -> std::result::Result<(), String> {
        let ledger: Ledger =
            serde_json::from_str(memory).map_err(|error| format!("its ledger is not readable ({error})"))?;
        let steps = self.trainer.state().optimizer.steps;
        let mut expected = self.before.clone();
        expected.record(self.event.clone(), steps).map_err(|error| error.to_string())?;
        if ledger != expected {
            return Err(format!("its ledger does not hold {steps} releases of this training"));
        }
        self.ledger = ledger;
        Ok(())
    }
}

impl Generator for DpKernel {
    fn fit(&self, train_set: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        let DpKernelOptions { length_scales, private_batch, decoder } = &self.options;
        let Protection { target, unit, noise: origin } = run.image_protection(Self::NAME)?;
        run.refuse_public(Self::NAME)?;
        let labels = training_labels(Self::NAME, train_set)?;
        let (seed, shape, classes) = (run.seed, train_set.shape(), labels.classes.len());
        let budget = target.budget(train_set.len())?;

        let sigma = gaussian::sigma(budget.epsilon, budget.delta, 1.0)? / COUNT_PART.sqrt();
        let shares = run.once("class-counts", || {
            let mut counts: Vec<f64> = labels.counts().into_iter().map(|count| count as f64).collect();
            NoiseSource::of(*origin, seed.derive("class counts"))?.add_gaussian(sigma, &mut counts)?;
            Ok(shares(&counts, sigma))
        })?;
        let mut before = Ledger::new(unit.clone(), Adjacency::AddRemove, *origin);
        before.record(Event::NoisedHistogram { noise_multiplier: sigma }, 1)?;

        let sampling_rate = private_batch.min(&train_set.len()).to_owned() as f64 / train_set.len() as f64;
        let noise_multiplier = calibrate::noise_multiplier(budget, sampling_rate, decoder.steps as u64, &before)?;
        let architecture: Architecture = decoder.architecture(classes, shape);
        let device = DeviceChoice::chosen().training();
        let model = Decoder::new(&architecture, seed.derive("weights"), &device);
        let length = (shape.volume() as f64).sqrt();
        let mut samples = run.watch(Self::NAME, &architecture, |decoder: Decoder| decoder)?;
        let drawn = decoder.labels(classes);
        let plan = Plan::steps(drawn.len(), drawn.len(), decoder.steps, seed.derive("training"));
        let mut learner = Sanitised {
            trainer: Trainer::new(model, &decoder.optimization())?,
            kernels: GaussianKernels::new(length_scales.iter().map(|scale| scale * length).collect(), shape.volume()),
            images: train_set,
            labels,
            drawn,
            latent: decoder.latent,
            shares,
            event: Event::PoissonSubsampledGaussian { sampling_rate, noise_multiplier },
            sampling_rate,
            noise_multiplier,
            origin: *origin,
            ledger: before.clone(),
            before,
            watch: samples.as_mut().map(|samples| samples as &mut dyn Watch<Decoder>),
            device,
        };
        let checkpoints = run.checkpoints(Self::NAME)?;
        train(&mut learner, &plan, checkpoints.as_ref(), run.progress)?;

        let not_covered = [
            "the number of training images, which is taken as public",
            "the image shape and the class names, which are taken as public",
            "several images of one person: the unit is one image",
            "the choice of options, if they were tuned on these images (the defaults were tuned on public ones)",
            "other releases made from the same images, whose ε and δ add to these",
        ];
        let not_covered = not_covered.map(str::to_owned).to_vec();
        let guarantee = learner.ledger.guarantee(budget.delta, not_covered)?;
        let (model, shares) = (learner.trainer.finished(), learner.shares);
        let card = Card::private(Self::NAME, train_set, labels, seed, self.options(), architecture, guarantee);
        Ok(Box::new(TrainedNetwork::new(model, card.with_shares(shares))))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
