//! A study's folder in the store: which jobs were submitted for which tasks, and what is still in the queue.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::scheduler::{Queued, Scheduler};
use super::tasks::ranges;
use super::{Array, Error, Result, TaskList};
use crate::stage::StageId;
use crate::store::Store;

/// Where submissions lie in a store.
const FOLDER: &str = ".slurm";
const PLAN: &str = "plan.json";
const JOBS: &str = "submission.toml";
const LOGS: &str = "logs";
const LOCK: &str = "lock";

/// A study handed to a cluster.
#[derive(Debug)]
pub struct Submission {
    folder: PathBuf,
    tasks: TaskList,
    jobs: Jobs,
}

/// What was submitted: the content of `submission.toml`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jobs {
    #[serde(default, rename = "job")]
    jobs: Vec<Job>,
}

/// One job array.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    /// Its number in the queue.
    id: u64,
    /// Name of its script.
    array: String,
    /// Position of the script's first task in the plan.
    first: usize,
    /// The tasks that were submitted, counted from the script's first.
    tasks: String,
    /// When, in seconds since 1970-01-01 UTC.
    submitted_unix_seconds: u64,
}

/// What one submission put into the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Submitted {
    /// Tasks.
    pub tasks: usize,
    /// Job arrays that hold them.
    pub arrays: usize,
    /// Tasks that were in the queue before.
    pub queued: usize,
}

/// A task in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InQueue {
    pub job: u64,
    /// Its index in the job array.
    pub index: usize,
    pub running: bool,
    pub reason: String,
}

impl Submission {
    /// The folder of a study in the store, with its tasks written down.
    ///
    /// # Errors
    /// If it cannot be written, or if jobs that are still in the queue work on other tasks.
    pub(super) fn prepare(store: &Store, tasks: TaskList) -> Result<Self> {
        let root = fs::canonicalize(store.root()).map_err(Error::io("finding", store.root()))?;
        let name = format!("{}-{}", tasks.study, &tasks.end.to_string()[..8]);
        let folder = root.join(FOLDER).join(name);
        let logs = folder.join(LOGS);
        fs::create_dir_all(&logs).map_err(Error::io("creating", &logs))?;
        let submission = Self { jobs: Jobs::read(&folder)?, folder, tasks };
        let plan = submission.plan();
        if plan.exists() {
            let before =
                TaskList::read(&plan).map(|list| list.tasks.into_iter().map(|task| task.id).collect::<Vec<_>>());
            if before.ok().is_none_or(|before| !before.iter().eq(submission.tasks.tasks.iter().map(|task| &task.id))) {
                let queued = submission.queue()?.len();
                if queued > 0 {
                    return Err(Error::Changed { folder: submission.folder, queued });
                }
            }
        }
        submission.tasks.write(&plan)?;
        Ok(submission)
    }

    /// The submissions in a store, the youngest first.
    ///
    /// # Errors
    /// If the store's folder cannot be read, or a submission is damaged.
    pub fn all(store: &Store) -> Result<Vec<Self>> {
        let folder = store.root().join(FOLDER);
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let folder = fs::canonicalize(&folder).map_err(Error::io("finding", &folder))?;
        let mut submissions = Vec::new();
        for entry in fs::read_dir(&folder).map_err(Error::io("reading", &folder))? {
            let folder = entry.map_err(Error::io("reading", &folder))?.path();
            if folder.join(PLAN).exists() {
                let tasks = TaskList::read(&folder.join(PLAN))?;
                submissions.push(Self { jobs: Jobs::read(&folder)?, folder, tasks });
            }
        }
        let begun = |submission: &Self| submission.jobs.jobs.last().map_or(0, |job| job.submitted_unix_seconds);
        submissions.sort_by(|a, b| (begun(b), &a.folder).cmp(&(begun(a), &b.folder)));
        Ok(submissions)
    }

    /// Name of the folder: the study's with the first digits of what it leads to.
    pub fn name(&self) -> String {
        self.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The folder with scripts and logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The tasks.
    pub fn tasks(&self) -> &TaskList {
        &self.tasks
    }

    pub(super) fn plan(&self) -> PathBuf {
        self.folder.join(PLAN)
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.folder.join(LOGS)
    }

    pub(super) fn script(&self, array: &Array) -> PathBuf {
        self.folder.join(format!("{}.sh", array.name))
    }

    pub(super) fn job_name(&self, array: &Array) -> String {
        format!("{}.{}", self.name(), array.name)
    }

    /// The store of a plan in a folder of it.
    pub(super) fn store_of(plan: &Path) -> Result<Store> {
        let plan = fs::canonicalize(plan).map_err(Error::io("finding", plan))?;
        let root = plan.ancestors().nth(3).ok_or_else(|| Error::Damaged {
            path: plan.clone(),
            found: format!("a plan lies in a store, below {FOLDER}/, and this one does not"),
        })?;
        Ok(Store::open_existing(root)?)
    }

    fn scheduler(&self) -> Scheduler {
        Scheduler { cluster: self.tasks.cluster.clone() }
    }

    /// The tasks in the queue, by position.
    pub(super) fn queue(&self) -> Result<BTreeMap<usize, InQueue>> {
        let jobs = self.jobs.jobs.iter().map(|job| job.id).collect();
        let queue = self.scheduler().queue(&jobs)?;
        Ok(queue.into_iter().filter_map(|queued| self.position(queued)).collect())
    }

    /// The task behind an entry of the queue. Slurm gives numbers again after long, to whomever: hence the look at the
    /// name.
    fn position(&self, queued: Queued) -> Option<(usize, InQueue)> {
        let Queued { job: id, task: index, running, name, reason } = queued;
        let job = self.jobs.jobs.iter().rev().find(|job| job.id == id)?;
        let ours = name == format!("{}.{}", self.name(), job.array);
        ours.then_some((job.first + index, InQueue { job: id, index, running, reason }))
    }

    /// The log of a task, if it was ever submitted.
    pub fn log(&self, position: usize) -> Option<PathBuf> {
        let job = self
            .jobs
            .jobs
            .iter()
            .rev()
            .find(|job| position.checked_sub(job.first).is_some_and(|task| job.has(task)))?;
        Some(self.logs().join(format!("{}-{}.log", job.array, position - job.first)))
    }

    /// Submits the tasks that are neither finished nor in the queue. A task that waits there for one of these is taken
    /// out and submitted with it: it would begin too early.
    ///
    /// # Errors
    /// If the store or the folder cannot be used, a task reads what is not there and is no task, or Slurm refuses a
    /// job; what was submitted until then stays in the queue, and is not submitted again.
    pub fn submit(&mut self, store: &Store) -> Result<Submitted> {
        let lock = self.folder.join(LOCK);
        let lock =
            File::create(&lock).and_then(|file| file.lock().map(|()| file)).map_err(Error::io("locking", &lock))?;
        self.jobs = Jobs::read(&self.folder)?;
        // In this order, so that a task that ends in between counts as queued and not as missing.
        let mut queue = self.queue()?;
        let positions = self.tasks.positions();
        let missing = self.missing(store, &queue, &positions)?;
        let early = missing.iter().filter_map(|&position| Some((position, queue.remove(&position)?))).collect();
        self.cancel_waiting(&early)?;

        let mut job_of: BTreeMap<usize, u64> = queue.iter().map(|(&position, queued)| (position, queued.job)).collect();
        let mut submitted = Submitted { queued: queue.len(), ..Submitted::default() };
        for array in self.tasks.arrays() {
            let members: Vec<usize> = missing.range(array.first..array.first + array.len).copied().collect();
            if members.is_empty() {
                continue;
            }
            let mut after = BTreeSet::new();
            for &member in &members {
                for input in self.inputs(member, store, &positions)? {
                    after.extend(job_of.get(&input));
                }
            }
            let indices: Vec<usize> = members.iter().map(|member| member - array.first).collect();
            let tasks = ranges(&indices);
            let limit = self.tasks.concurrent.get(&array.kind).map_or_else(String::new, |limit| format!("%{limit}"));
            let id = self.scheduler().submit(&self.script(&array), &format!("{tasks}{limit}"), &after)?;
            job_of.extend(members.iter().map(|&member| (member, id)));
            let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let job = Job { id, array: array.name, first: array.first, tasks, submitted_unix_seconds: since };
            self.jobs.jobs.push(job);
            // At once: what is not written down would be submitted again.
            self.jobs.write(&self.folder)?;
            submitted.tasks += members.len();
            submitted.arrays += 1;
        }
        drop(lock);
        Ok(submitted)
    }

    /// The tasks that have to be submitted: neither finished nor in the queue, or waiting there for one of these.
    fn missing(
        &self,
        store: &Store,
        queue: &BTreeMap<usize, InQueue>,
        positions: &HashMap<StageId, usize>,
    ) -> Result<BTreeSet<usize>> {
        let mut missing = BTreeSet::new();
        for (position, task) in self.tasks.tasks.iter().enumerate() {
            if store.finished(task.id)?.is_some() {
                continue;
            }
            let too_early = task.inputs.iter().any(|input| positions.get(input).is_some_and(|at| missing.contains(at)));
            if queue.get(&position).is_none_or(|queued| !queued.running && too_early) {
                missing.insert(position);
            }
        }
        Ok(missing)
    }

    /// The tasks that one reads; what it reads else must be finished.
    fn inputs(&self, position: usize, store: &Store, positions: &HashMap<StageId, usize>) -> Result<Vec<usize>> {
        let task = &self.tasks.tasks[position];
        let mut tasks = Vec::new();
        for &input in &task.inputs {
            match positions.get(&input) {
                Some(&position) => tasks.push(position),
                None if store.finished(input)?.is_some() => {}
                None => return Err(Error::Gone { name: task.name.clone(), input }),
            }
        }
        Ok(tasks)
    }

    /// Takes the tasks that wait out of the queue.
    pub(super) fn cancel_waiting(&self, queue: &BTreeMap<usize, InQueue>) -> Result<()> {
        let waiting = queue.values().filter(|queued| !queued.running);
        self.scheduler().cancel(&waiting.map(|queued| format!("{}_{}", queued.job, queued.index)).collect::<Vec<_>>())
    }

    /// Takes every task out of the queue, whether it waits or is at work, and says how many there were.
    ///
    /// # Errors
    /// If the queue cannot be asked, or Slurm refuses.
    pub fn cancel(&self) -> Result<usize> {
        let queue = self.queue()?;
        let jobs: BTreeSet<u64> = queue.values().map(|queued| queued.job).collect();
        self.scheduler().cancel(&jobs.iter().map(u64::to_string).collect::<Vec<_>>())?;
        Ok(queue.len())
    }
}

impl Jobs {
    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(JOBS);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
        toml::from_str(&text).map_err(|error| Error::Damaged { path, found: error.message().to_owned() })
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let text = toml::to_string(self).expect("numbers and names can be written as TOML");
        replace(&folder.join(JOBS), &text)
    }
}

impl Job {
    /// Whether a task is among those submitted.
    fn has(&self, task: usize) -> bool {
        self.tasks.split(',').any(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let bounds = (first.parse(), last.parse());
            matches!(bounds, (Ok(first), Ok(last)) if (first..=last).contains(&task))
        })
    }
}

/// Writes a file at once: whoever reads it finds the old content or the new one.
pub(super) fn replace(path: &Path, text: &str) -> Result<()> {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).map_err(Error::io("writing", &draft))?;
    fs::rename(&draft, path).map_err(Error::io("writing", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_knows_its_tasks() {
        let job = Job { id: 1, array: "01-split".into(), first: 10, tasks: "0-3,7".into(), submitted_unix_seconds: 0 };
        let has: Vec<usize> = (0..10).filter(|&task| job.has(task)).collect();
        assert_eq!(has, [0, 1, 2, 3, 7]);
        let jobs = Jobs { jobs: vec![job] };
        let folder = tempfile::tempdir().unwrap();
        jobs.write(folder.path()).unwrap();
        assert_eq!(Jobs::read(folder.path()).unwrap(), jobs);
    }
}
