//! `standin privacy calibrate`.

use serde::Serialize;
use standin_privacy::{Budget, EpsilonBounds, Event, PrivacyTarget, calibrate};

use super::Context;
use super::privacy::{Missing, Neighbours, Repeated, Sampling, ledger};
use crate::failure::{Failure, Status};

/// The noise, the steps or the sampling rate that a budget allows
///
/// Give two of --sampling-rate, --steps and --noise-multiplier; the third is found: the least noise, the most steps, or
/// the largest rate. What was found is checked with the accountant and never exceeds the budget.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin privacy calibrate --epsilon 3 --delta 1e-5 --sampling-rate 0.01 --steps 10000
  standin privacy calibrate --epsilon 1 --delta auto --examples 55000 --batch-size 512 --epochs 30
  standin privacy calibrate --epsilon 3 --delta 1e-5 --sampling-rate 0.01 --noise-multiplier 1      the most steps
  standin privacy calibrate --epsilon 3 --delta 1e-5 --steps 1000 --sampling-rate 0.02 --before gaussian:5")]
pub struct Calibrate {
    /// Privacy loss that may be spent
    #[arg(long, value_name = "E")]
    epsilon: f64,

    /// Failure probability, or auto: 1/(N ln N) for --examples N
    #[arg(long, value_name = "D")]
    delta: standin_privacy::Delta,

    /// Accept δ of 1/N and more
    #[arg(long)]
    allow_large_delta: bool,

    #[command(flatten)]
    sampling: Sampling,

    /// Standard deviation of the noise over the clipping norm
    #[arg(long, value_name = "SIGMA")]
    noise_multiplier: Option<f64>,

    /// Something that runs besides and is paid from the same budget; may be given several times
    #[arg(long, value_name = "EVENT")]
    before: Vec<Repeated>,

    /// What makes two data sets neighbours
    #[arg(long, value_enum, default_value_t)]
    adjacency: Neighbours,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Found {
    /// Which of the three was found.
    found: &'static str,
    sampling_rate: f64,
    steps: u64,
    noise_multiplier: f64,
    delta: f64,
    #[serde(flatten)]
    bounds: EpsilonBounds,
}

impl Calibrate {
    /// Calibrates and prints.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let budget = self.budget()?;
        let before = ledger(self.adjacency, &self.before)?;
        let (rate, steps) = (self.sampling.rate()?, self.sampling.steps()?);
        let (found, sampling_rate, steps, noise_multiplier) = match (rate, steps, self.noise_multiplier) {
            (Some(rate), Some(steps), None) => {
                ("noise_multiplier", rate, steps, calibrate::noise_multiplier(budget, rate, steps, &before)?)
            }
            (Some(rate), None, Some(noise)) => ("steps", rate, calibrate::steps(budget, rate, noise, &before)?, noise),
            (None, Some(steps), Some(noise)) => {
                ("sampling_rate", calibrate::sampling_rate(budget, noise, steps, &before)?, steps, noise)
            }
            (Some(_), Some(_), Some(_)) => return Err(NothingToFind.into()),
            _ => {
                let reason = "give two of --sampling-rate (or --examples with --batch-size), --steps (or --epochs) and \
                              --noise-multiplier, and the third is found";
                let option = if steps.is_none() { "--steps" } else { "--sampling-rate" };
                return Err(Missing { option, reason }.into());
            }
        };
        let mut ledger = before;
        ledger.record(Event::PoissonSubsampledGaussian { sampling_rate, noise_multiplier }, steps)?;
        let bounds = ledger.epsilon(budget.delta)?;
        let found = Found { found, sampling_rate, steps, noise_multiplier, delta: budget.delta, bounds };
        context.output.print(&found, || found.text(budget))?;
        Ok(Status::Done)
    }

    /// The budget; δ is held against the number of examples where it is known.
    fn budget(&self) -> Result<Budget, Failure> {
        let target =
            PrivacyTarget { epsilon: self.epsilon, delta: self.delta, allow_large_delta: self.allow_large_delta };
        match self.sampling.examples() {
            Some(examples) => Ok(target.budget(examples as usize)?),
            None if self.delta == standin_privacy::Delta::Auto => {
                let reason = "an automatic δ is 1/(N ln N), so the number of units must be known";
                Err(Missing { option: "--examples", reason }.into())
            }
            // Without a number of units, any δ in (0, 1) is below the limit for one of them.
            None => Ok(PrivacyTarget { allow_large_delta: true, ..target }.budget(1)?),
        }
    }
}

impl Found {
    fn text(&self, budget: Budget) -> String {
        let Self { sampling_rate, steps, noise_multiplier, delta, .. } = self;
        let EpsilonBounds { low, high, rdp, accountant } = self.bounds;
        let answer = match self.found {
            "steps" => format!("at most {steps} steps"),
            "sampling_rate" => format!("a sampling rate of at most {sampling_rate:.6e}"),
            _ => format!("a noise multiplier of at least {noise_multiplier:.6}"),
        };
        format!(
            "ε = {} at δ = {delta:e} allows {answer}\n\n\
             sampling rate     {sampling_rate}\n\
             steps             {steps}\n\
             noise multiplier  {noise_multiplier}\n\
             ε                 {high:.4}, and no ε below {low:.4} ({accountant}); Rényi differential privacy {rdp:.4}\n",
            budget.epsilon,
        )
    }
}

/// All three are given.
#[derive(Debug, thiserror::Error)]
#[error(
    "--sampling-rate, --steps and --noise-multiplier are all given, so there is nothing to find; leave one out, or use `standin privacy epsilon` for what they cost"
)]
struct NothingToFind;
