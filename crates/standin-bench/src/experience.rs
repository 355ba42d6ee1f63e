//! What stages will cost, from what the like of them cost before.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::graph::Graph;
use crate::stage::{Stage, Workload};
use crate::store::{Record, Result, Store};

/// Costs that were measured on two cores of an AMD Zen 5 with the built-in study and the examples, for stages whose like this store does
/// not know.
const REFERENCE: &str = include_str!("experience/reference.json");

/// Memory of each value more than the like of a stage held: a number of single precision and a copy of it.
const BYTES_PER_VALUE: f64 = 8.0;

/// What a stage is expected to cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Expected {
    /// Seconds times the threads it holds.
    pub core_seconds: f64,
    /// Most memory it holds at once, where that is known.
    pub bytes: Option<u64>,
    /// How that is known.
    pub basis: Basis,
}

/// How an expected cost is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// From stages of the same configuration but for seed and inputs.
    Same,
    /// From stages of the same kind and method in this store, in proportion to size.
    Scaled,
    /// From stages of the same kind and method on another machine, in proportion to size.
    Elsewhere,
}

/// What stages of one kind and method cost: the line of a table that goes from machine to machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Kind of the stages.
    pub kind: String,
    /// How much they had to do, the mean, and by what.
    pub workload: Workload,
    /// How many there were.
    pub stages: usize,
    /// Mean seconds times threads.
    pub core_seconds: f64,
    /// Most memory that one held at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// The costs of finished stages.
#[derive(Clone, Debug, Default)]
pub struct Experience {
    /// By kind and configuration without what tells repetitions apart.
    same: HashMap<(String, String), Vec<Cost>>,
    /// By kind and method.
    alike: HashMap<(String, String), Vec<Cost>>,
    elsewhere: HashMap<(String, String), Vec<Cost>>,
    /// Finished stages by kind and version of its code.
    versions: HashMap<(String, u32), usize>,
}

#[derive(Clone, Copy, Debug)]
struct Cost {
    size: f64,
    held: f64,
    core_seconds: f64,
    bytes: Option<u64>,
}

impl Experience {
    /// What this store knows, and where that is nothing, what another machine knew.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn of(store: &Store) -> Result<Self> {
        let records = store.list()?.into_iter().filter_map(|entry| entry.record.ok());
        let known: Vec<Known> = serde_json::from_str(REFERENCE).unwrap_or_default();
        Ok(Self::from_costs(records, &known))
    }

    fn from_costs(records: impl IntoIterator<Item = Record>, known: &[Known]) -> Self {
        let mut experience = Self::default();
        for record in records {
            *experience.versions.entry((record.kind.clone(), record.code_version)).or_default() += 1;
            let workload = record.workload.clone().unwrap_or_default();
            let cost = Cost {
                size: workload.size,
                held: workload.held,
                core_seconds: record.wall_seconds * record.threads as f64,
                bytes: record.peak_memory_bytes,
            };
            experience.same.entry((record.kind.clone(), unseeded(&record.configuration))).or_default().push(cost);
            if record.workload.is_some() {
                experience.alike.entry((record.kind, workload.method)).or_default().push(cost);
            }
        }
        for known in known {
            let Workload { size, held, .. } = known.workload;
            let cost = Cost { size, held, core_seconds: known.core_seconds, bytes: known.bytes };
            experience.elsewhere.entry((known.kind.clone(), known.workload.method.clone())).or_default().push(cost);
        }
        experience
    }

    /// Finished stages of a graph's kinds that older code of theirs computed: their results are not taken for those of this code.
    pub fn outdated(&self, graph: &Graph) -> usize {
        let current: HashMap<&str, u32> =
            graph.nodes().iter().map(|node| (node.stage().kind(), node.stage().code_version())).collect();
        let older = |kind: &str, version: u32| current.get(kind).is_some_and(|&now| version < now);
        self.versions.iter().filter(|((kind, version), _)| older(kind, *version)).map(|(_, count)| count).sum()
    }

    /// What a stage will cost, if anything like it is known.
    pub fn expect(&self, stage: &dyn Stage) -> Option<Expected> {
        let (kind, Workload { method, size, held }) = (stage.kind().to_owned(), stage.workload());
        let same = self.same.get(&(kind.clone(), unseeded(&stage.configuration())));
        // The same configuration may concern more images than then.
        let same = same.map(|costs| costs.iter().filter(|cost| (cost.size / size - 1.0).abs() < 0.01).copied());
        let same: Vec<Cost> = same.into_iter().flatten().collect();
        if !same.is_empty() {
            let core_seconds = same.iter().map(|cost| cost.core_seconds).sum::<f64>() / same.len() as f64;
            let bytes = same.iter().filter_map(|cost| cost.bytes).max();
            return Some(Expected { core_seconds, bytes, basis: Basis::Same });
        }
        let like = (kind, method);
        let scaled = |costs: &Vec<Cost>, basis| {
            let unlike = |cost: &&Cost| (cost.size / size).ln().abs();
            let nearest = costs.iter().min_by(|a, b| unlike(a).total_cmp(&unlike(b)))?;
            let ratio = size / nearest.size;
            // Networks and what works on them stay as large as they were.
            let more = (held - nearest.held).max(0.0) * BYTES_PER_VALUE;
            let bytes = nearest.bytes.map(|bytes| bytes + more as u64);
            Some(Expected { core_seconds: nearest.core_seconds * ratio, bytes, basis })
        };
        let here = self.alike.get(&like).and_then(|costs| scaled(costs, Basis::Scaled));
        here.or_else(|| self.elsewhere.get(&like).and_then(|costs| scaled(costs, Basis::Elsewhere)))
    }
}

/// What stages of each kind and method in a store cost.
///
/// # Errors
/// If the store cannot be read.
pub fn known(store: &Store) -> Result<Vec<Known>> {
    let mut costs: Vec<Known> = Vec::new();
    let mut positions: HashMap<(String, String), usize> = HashMap::new();
    for record in store.list()?.into_iter().filter_map(|entry| entry.record.ok()) {
        let Some(workload) = record.workload else { continue };
        let position = *positions.entry((record.kind.clone(), workload.method.clone())).or_insert_with(|| {
            let workload = Workload { size: 0.0, held: 0.0, ..workload.clone() };
            costs.push(Known { kind: record.kind, workload, stages: 0, core_seconds: 0.0, bytes: None });
            costs.len() - 1
        });
        let cost = &mut costs[position];
        cost.stages += 1;
        cost.workload.size += workload.size;
        cost.workload.held += workload.held;
        cost.core_seconds += record.wall_seconds * record.threads as f64;
        cost.bytes = cost.bytes.max(record.peak_memory_bytes);
    }
    for cost in &mut costs {
        cost.workload.size /= cost.stages as f64;
        cost.workload.held /= cost.stages as f64;
        cost.core_seconds /= cost.stages as f64;
    }
    costs.sort_by(|a, b| (&a.kind, &a.workload.method).cmp(&(&b.kind, &b.workload.method)));
    Ok(costs)
}

/// A configuration without what tells repetitions and shadows apart.
fn unseeded(configuration: &Value) -> String {
    let mut configuration = configuration.clone();
    if let Some(entries) = configuration.as_object_mut() {
        for key in ["seed", "shadow", "run", "attacked"] {
            entries.remove(key);
        }
    }
    configuration.to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;
    use standin_data::Progress;

    use super::*;
    use crate::stage::{Inputs, StageId, StageResult};

    struct Training(u64, &'static str, f64);

    impl Stage for Training {
        fn kind(&self) -> &'static str {
            "generate"
        }
        fn code_version(&self) -> u32 {
            1
        }
        fn configuration(&self) -> Value {
            json!({ "family": self.1, "size": self.2, "seed": self.0 })
        }
        fn inputs(&self) -> Vec<StageId> {
            Vec::new()
        }
        fn run(&self, _: &Inputs, _: &Path, _: &dyn Progress) -> StageResult {
            Ok(())
        }
        fn workload(&self) -> Workload {
            Workload { method: self.1.to_owned(), size: self.2, held: self.2 / 100.0 }
        }
    }

    fn record(stage: &Training, wall_seconds: f64, threads: usize, bytes: u64) -> Record {
        Record {
            kind: stage.kind().into(),
            name: stage.name(),
            code_version: 1,
            program_version: "1".into(),
            finished_unix_seconds: 0,
            wall_seconds,
            threads,
            peak_memory_bytes: Some(bytes),
            inputs: Vec::new(),
            configuration: stage.configuration(),
            workload: Some(stage.workload()),
            outputs: Vec::new(),
        }
    }

    #[test]
    fn another_seed_costs_the_same() {
        let records = [(1, 10.0, 100), (2, 14.0, 300)]
            .map(|(seed, seconds, bytes)| record(&Training(seed, "vae", 1e6), seconds, 2, bytes));
        let experience = Experience::from_costs(records, &[]);
        let expected = experience.expect(&Training(3, "vae", 1e6)).unwrap();
        assert_eq!(expected, Expected { core_seconds: 24.0, bytes: Some(300), basis: Basis::Same });
        assert_eq!(experience.expect(&Training(3, "gan", 1e6)), None);
    }

    #[test]
    fn more_of_it_costs_in_proportion_to_the_nearest_in_size() {
        let records =
            [(1e6, 10.0), (1e8, 500.0)].map(|(size, seconds)| record(&Training(1, "vae", size), seconds, 1, 100));
        let experience = Experience::from_costs(records, &[]);
        let cost = |size| experience.expect(&Training(1, "vae", size)).unwrap();
        // A million values more in memory.
        assert_eq!(cost(2e8), Expected { core_seconds: 1000.0, bytes: Some(100 + 8_000_000), basis: Basis::Scaled });
        // Less memory is not promised for less work.
        assert_eq!(cost(5e5), Expected { core_seconds: 5.0, bytes: Some(100), basis: Basis::Scaled });
    }

    #[test]
    fn what_another_machine_knows_comes_last() {
        let elsewhere = Known {
            kind: "generate".into(),
            workload: Workload { method: "vae".into(), size: 1e6, held: 0.0 },
            stages: 3,
            core_seconds: 7.0,
            bytes: None,
        };
        let nothing: [Record; 0] = [];
        let stranger = Experience::from_costs(nothing, std::slice::from_ref(&elsewhere));
        let expected = stranger.expect(&Training(1, "vae", 2e6)).unwrap();
        assert_eq!(expected, Expected { core_seconds: 14.0, bytes: None, basis: Basis::Elsewhere });
        let records = [record(&Training(1, "vae", 1e6), 10.0, 1, 1)];
        let experienced = Experience::from_costs(records, &[elsewhere]);
        assert_eq!(experienced.expect(&Training(1, "vae", 2e6)).unwrap().basis, Basis::Scaled);
    }

    #[test]
    fn results_of_older_code_are_counted_and_those_of_other_kinds_are_not() {
        let older = Record { code_version: 0, ..record(&Training(1, "vae", 1.0), 1.0, 1, 1) };
        let records =
            [older.clone(), Record { kind: "measure".into(), ..older }, record(&Training(1, "vae", 1.0), 1.0, 1, 1)];
        let mut graph = Graph::new();
        graph.add(Training(2, "vae", 1.0)).unwrap();
        assert_eq!(Experience::from_costs(records, &[]).outdated(&graph), 1);
    }

    #[test]
    fn the_reference_can_be_read_and_names_the_trainings() {
        let known: Vec<Known> = serde_json::from_str(REFERENCE).unwrap();
        for kind in ["generate", "sample", "classify", "embed", "measure"] {
            assert!(known.iter().any(|known| known.kind == kind && known.core_seconds > 0.0), "{kind}");
        }
    }
}
