use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::{DeviceChoice, Optimization, Optimizer, Plan, Watch, train};

use super::contest::{Bound, Contest, Rules};
use super::convolutional::{Architecture, Discriminator};
use super::kept::KeptDiscriminator;
use super::objective::Objective;
use super::penalty::Penalty;
use super::style::{StyleArchitecture, StyleGenerator};
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, TrainedNetwork};
use crate::options::{above_zero, at_least};
use crate::{Fit, Generator, Result, Trained};

/// The options of [`StyleGan`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StyleGanOptions {
    /// Latent values per image.
    pub latent: usize,
    /// Values of a style.
    pub style: usize,
    /// Layers of the mapping from latent vectors to styles.
    pub mapping: usize,
    /// Channels at the image's own resolution and the next, of both networks.
    pub width: usize,
    /// Weight γ of the penalty on the discriminator's gradient at real images (R₁).
    pub penalty: f64,
    /// The penalty is computed in every so many discriminator steps, with as many times the weight.
    pub penalty_every: usize,
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
}

impl Default for StyleGanOptions {
    fn default() -> Self {
        Self {
            latent: 64,
            style: 64,
            mapping: 2,
            width: 16,
            penalty: 0.05,
            penalty_every: 8,
            discriminator_steps: 1,
            epochs: 5.0,
            least_steps: 1500,
            batch_size: 64,
            learning_rate: 1e-3,
            average_decay: 0.998,
            keep_discriminator: false,
        }
    }
}

/// A conditional generator in the manner of StyleGAN2 (Karras et al. 2020), against the discriminator of
/// [`Gan`](crate::Gan).
///
/// As published: mapping network that learns slowly, modulated and demodulated convolutions, noise inputs, a sum of images over resolutions,
/// logistic loss with lazy R₁, moving average, truncation. Left out: style mixing, path length regularisation, equalised
/// learning rates but for mapping and styles, filtered resampling (nearest neighbours stand in), and the residual discriminator with its comparison of
/// a batch's images.
#[derive(Clone, Debug)]
pub struct StyleGan {
    options: StyleGanOptions,
}

/// How many times more slowly than the rest the mapping learns, as published.
const SLOWNESS: usize = 100;

/// Latent vectors of each class from which the mean style is estimated.
const CENTRE_DRAWS: usize = 4096;

impl StyleGan {
    /// The registered name.
    pub const NAME: &'static str = "stylegan";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: StyleGanOptions) -> Result<Self> {
        let counts = [
            ("latent", options.latent),
            ("style", options.style),
            ("mapping", options.mapping),
            ("width", options.width),
            ("penalty_every", options.penalty_every),
            ("discriminator_steps", options.discriminator_steps),
            ("least_steps", options.least_steps),
            ("batch_size", options.batch_size),
        ];
        counts.into_iter().try_for_each(|(name, value)| at_least(Self::NAME, name, value, 1))?;
        let numbers =
            [("penalty", options.penalty), ("epochs", options.epochs), ("learning_rate", options.learning_rate)];
        numbers.into_iter().try_for_each(|(name, value)| above_zero(Self::NAME, name, value))?;
        let family = Self { options };
        family.rules().generator.check()?;
        Ok(family)
    }

    fn rules(&self) -> Rules {
        let StyleGanOptions { discriminator_steps, learning_rate, average_decay, .. } = self.options;
        let optimizer =
            Optimizer::Adam { beta_1: 0.0, beta_2: 0.99, epsilon: 1e-8, weight_decay: 0.0, noise_floor: None };
        let discriminator = Optimization { optimizer, learning_rate, ..Optimization::default() };
        let generator = Optimization { average_decay: Some(average_decay), ..discriminator.clone() };
        Rules { objective: Objective::NonSaturating, discriminator_steps, generator, discriminator }
    }
}

impl Generator for StyleGan {
    fn fit(&self, train_set: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        run.refuse_protection(Self::NAME)?;
        run.refuse_public(Self::NAME)?;
        let options = &self.options;
        let labels = training_labels(Self::NAME, train_set)?;
        let (classes, shape) = (labels.classes.len(), train_set.shape());
        let sizes = Architecture { latent: options.latent, width: options.width, classes, shape };
        let architecture = StyleArchitecture {
            sizes: sizes.clone(),
            style: options.style,
            mapping: options.mapping,
            slowness: SLOWNESS,
        };
        let device = DeviceChoice::chosen().training();
        let seed = run.seed;
        let generator = StyleGenerator::initial(&architecture, seed.derive("generator"), &device);
        let discriminator = Discriminator::initial(&sizes, seed.derive("discriminator"), &device);
        let bound = Bound::AtReal(Penalty::R1(options.penalty), options.penalty_every);
        let mut plan = Plan::epochs(train_set.len(), options.batch_size, options.epochs, seed.derive("training"));
        plan.steps = plan.steps.max(options.least_steps);
        let checkpoints = run.checkpoints(Self::NAME)?;
        let mut samples = run.watch(Self::NAME, &architecture, |generator: StyleGenerator| generator)?;
        let watch = samples.as_mut().map(|samples| samples as &mut dyn Watch<StyleGenerator>);
        let mut contest = Contest::new((generator, discriminator), self.rules(), bound, train_set, labels, watch)?;
        train(&mut contest, &plan, checkpoints.as_ref(), run.progress)?;
        let inference = DeviceChoice::chosen().inference();
        let generator = contest.generator.finished().with_centres(CENTRE_DRAWS, seed.derive("centres"), &inference);
        let discriminator = contest.discriminator();
        let kept = options.keep_discriminator.then(|| KeptDiscriminator::new(discriminator, sizes));
        let card = Card::new(Self::NAME, train_set, labels, seed, self.options(), architecture);
        Ok(Box::new(TrainedNetwork::new(generator, card).with_discriminator(kept)))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
