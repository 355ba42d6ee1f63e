//! `standin privacy epsilon`.

use std::path::PathBuf;

use serde::Serialize;
use standin_privacy::{EpsilonBounds, Event, Ledger};
use standin_report::{BudgetPoint, budget_curve};

use super::Context;
use super::privacy::{Missing, Neighbours, Repeated, Sampling, ledger};
use crate::failure::{Failure, Status};
use crate::output::{Align, table};

/// The ε of DP-SGD, or of any composition, at a δ
///
/// Batches must be drawn by Poisson sampling: each unit enters a batch independently with the same probability. Numbers
/// for shuffled, weighted or fixed-size batches would not hold, and none are given.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin privacy epsilon --sampling-rate 0.01 --noise-multiplier 1 --steps 10000 --delta 1e-5
  standin privacy epsilon --examples 60000 --batch-size 256 --epochs 20 --noise-multiplier 0.9 --delta 1e-5
  standin privacy epsilon --event gaussian:5 --event poisson:0.01,1*10000 --delta 1e-5    a release, then training
  standin privacy epsilon --sampling-rate 0.01 --noise-multiplier 1 --steps 10000 --delta 1e-5 --curve epsilon.svg

Events: gaussian:NOISE_MULTIPLIER, laplace:SCALE, histogram:NOISE_MULTIPLIER, poisson:RATE,NOISE_MULTIPLIER, each with *COUNT")]
pub struct Epsilon {
    #[command(flatten)]
    sampling: Sampling,

    /// Standard deviation of the noise over the clipping norm
    #[arg(long, value_name = "SIGMA")]
    noise_multiplier: Option<f64>,

    /// Something that ran, and how often; may be given several times
    #[arg(long, value_name = "EVENT")]
    event: Vec<Repeated>,

    /// Failure probability
    #[arg(long, value_name = "D")]
    delta: f64,

    /// What makes two data sets neighbours
    #[arg(long, value_enum, default_value_t)]
    adjacency: Neighbours,

    /// Draw ε over the steps into this file
    #[arg(long, value_name = "FILE.svg")]
    curve: Option<PathBuf>,

    /// Replace that file
    #[arg(long, requires = "curve")]
    force: bool,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Found {
    delta: f64,
    #[serde(flatten)]
    bounds: EpsilonBounds,
    ledger: Ledger,
}

impl Epsilon {
    /// Computes and prints.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let mut events = self.event.clone();
        let training = self.training()?;
        events.extend(training.clone());
        if events.is_empty() {
            let reason = "say what runs, by --sampling-rate, --noise-multiplier and --steps, or by --event";
            return Err(Missing { option: "--sampling-rate", reason }.into());
        }
        let ledger = ledger(self.adjacency, &events)?;
        let found = Found { delta: self.delta, bounds: ledger.epsilon(self.delta)?, ledger };
        if let Some(path) = &self.curve {
            if path.exists() && !self.force {
                return Err(Exists { path: path.clone() }.into());
            }
            std::fs::write(path, self.draw()?)?;
        }
        context.output.print(&found, || found.text())?;
        Ok(Status::Done)
    }

    /// The steps of training, if the options describe some.
    fn training(&self) -> Result<Option<Repeated>, Failure> {
        if !self.sampling.is_given() && self.noise_multiplier.is_none() {
            return Ok(None);
        }
        let missing = |option, reason| Missing { option, reason };
        let sampling_rate = self.sampling.rate()?.ok_or_else(|| {
            missing(
                "--sampling-rate",
                "with what probability does a unit enter a batch? --examples with --batch-size also do",
            )
        })?;
        let noise_multiplier = self.noise_multiplier.ok_or_else(|| {
            missing("--noise-multiplier", "how much noise does a step add, in units of the clipping norm?")
        })?;
        let steps = self.sampling.steps()?.ok_or_else(|| {
            missing("--steps", "how many steps are taken? --epochs with --examples and --batch-size also do")
        })?;
        Ok(Some(Repeated(Event::PoissonSubsampledGaussian { sampling_rate, noise_multiplier }, steps)))
    }

    /// ε over the steps of training, after every other event; or over repetitions of the last event.
    fn draw(&self) -> Result<String, Failure> {
        let mut before = self.event.clone();
        let Some(Repeated(event, steps)) = self.training()?.or_else(|| before.pop()) else {
            return Err(NoCurve.into());
        };
        let mut counts: Vec<u64> = if steps > POINTS {
            let rising = |k: u64| (steps as f64).powf(k as f64 / (POINTS - 1) as f64).round() as u64;
            (0..POINTS)
                .map(rising)
                .chain((1..=POINTS).map(|k| (steps as f64 * k as f64 / POINTS as f64) as u64))
                .collect()
        } else {
            (1..=steps).collect()
        };
        counts.sort_unstable();
        counts.dedup();
        let mut points = Vec::with_capacity(counts.len());
        for steps in counts {
            let mut all = before.clone();
            all.push(Repeated(event.clone(), steps));
            let EpsilonBounds { low, high, rdp, .. } = ledger(self.adjacency, &all)?.epsilon(self.delta)?;
            points.push(BudgetPoint { steps, low, high, rdp });
        }
        Ok(budget_curve(&points, self.delta).ok_or(NoCurve)?)
    }
}

/// Points of a curve on a linear and on a logarithmic grid of steps each.
const POINTS: u64 = 24;

impl Found {
    fn text(&self) -> String {
        let EpsilonBounds { low, high, rdp, accountant } = self.bounds;
        let rows = [
            vec![accountant.to_string(), format!("{high:.4}"), format!("{low:.4}")],
            vec!["Rényi differential privacy".to_owned(), format!("{rdp:.4}"), String::new()],
        ];
        let header = [("accountant", Align::Left), ("ε that holds", Align::Right), ("no ε below", Align::Right)];
        let odds = high.exp();
        let factor = if odds < 1e6 { format!("{odds:.3}") } else { format!("{odds:.2e}") };
        format!(
            "{}: ε = {} at δ = {:e}\n\n{}\n\n\
             Whether one unit is {} changes the probability of any outcome by a factor of at most {factor}, except with \
             probability {:e}.\n",
            self.ledger,
            rounded_up(high),
            self.delta,
            table(&header, rows),
            match self.ledger.adjacency() {
                standin_privacy::Adjacency::AddRemove => "there or not",
                standin_privacy::Adjacency::ReplaceOne => "replaced by another",
            },
            self.delta,
        )
    }
}

/// Three decimals, not below the value.
fn rounded_up(value: f64) -> String {
    format!("{:.3}", (value * 1000.0 - 1e-9).ceil() / 1000.0)
}

/// A file is in the way.
#[derive(Debug, thiserror::Error)]
#[error("{}: already exists; choose another name, or --force to replace it", path.display())]
struct Exists {
    path: PathBuf,
}

/// Nothing that repeats.
#[derive(Debug, thiserror::Error)]
#[error("--curve draws ε over steps, and only one runs; give --steps of at least 2, or leave --curve out")]
struct NoCurve;
