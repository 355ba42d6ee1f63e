//! One file per command.

mod completions;
mod segment;

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
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Score segmentations of volumes
    Segment(segment::Arguments),
    /// Completions for your shell
    Completions(completions::Arguments),
}

impl Command {
    /// Runs the command.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        match self {
            Self::Segment(arguments) => arguments.run(context),
            Self::Completions(arguments) => arguments.run(),
        }
    }
}
