//! What a graph would cost, before any of it runs.

use std::num::NonZero;

use serde::Serialize;

use crate::experience::{Basis, Expected};
use crate::graph::Graph;
use crate::stage::StageId;
use crate::store::Store;

/// A graph before it is run: what is there, what there is to do, and what that may cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planned {
    /// The stages, each after those it reads.
    pub stages: Vec<PlannedStage>,
    /// Threads that would run them.
    pub threads: usize,
}

/// One stage of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedStage {
    /// Its identity.
    pub id: StageId,
    /// What it does.
    pub kind: &'static str,
    /// The name people read.
    pub name: String,
    /// The stages it reads.
    pub inputs: Vec<StageId>,
    /// Whether its result is in the store.
    pub finished: bool,
    /// What it is expected to cost; none if nothing like it is known.
    pub expected: Option<Expected>,
}

/// The stages of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedKind {
    /// What they do: "generate", "classify", ….
    pub kind: &'static str,
    /// Kinds of the stages they read.
    pub after: Vec<&'static str>,
    /// How many the graph has.
    pub stages: usize,
    /// Those in the store already.
    pub finished: usize,
    /// Expected seconds of those to do, times the threads they hold, where known.
    pub core_seconds: f64,
    /// Expected memory of the largest of those to do, where known.
    pub bytes: Option<u64>,
    /// Stages to do of which nothing is known.
    pub unknown: usize,
}

impl PlannedKind {
    /// Stages to do.
    pub fn left(&self) -> usize {
        self.stages - self.finished
    }
}

impl Planned {
    /// Looks up what is finished. What the rest is expected to cost the graph has been told by [`Graph::expect`].
    pub fn of(graph: &Graph, store: &Store, threads: NonZero<usize>) -> Self {
        let stages = graph.nodes().iter().map(|node| PlannedStage {
            id: node.id(),
            kind: node.stage().kind(),
            name: node.stage().name(),
            inputs: node.stage().inputs(),
            finished: matches!(store.finished(node.id()), Ok(Some(_))),
            expected: node.expected().copied(),
        });
        Self { stages: stages.collect(), threads: threads.get() }
    }

    /// Stages to do.
    pub fn left(&self) -> impl Iterator<Item = &PlannedStage> {
        self.stages.iter().filter(|stage| !stage.finished)
    }

    /// Time that the stages to do take on these threads, in seconds, as far as their costs are known: all threads are at work for as long
    /// as many stages are ready, and nearly so at the end.
    pub fn seconds(&self) -> f64 {
        let known = self.left().filter_map(|stage| stage.expected);
        known.map(|expected| expected.core_seconds).sum::<f64>() / self.threads as f64
    }

    /// Memory of the largest stages to do, as many as could run side by side.
    pub fn bytes(&self) -> u64 {
        let mut bytes: Vec<u64> = self.left().filter_map(|stage| stage.expected?.bytes).collect();
        bytes.sort_unstable_by(|a, b| b.cmp(a));
        bytes.iter().take(self.threads).sum()
    }

    /// Stages to do of which nothing is known.
    pub fn unknown(&self) -> usize {
        self.left().filter(|stage| stage.expected.is_none()).count()
    }

    /// Stages to do whose cost comes from sizes, and not from stages of the same configuration.
    pub fn scaled(&self) -> usize {
        self.left().filter(|stage| stage.expected.is_some_and(|expected| expected.basis > Basis::Same)).count()
    }

    /// By kind, in the order of first use.
    pub fn kinds(&self) -> Vec<PlannedKind> {
        let mut kinds: Vec<PlannedKind> = Vec::new();
        let kind_of: std::collections::HashMap<StageId, &'static str> =
            self.stages.iter().map(|stage| (stage.id, stage.kind)).collect();
        for stage in &self.stages {
            let position = kinds.iter().position(|planned| planned.kind == stage.kind).unwrap_or_else(|| {
                kinds.push(PlannedKind {
                    kind: stage.kind,
                    after: Vec::new(),
                    stages: 0,
                    finished: 0,
                    core_seconds: 0.0,
                    bytes: None,
                    unknown: 0,
                });
                kinds.len() - 1
            });
            let kind = &mut kinds[position];
            kind.stages += 1;
            for input in &stage.inputs {
                if let Some(before) = kind_of.get(input).filter(|before| !kind.after.contains(before)) {
                    kind.after.push(before);
                }
            }
            match (stage.finished, stage.expected) {
                (true, _) => kind.finished += 1,
                (false, None) => kind.unknown += 1,
                (false, Some(expected)) => {
                    kind.core_seconds += expected.core_seconds;
                    kind.bytes = kind.bytes.max(expected.bytes);
                }
            }
        }
        kinds
    }
}
