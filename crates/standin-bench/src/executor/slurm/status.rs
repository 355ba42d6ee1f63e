//! How far a submission is.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use serde::Serialize;

use super::{Result, Submission};
use crate::stage::StageId;
use crate::store::Store;

/// How far a submission is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Name of the submission.
    pub submission: String,
    /// Name of the study.
    pub study: String,
    /// Its last stage, or the digest of the last ones of a part of a study.
    pub end: StageId,
    /// Scripts and logs.
    pub folder: PathBuf,
    /// The tasks by kind, in the order of first use.
    pub kinds: Vec<KindStatus>,
    /// Why tasks wait, in Slurm's words, and how many for each reason.
    pub reasons: BTreeMap<String, usize>,
    /// The tasks that failed.
    pub failed: Vec<FailedTask>,
}

/// The tasks of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindStatus {
    /// What they do.
    pub kind: String,
    /// How many there are.
    pub stages: usize,
    /// In the store.
    pub finished: usize,
    /// At work.
    pub running: usize,
    /// In the queue.
    pub pending: usize,
    /// Neither finished nor in the queue, though everything they read is finished.
    pub failed: usize,
    /// Neither finished nor in the queue, because what they read is not finished either.
    pub blocked: usize,
}

/// A task that is neither finished nor in the queue, though everything it reads is finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedTask {
    /// The stage.
    pub stage: StageId,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What it printed; none if it was never submitted.
    pub log: Option<PathBuf>,
}

impl Submission {
    /// How far the tasks are.
    ///
    /// # Errors
    /// If the queue cannot be asked or the store cannot be read.
    pub fn status(&self, store: &Store) -> Result<Status> {
        // In this order, so that a task that ends in between counts as queued and not as failed.
        let queue = self.queue()?;
        let finished: HashSet<StageId> = store.ids()?.into_iter().collect();
        let list = self.tasks();
        let mut status = Status {
            submission: self.name(),
            study: list.study.clone(),
            end: list.end,
            folder: self.folder().to_path_buf(),
            kinds: Vec::new(),
            reasons: BTreeMap::new(),
            failed: Vec::new(),
        };
        for (position, task) in list.tasks.iter().enumerate() {
            let known = status.kinds.iter().position(|kind| kind.kind == task.kind).unwrap_or_else(|| {
                status.kinds.push(KindStatus { kind: task.kind.clone(), ..KindStatus::default() });
                status.kinds.len() - 1
            });
            let kind = &mut status.kinds[known];
            kind.stages += 1;
            match queue.get(&position) {
                _ if finished.contains(&task.id) => kind.finished += 1,
                Some(queued) if queued.running => kind.running += 1,
                Some(queued) => {
                    kind.pending += 1;
                    *status.reasons.entry(queued.reason.clone()).or_default() += 1;
                }
                None if task.inputs.iter().all(|input| finished.contains(input)) => {
                    kind.failed += 1;
                    status.failed.push(FailedTask {
                        stage: task.id,
                        kind: task.kind.clone(),
                        name: task.name.clone(),
                        log: self.log(position),
                    });
                }
                None => kind.blocked += 1,
            }
        }
        Ok(status)
    }
}
