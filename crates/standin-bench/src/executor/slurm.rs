//! Running the stages of a graph on a Slurm cluster, into a store on a file system that its nodes share.
//!
//! What cannot travel, such as the stage that holds the images, is computed here first. Everything else becomes a list
//! of tasks ([`TaskList`]) in a folder of the store, and a batch script for each job array: the stages of one kind that
//! lie equally deep in the graph. A job array waits until those that hold its inputs have *ended*, well or not: a task
//! whose input is missing ends at once and says so, and a failed stage stops only what depends on it.
//!
//! ```text
//! runs/.slurm/<study>-<8 digits of its last stage's digest>/
//!   plan.json              the tasks, each with its stage as data
//!   <depth>-<kind>.sh      the batch scripts
//!   submission.toml        which job arrays were submitted
//!   logs/                  one file a task
//! ```
//!
//! Whether a stage is done is asked of the store alone; the queue says only who is still at it. No accounting database
//! is needed.

mod compute;
mod error;
mod scheduler;
mod script;
mod status;
mod submission;
mod tasks;
mod wait;

use std::fs;
use std::num::NonZero;
use std::path::PathBuf;

pub use compute::{Computed, compute};
pub use error::Error;
pub use status::{FailedTask, KindStatus, Status};
pub use submission::{Submission, Submitted};
pub use tasks::{Array, Task, TaskList};

use super::schedule::Patience;
use super::{End, Reporter, attempt};
use crate::graph::Graph;
use crate::store::Store;
use crate::study::Slurm;
use script::Script;

/// The result of an operation on a submission.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Runs stages as jobs of a cluster.
#[derive(Clone, Debug)]
pub struct SlurmExecutor<'a> {
    /// What jobs ask for.
    pub settings: &'a Slurm,
    /// The program that computes a stage, where every node finds it.
    pub program: PathBuf,
    /// The folder tasks run in: where relative names of files begin.
    pub folder: PathBuf,
    /// Threads for what has to be computed here.
    pub threads: NonZero<usize>,
}

impl SlurmExecutor<'_> {
    /// Computes what cannot travel, and submits every other stage that is neither finished nor in the queue.
    /// [`Submission::wait`] then waits for them.
    ///
    /// # Errors
    /// If a stage that has to be computed here fails, the store cannot be used, or Slurm refuses a job; the jobs
    /// submitted before stay in the queue.
    pub fn submit(
        &self,
        study: &str,
        graph: &Graph,
        store: &Store,
        reporter: &dyn Reporter,
    ) -> Result<(Submission, Submitted)> {
        let tasks = TaskList::of(graph, study, self.settings)?;
        let mut submission = Submission::prepare(store, tasks)?;
        self.compute_what_stays(graph, store, reporter)?;
        for array in submission.tasks().arrays() {
            let script = Script {
                array: &array,
                job: submission.job_name(&array),
                resources: self.settings.resources(&array.kind),
                program: &self.program,
                plan: &submission.plan(),
                folder: &self.folder,
                logs: &submission.logs(),
                device: &submission.tasks().device,
            };
            let path = submission.script(&array);
            fs::write(&path, script.to_string()).map_err(Error::io("writing", &path))?;
        }
        let submitted = submission.submit(store)?;
        Ok((submission, submitted))
    }

    /// Computes the stages that cannot travel.
    fn compute_what_stays(&self, graph: &Graph, store: &Store, reporter: &dyn Reporter) -> Result<()> {
        let session = store.join()?;
        for node in graph.nodes().iter().filter(|node| node.stage().portable().is_none()) {
            if store.finished(node.id())?.is_some() {
                continue;
            }
            let stage = node.stage();
            for input in stage.inputs() {
                if store.finished(input)?.is_none() {
                    return Err(Error::Stays { kind: stage.kind(), name: stage.name(), input });
                }
            }
            if let Some(End::Failed(failure)) = attempt(node, &session, reporter, self.threads.get(), Patience::Wait) {
                return Err(Error::Here { kind: stage.kind(), name: stage.name(), failure: Box::new(failure) });
            }
        }
        Ok(())
    }
}
