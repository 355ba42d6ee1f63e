//! Training with differential privacy: DP-SGD (Abadi et al. 2016) and its relatives.
//!
//! One step samples each unit independently (Poisson sampling, rate q), computes the gradient of each unit's mean loss on
//! its own, clips it to norm C, sums, adds Gaussian noise of standard deviation σC to each value, divides by the *expected*
//! number of units and hands the result to the optimiser. A [`Ledger`] records each step as it ran, travels
//! with the checkpoints, and is the only source of the [`Guarantee`] at the end.
//!
//! - A unit is an image, or all images of one patient: [`Records`].
//! - Clipping: [`Clipping`].
//! - Rows per pass ([`Privacy::physical_batch`]) change memory and nothing else.
//! - Several augmentations of an image ([`Privacy::multiplicity`]) are averaged inside its gradient, before clipping (De et
//!   al. 2022).
//! - Sampling and noise come from a [`NoiseSource`]: secret, or reproducible and then
//!   stamped "not private".
//! - A network that mixes the examples of a batch is refused before the first step.
//!
//! What comes out beside the network, such as the losses shown, is *not* covered by the guarantee.

mod adaptive;
mod clipping;
mod independence;
mod records;
mod trainer;

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use standin_data::{Progress, Seed};
use standin_privacy::{Budget, Guarantee, Ledger, NoiseOrigin};

pub use clipping::Clipping;
pub use records::Records;
pub use trainer::{PrivateBatch, PrivateTrainer};

use crate::train::{History, Learner, Watch, show, states_of, train};
use crate::{Batch, Checkpoints, Error, Optimization, Plan, Result, TrainerState};

#[cfg(doc)]
use standin_privacy::NoiseSource;

/// How a network is trained privately.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Privacy {
    /// Bounds the influence of one unit.
    #[serde(default)]
    pub clipping: Clipping,
    /// Expected number of units in a step, q · N; large batches need less noise per unit.
    pub batch_size: usize,
    /// Number of steps.
    pub steps: usize,
    /// Where sampling and noise come from.
    #[serde(default = "secret")]
    pub noise: NoiseOrigin,
    /// Most rows computed at once (a unit's rows always are): memory, and nothing else.
    #[serde(default = "physical_batch")]
    pub physical_batch: usize,
    /// Rows (augmentations) of each image in a step.
    #[serde(default = "one")]
    pub multiplicity: usize,
}

fn secret() -> NoiseOrigin {
    NoiseOrigin::Secret
}
fn physical_batch() -> usize {
    128
}
fn one() -> usize {
    1
}

impl Privacy {
    /// Secret noise, clipping to norm 1, one row per image.
    pub fn new(batch_size: usize, steps: usize) -> Self {
        Self {
            clipping: Clipping::default(),
            batch_size,
            steps,
            noise: secret(),
            physical_batch: physical_batch(),
            multiplicity: one(),
        }
    }

    /// Checks every setting, for a number of units.
    ///
    /// # Errors
    /// Names the first setting outside its range.
    pub fn check(&self, units: usize) -> Result<()> {
        let at_least_one = |setting, value: usize| match value {
            0 => Err(Error::Setting { setting, found: "0".into(), expected: "it must be at least 1" }),
            _ => Ok(()),
        };
        at_least_one("privacy.batch_size", self.batch_size)?;
        at_least_one("privacy.steps", self.steps)?;
        at_least_one("privacy.physical_batch", self.physical_batch)?;
        at_least_one("privacy.multiplicity", self.multiplicity)?;
        if self.batch_size > units {
            return Err(Error::Setting {
                setting: "privacy.batch_size",
                found: format!("{} for {units} units", self.batch_size),
                expected: "the sampling rate would be above 1; use at most as many as there are units",
            });
        }
        self.clipping.check()
    }
}

/// What a private training is to do, and with whose images.
#[derive(Clone, Copy, Debug)]
pub struct PrivatePlan<'a> {
    /// The mechanism.
    pub privacy: &'a Privacy,
    /// What all steps together may spend.
    pub budget: Budget,
    /// Which image belongs to which unit.
    pub records: &'a Records,
    /// What was already spent on the same units, out of the same budget; none for nothing.
    pub before: Option<&'a Ledger>,
    /// Decides initial choices and augmentation, and with [`NoiseOrigin::Reproducible`] sampling and noise.
    pub seed: Seed,
}

/// A network trained privately.
#[derive(Clone, Debug)]
pub struct PrivateFitted<M> {
    /// The network to use, on the inference device: the moving average where one was asked for.
    pub model: M,
    /// The course of the training. Not covered by the guarantee: do not release it.
    pub history: History,
    /// What ran, and what it promises.
    pub guarantee: Guarantee,
}

/// Trains one network privately: the sum of `losses` (one per row of the batch) minimised, with noise calibrated so that
/// all steps together stay within the budget of the `plan`.
///
/// `model` must be made on a [training device](crate::DeviceChoice::training). The network must be built from the layers of
/// [`layer`](crate::layer), and each row's loss must depend on that row alone.
///
/// # Errors
/// As [`fit`](crate::fit), and if no noise can reach the budget, a parameter is used outside those layers, or examples
/// influence each other's losses.
pub fn fit_private<M: Module>(
    model: M,
    optimization: &Optimization,
    plan: PrivatePlan<'_>,
    checkpoints: Option<&Checkpoints>,
    progress: &dyn Progress,
    losses: impl FnMut(&M, &PrivateBatch<'_>) -> Result<Tensor<1>>,
) -> Result<PrivateFitted<M>> {
    fit_private_watched(model, optimization, plan, checkpoints, None, progress, losses)
}

/// [`fit_private`], watched: what is seen is covered by the guarantee, which every step's network has.
///
/// # Errors
/// As [`fit_private`] and as the watch.
pub fn fit_private_watched<M: Module>(
    model: M,
    optimization: &Optimization,
    plan: PrivatePlan<'_>,
    checkpoints: Option<&Checkpoints>,
    watch: Option<&mut dyn Watch<M>>,
    progress: &dyn Progress,
    losses: impl FnMut(&M, &PrivateBatch<'_>) -> Result<Tensor<1>>,
) -> Result<PrivateFitted<M>> {
    let PrivatePlan { privacy, budget, records, before, seed } = plan;
    let nothing = || Ledger::new(records.unit().clone(), standin_privacy::Adjacency::AddRemove, privacy.noise);
    let before = before.cloned().unwrap_or_else(nothing);
    let trainer = PrivateTrainer::new(model, optimization, privacy, budget, records, before)?;
    let mut learner = PrivateMinimiser { trainer, losses, watch };
    let plan = Plan::steps(records.units(), privacy.batch_size, privacy.steps, seed);
    learner.trainer.check_independence(&mut learner.losses, seed)?;
    let history = train(&mut learner, &plan, checkpoints, progress)?;
    let guarantee = learner.trainer.guarantee()?;
    Ok(PrivateFitted { model: learner.trainer.finished(), history, guarantee })
}

/// One network under losses of its rows.
struct PrivateMinimiser<'a, M, F> {
    trainer: PrivateTrainer<M>,
    losses: F,
    watch: Option<&'a mut dyn Watch<M>>,
}

impl<M: Module, F: FnMut(&M, &PrivateBatch<'_>) -> Result<Tensor<1>>> Learner for PrivateMinimiser<'_, M, F> {
    fn learn(&mut self, batch: &Batch<'_>) -> Result<f64> {
        let loss = self.trainer.step(batch, &mut self.losses)?;
        show(self.watch.as_deref_mut(), batch, || self.trainer.finished())?;
        Ok(loss)
    }

    fn states(&self) -> Vec<(&'static str, TrainerState)> {
        vec![("model", self.trainer.state())]
    }

    fn restore(&mut self, states: Vec<(String, TrainerState)>) -> std::result::Result<(), String> {
        let [state] = states_of(states)?;
        self.trainer.restore(state)
    }

    fn promise(&self) -> Option<String> {
        Some(self.trainer.promise())
    }

    fn memory(&self) -> Option<String> {
        Some(self.trainer.memory())
    }

    fn recall(&mut self, memory: &str) -> std::result::Result<(), String> {
        self.trainer.recall(memory)
    }
}
