//! `standin completions SHELL`.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::failure::{Failure, Status};

/// Print completions for a shell
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Arguments {
    /// Prints the completion script.
    pub fn run(self) -> Result<Status, Failure> {
        generate(self.shell, &mut crate::Cli::command(), "standin", &mut std::io::stdout());
        Ok(Status::Done)
    }
}
