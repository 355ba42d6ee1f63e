//! What a graph would cost, before any of it runs.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use crate::graph::Graph;
use crate::store::{Result, Store};

/// The stages of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planned {
    /// What they do: "generate", "classify", ….
    pub kind: &'static str,
    /// How many the graph has.
    pub stages: usize,
    /// Those in the store already.
    pub finished: usize,
    /// Expected processor time of those to do for which the store knows a stage that differs in its seed and its input alone, in seconds.
    pub seconds: f64,
    /// Stages to do for which it knows none.
    pub unknown: usize,
}

impl Planned {
    /// Stages to do.
    pub fn left(&self) -> usize {
        self.stages - self.finished
    }
}

/// The stages of a graph by kind, in the order of first use, with what those to do may cost: the mean processor time of finished stages of
/// the same kind and configuration, whatever their seed.
///
/// # Errors
/// If the store cannot be read.
pub fn planned(graph: &Graph, store: &Store) -> Result<Vec<Planned>> {
    let mut known: HashMap<(String, String), (f64, u32)> = HashMap::new();
    for record in store.list()?.into_iter().filter_map(|entry| entry.record.ok()) {
        let (sum, count) = known.entry((record.kind, unseeded(&record.configuration))).or_default();
        *sum += record.wall_seconds * record.threads as f64;
        *count += 1;
    }
    let mut kinds: Vec<Planned> = Vec::new();
    for node in graph.nodes() {
        let (kind, finished) = (node.stage().kind(), matches!(store.finished(node.id()), Ok(Some(_))));
        let position = kinds.iter().position(|planned| planned.kind == kind).unwrap_or_else(|| {
            kinds.push(Planned { kind, stages: 0, finished: 0, seconds: 0.0, unknown: 0 });
            kinds.len() - 1
        });
        let planned = &mut kinds[position];
        planned.stages += 1;
        if finished {
            planned.finished += 1;
            continue;
        }
        match known.get(&(kind.to_owned(), unseeded(&node.stage().configuration()))) {
            Some((sum, count)) => planned.seconds += sum / f64::from(*count),
            None => planned.unknown += 1,
        }
    }
    Ok(kinds)
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
