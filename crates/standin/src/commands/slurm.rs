//! `standin slurm status|cancel|resubmit`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;
use standin_bench::executor::slurm::{KindStatus, Status as Progress, Submission};
use standin_bench::store::Store;
use standin_bench::study::Study;

use super::Context;
use super::run_study::say_submitted;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};

/// Studies on a Slurm cluster: how far they are, take them out of the queue, submit again what failed
///
/// `standin bench STUDY --executor slurm` hands a study to the cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin slurm status                   every study that was handed to the cluster
  standin slurm status digits --json     one of them, for scripts
  standin slurm cancel study.toml        take its tasks out of the queue; finished stages are kept
  standin slurm resubmit study.toml      submit again what failed, and what waits for it")]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,

    /// Where finished stages are kept
    #[arg(long, value_name = "DIR", default_value = "runs", global = true)]
    runs: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Finished, running, pending and failed stages of each kind
    Status(Which),
    /// Take all tasks out of the queue, whether they wait or are at work
    Cancel(Which),
    /// Submit what is neither finished nor in the queue
    Resubmit(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// A study file, or how the name of a submission begins; none needed where there is one
    study: Option<String>,
}

/// Not exactly what was asked for.
#[derive(Debug, thiserror::Error)]
enum Choice {
    #[error("{}: no study was handed to a cluster{about}; `standin bench STUDY --executor slurm` does that", runs.display())]
    None { runs: PathBuf, about: String },
    #[error("{} fit: {}; name one", names.len(), names.join(", "))]
    Several { names: Vec<String> },
}

#[derive(Debug, Serialize)]
struct Canceled {
    submission: String,
    tasks: usize,
}

#[derive(Debug, Serialize)]
struct Resubmitted {
    submission: String,
    tasks: usize,
    arrays: usize,
    queued: usize,
}

impl Arguments {
    /// Runs the action.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let store = Store::open_existing(&self.runs)?;
        match self.action {
            Action::Status(which) => {
                let submissions = which.fitting(&store, &self.runs)?;
                let found =
                    submissions.iter().map(|submission| submission.status(&store)).collect::<Result<Vec<_>, _>>()?;
                context.output.print(&found, || found.iter().map(described).collect::<Vec<_>>().join("\n"))?;
            }
            Action::Cancel(which) => {
                let submission = which.only(&store, &self.runs)?;
                let canceled = Canceled { submission: submission.name(), tasks: submission.cancel()? };
                context.output.print(&canceled, || {
                    format!(
                        "{}: {} tasks taken out of the queue; finished stages are kept",
                        canceled.submission, canceled.tasks
                    )
                })?;
            }
            Action::Resubmit(which) => {
                let mut submission = which.only(&store, &self.runs)?;
                let submitted = submission.submit(&store)?;
                say_submitted(&submission, submitted, &self.runs, context);
                let resubmitted = Resubmitted {
                    submission: submission.name(),
                    tasks: submitted.tasks,
                    arrays: submitted.arrays,
                    queued: submitted.queued,
                };
                context.output.print(&resubmitted, || {
                    format!("{}: {} tasks submitted", resubmitted.submission, submitted.tasks)
                })?;
            }
        }
        Ok(Status::Done)
    }
}

impl Which {
    /// The submissions that are meant, the youngest first; at least one.
    fn fitting(&self, store: &Store, runs: &Path) -> Result<Vec<Submission>, Failure> {
        let mut submissions = Submission::all(store)?;
        let mut about = String::new();
        match &self.study {
            Some(name) if Path::new(name).is_file() => {
                let study = Study::read(Path::new(name))?.name;
                submissions.retain(|submission| submission.tasks().study == study);
                about = format!(" that is named \"{study}\"");
            }
            Some(name) => {
                submissions.retain(|submission| submission.name().starts_with(name.as_str()));
                about = format!(" whose name begins with \"{name}\", and there is no such file");
            }
            None => {}
        }
        match submissions.is_empty() {
            true => Err(Choice::None { runs: runs.to_path_buf(), about }.into()),
            false => Ok(submissions),
        }
    }

    fn only(&self, store: &Store, runs: &Path) -> Result<Submission, Failure> {
        let mut fitting = self.fitting(store, runs)?;
        if fitting.len() > 1 {
            return Err(Choice::Several { names: fitting.iter().map(Submission::name).collect() }.into());
        }
        Ok(fitting.remove(0))
    }
}

/// A submission for people: its kinds, why tasks wait, and what failed.
pub fn described(status: &Progress) -> String {
    let header = [
        (status.submission.as_str(), Align::Left),
        ("stages", Align::Right),
        ("finished", Align::Right),
        ("running", Align::Right),
        ("pending", Align::Right),
        ("failed", Align::Right),
        ("blocked", Align::Right),
    ];
    let numbers =
        |kind: &KindStatus| [kind.stages, kind.finished, kind.running, kind.pending, kind.failed, kind.blocked];
    let row = |name: &str, numbers: [usize; 6]| {
        [name.to_owned()].into_iter().chain(numbers.map(|number| number.to_string())).collect::<Vec<_>>()
    };
    let total = status.kinds.iter().map(numbers).fold([0; 6], |sum, kind| std::array::from_fn(|at| sum[at] + kind[at]));
    let kinds = status.kinds.iter().map(|kind| row(&kind.kind, numbers(kind)));
    let mut text = table(&header, kinds.chain([row("together", total)]));
    text.push('\n');
    if !status.reasons.is_empty() {
        let reasons: Vec<String> = status.reasons.iter().map(|(reason, count)| format!("{reason} ({count})")).collect();
        text.push_str(&format!("waiting for: {}\n", reasons.join(", ")));
    }
    for failed in &status.failed {
        let log = failed.log.as_ref().map_or_else(|| "never submitted".to_owned(), |log| log.display().to_string());
        text.push_str(&format!("failed: {} ({} {}), {log}\n", failed.name, failed.kind, failed.stage.short()));
    }
    text
}
