//! The same on a cluster.

use std::env;
use std::path::Path;

use standin_bench::executor::slurm::{SlurmExecutor, Submission, Submitted};
use standin_bench::executor::{Execution, Reporter};
use standin_bench::graph::Graph;
use standin_bench::store::Store;
use standin_bench::study::{Study, StudyImages};

use super::{Carried, Finished, Folders, to_do};
use crate::commands::Context;
use crate::failure::Failure;
use crate::stages::StageReporter;

/// An option that has no meaning on a cluster.
#[derive(Debug, thiserror::Error)]
enum Meaningless {
    #[error("--fail-fast with --detach: nobody waits for the first failure; leave one of them out")]
    FailFast,
    #[error(
        "--memory with --executor slurm: what a task may hold stands in the study, as memory of [slurm] or of [slurm.generate]; \
         leave it out"
    )]
    Memory,
}

impl Folders {
    /// Hands the study to a cluster; waits for it and writes its report, unless it is to be left alone.
    pub fn run_on_slurm(
        &self,
        study: &Study,
        images: StudyImages,
        detach: bool,
        context: &Context<'_>,
    ) -> Result<Carried<Finished>, Failure> {
        let (plan, store) = self.prepare(study, images, context)?;
        let expected = self.planned(&plan, &store, context);
        if expected.left().next().is_some() {
            context.terminal.note(&to_do(&expected));
        }
        let reporter = StageReporter::new(context.terminal);
        let execution = match self.slurm(study, &plan.graph, &store, detach, &reporter, context)? {
            Carried::Out(execution) => execution,
            Carried::Queued(progress) => return Ok(Carried::Queued(progress)),
        };
        let finished = self.conclude(study, plan, store, &reporter, &execution, context)?;
        Ok(Carried::Out(Box::new(finished)))
    }

    /// Hands stages to a cluster, and waits for them unless they are to be left alone.
    pub(super) fn slurm(
        &self,
        study: &Study,
        graph: &Graph,
        store: &Store,
        detach: bool,
        reporter: &StageReporter<'_>,
        context: &Context<'_>,
    ) -> Result<Carried<Execution>, Failure> {
        if self.fail_fast && detach {
            return Err(Meaningless::FailFast.into());
        }
        if self.memory.is_some() {
            return Err(Meaningless::Memory.into());
        }
        let settings = study.slurm.clone().unwrap_or_default();
        let executor = SlurmExecutor {
            settings: &settings,
            program: env::current_exe()?,
            folder: env::current_dir()?,
            threads: context.thread_count(),
        };
        reporter.planned(graph);
        let (submission, submitted) = executor.submit(&study.name, graph, store, reporter)?;
        say_submitted(&submission, submitted, &self.runs, context);
        Ok(match detach {
            true => Carried::Queued(Box::new(submission.status(store)?)),
            false => Carried::Out(Box::new(submission.wait(graph, store, !self.fail_fast, reporter)?)),
        })
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
