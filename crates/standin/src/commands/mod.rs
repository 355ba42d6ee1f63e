//! One file per command.

mod completions;
mod data;

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
    /// Completions for your shell
    Completions(completions::Arguments),
    /// Bring images in, look at them, divide them, hand them on
    Data(data::Arguments),
}

impl Command {
    /// Runs the command.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        match self {
            Self::Completions(arguments) => arguments.run(),
            Self::Data(arguments) => arguments.run(context),
        }
    }
}
