//! One file per command.

mod attack;
mod audit;
mod audit_results;
mod augment;
mod bench;
mod classify;
mod classify_results;
mod completions;
mod compute;
mod data;
mod generate;
mod images;
mod list;
mod measure;
mod measure_pairs;
mod privacy;
mod privacy_audit;
mod privacy_calibrate;
mod privacy_epsilon;
mod privacy_options;
mod privacy_scores;
mod replace;
mod report;
mod run_study;
mod runs;
mod sample;
mod segment;
mod setting;
mod slurm;

use std::num::NonZero;
use std::path::Path;

use clap::Subcommand;

use crate::failure::{Failure, Status};
use crate::output::Output;
use crate::terminal::Terminal;

/// What every command gets.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Progress, warnings and errors.
    pub terminal: &'a Terminal,
    /// Results.
    pub output: Output,
    /// Threads to use.
    pub threads: usize,
    /// Keeps downloaded files.
    pub cache: &'a Path,
}

impl Context<'_> {
    /// Threads to use.
    pub fn thread_count(&self) -> NonZero<usize> {
        NonZero::new(self.threads).unwrap_or(NonZero::<usize>::MIN)
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole study: generate, sample, classify, measure, attack, report
    Bench(bench::Arguments),
    /// Audit synthetic images made by any tool: fidelity, variety, copying, membership, utility
    Audit(Box<audit::Arguments>),
    /// Ask whether a release gives away who was trained on: membership inference on images, a classifier or a generator
    Attack(Box<attack::Arguments>),
    /// Measure synthetic images against real ones: a few numbers, quickly
    Measure(measure::Arguments),
    /// Train a generator, privately or not, and keep it with its guarantee
    Generate(Box<generate::Arguments>),
    /// Draw images from a generator that was kept
    Sample(Box<sample::Arguments>),
    /// Make images of an under-represented group, and show whether they help
    Augment(augment::Arguments),
    /// Train a classifier, privately or not, or load one; evaluate it and keep its answers
    Classify(Box<classify::Arguments>),
    /// Account for differential privacy: ε of what runs, noise for a budget, lower bounds from attacks
    Privacy(privacy::Arguments),
    /// List, show, verify and prune finished stages
    Runs(runs::Arguments),
    /// Studies on a Slurm cluster: how far they are, take them out of the queue, submit again what failed
    Slurm(slurm::Arguments),
    /// Compute one stage of a plan, as jobs on a cluster do
    #[command(hide = true)]
    Compute(compute::Arguments),
    /// Write the report of a finished study
    Report(report::Arguments),
    /// What there is: generators, attacks, measures, encoders, classifiers, data sets
    List(list::Arguments),
    /// Bring images in, look at them, divide them, hand them on
    Data(data::Arguments),
    /// Score segmentations of volumes
    Segment(segment::Arguments),
    /// Completions for your shell
    Completions(completions::Arguments),
}

impl Command {
    /// Runs the command.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        match self {
            Self::Bench(arguments) => arguments.run(context),
            Self::Audit(arguments) => arguments.run(context),
            Self::Attack(arguments) => arguments.run(context),
            Self::Measure(arguments) => arguments.run(context),
            Self::Generate(arguments) => arguments.run(context),
            Self::Sample(arguments) => arguments.run(context),
            Self::Augment(arguments) => arguments.run(context),
            Self::Classify(arguments) => arguments.run(context),
            Self::Privacy(arguments) => arguments.run(context),
            Self::Runs(arguments) => arguments.run(context),
            Self::Slurm(arguments) => arguments.run(context),
            Self::Compute(arguments) => arguments.run(context),
            Self::Report(arguments) => arguments.run(context),
            Self::List(arguments) => arguments.run(context),
            Self::Data(arguments) => arguments.run(context),
            Self::Segment(arguments) => arguments.run(context),
            Self::Completions(arguments) => arguments.run(),
        }
    }
}
