use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Shape};
use standin_nn::{Clipping, Optimization, Privacy, Schedule};
use standin_privacy::{Budget, NoiseOrigin, gaussian};

use super::canvas::Canvas;
use super::denoiser::ImageArchitecture;
use super::objective::{NoiseLaw, Objective, Planes};
use super::precondition::Preconditioning;
use super::unet::UNetSizes;
use crate::options::{above_zero, at_least};
use crate::{Error, Result};

/// The sizes of the denoising network.
///
/// With the defaults a 28 × 28 image costs 41 million multiplications with addition per forward pass, three times as many
/// per training row, and the network has 0.6 million parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkOptions {
    /// Side of the squares of pixels that the network sees as channels of one position: 2 makes its finest level four times
    /// cheaper than 1.
    pub patch: usize,
    /// Channels of the finest level.
    pub width: usize,
    /// Channels of each level as multiples of the finest; each level after the first halves the plane.
    pub multipliers: Vec<usize>,
    /// Residual blocks on each side of each level.
    pub blocks: usize,
    /// Whether the positions of the coarsest level attend to each other.
    pub attention: bool,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self { patch: 2, width: 48, multipliers: vec![1, 2], blocks: 1, attention: true }
    }
}

impl NetworkOptions {
    /// The network of the families that are trained privately as a whole: narrower, because noise of one size for every
    /// parameter is longer where there are more of them.
    pub(crate) fn private() -> Self {
        Self { width: 32, ..Self::default() }
    }

    /// Checks that every size is in its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub(crate) fn check(&self, family: &'static str) -> Result<()> {
        at_least(family, "network.patch", self.patch, 1)?;
        at_least(family, "network.width", self.width, 2)?;
        at_least(family, "the number of network.multipliers", self.multipliers.len(), 1)?;
        self.multipliers.iter().try_for_each(|&value| at_least(family, "one of network.multipliers", value, 1))?;
        at_least(family, "network.blocks", self.blocks, 1)?;
        if self.multipliers.len() > 8 {
            let reason = format!("network.multipliers has {} levels; at most 8 can be", self.multipliers.len());
            return Err(Error::Options { family, reason });
        }
        Ok(())
    }

    /// How often the plane is halved, as a factor.
    fn halvings(&self) -> usize {
        1 << (self.multipliers.len() - 1)
    }

    /// The network for planes of these sizes.
    pub(crate) fn sizes(&self, [channels, height, width]: [usize; 3], classes: usize) -> UNetSizes {
        UNetSizes {
            channels,
            height,
            width,
            classes,
            groups: 0,
            base_width: self.width,
            multipliers: self.multipliers.clone(),
            blocks: self.blocks,
            attention: self.attention,
        }
    }

    /// The network for images of a shape and all that sampling needs to know.
    pub(crate) fn of_images(
        &self,
        loss: &LossOptions,
        steps: usize,
        shape: Shape,
        classes: usize,
    ) -> ImageArchitecture {
        let canvas = Canvas::new(shape, self.patch, self.halvings());
        ImageArchitecture {
            canvas,
            unet: self.sizes([canvas.channels(), canvas.height, canvas.width], classes),
            data_deviation: loss.data_deviation,
            steps,
            groups: None,
        }
    }
}

/// The noise that the network learns to take off.
///
/// The defaults were chosen on Fashion-MNIST, which is public, for small networks that are trained for minutes: more
/// noise than EDM's own −1.2 and 0.5 (Karras et al. 2022, table 1), because what makes an image of a class is decided at high noise
/// levels, and short trainings do not come to learn it. A classifier trained on 10 000 samples after 1400 steps was right on
/// 75.9 % of the real test images with them and on 73.0 % with EDM's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossOptions {
    /// Mean of ln σ in training.
    pub mean: f64,
    /// Standard deviation of ln σ in training.
    pub deviation: f64,
    /// σ_data: standard deviation of a pixel value in [−1, 1]. Public knowledge, never measured on private images.
    pub data_deviation: f64,
    /// Share of training rows whose class is left out, so that the network also learns the images of all classes together,
    /// which guidance needs (Ho & Salimans 2022). In [0, 1).
    pub label_drop: f64,
}

impl Default for LossOptions {
    fn default() -> Self {
        Self { mean: -0.4, deviation: 1.2, data_deviation: 0.7, label_drop: 0.1 }
    }
}

impl LossOptions {
    /// Checks that every number is in its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub(crate) fn check(&self, family: &'static str) -> Result<()> {
        let refused = |option, value: f64, expected| {
            Err(Error::Options { family, reason: format!("{option} is {value}; it must be {expected}") })
        };
        if !(-20.0..=20.0).contains(&self.mean) {
            return refused("loss.mean", self.mean, "between -20 and 20");
        }
        above_zero(family, "loss.deviation", self.deviation)?;
        above_zero(family, "loss.data_deviation", self.data_deviation)?;
        if !(0.0..1.0).contains(&self.label_drop) {
            return refused("loss.label_drop", self.label_drop, "at least 0 and below 1");
        }
        Ok(())
    }

    /// What a network learns from images.
    pub(crate) fn of_images<'a>(
        &self,
        images: &'a ImageSet,
        labels: &'a [u32],
        architecture: &'a ImageArchitecture,
    ) -> Objective<'a> {
        let planes = Planes::Images(images, architecture.canvas);
        Objective { planes, labels, groups: None, sizes: &architecture.unet, scaling: self.scaling(), law: self.law() }
    }

    /// The scalings around the network.
    pub(crate) fn scaling(&self) -> Preconditioning {
        Preconditioning { data_deviation: self.data_deviation }
    }

    /// The distribution of noise levels and left-out classes.
    pub(crate) fn law(&self) -> NoiseLaw {
        NoiseLaw { mean: self.mean, deviation: self.deviation, label_drop: self.label_drop }
    }
}

/// Training on images that need no protection: Adam with a moving average of the parameters, which is what is used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingOptions {
    /// Times each image is seen, unless that is fewer steps than `least_steps`.
    pub epochs: f64,
    /// Training steps for sets so small that `epochs` would be over too soon.
    pub least_steps: usize,
    /// Images per step.
    pub batch_size: usize,
    /// Base learning rate of Adam, after a short rise; it falls to 0 along a cosine.
    pub learning_rate: f64,
    /// Decay of the moving average of parameters, in [0, 1).
    pub average_decay: f64,
}

impl Default for TrainingOptions {
    fn default() -> Self {
        Self { epochs: 5.0, least_steps: 1000, batch_size: 64, learning_rate: 2e-3, average_decay: 0.999 }
    }
}

impl TrainingOptions {
    /// Checks that every number is in its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub(crate) fn check(&self, family: &'static str) -> Result<()> {
        above_zero(family, "epochs of a training", self.epochs)?;
        at_least(family, "least_steps of a training", self.least_steps, 1)?;
        at_least(family, "batch_size of a training", self.batch_size, 1)?;
        self.optimization().check()?;
        Ok(())
    }

    /// The optimiser.
    pub(crate) fn optimization(&self) -> Optimization {
        Optimization {
            learning_rate: self.learning_rate,
            schedule: Schedule::cosine(0.02),
            clip_norm: Some(1.0),
            average_decay: Some(self.average_decay),
            ..Optimization::default()
        }
    }
}

/// Private training: DP-SGD's clipping and noise with Adam, as in DPDM (Dockhorn, Cao, Vahdat & Kreis 2023).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrivateOptions {
    /// Number of steps.
    pub steps: usize,
    /// Expected number of units in a step, at most all.
    pub batch_size: usize,
    /// K: noise levels and noises of each image in a step, whose gradients are averaged before clipping. More cost time and
    /// no privacy, and make each image's gradient less a matter of chance (Dockhorn et al. 2023, section 3.2).
    pub multiplicity: usize,
    /// Bounds the influence of one unit. Adam's step does not depend on the bound's scale.
    pub clipping: Clipping,
    /// Learning rate of Adam.
    pub learning_rate: f64,
    /// Decay of the moving average of parameters, in [0, 1).
    pub average_decay: f64,
    /// Most rows computed at once: memory, and nothing else.
    pub physical_batch: usize,
}

impl Default for PrivateOptions {
    fn default() -> Self {
        Self {
            steps: 300,
            batch_size: 1024,
            multiplicity: 4,
            clipping: Clipping::Automatic { bound: 1.0, stabiliser: 0.01 },
            learning_rate: 2e-3,
            average_decay: 0.99,
            physical_batch: 128,
        }
    }
}

impl PrivateOptions {
    /// Checks that every number is in its range, but for those that depend on the number of units.
    ///
    /// # Errors
    /// Names the first that is not.
    pub(crate) fn check(&self, family: &'static str) -> Result<()> {
        at_least(family, "private.steps", self.steps, 1)?;
        at_least(family, "private.batch_size", self.batch_size, 1)?;
        at_least(family, "private.multiplicity", self.multiplicity, 1)?;
        at_least(family, "private.physical_batch", self.physical_batch, 1)?;
        self.clipping.check()?;
        self.optimization().check()?;
        Ok(())
    }

    /// The mechanism, for a number of units.
    pub(crate) fn privacy(&self, units: usize, noise: NoiseOrigin) -> Privacy {
        Privacy {
            clipping: self.clipping,
            noise,
            physical_batch: self.physical_batch,
            multiplicity: self.multiplicity,
            ..Privacy::new(self.batch_size.min(units), self.steps)
        }
    }

    /// The optimiser.
    pub(crate) fn optimization(&self) -> Optimization {
        Optimization {
            learning_rate: self.learning_rate,
            schedule: Schedule::cosine(0.02),
            average_decay: Some(self.average_decay),
            ..Optimization::default()
        }
    }
}

/// The multiplier of one Gaussian release that takes a share of a budget: σ of a release that would take all of it, divided
/// by √share, because Gaussian releases compose by adding 1/σ². What follows is calibrated to what is left, whatever that is.
///
/// # Errors
/// If no noise reaches the budget.
pub(crate) fn release_noise(budget: Budget, share: f64) -> Result<f64> {
    Ok(gaussian::sigma(budget.epsilon, budget.delta, 1.0)? / share.sqrt())
}

/// Checks that a share is above 0 and below 1.
///
/// # Errors
/// If it is not.
pub(crate) fn proper_share(family: &'static str, option: &str, value: f64) -> Result<()> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(Error::Options { family, reason: format!("{option} is {value}; it must be above 0 and below 1") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_cost_is_that_of_the_default_network() {
        let shape = Shape { channels: 1, height: 28, width: 28 };
        let architecture = NetworkOptions::default().of_images(&LossOptions::default(), 18, shape, 10);
        architecture.unet.check().unwrap();
        let millions = architecture.unet.multiplications() as f64 / 1e6;
        assert!((millions - 41.0).abs() < 3.0, "{millions} million");
    }
}
