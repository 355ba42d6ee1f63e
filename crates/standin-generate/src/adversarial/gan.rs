use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::{DeviceChoice, Optimization, Optimizer, Plan, Watch, train};

use super::contest::{Bound, Contest, Rules, spectral};
use super::convolutional::{Architecture, ConvolutionalGenerator, Discriminator};
use super::kept::KeptDiscriminator;
use super::objective::Objective;
use super::penalty::Penalty;
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, TrainedNetwork};
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
        }
    }
}

/// A conditional generative adversarial network of convolutions (Goodfellow et al. 2014; Radford, Metz & Chintala 2016;
/// class by projection, Miyato & Koyama 2018). Samples come from a moving average of the generator.
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
}

impl Generator for Gan {
    fn fit(&self, train_set: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        run.refuse_protection(Self::NAME)?;
        run.refuse_public(Self::NAME)?;
        let options = &self.options;
        let labels = training_labels(Self::NAME, train_set)?;
        let architecture = Architecture {
            latent: options.latent,
            width: options.width,
            classes: labels.classes.len(),
            shape: train_set.shape(),
        };
        let device = DeviceChoice::chosen().training();
        let seed = run.seed;
        let generator = ConvolutionalGenerator::initial(&architecture, seed.derive("generator"), &device);
        let discriminator = Discriminator::initial(&architecture, seed.derive("discriminator"), &device);
        let bound = match options.regularisation {
            Regularisation::Spectral => spectral(&discriminator, seed.derive("spectral")),
            Regularisation::GradientPenalty => Bound::Between(Penalty::UnitNorm(options.penalty.unwrap_or(10.0))),
            Regularisation::R1 => Bound::AtReal(Penalty::R1(options.penalty.unwrap_or(1.0)), 1),
        };
        let mut plan = Plan::epochs(train_set.len(), options.batch_size, options.epochs, seed.derive("training"));
        plan.steps = plan.steps.max(options.least_steps);
        let checkpoints = run.checkpoints(Self::NAME)?;
        let mut samples = run.watch(Self::NAME, &architecture, |generator: ConvolutionalGenerator| generator)?;
        let watch = samples.as_mut().map(|samples| samples as &mut dyn Watch<ConvolutionalGenerator>);
        let mut contest = Contest::new((generator, discriminator), self.rules(), bound, train_set, labels, watch)?;
        train(&mut contest, &plan, checkpoints.as_ref(), run.progress)?;
        let (generator, discriminator) = (contest.generator.finished(), contest.discriminator());
        let kept = options.keep_discriminator.then(|| KeptDiscriminator::new(discriminator, architecture.clone()));
        let card = Card::new(Self::NAME, train_set, labels, seed, self.options(), architecture);
        Ok(Box::new(TrainedNetwork::new(generator, card).with_discriminator(kept)))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
