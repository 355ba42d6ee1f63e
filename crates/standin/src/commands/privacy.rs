//! `standin privacy`: what differential privacy costs, buys, and proves to have leaked.

use clap::{Subcommand, ValueEnum};
use standin_privacy::{Adjacency, Event, Ledger, NoiseOrigin, Unit};

use super::Context;
use super::privacy_audit::Audit;
use super::privacy_calibrate::Calibrate;
use super::privacy_epsilon::Epsilon;
use crate::failure::{Failure, Status};

/// Account for differential privacy: ε of what runs, noise for a budget, lower bounds from attacks
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// The ε of DP-SGD, or of any composition, at a δ
    Epsilon(Epsilon),
    /// The noise, the steps or the sampling rate that a budget allows
    Calibrate(Calibrate),
    /// A lower bound on ε from what an attack achieved
    Audit(Audit),
}

impl Arguments {
    /// Runs the task.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        match self.task {
            Task::Epsilon(epsilon) => epsilon.run(context),
            Task::Calibrate(calibrate) => calibrate.run(context),
            Task::Audit(audit) => audit.run(context),
        }
    }
}

/// How batches are drawn, from a rate or from sizes.
#[derive(Debug, clap::Args)]
pub struct Sampling {
    /// Probability with which a unit enters a batch
    #[arg(long, value_name = "Q")]
    sampling_rate: Option<f64>,

    /// Number of units (images, or patients); with --batch-size in place of --sampling-rate
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "sampling_rate", requires = "batch_size")]
    examples: Option<u64>,

    /// Expected batch size
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "sampling_rate", requires = "examples")]
    batch_size: Option<u64>,

    /// Steps taken
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,

    /// Passes over the data, in place of --steps
    #[arg(long, value_name = "E", conflicts_with = "steps", requires = "examples")]
    epochs: Option<f64>,
}

impl Sampling {
    /// The sampling rate, if one was given.
    pub fn rate(&self) -> Result<Option<f64>, Failure> {
        let rate = match (self.sampling_rate, self.examples, self.batch_size) {
            (Some(rate), ..) => Some(rate),
            (None, Some(examples), Some(batch)) if batch > examples => {
                return Err(LargeBatch { batch, examples }.into());
            }
            (None, Some(examples), Some(batch)) => Some(batch as f64 / examples as f64),
            _ => None,
        };
        Ok(rate)
    }

    /// The number of steps, if one was given; passes are rounded up to whole steps.
    pub fn steps(&self) -> Result<Option<u64>, Failure> {
        match (self.steps, self.epochs, self.examples, self.batch_size) {
            (Some(steps), ..) => Ok(Some(steps)),
            (None, Some(epochs), Some(examples), Some(batch)) => {
                let steps = (epochs * examples as f64 / batch as f64).ceil();
                if !(steps >= 1.0 && steps < u64::MAX as f64) {
                    return Err(Epochs { epochs }.into());
                }
                Ok(Some(steps as u64))
            }
            _ => Ok(None),
        }
    }

    /// The number of units, if it was given.
    pub fn examples(&self) -> Option<u64> {
        self.examples
    }

    /// Whether anything was said about sampling.
    pub fn is_given(&self) -> bool {
        self.sampling_rate.is_some() || self.examples.is_some() || self.steps.is_some()
    }
}

/// The batch is larger than the data.
#[derive(Debug, thiserror::Error)]
#[error(
    "--batch-size is {batch} of --examples {examples}: a unit enters a batch with probability 1 at most; give a batch size up to {examples}"
)]
struct LargeBatch {
    batch: u64,
    examples: u64,
}

/// Passes that make no whole step.
#[derive(Debug, thiserror::Error)]
#[error("--epochs is {epochs}: it must be greater than 0 and finite")]
struct Epochs {
    epochs: f64,
}

/// An option that is needed with others.
#[derive(Debug, thiserror::Error)]
#[error("{option} is missing: {reason}")]
pub struct Missing {
    /// The option.
    pub option: &'static str,
    /// What it is needed for, and what would do instead.
    pub reason: &'static str,
}

/// What makes two data sets neighbours, as written on the command line.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Neighbours {
    /// One unit is added or removed
    #[default]
    AddRemove,
    /// One unit is replaced by another; sensitivities double
    ReplaceOne,
}

impl From<Neighbours> for Adjacency {
    fn from(neighbours: Neighbours) -> Self {
        match neighbours {
            Neighbours::AddRemove => Self::AddRemove,
            Neighbours::ReplaceOne => Self::ReplaceOne,
        }
    }
}

/// An event with how often it runs, as written on the command line.
#[derive(Clone, Debug)]
pub struct Repeated(pub Event, pub u64);

impl std::str::FromStr for Repeated {
    type Err = standin_privacy::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (event, count) = Event::parse_repeated(text)?;
        Ok(Self(event, count))
    }
}

/// A ledger of these events.
pub fn ledger(neighbours: Neighbours, events: &[Repeated]) -> Result<Ledger, Failure> {
    let mut ledger = Ledger::new(Unit::Image, neighbours.into(), NoiseOrigin::Secret);
    for Repeated(event, count) in events {
        ledger.record(event.clone(), *count)?;
    }
    Ok(ledger)
}
