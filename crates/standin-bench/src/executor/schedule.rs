//! Which stage comes next: the bookkeeping of an execution, without threads and files.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::End;
use crate::graph::Graph;

/// What to do if another process computes the stage at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Wait: there is nothing else to begin.
    Wait,
    /// Begin another stage first.
    Postpone,
}

/// Most urgent first; of equally urgent stages the one the graph has first.
type Urgency = (Reverse<u64>, usize);

pub(super) struct Schedule<'a> {
    graph: &'a Graph,
    urgency: Vec<Urgency>,
    /// For each stage the number of inputs whose result is not there.
    missing: Vec<usize>,
    ready: BTreeSet<Urgency>,
    /// Ready, but another process was found computing them.
    postponed: BTreeSet<Urgency>,
    ends: Vec<Option<End>>,
}

impl<'a> Schedule<'a> {
    pub fn new(graph: &'a Graph) -> Self {
        let nodes = graph.nodes();
        let mut chain = vec![0u64; nodes.len()];
        for (position, node) in nodes.iter().enumerate().rev() {
            let rest = node.dependents().iter().map(|&dependent| chain[dependent]).max().unwrap_or(0);
            chain[position] = node.weight().saturating_add(rest);
        }
        let urgency: Vec<_> =
            chain.into_iter().enumerate().map(|(position, chain)| (Reverse(chain), position)).collect();
        let missing: Vec<_> = nodes.iter().map(|node| node.inputs().len()).collect();
        let ready = urgency.iter().copied().filter(|&(_, position)| missing[position] == 0).collect();
        let ends = nodes.iter().map(|_| None).collect();
        Self { graph, urgency, missing, ready, postponed: BTreeSet::new(), ends }
    }

    /// Takes the stage to begin next of those that fit, and what to do if it is being computed elsewhere.
    pub fn take_next(&mut self, fits: impl Fn(usize) -> bool) -> Option<(usize, Patience)> {
        let lists = [(&mut self.ready, Patience::Postpone), (&mut self.postponed, Patience::Wait)];
        lists.into_iter().find_map(|(list, patience)| {
            let chosen = list.iter().copied().find(|&(_, position)| fits(position))?;
            list.remove(&chosen);
            Some((chosen.1, patience))
        })
    }

    /// Number of stages that could begin now.
    pub fn waiting(&self) -> usize {
        self.ready.len() + self.postponed.len()
    }

    /// Gives back a stage that another process computes.
    pub fn postpone(&mut self, position: usize) {
        self.postponed.insert(self.urgency[position]);
    }

    /// Notes how a stage ended. Returns the stages that ended by this: the stage itself, and if it failed, all that
    /// depend on it and have no result.
    pub fn end(&mut self, position: usize, end: End) -> Vec<usize> {
        let has_result = end.record().is_some();
        self.ready.remove(&self.urgency[position]);
        self.ends[position] = Some(end);
        let mut ended = vec![position];
        if has_result {
            for &dependent in self.graph.nodes()[position].dependents() {
                self.missing[dependent] -= 1;
                if self.missing[dependent] == 0 && self.ends[dependent].is_none() {
                    self.ready.insert(self.urgency[dependent]);
                }
            }
            return ended;
        }
        let failed = self.graph.nodes()[position].id();
        let mut next = 0;
        while let Some(&lost) = ended.get(next) {
            next += 1;
            for &dependent in self.graph.nodes()[lost].dependents() {
                if self.ends[dependent].is_none() {
                    self.ends[dependent] = Some(End::Skipped(failed));
                    ended.push(dependent);
                }
            }
        }
        ended
    }

    pub fn any_failed(&self) -> bool {
        self.ends.iter().any(|end| matches!(end, Some(End::Failed(_))))
    }

    pub fn end_of(&self, position: usize) -> Option<&End> {
        self.ends[position].as_ref()
    }

    pub fn into_ends(self) -> Vec<Option<End>> {
        self.ends
    }
}
