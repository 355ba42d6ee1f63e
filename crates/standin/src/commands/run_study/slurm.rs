//! The same on a cluster.

use std::env;
use std::path::Path;

use standin_bench::executor::Reporter;
use standin_bench::executor::slurm::{SlurmExecutor, Status as Progress, Submission, Submitted};
use standin_bench::study::{Study, StudyImages};

use super::{Finished, Folders, to_do};
use crate::commands::Context;
use crate::failure::Failure;
use crate::stages::StageReporter;

/// An option that has no meaning on a cluster.
#[derive(Debug, thiserror::Error)]
#[error(
    "--fail-fast with --executor slurm: jobs are submitted all at once; leave it out, and `standin slurm cancel` what is \
     not wanted"
)]
struct FailFast;

/// What became of a study that was handed to a cluster.
pub enum Carried {
    /// It was carried out.
    Out(Box<Finished>),
    /// It is in the queue.
    Queued(Box<Progress>),
}

impl Folders {
    /// Hands the study to a cluster; waits for it and writes its report, unless it is to be left alone.
    pub fn run_on_slurm(
        &self,
        study: &Study,
        images: StudyImages,
        detach: bool,
        context: &Context<'_>,
    ) -> Result<Carried, Failure> {
        if self.fail_fast {
            return Err(FailFast.into());
        }
        let (plan, store) = self.prepare(study, images, context)?;
        let expected = self.planned(&plan, &store, context);
        if expected.left().next().is_some() {
            context.terminal.note(&to_do(&expected));
        }
        let settings = study.slurm.clone().unwrap_or_default();
        let executor = SlurmExecutor {
            settings: &settings,
            program: env::current_exe()?,
            folder: env::current_dir()?,
            threads: context.thread_count(),
        };
        let reporter = StageReporter::new(context.terminal);
        reporter.planned(&plan.graph);
        let (submission, submitted) = executor.submit(&study.name, plan.summary, &plan.graph, &store, &reporter)?;
        say_submitted(&submission, submitted, &self.runs, context);
        if detach {
            return Ok(Carried::Queued(Box::new(submission.status(&store)?)));
        }
        let execution = submission.wait(&plan.graph, &store, &reporter)?;
        let finished = self.conclude(study, plan, store, &reporter, &execution, context)?;
        Ok(Carried::Out(Box::new(finished)))
    }
}

/// Says what is in the queue, and how to look at it and to take it out.
pub fn say_submitted(submission: &Submission, submitted: Submitted, runs: &Path, context: &Context<'_>) {
    let Submitted { tasks, arrays, queued } = submitted;
    if tasks + queued == 0 {
        return;
    }
    let folder = submission.folder().display();
    context.terminal.note(&format!(
        "{tasks} tasks submitted in {arrays} job arrays, {queued} were in the queue already; scripts and logs \
         are in {folder}"
    ));
    let runs = if runs == Path::new("runs") { String::new() } else { format!(" --runs {}", runs.display()) };
    let name = submission.name();
    context.terminal.note(&format!(
        "the jobs stay in the queue whatever ends this program, Ctrl-C too: `standin slurm status {name}{runs}` shows \
         them, `standin slurm cancel {name}{runs}` takes them out"
    ));
}
