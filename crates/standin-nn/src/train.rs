use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::Tensor;
use standin_data::Progress;

use crate::{Batch, Checkpoints, Optimization, Plan, Result, Trainer, TrainerState};

/// Something that learns step by step: one network under a loss, or several against each other.
pub trait Learner {
    /// Learns from one batch; returns the loss to show.
    ///
    /// # Errors
    /// If training diverged or the caller's part failed.
    fn learn(&mut self, batch: &Batch<'_>) -> Result<f64>;

    /// The state of each of its trainers, by name, for a checkpoint.
    fn states(&self) -> Vec<(&'static str, TrainerState)>;

    /// Continues from the states a learner of the same configuration had, in the order of their names.
    ///
    /// # Errors
    /// Says what does not fit.
    fn restore(&mut self, states: Vec<(String, TrainerState)>) -> std::result::Result<(), String>;

    /// The privacy guarantee this training is to give, in words, if it is private: a checkpoint of another is refused.
    fn promise(&self) -> Option<String> {
        None
    }

    /// What it must keep beside the states of its trainers, as text: a private training its ledger.
    fn memory(&self) -> Option<String> {
        None
    }

    /// Continues with the memory of a checkpoint, after [`Learner::restore`].
    ///
    /// # Errors
    /// Says what does not fit.
    fn recall(&mut self, _memory: &str) -> std::result::Result<(), String> {
        Err("it holds a memory, and this training has none".into())
    }
}

/// The course of a training.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The loss of each step.
    pub losses: Vec<f32>,
}

impl History {
    /// Mean loss of the last `steps` steps; 0 if there was none.
    pub fn recent_loss(&self, steps: usize) -> f64 {
        let recent = &self.losses[self.losses.len() - steps.min(self.losses.len())..];
        recent.iter().map(|&loss| f64::from(loss)).sum::<f64>() / recent.len().max(1) as f64
    }
}

/// Looks at a network from time to time while it trains, such as to draw samples.
pub trait Watch<M> {
    /// Whether to look after this many steps.
    fn due(&self, steps: usize) -> bool;

    /// `model` is the network as a training that ended here would give it, on the inference device.
    ///
    /// # Errors
    /// If what was seen could not be kept; the training ends with that.
    fn look(&mut self, steps: usize, model: M) -> Result<()>;
}

/// How often the loss is shown.
const STATUS_EVERY: Duration = Duration::from_millis(200);

/// Runs a learner through a plan: the one training loop of the project.
///
/// With `checkpoints` it continues from the last one if there is any, and the result equals that of an uninterrupted
/// run to the bit. The last step leaves one too, so that a job of several trainings skips those that are over.
///
/// # Errors
/// If a step fails, or a checkpoint cannot be written, read, or is of another configuration.
pub fn train(
    learner: &mut dyn Learner,
    plan: &Plan,
    checkpoints: Option<&Checkpoints>,
    progress: &dyn Progress,
) -> Result<History> {
    let mut history = History::default();
    if let Some(checkpoints) = checkpoints
        && let Some(resumed) = checkpoints.read(plan, learner.promise().as_deref())?
    {
        learner.restore(resumed.states).map_err(|found| checkpoints.foreign(&found))?;
        match (resumed.memory, learner.memory()) {
            (Some(memory), _) => learner.recall(&memory).map_err(|found| checkpoints.foreign(&found))?,
            (None, Some(_)) => return Err(checkpoints.foreign("it carries no ledger of what was spent")),
            (None, None) => {}
        }
        history = resumed.history;
    }
    progress.begin("training", plan.steps as u64);
    progress.advance(history.losses.len() as u64);
    let outcome = continue_training(learner, plan, checkpoints, progress, &mut history);
    progress.end();
    outcome.map(|()| history)
}

fn continue_training(
    learner: &mut dyn Learner,
    plan: &Plan,
    checkpoints: Option<&Checkpoints>,
    progress: &dyn Progress,
    history: &mut History,
) -> Result<()> {
    let steps_per_epoch = plan.steps_per_epoch();
    let mut order = (usize::MAX, Vec::new());
    let (mut shown, mut saved) = (Instant::now(), Instant::now());
    for step in history.losses.len()..plan.steps {
        let epoch = step / steps_per_epoch;
        if order.0 != epoch {
            order = (epoch, plan.permutation(epoch));
        }
        let indices = &order.1[plan.range(step)];
        let seed = plan.step_seed(step);
        let batch = Batch { step, steps: plan.steps, epoch, steps_per_epoch, indices, seed };
        let last = step + 1 == plan.steps;
        history.losses.push(learner.learn(&batch)? as f32);
        progress.advance(1);
        if shown.elapsed() >= STATUS_EVERY || last {
            progress.status(&format!("loss {:.4}", history.recent_loss(steps_per_epoch.min(50))));
            shown = Instant::now();
        }
        if let Some(checkpoints) = checkpoints.filter(|checkpoints| last || checkpoints.due(step + 1, saved.elapsed()))
        {
            checkpoints.write(plan, learner, history)?;
            saved = Instant::now();
        }
    }
    Ok(())
}

/// A trained network.
#[derive(Clone, Debug)]
pub struct Fitted<M> {
    /// The network to use, on the inference device: the moving average where one was asked for.
    pub model: M,
    /// The course of the training.
    pub history: History,
}

/// Trains one network: [`train`] with the `objective` (a single value, usually a mean over the batch) minimised.
///
/// `model` must be made on a [training device](crate::DeviceChoice::training), and the tensors the objective makes too.
///
/// # Errors
/// As [`train`], and if a setting is outside its range.
pub fn fit<M: Module>(
    model: M,
    optimization: &Optimization,
    plan: &Plan,
    checkpoints: Option<&Checkpoints>,
    progress: &dyn Progress,
    objective: impl FnMut(&M, &Batch<'_>) -> Result<Tensor<1>>,
) -> Result<Fitted<M>> {
    fit_watched(model, optimization, plan, checkpoints, None, progress, objective)
}

/// [`fit`], watched.
///
/// # Errors
/// As [`fit`] and as the watch.
pub fn fit_watched<M: Module>(
    model: M,
    optimization: &Optimization,
    plan: &Plan,
    checkpoints: Option<&Checkpoints>,
    watch: Option<&mut dyn Watch<M>>,
    progress: &dyn Progress,
    objective: impl FnMut(&M, &Batch<'_>) -> Result<Tensor<1>>,
) -> Result<Fitted<M>> {
    let mut learner = Minimiser { trainer: Trainer::new(model, optimization)?, objective, watch };
    let history = train(&mut learner, plan, checkpoints, progress)?;
    Ok(Fitted { model: learner.trainer.finished(), history })
}

/// One network under one loss.
struct Minimiser<'a, M, F> {
    trainer: Trainer<M>,
    objective: F,
    watch: Option<&'a mut dyn Watch<M>>,
}

impl<M: Module, F: FnMut(&M, &Batch<'_>) -> Result<Tensor<1>>> Learner for Minimiser<'_, M, F> {
    fn learn(&mut self, batch: &Batch<'_>) -> Result<f64> {
        let loss = (self.objective)(self.trainer.model(), batch)?;
        let loss = self.trainer.step(&loss, batch)?;
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
}

/// The states that a checkpoint of N networks holds, for [`Learner::restore`].
///
/// # Errors
/// If it holds more or fewer.
pub fn states_of<const N: usize>(
    states: Vec<(String, TrainerState)>,
) -> std::result::Result<[TrainerState; N], String> {
    let states: Vec<TrainerState> = states.into_iter().map(|(_, state)| state).collect();
    <[_; N]>::try_from(states).map_err(|states| format!("it holds {} networks where {N} are trained", states.len()))
}

/// Shows a network after a step to who watches.
///
/// # Errors
/// If what is shown cannot be written.
pub fn show<M>(watch: Option<&mut (dyn Watch<M> + '_)>, batch: &Batch<'_>, model: impl FnOnce() -> M) -> Result<()> {
    match watch.filter(|watch| watch.due(batch.step + 1)) {
        Some(watch) => watch.look(batch.step + 1, model()),
        None => Ok(()),
    }
}
