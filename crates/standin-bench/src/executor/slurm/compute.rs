//! One task, computed by a process of its own.

use std::num::NonZero;
use std::path::Path;
use std::thread;
use std::time::Duration;

use standin_nn::DeviceChoice;

use super::{Error, Result, Submission, TaskList};
use crate::executor::schedule::Patience;
use crate::executor::{End, Reporter, attempt};
use crate::graph::Node;
use crate::stage::StageId;
use crate::store::Store;

/// How often, and after what time, an input is looked for again: a network file system may show it late.
const LOOKS: usize = 4;
const BETWEEN: Duration = Duration::from_secs(1);

/// What became of a task.
#[derive(Debug)]
pub enum Computed {
    /// It was computed, found finished, or failed.
    Ended {
        /// The stage's kind and name.
        stage: String,
        /// How.
        end: Box<End>,
    },
    /// It was not begun, because these stages, which it reads, are not finished.
    InputsMissing {
        /// The stage's kind and name.
        stage: String,
        /// What is missing, each with its name where it is known.
        missing: Vec<String>,
    },
}

/// Computes one task of a plan in the store that the plan lies in.
///
/// # Errors
/// If the plan or the store cannot be used, there is no such task, or it cannot be made again from its data.
pub fn compute(plan: &Path, index: usize, threads: NonZero<usize>, reporter: &dyn Reporter) -> Result<Computed> {
    let list = TaskList::read(plan)?;
    let tasks = list.tasks.len();
    let Some(task) = list.tasks.get(index) else {
        return Err(Error::Index { plan: plan.to_path_buf(), index, tasks });
    };
    let chosen = DeviceChoice::chosen().to_string();
    if chosen != list.device {
        return Err(Error::Device { planned: list.device, chosen });
    }
    let store = Submission::store_of(plan)?;
    let session = store.join()?;
    let node = Node::alone(task.stage()?);
    let stage = format!("{} ({} {})", task.name, task.kind, task.id.short());
    let missing = missing(&store, &task.inputs)?;
    if !missing.is_empty() {
        let name = |id: &StageId| match list.tasks.iter().find(|task| task.id == *id) {
            Some(task) => format!("{} ({} {})", task.name, task.kind, id.short()),
            None => id.short(),
        };
        return Ok(Computed::InputsMissing { stage, missing: missing.iter().map(name).collect() });
    }
    loop {
        if let Some(end) = attempt(&node, &session, reporter, threads.get(), Patience::Wait) {
            return Ok(Computed::Ended { stage, end: Box::new(end) });
        }
    }
}

/// The inputs that are not in the store.
fn missing(store: &Store, inputs: &[StageId]) -> Result<Vec<StageId>> {
    let mut missing = inputs.to_vec();
    for look in 0..LOOKS {
        if look > 0 {
            thread::sleep(BETWEEN);
            // Reading the folder makes a network file system ask what is in it now.
            store.ids()?;
        }
        let mut still = Vec::new();
        for id in missing {
            if store.finished(id)?.is_none() {
                still.push(id);
            }
        }
        missing = still;
        if missing.is_empty() {
            break;
        }
    }
    Ok(missing)
}
