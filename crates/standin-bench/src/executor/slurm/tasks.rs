//! The stages of a study as a list of tasks that any process can compute.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use standin_nn::DeviceChoice;

use super::{Error, Result};
use crate::graph::Graph;
use crate::stage::{Stage, StageId};
use crate::study::{Slurm, rebuild};

/// The stages that travel, those of one depth and kind beside each other: the content of `plan.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskList {
    /// Version of the program that planned.
    pub program_version: String,
    /// Name of the study.
    pub study: String,
    /// What the tasks lead to ([`Graph::end`]).
    pub end: StageId,
    /// The device that the stages are to be computed on.
    pub device: String,
    /// The cluster, where several share their commands.
    pub cluster: Option<String>,
    /// Tasks of one job array at most.
    pub array_limit: usize,
    /// For each kind how many tasks of one job array run at the same time at most, where that is limited.
    pub concurrent: BTreeMap<String, u32>,
    /// The tasks, each after those it reads.
    pub tasks: Vec<Task>,
}

/// One stage of the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The stage's identity.
    pub id: StageId,
    /// Its kind.
    pub kind: String,
    /// The name people read.
    pub name: String,
    /// Length of the longest chain of stages it waits for.
    pub depth: usize,
    /// What it reads; what is no task itself was computed before.
    pub inputs: Vec<StageId>,
    /// The stage as data.
    pub stage: Value,
}

/// Tasks that one batch script computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// Name of the script and of its logs: depth, kind, and a number where there are several.
    pub name: String,
    /// Kind of the stages.
    pub kind: String,
    /// Position of the first task in the list.
    pub first: usize,
    /// How many there are.
    pub len: usize,
}

impl TaskList {
    /// The stages of a graph that travel.
    ///
    /// # Errors
    /// If a stage's data do not make the same stage again.
    pub fn of(graph: &Graph, study: &str, settings: &Slurm) -> Result<Self> {
        let mut depths: Vec<usize> = Vec::new();
        let mut tasks = Vec::new();
        for node in graph.nodes() {
            let depth = node.inputs().iter().map(|&input| depths[input] + 1).max().unwrap_or(0);
            depths.push(depth);
            let stage = node.stage();
            let Some(data) = stage.portable() else { continue };
            rebuild(stage.kind(), node.id(), data.clone())?;
            tasks.push(Task {
                id: node.id(),
                kind: stage.kind().to_owned(),
                name: stage.name(),
                depth,
                inputs: stage.inputs(),
                stage: data,
            });
        }
        tasks.sort_by(|a, b| (a.depth, &a.kind).cmp(&(b.depth, &b.kind)));
        let kinds = tasks.iter().map(|task| &task.kind);
        let concurrent = kinds.filter_map(|kind| Some((kind.clone(), settings.resources(kind).concurrent?))).collect();
        Ok(Self {
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            study: study.to_owned(),
            end: graph.end(),
            device: DeviceChoice::chosen().to_string(),
            cluster: settings.clusters.clone(),
            array_limit: settings.array_limit,
            concurrent,
            tasks,
        })
    }

    /// The arrays in the order of their depth.
    pub fn arrays(&self) -> Vec<Array> {
        let mut arrays = Vec::new();
        let mut first = 0;
        for alike in self.tasks.chunk_by(|a, b| (a.depth, &a.kind) == (b.depth, &b.kind)) {
            let Task { depth, kind, .. } = &alike[0];
            let parts = alike.chunks(self.array_limit.max(1));
            let several = parts.len() > 1;
            for (number, part) in parts.enumerate() {
                let part_of = if several { format!("-{}", number + 1) } else { String::new() };
                let name = format!("{depth:02}-{kind}{part_of}");
                arrays.push(Array { name, kind: kind.clone(), first, len: part.len() });
                first += part.len();
            }
        }
        arrays
    }

    /// The position of each task.
    pub(super) fn positions(&self) -> HashMap<StageId, usize> {
        self.tasks.iter().enumerate().map(|(position, task)| (task.id, position)).collect()
    }

    /// Reads the list from a file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::io("reading", path))?;
        serde_json::from_str(&text)
            .map_err(|error| Error::Damaged { path: path.to_path_buf(), found: format!("it is no plan ({error})") })
    }

    /// Writes the list to a file, at once for whoever reads it meanwhile.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string(self).expect("stages were read back from their data before");
        super::submission::replace(path, &text)
    }
}

impl Task {
    /// The stage.
    ///
    /// # Errors
    /// If the data do not make it again.
    pub fn stage(&self) -> Result<Box<dyn Stage>> {
        Ok(rebuild(&self.kind, self.id, self.stage.clone())?)
    }
}

/// Positions in the form of `sbatch --array`: `0-3,5`.
pub(super) fn ranges(positions: &[usize]) -> String {
    let runs = positions.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [one] => one.to_string(),
        _ => format!("{}-{}", run[0], run[run.len() - 1]),
    });
    runs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(tasks: &[(usize, &str)], array_limit: usize) -> TaskList {
        let id = |n: usize| StageId::from_parts("task", 1, &n.into(), &[]);
        let tasks = tasks.iter().enumerate().map(|(position, &(depth, kind))| Task {
            id: id(position),
            kind: kind.into(),
            name: format!("{kind} {position}"),
            depth,
            inputs: Vec::new(),
            stage: Value::Null,
        });
        TaskList {
            program_version: String::new(),
            study: "s".into(),
            end: id(0),
            device: "cpu".into(),
            cluster: None,
            array_limit,
            concurrent: BTreeMap::new(),
            tasks: tasks.collect(),
        }
    }

    #[test]
    fn arrays_hold_one_kind_of_one_depth_and_no_more_than_allowed() {
        let tasks = list(&[(1, "split"), (1, "split"), (1, "split"), (2, "embed"), (2, "generate"), (3, "embed")], 2);
        let arrays: Vec<_> = tasks.arrays().into_iter().map(|array| (array.name, array.first, array.len)).collect();
        let expected =
            [("01-split-1", 0, 2), ("01-split-2", 2, 1), ("02-embed", 3, 1), ("02-generate", 4, 1), ("03-embed", 5, 1)];
        assert_eq!(arrays, expected.map(|(name, first, len)| (name.to_owned(), first, len)));
    }

    #[test]
    fn positions_are_written_in_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 3, 5, 7, 8]), "0-3,5,7-8");
        assert_eq!(ranges(&[4]), "4");
        assert_eq!(ranges(&[]), "");
    }

    #[test]
    fn a_list_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        let tasks = list(&[(1, "split")], 10);
        tasks.write(&path).unwrap();
        assert_eq!(TaskList::read(&path).unwrap(), tasks);
        fs::write(&path, "{}").unwrap();
        assert!(TaskList::read(&path).unwrap_err().to_string().contains("plan.json: it is no plan"));
    }
}
