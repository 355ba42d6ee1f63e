use std::io;
use std::path::{Path, PathBuf};

use crate::executor::Failure;
use crate::stage::StageId;
use crate::store;
use crate::study::Rebuild;

/// What can go wrong between a study and a Slurm cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// One of Slurm's commands cannot be run.
    #[error(
        "{command} cannot be run ({source}): Slurm's commands are on a cluster's login nodes; work there, load the \
         module they come with, or compute on this machine (without --executor slurm)"
    )]
    Command {
        /// The command.
        command: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// One of Slurm's commands ended with an error.
    #[error("{command} refused: {}; {remedy}", said(stderr))]
    Refused {
        /// The command with its options.
        command: String,
        /// What it said.
        stderr: String,
        /// What to do.
        remedy: &'static str,
    },
    /// One of Slurm's commands printed something else than was expected.
    #[error(
        "{command} printed {printed:?}, which is not {expected}; see whether the command is Slurm's own or a wrapper"
    )]
    Unexpected {
        /// The command.
        command: &'static str,
        /// What it printed.
        printed: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A file of a submission cannot be read or written.
    #[error("{}: {action} failed: {source}", path.display())]
    Io {
        /// What was attempted, such as "writing".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file of a submission is damaged.
    #[error("{}: {found}; run `standin bench STUDY --executor slurm` again, which writes it anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// A stage cannot be made again from its data.
    #[error(transparent)]
    Rebuild(#[from] Rebuild),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A stage that can only be computed where the study is planned failed.
    #[error("{name} ({kind}) failed, and nothing was submitted: {failure}")]
    Here {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Why.
        failure: Box<Failure>,
    },
    /// A stage that can only be computed where the study is planned reads what others have not computed yet.
    #[error(
        "{name} ({kind}) can only be computed where the study is planned, and reads stage {} which is not finished; \
         compute the study on this machine (without --executor slurm)", input.short()
    )]
    Stays {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What it reads.
        input: StageId,
    },
    /// A task reads a stage that is neither finished nor a task.
    #[error(
        "{name} reads stage {}, which is no longer in the store and can only be computed where the study is planned; \
         run `standin bench STUDY --executor slurm` again", input.short()
    )]
    Gone {
        /// The task's name.
        name: String,
        /// What it reads.
        input: StageId,
    },
    /// Jobs of an earlier submission work on another list of tasks.
    #[error(
        "{}: {queued} tasks of another version of this study are still in the queue; wait for them, or cancel them \
         with `standin slurm cancel`", folder.display()
    )]
    Changed {
        /// The submission's folder.
        folder: PathBuf,
        /// How many.
        queued: usize,
    },
    /// There is no such task.
    #[error("{}: there is no task {index}; the plan has {tasks}", plan.display())]
    Index {
        /// The plan.
        plan: PathBuf,
        /// The index given.
        index: usize,
        /// Number of tasks.
        tasks: usize,
    },
    /// The process computes on another device than the study was planned for.
    #[error(
        "the study was planned for the device {planned}, and this process computes on {chosen}; give --device {planned}"
    )]
    Device {
        /// The device of the plan.
        planned: String,
        /// The device of the process.
        chosen: String,
    },
}

impl Error {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}

/// A command's lines of complaint as one.
fn said(stderr: &str) -> String {
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { "it gave no reason".to_owned() } else { lines.join("; ") }
}
