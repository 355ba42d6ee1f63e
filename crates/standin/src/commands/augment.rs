//! `standin augment`: images of an under-represented group.

mod run;
mod translate;

use clap::Subcommand;

use super::Context;
use crate::failure::{Failure, Status};

/// Make images of an under-represented group from those of a majority, and show whether they help
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run a study: does a minority gain by images made for it?
    Run(Box<run::Arguments>),
    /// Bring images into another group with a diffusion model that is told groups
    Translate(Box<translate::Arguments>),
}

impl Arguments {
    /// Runs the task.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        match self.task {
            Task::Run(arguments) => arguments.run(context),
            Task::Translate(arguments) => arguments.run(context),
        }
    }
}
