use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::{
    Clipping, DeviceChoice, Optimization, Optimizer, Plan, Privacy, PrivateTrainer, Records, Trainer, Watch, train,
};
use standin_privacy::{Adjacency, Ledger};

use super::convolutional::{Architecture, ConvolutionalGenerator, Discriminator};
use super::kept::KeptDiscriminator;
use super::objective::Objective;
use super::private_contest::{Pace, PrivateContest, Rows};
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, TrainedNetwork};
use crate::options::{above_zero, at_least};
use crate::{Error, Fit, Generator, Result, Trained};

/// The options of [`DpGan`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpGanOptions {
    /// Latent values per image.
    pub latent: usize,
    /// Channels next to the image's own resolution, of the generator.
    pub width: usize,
    /// The same of the discriminator: every parameter of it is noised.
    pub discriminator_width: usize,
    /// Expected number of units in a discriminator step; a quarter of all at most.
    pub batch_size: usize,
    /// Discriminator steps, each of which is charged.
    pub steps: usize,
    /// Discriminator steps to each of the generator, at first.
    pub discriminator_steps: usize,
    /// Where a smaller share of generated images is recognised, on average over some steps, `discriminator_steps` doubles
    /// (Bie, Kamath & Zhang 2023); 0 to leave it as it is.
    pub recognition_floor: f64,
    /// How the gradient of one unit is bounded.
    pub clipping: Clipping,
    /// Learning rate of the discriminator's Adam.
    pub discriminator_rate: f64,
    /// Learning rate of the generator's Adam.
    pub generator_rate: f64,
    /// Images of a generator step.
    pub generator_batch: usize,
    /// Decay of the moving average of the generator's parameters.
    pub average_decay: f64,
    /// Keep the discriminator, as `discriminator.safetensors` beside the generator: the same guarantee holds for it.
    pub keep_discriminator: bool,
}

impl Default for DpGanOptions {
    fn default() -> Self {
        Self {
            latent: 32,
            width: 24,
            discriminator_width: 16,
            batch_size: 512,
            steps: 1500,
            discriminator_steps: 2,
            recognition_floor: 0.5,
            clipping: Clipping::Automatic { bound: 1.0, stabiliser: 0.01 },
            discriminator_rate: 1e-3,
            generator_rate: 5e-4,
            generator_batch: 128,
            average_decay: 0.995,
            keep_discriminator: false,
        }
    }
}

/// A conditional adversarial network whose discriminator is trained with DP-SGD (Xie et al. 2018; in the form of Bie,
/// Kamath & Zhang 2023). The generator meets the private images through the discriminator alone: it is post-processing.
#[derive(Clone, Debug)]
pub struct DpGan {
    options: DpGanOptions,
}

impl DpGan {
    /// The registered name.
    pub const NAME: &'static str = "dp-gan";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: DpGanOptions) -> Result<Self> {
        let counts = [
            ("latent", options.latent),
            ("width", options.width),
            ("discriminator_width", options.discriminator_width),
            ("batch_size", options.batch_size),
            ("steps", options.steps),
            ("discriminator_steps", options.discriminator_steps),
            ("generator_batch", options.generator_batch),
        ];
        counts.into_iter().try_for_each(|(name, value)| at_least(Self::NAME, name, value, 1))?;
        above_zero(Self::NAME, "discriminator_rate", options.discriminator_rate)?;
        above_zero(Self::NAME, "generator_rate", options.generator_rate)?;
        if !(0.0..1.0).contains(&options.recognition_floor) {
            let reason =
                format!("recognition_floor is {}; it must be at least 0 and below 1", options.recognition_floor);
            return Err(Error::Options { family: Self::NAME, reason });
        }
        options.clipping.check()?;
        let family = Self { options };
        family.optimization(family.options.generator_rate, Some(family.options.average_decay)).check()?;
        Ok(family)
    }

    fn optimization(&self, learning_rate: f64, average_decay: Option<f64>) -> Optimization {
        let optimizer =
            Optimizer::Adam { beta_1: 0.5, beta_2: 0.99, epsilon: 1e-8, weight_decay: 0.0, noise_floor: None };
        Optimization { optimizer, learning_rate, average_decay, ..Optimization::default() }
    }
}

impl Generator for DpGan {
    fn fit(&self, train_set: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        let protection = run.protection(Self::NAME)?;
        run.refuse_public(Self::NAME)?;
        let options = &self.options;
        let labels = training_labels(Self::NAME, train_set)?;
        let classes = labels.classes.len();
        let records = Records::of(train_set, &protection.unit)?;
        let budget = protection.target.budget(records.units())?;
        let batch_size = options.batch_size.min(records.units() / 4).max(1);
        let privacy = Privacy {
            clipping: options.clipping,
            noise: protection.noise,
            multiplicity: 2,
            ..Privacy::new(batch_size, options.steps)
        };
        let shape = train_set.shape();
        let architecture = Architecture { latent: options.latent, width: options.width, classes, shape };
        let narrow = Architecture { width: options.discriminator_width, ..architecture.clone() };
        let device = DeviceChoice::chosen().training();
        let seed = run.seed;
        let generator = ConvolutionalGenerator::initial(&architecture, seed.derive("generator"), &device);
        let discriminator = Discriminator::initial(&narrow, seed.derive("discriminator"), &device);
        let before = Ledger::new(protection.unit.clone(), Adjacency::AddRemove, protection.noise);
        let optimization = self.optimization(options.discriminator_rate, None);
        let discriminator = PrivateTrainer::new(discriminator, &optimization, &privacy, budget, &records, before)?;
        let generator =
            Trainer::new(generator, &self.optimization(options.generator_rate, Some(options.average_decay)))?;

        let objective = Objective::NonSaturating;
        let mut rows = Rows::new(train_set, labels, batch_size.div_ceil(classes));
        rows.refresh(generator.model(), seed.derive("first"));
        discriminator.check_independence(|model, batch| Ok(rows.losses(objective, model, batch)), seed)?;
        let checkpoints = run.checkpoints(Self::NAME)?;
        let mut samples = run.watch(Self::NAME, &architecture, |generator: ConvolutionalGenerator| generator)?;
        let floor = Some(options.recognition_floor).filter(|&floor| floor > 0.0);
        let mut contest = PrivateContest {
            generator,
            discriminator,
            rows,
            pace: Pace::new(options.discriminator_steps, floor),
            objective,
            generator_batch: options.generator_batch,
            watch: samples.as_mut().map(|samples| samples as &mut dyn Watch<ConvolutionalGenerator>),
        };
        let plan = Plan::steps(records.units(), batch_size, options.steps, seed.derive("training"));
        train(&mut contest, &plan, checkpoints.as_ref(), run.progress)?;
        let guarantee = contest.discriminator.guarantee()?;
        let (generator, discriminator) = (contest.generator.finished(), contest.discriminator.finished());
        let kept = options.keep_discriminator.then(|| KeptDiscriminator::new(discriminator, narrow));
        let card = Card::private(Self::NAME, train_set, labels, seed, self.options(), architecture, guarantee);
        Ok(Box::new(TrainedNetwork::new(generator, card).with_discriminator(kept)))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
