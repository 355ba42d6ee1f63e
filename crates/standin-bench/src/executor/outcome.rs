use std::error::Error;
use std::path::{Path, PathBuf};

use crate::stage::StageId;
use crate::store::{self, Record};

/// How every stage of a graph ended.
#[derive(Debug)]
pub struct Execution {
    /// The stages in the graph's order.
    pub stages: Vec<StageOutcome>,
}

impl Execution {
    /// Whether every stage's result is in the store.
    pub fn is_complete(&self) -> bool {
        self.stages.iter().all(|stage| stage.end.record().is_some())
    }

    /// The stages that failed, with the reasons.
    pub fn failures(&self) -> impl Iterator<Item = (&StageOutcome, &Failure)> {
        self.stages.iter().filter_map(|stage| match &stage.end {
            End::Failed(failure) => Some((stage, failure)),
            _ => None,
        })
    }

    /// The time that stages found in the store once took to compute, in seconds.
    pub fn seconds_saved(&self) -> f64 {
        let saved = self.stages.iter().map(|stage| match &stage.end {
            End::Cached(record) => record.wall_seconds,
            _ => 0.0,
        });
        saved.sum()
    }
}

/// How one stage ended.
#[derive(Debug)]
pub struct StageOutcome {
    /// The stage's identity.
    pub id: StageId,
    /// Its kind.
    pub kind: &'static str,
    /// The name people read.
    pub name: String,
    /// How it ended.
    pub end: End,
}

/// How a stage ended.
#[derive(Debug)]
pub enum End {
    /// It was computed.
    Computed(Record),
    /// It was found in the store, or another process computed it in the meantime.
    Cached(Record),
    /// It could not be computed.
    Failed(Failure),
    /// It was not begun, because this stage failed, which it reads directly or through others.
    Skipped(StageId),
    /// It was not begun, because some stage failed and the executor was not to keep going.
    NotStarted,
}

impl End {
    /// What is recorded about the stage, if its result is in the store.
    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Computed(record) | Self::Cached(record) => Some(record),
            Self::Failed(_) | Self::Skipped(_) | Self::NotStarted => None,
        }
    }
}

/// Why a stage has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The stage's own error; its type can be asked for with `downcast_ref`.
    #[error("{0}")]
    Stage(Box<dyn Error + Send + Sync>),
    /// The stage panicked: a mistake in the program, not in its input.
    #[error("internal error, please report it: {0}")]
    Panicked(String),
    /// The result could not be put into the store, or is damaged there.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The job on a cluster that was to compute it is no longer in the queue and left no result.
    #[error("its job left no result{}", of_log(log.as_deref(), last_lines))]
    Job {
        /// What the job printed, where it was submitted.
        log: Option<PathBuf>,
        /// The end of that.
        last_lines: Vec<String>,
    },
    /// The system gave no thread to run on.
    #[error("no thread to run on: {0}; use fewer threads")]
    Threads(String),
}

/// Where a job's log is, and how it ends.
fn of_log(log: Option<&Path>, last_lines: &[String]) -> String {
    let Some(log) = log else { return ": it was never submitted".to_owned() };
    let lines: String = last_lines.iter().map(|line| format!("\n      {line}")).collect();
    match lines.is_empty() {
        true => format!(
            ": {} is empty or missing, so it never began; `sacct` or the cluster's staff may know why",
            log.display()
        ),
        false => format!("; {} ends with{lines}", log.display()),
    }
}
