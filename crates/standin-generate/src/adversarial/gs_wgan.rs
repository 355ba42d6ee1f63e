use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Labels, Seed};
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{
    Batch, DeviceChoice, Learner, Module, Optimization, Optimizer, OptimizerState, ParameterShape, PixelRange, Plan,
    Records, Trainer, TrainerState, Watch, gradient, pixels, show, states_of, train,
};
use standin_privacy::{Adjacency, Event, Ledger, NoiseOrigin, NoiseSource, calibrate};

use super::convolutional::{Architecture, Discriminator, Synthesis};
use super::objective::Objective;
use super::penalty::{Penalty, image_gradients, of_discriminator};
use super::smooth::{SmoothArchitecture, SmoothGenerator};
use super::subsets::{Release, assigned, guarantee, of_subsets};
use crate::cosine::CosineBasis;
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, Network, TrainedNetwork};
use crate::options::{above_zero, at_least};
use crate::{Error, Fit, Generator, Result, Trained};

/// The options of [`GsWgan`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GsWganOptions {
    /// Latent values per image.
    pub latent: usize,
    /// Channels next to the image's own resolution, of the generator.
    pub width: usize,
    /// The same of every critic.
    pub critic_width: usize,
    /// Disjoint subsets of the training images, each with a critic; a tenth of the images at most.
    pub subsets: usize,
    /// Probability with which a subset takes part in a release.
    pub sampling_rate: f64,
    /// Releases, each a step of the generator.
    pub steps: usize,
    /// Generated images of a release.
    pub batch_size: usize,
    /// Waves along each side of an image, the lowest of its cosine transform: a gradient is reduced to them before it is released,
    /// and images are when they are drawn.
    pub frequencies: usize,
    /// Bound C on the gradient at a generated image.
    pub bound: f64,
    /// Rounds in which every critic trains before the first release.
    pub warm_up: usize,
    /// Critics that train between two releases, in rotation.
    pub critics_per_step: usize,
    /// Steps of a critic when it trains.
    pub critic_steps: usize,
    /// Images of a critic's step.
    pub critic_batch: usize,
    /// Weight of the penalty that keeps a critic's gradients near norm 1.
    pub penalty: f64,
    /// Learning rate of the critics' Adam.
    pub critic_rate: f64,
    /// Learning rate of the generator's Adam.
    pub generator_rate: f64,
    /// Decay of the moving average of the generator's parameters.
    pub average_decay: f64,
}

impl Default for GsWganOptions {
    fn default() -> Self {
        Self {
            latent: 10,
            width: 16,
            critic_width: 8,
            subsets: 1000,
            sampling_rate: 0.1,
            steps: 1000,
            batch_size: 16,
            frequencies: 10,
            bound: 1.0,
            warm_up: 6,
            critics_per_step: 20,
            critic_steps: 5,
            critic_batch: 32,
            penalty: 10.0,
            critic_rate: 1e-3,
            generator_rate: 1e-3,
            average_decay: 0.99,
        }
    }
}

/// GS-WGAN (Chen, Orekondy & Fritz 2020): critics of disjoint subsets of the private images, trained without noise, tell a
/// generator through clipped and noised gradients where to go.
#[derive(Clone, Debug)]
pub struct GsWgan {
    options: GsWganOptions,
}

impl GsWgan {
    /// The registered name.
    pub const NAME: &'static str = "gs-wgan";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: GsWganOptions) -> Result<Self> {
        let counts = [
            ("latent", options.latent),
            ("width", options.width),
            ("critic_width", options.critic_width),
            ("subsets", options.subsets),
            ("steps", options.steps),
            ("batch_size", options.batch_size),
            ("frequencies", options.frequencies),
            ("critics_per_step", options.critics_per_step),
            ("critic_steps", options.critic_steps),
            ("critic_batch", options.critic_batch),
        ];
        counts.into_iter().try_for_each(|(name, value)| at_least(Self::NAME, name, value, 1))?;
        let numbers = [
            ("bound", options.bound),
            ("penalty", options.penalty),
            ("critic_rate", options.critic_rate),
            ("generator_rate", options.generator_rate),
        ];
        numbers.into_iter().try_for_each(|(name, value)| above_zero(Self::NAME, name, value))?;
        if !(options.sampling_rate > 0.0 && options.sampling_rate <= 1.0) {
            let reason = format!("sampling_rate is {}; it must be above 0 and at most 1", options.sampling_rate);
            return Err(Error::Options { family: Self::NAME, reason });
        }
        let family = Self { options };
        optimization(family.options.generator_rate, Some(family.options.average_decay)).check()?;
        Ok(family)
    }
}

fn optimization(learning_rate: f64, average_decay: Option<f64>) -> Optimization {
    let optimizer = Optimizer::Adam { beta_1: 0.5, beta_2: 0.9, epsilon: 1e-8, weight_decay: 0.0, noise_floor: None };
    Optimization { optimizer, learning_rate, average_decay, ..Optimization::default() }
}

/// A critic and the images that it alone sees.
struct Critic {
    trainer: Trainer<Discriminator>,
    members: Vec<usize>,
}

/// The critics in rotation, and the generator that learns from what is released.
struct Sanitised<'a> {
    options: &'a GsWganOptions,
    generator: Trainer<SmoothGenerator>,
    critics: Vec<Critic>,
    images: &'a ImageSet,
    labels: &'a Labels,
    release: Release,
    basis: CosineBasis,
    origin: NoiseOrigin,
    ledger: Ledger,
    /// Steps before the first release.
    warm_up: usize,
    device: Device,
    watch: Option<&'a mut dyn Watch<SmoothGenerator>>,
}

impl Critic {
    /// One step on its own images and as many generated for the same classes.
    fn step(
        &mut self,
        (images, labels): (&ImageSet, &Labels),
        generator: &SmoothGenerator,
        options: &GsWganOptions,
        seed: Seed,
        batch: &Batch<'_>,
    ) -> standin_nn::Result<()> {
        let device = DeviceChoice::chosen().training();
        let mut rng = seed.derive("images").rng();
        let mut members = self.members.clone();
        let (chosen, _) = members.partial_shuffle(&mut rng, options.critic_batch);
        let n = chosen.len();
        let labels: Vec<u32> = chosen.iter().map(|&index| labels.values[index]).collect();
        let real = pixels(images, chosen, PixelRange::Symmetric, &device);
        let inference = DeviceChoice::chosen().inference();
        let generated = generator.synthesise(&labels, seed.derive("generated"), &inference).into_data();
        let generated = Tensor::<4>::from_data(generated, &device);
        let shares: Vec<f32> = (0..n).map(|_| rng.random()).collect();
        let shares = Tensor::<1>::from_data(TensorData::new(shares, [n]), &device).reshape([n, 1, 1, 1]);
        let between = generated.clone() + (real.clone() - generated.clone()) * shares;
        let model = self.trainer.model();
        let (penalty, _) = of_discriminator(Penalty::UnitNorm(options.penalty), model, between, &labels);
        let scores = model.score(Tensor::cat(vec![real, generated], 0), &[labels.as_slice(), &labels].concat());
        let objective = Objective::Wasserstein;
        let loss =
            objective.real(scores.clone().narrow(0, 0, n)).mean() + objective.generated(scores.narrow(0, n, n)).mean();
        let gradient = gradient(model, &(loss + penalty));
        self.trainer.apply(gradient, batch)?;
        Ok(())
    }
}

impl Sanitised<'_> {
    /// Trains the critics whose turn it is: a rotation that knows nothing of who was drawn for a release.
    fn train_critics(&mut self, batch: &Batch<'_>) -> standin_nn::Result<()> {
        let subsets = self.critics.len();
        let each = self.options.critics_per_step.min(subsets);
        let first = batch.step * each % subsets;
        let mut turn = vec![false; subsets];
        (first..first + each).for_each(|at| turn[at % subsets] = true);
        let generator = self.generator.model().clone().valid();
        let (options, set) = (self.options, (self.images, self.labels));
        let with_turn = self.critics.par_iter_mut().enumerate().filter(|(subset, _)| turn[*subset]);
        with_turn.filter(|(_, critic)| !critic.members.is_empty()).try_for_each(|(subset, critic)| {
            (0..options.critic_steps).try_for_each(|step| {
                let seed = batch.seed.derive(&format!("critic {subset} step {step}"));
                critic.step(set, &generator, options, seed, batch)
            })
        })
    }

    /// One release, and the generator's step along it. Returns the norm of the released gradients' mean, which is covered.
    fn release(&mut self, batch: &Batch<'_>) -> Result<f64> {
        let classes = self.labels.classes.len() as u32;
        let seed = batch.seed.derive("release");
        let mut rng = seed.derive("classes").rng();
        let labels: Vec<u32> = (0..self.release.images).map(|_| rng.random_range(0..classes)).collect();
        let images = self.generator.model().synthesise(&labels, seed.derive("latents"), &self.device);
        let shape = images.dims();
        let points = images.clone().detach();
        let mut noise = NoiseSource::of(self.origin, seed)?;
        let (critics, basis) = (&self.critics, &self.basis);
        let released = self.release.make(critics.len(), &mut noise, |subset| {
            let critic = &critics[subset];
            let model = critic.trainer.model().clone().no_grad();
            let uphill = || basis.analyse_each(&image_gradients(|x| model.score(x, &labels), points.clone()));
            (!critic.members.is_empty()).then(uphill)
        })?;
        let (sampling_rate, noise_multiplier) = (self.release.rate, self.release.noise_multiplier);
        self.ledger.record(Event::PoissonSubsampledGaussian { sampling_rate, noise_multiplier }, 1)?;
        // The generator is to raise the critics' scores: its loss is minus ⟨images, gradients⟩, a mean over images.
        let uphill = released.chunks_exact(basis.len()).flat_map(|row| basis.synthesise(row));
        let downhill: Vec<f32> = uphill.map(|value| (-value / self.release.images as f64) as f32).collect();
        let downhill = Tensor::<4>::from_data(TensorData::new(downhill, shape), &self.device);
        self.generator.step(&(images * downhill).sum(), batch)?;
        Ok(released.iter().map(|value| value * value).sum::<f64>().sqrt())
    }
}

/// What a checkpoint keeps beside the networks.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    /// Steps that each critic has made.
    steps: Vec<u64>,
    ledger: Ledger,
}

impl Learner for Sanitised<'_> {
    fn learn(&mut self, batch: &Batch<'_>) -> standin_nn::Result<f64> {
        self.train_critics(batch)?;
        let norm =
            if batch.step < self.warm_up { 0.0 } else { self.release(batch).map_err(standin_nn::Error::objective)? };
        show(self.watch.as_deref_mut(), batch, || self.generator.finished())?;
        Ok(norm)
    }

    /// All critics as one network, whose parameters are those of each in turn.
    fn states(&self) -> Vec<(&'static str, TrainerState)> {
        let optimizer = OptimizerState { steps: 0, first: Vec::new(), second: Vec::new() };
        let mut all = TrainerState { shapes: Vec::new(), values: Vec::new(), optimizer, average: None };
        for (subset, critic) in self.critics.iter().enumerate() {
            let TrainerState { shapes, values, optimizer, .. } = critic.trainer.state();
            all.shapes.extend(
                shapes
                    .into_iter()
                    .map(|ParameterShape { name, shape }| ParameterShape { name: format!("{subset}.{name}"), shape }),
            );
            all.values.extend(values);
            all.optimizer.first.extend(optimizer.first);
            all.optimizer.second.extend(optimizer.second);
        }
        vec![("critics", all), ("generator", self.generator.state())]
    }

    fn restore(&mut self, states: Vec<(String, TrainerState)>) -> std::result::Result<(), String> {
        let [all, generator] = states_of(states)?;
        self.generator.restore(generator)?;
        let parameters: usize = self.critics.iter().map(|critic| critic.trainer.parameters()).sum();
        let TrainerState { values, optimizer: OptimizerState { first, second, .. }, .. } = all;
        if [values.len(), first.len(), second.len()] != [parameters; 3] {
            return Err("it holds other critics".to_owned());
        }
        let mut start = 0;
        for critic in &mut self.critics {
            let own = start..start + critic.trainer.parameters();
            start = own.end;
            let mut state = critic.trainer.state();
            state.values = values[own.clone()].to_vec();
            state.optimizer.first = first[own.clone()].to_vec();
            state.optimizer.second = second[own].to_vec();
            critic.trainer.restore(state)?;
        }
        Ok(())
    }

    fn promise(&self) -> Option<String> {
        let Release { bound, images, values, rate, noise_multiplier } = self.release;
        Some(format!(
            "{} releases of {images} gradients of {values} values and norm {bound} from {} subsets at rate {rate}, noise multiplier \
             {noise_multiplier}, {:?} noise, units {:?}",
            self.options.steps,
            self.critics.len(),
            self.origin,
            self.ledger.unit()
        ))
    }

    fn memory(&self) -> Option<String> {
        let steps = self.critics.iter().map(|critic| critic.trainer.state().optimizer.steps).collect();
        let memory = Memory { steps, ledger: self.ledger.clone() };
        Some(toml::to_string(&memory).expect("numbers and names have a TOML form"))
    }

    fn recall(&mut self, memory: &str) -> std::result::Result<(), String> {
        let Memory { steps, ledger } =
            toml::from_str(memory).map_err(|error| format!("its ledger is not readable ({error})"))?;
        let releases: u64 = self.generator.state().optimizer.steps;
        let (sampling_rate, noise_multiplier) = (self.release.rate, self.release.noise_multiplier);
        let mut expected = Ledger::new(self.ledger.unit().clone(), Adjacency::AddRemove, self.origin);
        expected
            .record(Event::PoissonSubsampledGaussian { sampling_rate, noise_multiplier }, releases)
            .map_err(|error| error.to_string())?;
        if ledger != expected || steps.len() != self.critics.len() {
            return Err(format!("its ledger does not hold {releases} releases of this training"));
        }
        for (critic, steps) in self.critics.iter_mut().zip(steps) {
            let mut state = critic.trainer.state();
            state.optimizer.steps = steps;
            critic.trainer.restore(state)?;
        }
        self.ledger = ledger;
        Ok(())
    }
}

impl Generator for GsWgan {
    fn fit(&self, train_set: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        let protection = run.protection(Self::NAME)?;
        run.refuse_public(Self::NAME)?;
        let options = &self.options;
        let labels = training_labels(Self::NAME, train_set)?;
        let records = Records::of(train_set, &protection.unit)?;
        let budget = protection.target.budget(records.units())?;
        let subsets = options.subsets.min(records.units() / 10).max(1);
        let seed = run.seed;
        let shape = train_set.shape();
        let sizes = Architecture { latent: options.latent, width: options.width, classes: labels.classes.len(), shape };
        let narrow = Architecture { width: options.critic_width, ..sizes.clone() };
        let architecture = SmoothArchitecture { sizes, frequencies: options.frequencies };
        let device = DeviceChoice::chosen().training();

        let ledger = Ledger::new(protection.unit.clone(), Adjacency::AddRemove, protection.noise);
        let target = of_subsets(budget);
        let noise_multiplier =
            calibrate::noise_multiplier(target, options.sampling_rate, options.steps as u64, &ledger)?;
        let basis = architecture.basis();
        let release = Release {
            bound: options.bound,
            images: options.batch_size,
            values: basis.len(),
            rate: options.sampling_rate,
            noise_multiplier,
        };
        let critic = |(subset, members): (usize, Vec<usize>)| -> Result<Critic> {
            let seed = seed.derive(&format!("critic {subset}"));
            let model = Discriminator::initial(&narrow, seed, &device);
            Ok(Critic { trainer: Trainer::new(model, &optimization(options.critic_rate, None))?, members })
        };
        let members = assigned(&records, subsets, seed.derive("subsets"));
        let critics = members.into_iter().enumerate().map(critic).collect::<Result<Vec<_>>>()?;
        let generator = SmoothGenerator::new(&architecture, seed.derive("generator"), &device);
        let of_generator = optimization(options.generator_rate, Some(options.average_decay));
        let generator = Trainer::new(generator, &of_generator)?;
        let warm_up = options.warm_up * subsets.div_ceil(options.critics_per_step);

        let checkpoints = run.checkpoints(Self::NAME)?;
        let mut samples = run.watch(Self::NAME, &architecture, |generator: SmoothGenerator| generator)?;
        let mut sanitised = Sanitised {
            options,
            generator,
            critics,
            images: train_set,
            labels,
            release,
            basis,
            origin: protection.noise,
            ledger,
            warm_up,
            device,
            watch: samples.as_mut().map(|samples| samples as &mut dyn Watch<SmoothGenerator>),
        };
        let steps = warm_up + options.steps;
        let plan = Plan::steps(records.units(), options.critic_batch, steps, seed.derive("training"));
        train(&mut sanitised, &plan, checkpoints.as_ref(), run.progress)?;
        let guarantee = guarantee(&sanitised.ledger, budget)?;
        let generator = sanitised.generator.finished();
        let card = Card::private(Self::NAME, train_set, labels, seed, self.options(), architecture, guarantee);
        Ok(Box::new(TrainedNetwork::new(generator, card)))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
