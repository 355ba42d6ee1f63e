use standin_data::{Progress, Silent};

use super::End;
use crate::graph::{Graph, Node};

/// Where an executor says what it does: bars on a terminal, lines in a log, or nothing.
///
/// [`Reporter::planned`] and [`Reporter::ended`] are called from one thread; the others from the stages' threads, several
/// at a time.
pub trait Reporter: Sync {
    /// The execution of a graph begins.
    fn planned(&self, graph: &Graph);

    /// A stage begins to be computed on so many threads. It tells its progress to what this returns.
    fn started(&self, node: &Node, threads: usize) -> Box<dyn Progress + '_>;

    /// Another process computes this stage, and there is nothing to do but wait for it.
    fn waiting(&self, node: &Node);

    /// So many stages are computed by jobs of a cluster, and so many wait in its queue.
    fn queued(&self, _running: usize, _pending: usize) {}

    /// A stage ended, perhaps without having been started. `overall` includes it.
    fn ended(&self, node: &Node, end: &End, overall: Overall);
}

/// Reports nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Reporter for Quiet {
    fn planned(&self, _: &Graph) {}

    fn started(&self, _: &Node, _: usize) -> Box<dyn Progress + '_> {
        Box::new(Silent)
    }

    fn waiting(&self, _: &Node) {}

    fn ended(&self, _: &Node, _: &End, _: Overall) {}
}

/// How much of a graph has ended, in whatever way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overall {
    /// Stages that ended.
    pub stages: usize,
    /// Stages of the graph.
    pub of_stages: usize,
    /// Weight of the stages that ended.
    pub weight: u64,
    /// Weight of the graph's stages.
    pub of_weight: u64,
}

impl Overall {
    pub(super) fn nothing_of(graph: &Graph) -> Self {
        let of_weight = graph.nodes().iter().fold(0, |sum: u64, node| sum.saturating_add(node.weight()));
        Self { stages: 0, of_stages: graph.len(), weight: 0, of_weight }
    }

    pub(super) fn add(&mut self, node: &Node) {
        self.stages += 1;
        self.weight = self.weight.saturating_add(node.weight());
    }

    /// The share of the work that is done, from 0 to 1, by weight.
    pub fn share(self) -> f64 {
        if self.of_weight == 0 { 1.0 } else { self.weight as f64 / self.of_weight as f64 }
    }
}
