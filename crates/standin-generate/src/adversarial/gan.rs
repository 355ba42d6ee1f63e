use std::path::Path;

use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Labels, Seed, Shape};
use standin_nn::{DeviceChoice, Optimization, Optimizer, Plan, Watch, train};

use super::contest::{Bound, Contest, Rules, spectral};
use super::convolutional::{Architecture, ConvolutionalGenerator, Discriminator};
use super::kept::KeptDiscriminator;
use super::mixture::{Mixture, MixtureArchitecture};
use super::objective::Objective;
use super::penalty::Penalty;
use super::privacy_game::{Pairs, PrivacyGame};
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, TrainedNetwork, architecture_has};
use crate::options::{above_zero, at_least};
use crate::{Fit, Generator, Result, Trained};

/// What keeps the gradients of a discriminator in bounds, and the loss published with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regularisation {
    /// Spectral normalisation and the hinge loss (Miyato et al. 2018).
    Spectral,
    /// The gradient between real and generated images is to have norm 1, with the difference of scores as loss (Gulrajani et
    /// al. 2017, WGAN-GP).
    GradientPenalty,
    /// The gradient at real images is to be small, with the logistic loss (Mescheder, Geiger & Nowozin 2018, R₁).
    R1,
}

/// The options of [`Gan`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GanOptions {
    /// Latent values per image.
    pub latent: usize,
    /// Channels next to the image's own resolution.
    pub width: usize,
    /// What keeps the discriminator in bounds.
    pub regularisation: Regularisation,
    /// Weight of a gradient penalty; without effect on spectral normalisation, and refused with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub penalty: Option<f64>,
    /// Discriminator steps to each of the generator.
    pub discriminator_steps: usize,
    /// Times the discriminator sees each training image, unless that is fewer steps than `least_steps`.
    pub epochs: f64,
    /// Discriminator steps for sets so small that `epochs` would be over too soon.
    pub least_steps: usize,
    /// Images per step.
    pub batch_size: usize,
    /// Learning rate of Adam, for both networks.
    pub learning_rate: f64,
    /// Decay of the moving average of the generator's parameters.
    pub average_decay: f64,
    /// Keep the discriminator, as `discriminator.safetensors` beside the generator: to be attacked, not released, as it knows the
    /// training images better than the generator does.
    pub keep_discriminator: bool,
    /// Several pairs of networks on disjoint parts of the images, against an adversary that tells their images apart; none for one
    /// pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_game: Option<PrivacyGame>,
}

impl Default for GanOptions {
    fn default() -> Self {
        Self {
            latent: 64,
            width: 32,
            regularisation: Regularisation::Spectral,
            penalty: None,
            discriminator_steps: 2,
            epochs: 8.0,
            least_steps: 1500,
            batch_size: 64,
            learning_rate: 5e-4,
            average_decay: 0.998,
            keep_discriminator: false,
            privacy_game: None,
        }
    }
}

/// A conditional generative adversarial network of convolutions (Goodfellow et al. 2014; Radford, Metz & Chintala 2016;
/// class by projection, Miyato & Koyama 2018). Samples come from a moving average of the generator; with
/// [`PrivacyGame`] there are several generators, and each draws its share.
#[derive(Clone, Debug)]
pub struct Gan {
    options: GanOptions,
}

impl Gan {
    /// The registered name.
    pub const NAME: &'static str = "gan";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: GanOptions) -> Result<Self> {
        let counts = [
            ("latent", options.latent),
            ("width", options.width),
            ("discriminator_steps", options.discriminator_steps),
            ("least_steps", options.least_steps),
            ("batch_size", options.batch_size),
        ];
        counts.into_iter().try_for_each(|(name, value)| at_least(Self::NAME, name, value, 1))?;
        let numbers = [("epochs", options.epochs), ("learning_rate", options.learning_rate)];
        numbers.into_iter().try_for_each(|(name, value)| above_zero(Self::NAME, name, value))?;
        if let Some(penalty) = options.penalty {
            above_zero(Self::NAME, "penalty", penalty)?;
            if options.regularisation == Regularisation::Spectral {
                let reason = format!("penalty is {penalty}, and spectral normalisation has none; leave it out");
                return Err(crate::Error::Options { family: Self::NAME, reason });
            }
        }
        options.privacy_game.map_or(Ok(()), |game| game.check(Self::NAME))?;
        let gan = Self { options };
        gan.rules().generator.check()?;
        Ok(gan)
    }

    fn rules(&self) -> Rules {
        let GanOptions { regularisation, discriminator_steps, learning_rate, average_decay, .. } = self.options;
        let optimizer =
            Optimizer::Adam { beta_1: 0.0, beta_2: 0.9, epsilon: 1e-8, weight_decay: 0.0, noise_floor: None };
        let discriminator = Optimization { optimizer, learning_rate, ..Optimization::default() };
        let generator = Optimization { average_decay: Some(average_decay), ..discriminator.clone() };
        let objective = match regularisation {
            Regularisation::Spectral => Objective::Hinge,
            Regularisation::GradientPenalty => Objective::Wasserstein,
            Regularisation::R1 => Objective::NonSaturating,
        };
        Rules { objective, discriminator_steps, generator, discriminator }
    }

    fn plan(&self, images: usize, seed: Seed) -> Plan {
        let plan = Plan::epochs(images, self.options.batch_size, self.options.epochs, seed.derive("training"));
        Plan { steps: plan.steps.max(self.options.least_steps), ..plan }
    }

    fn architecture(&self, classes: usize, shape: Shape) -> Architecture {
        Architecture { latent: self.options.latent, width: self.options.width, classes, shape }
    }

    /// One pair of networks before its first step.
    fn contest<'a>(
        &self,
        train_set: &'a ImageSet,
        labels: &'a Labels,
        seed: Seed,
        watch: Option<&'a mut dyn Watch<ConvolutionalGenerator>>,
    ) -> Result<Contest<'a, ConvolutionalGenerator>> {
        let options = &self.options;
        let architecture = self.architecture(labels.classes.len(), train_set.shape());
        let device = DeviceChoice::chosen().training();
        let generator = ConvolutionalGenerator::initial(&architecture, seed.derive("generator"), &device);
        let discriminator = Discriminator::initial(&architecture, seed.derive("discriminator"), &device);
        let bound = match options.regularisation {
            Regularisation::Spectral => spectral(&discriminator, seed.derive("spectral")),
            Regularisation::GradientPenalty => Bound::Between(Penalty::UnitNorm(options.penalty.unwrap_or(10.0))),
            Regularisation::R1 => Bound::AtReal(Penalty::R1(options.penalty.unwrap_or(1.0)), 1),
        };
        Ok(Contest::new((generator, discriminator), self.rules(), bound, train_set, labels, watch)?)
    }

    fn fit_pair(&self, train_set: &ImageSet, labels: &Labels, run: &Fit<'_>) -> Result<Box<dyn Trained>> {
        let seed = run.seed;
        let architecture = self.architecture(labels.classes.len(), train_set.shape());
        let checkpoints = run.checkpoints(Self::NAME)?;
        let mut samples = run.watch(Self::NAME, &architecture, |generator: ConvolutionalGenerator| generator)?;
        let watch = samples.as_mut().map(|samples| samples as &mut dyn Watch<ConvolutionalGenerator>);
        let mut contest = self.contest(train_set, labels, seed, watch)?;
        train(&mut contest, &self.plan(train_set.len(), seed), checkpoints.as_ref(), run.progress)?;
        let (generator, discriminator) = (contest.generator.finished(), contest.discriminator());
        let kept = self.options.keep_discriminator.then(|| KeptDiscriminator::new(discriminator, architecture.clone()));
        let card = Card::new(Self::NAME, train_set, labels, seed, self.options(), architecture);
        Ok(Box::new(TrainedNetwork::new(generator, card).with_discriminator(kept)))
    }

    fn fit_pairs(
        &self,
        game: PrivacyGame,
        train_set: &ImageSet,
        labels: &Labels,
        run: &Fit<'_>,
    ) -> Result<Box<dyn Trained>> {
        let seed = run.seed;
        let each = self.architecture(labels.classes.len(), train_set.shape());
        let architecture = MixtureArchitecture { generators: game.generators, each: each.clone() };
        let parts = game.parts(Self::NAME, train_set, labels, seed.derive("parts"))?;
        let largest = parts.iter().map(Vec::len).max().unwrap_or(0);
        let checkpoints = run.checkpoints(Self::NAME)?;
        let mut samples = run.watch(Self::NAME, &architecture, |mixture: Mixture| mixture)?;
        let watch = samples.as_mut().map(|samples| samples as &mut dyn Watch<Mixture>);
        let contest = |pair: usize| self.contest(train_set, labels, seed.derive(&format!("pair {pair}")), None);
        let contests = (0..game.generators).map(contest).collect::<Result<Vec<_>>>()?;
        let mut pairs = Pairs::new(game, contests, parts, (train_set, labels), &each, seed.derive("adversary"), watch)?;
        train(&mut pairs, &self.plan(largest, seed), checkpoints.as_ref(), run.progress)?;
        let kept =
            self.options.keep_discriminator.then(|| KeptDiscriminator::several(pairs.discriminators(), each.clone()));
        let card = Card::new(Self::NAME, train_set, labels, seed, self.options(), architecture);
        Ok(Box::new(TrainedNetwork::new(pairs.mixture(), card).with_discriminator(kept)))
    }

    /// Reads what [`Trained::save`] wrote.
    pub(crate) fn load(folder: &Path) -> Result<Box<dyn Trained>> {
        if architecture_has(folder, MixtureArchitecture::ENTRY)? {
            return TrainedNetwork::<Mixture>::load(folder);
        }
        TrainedNetwork::<ConvolutionalGenerator>::load(folder)
    }
}

impl Generator for Gan {
    fn fit(&self, train_set: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        run.refuse_protection(Self::NAME)?;
        run.refuse_public(Self::NAME)?;
        let labels = training_labels(Self::NAME, train_set)?;
        match self.options.privacy_game {
            None => self.fit_pair(train_set, labels, &run),
            Some(game) => self.fit_pairs(game, train_set, labels, &run),
        }
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
