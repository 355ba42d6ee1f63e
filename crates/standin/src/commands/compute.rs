//! `standin compute PLAN --index N`: what a job on a cluster runs.

use std::path::PathBuf;

use standin_bench::executor::End;
use standin_bench::executor::slurm::{Computed, compute};

use super::Context;
use crate::failure::{Failure, Status};
use crate::stages::StageReporter;

/// Compute one stage of a plan, in the store that the plan lies in
///
/// `standin bench --executor slurm` writes plans and the batch scripts that call this.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 the stage is finished, 2 the plan cannot be used, 3 the stage failed, 4 what it reads is not finished.")]
pub struct Arguments {
    /// The plan: runs/.slurm/<study>-<digits>/plan.json
    plan: PathBuf,

    /// Which of its tasks
    #[arg(long, value_name = "N")]
    index: usize,
}

/// A stage that failed.
#[derive(Debug, thiserror::Error)]
#[error("{stage} failed: {failure}")]
struct StageFailed {
    stage: String,
    failure: String,
}

/// A stage that could not begin.
#[derive(Debug, thiserror::Error)]
#[error("{stage} was not begun: what it reads is not finished: {missing}; look at the logs of these first")]
struct InputsMissing {
    stage: String,
    missing: String,
}

impl Arguments {
    /// Computes the stage.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let threads = context.thread_count();
        let reporter = StageReporter::new(context.terminal);
        match compute(&self.plan, self.index, threads, &reporter)? {
            Computed::InputsMissing { stage, missing } => {
                Err(Failure::NotBegun(Box::new(InputsMissing { stage, missing: missing.join(", ") })))
            }
            Computed::Ended { stage, end } => match *end {
                End::Computed(record) => {
                    context.terminal.note(&format!("{stage}: {:.1} s on {threads} threads", record.wall_seconds));
                    Ok(Status::Done)
                }
                End::Cached(_) => {
                    context.terminal.note(&format!("{stage}: finished already"));
                    Ok(Status::Done)
                }
                End::Failed(failure) => {
                    Err(Failure::Internal(Box::new(StageFailed { stage, failure: failure.to_string() })))
                }
                End::Skipped(_) | End::NotStarted => unreachable!("a stage that is computed alone waits for no other"),
            },
        }
    }
}
