//! The stages of a study and what each of them waits for.

use std::collections::HashMap;

use crate::experience::{Expected, Experience};
use crate::stage::{Stage, StageId};

/// One stage of a graph.
pub struct Node {
    id: StageId,
    stage: Box<dyn Stage>,
    inputs: Vec<usize>,
    dependents: Vec<usize>,
    expected: Option<Expected>,
}

impl Node {
    /// A stage outside any graph, whose inputs are in the store.
    pub(crate) fn alone(stage: Box<dyn Stage>) -> Self {
        Self { id: StageId::of(&*stage), stage, inputs: Vec::new(), dependents: Vec::new(), expected: None }
    }

    /// The stage's identity.
    pub fn id(&self) -> StageId {
        self.id
    }

    /// The stage.
    pub fn stage(&self) -> &dyn Stage {
        &*self.stage
    }

    /// What it is expected to cost, if that is known.
    pub fn expected(&self) -> Option<&Expected> {
        self.expected.as_ref()
    }

    /// How much it is expected to take of the whole, in thousandths of what [`Stage::weight`] counts: milliseconds of one core where
    /// something is known.
    pub fn weight(&self) -> u64 {
        match &self.expected {
            Some(expected) => (expected.core_seconds * 1e3).ceil() as u64,
            None => self.stage.weight().saturating_mul(1000),
        }
    }

    /// Positions in the graph of the stages it reads, each once.
    pub(crate) fn inputs(&self) -> &[usize] {
        &self.inputs
    }

    /// Positions in the graph of the stages that read it, each once.
    pub(crate) fn dependents(&self) -> &[usize] {
        &self.dependents
    }
}

/// Stages in an order in which each comes after what it reads.
///
/// There can be no cycle: a stage's identity contains its inputs' identities, so these exist before it.
#[derive(Default)]
pub struct Graph {
    nodes: Vec<Node>,
    positions: HashMap<StageId, usize>,
}

impl Graph {
    /// A graph without stages.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stage and returns its identity. A stage that is there already is not added again, so two parts of a study
    /// that need the same result simply both ask for it.
    ///
    /// # Errors
    /// If an input has not been added before.
    pub fn add(&mut self, stage: impl Stage + 'static) -> Result<StageId, UnknownInput> {
        let id = StageId::of(&stage);
        if self.positions.contains_key(&id) {
            return Ok(id);
        }
        let mut inputs = Vec::new();
        for input in stage.inputs() {
            let Some(&position) = self.positions.get(&input) else {
                return Err(UnknownInput { stage: stage.name(), kind: stage.kind(), input });
            };
            if !inputs.contains(&position) {
                inputs.push(position);
            }
        }
        let position = self.nodes.len();
        for &input in &inputs {
            self.nodes[input].dependents.push(position);
        }
        self.nodes.push(Node { id, stage: Box::new(stage), inputs, dependents: Vec::new(), expected: None });
        self.positions.insert(id, position);
        Ok(id)
    }

    /// Notes what each stage is expected to cost, by what the like of it cost before.
    pub fn expect(&mut self, experience: &Experience) {
        for node in &mut self.nodes {
            node.expected = experience.expect(&*node.stage);
        }
    }

    /// The part of the graph that these stages need, themselves included.
    pub fn only(self, wanted: impl Fn(&Node) -> bool) -> Self {
        let mut needed = vec![false; self.nodes.len()];
        for (position, node) in self.nodes.iter().enumerate().rev() {
            needed[position] |= wanted(node);
            if needed[position] {
                node.inputs.iter().for_each(|&input| needed[input] = true);
            }
        }
        let mut part = Self::new();
        let mut positions = vec![0; needed.len()];
        for (position, mut node) in self.nodes.into_iter().enumerate().filter(|&(position, _)| needed[position]) {
            positions[position] = part.nodes.len();
            let place = |other: &usize| positions[*other];
            node.inputs = node.inputs.iter().map(place).collect();
            node.dependents.clear();
            for &input in &node.inputs {
                part.nodes[input].dependents.push(positions[position]);
            }
            part.positions.insert(node.id, positions[position]);
            part.nodes.push(node);
        }
        part
    }

    /// The stages, each after those it reads.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The stage with this identity.
    pub fn get(&self, id: StageId) -> Option<&Node> {
        self.positions.get(&id).map(|&position| &self.nodes[position])
    }

    /// What the graph leads to: its last stage, or where several are read by no other, a digest of theirs.
    pub fn end(&self) -> StageId {
        let ends: Vec<StageId> =
            self.nodes.iter().filter(|node| node.dependents.is_empty()).map(|node| node.id).collect();
        match ends[..] {
            [end] => end,
            _ => StageId::from_parts("end", 0, &serde_json::Value::Null, &ends),
        }
    }

    /// Number of stages.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no stage.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

/// A stage reads another that is not in the graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} \"{stage}\" reads stage {input}, which is not in the graph: add every input before what reads it")]
pub struct UnknownInput {
    /// Name of the stage that was to be added.
    pub stage: String,
    /// Its kind.
    pub kind: &'static str,
    /// The input that is missing.
    pub input: StageId,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};
    use standin_data::Progress;

    use super::*;
    use crate::stage::{Inputs, StageResult};

    struct Empty(u64, Vec<StageId>);

    impl Stage for Empty {
        fn kind(&self) -> &'static str {
            "empty"
        }
        fn code_version(&self) -> u32 {
            1
        }
        fn configuration(&self) -> Value {
            json!(self.0)
        }
        fn inputs(&self) -> Vec<StageId> {
            self.1.clone()
        }
        fn run(&self, _: &Inputs, _: &Path, _: &dyn Progress) -> StageResult {
            Ok(())
        }
    }

    #[test]
    fn equal_stages_are_one() {
        let mut graph = Graph::new();
        let a = graph.add(Empty(0, vec![])).unwrap();
        let b = graph.add(Empty(1, vec![a])).unwrap();
        assert_eq!(graph.add(Empty(1, vec![a])), Ok(b));
        assert_eq!(graph.add(Empty(0, vec![])), Ok(a));
        assert_eq!(graph.len(), 2);
        assert_eq!(graph.nodes()[0].dependents(), [1]);
    }

    #[test]
    fn stages_come_after_what_they_read() {
        let mut graph = Graph::new();
        let a = graph.add(Empty(0, vec![])).unwrap();
        let b = graph.add(Empty(1, vec![a])).unwrap();
        graph.add(Empty(2, vec![b, a, b])).unwrap();
        for (position, node) in graph.nodes().iter().enumerate() {
            assert!(node.inputs().iter().all(|&input| input < position));
        }
        assert_eq!(graph.nodes()[2].inputs(), [1, 0]);
    }

    #[test]
    fn a_part_holds_what_it_needs_and_nothing_else() {
        let mut graph = Graph::new();
        let a = graph.add(Empty(0, vec![])).unwrap();
        graph.add(Empty(1, vec![])).unwrap();
        let c = graph.add(Empty(2, vec![a])).unwrap();
        graph.add(Empty(3, vec![c])).unwrap();
        let part = graph.only(|node| node.id() == c);
        assert_eq!(part.nodes().iter().map(Node::id).collect::<Vec<_>>(), [a, c]);
        assert_eq!((part.nodes()[0].dependents(), part.nodes()[1].inputs()), (&[1][..], &[0][..]));
        assert!(part.get(a).is_some() && part.nodes()[1].dependents().is_empty());
    }

    #[test]
    fn a_part_leads_to_its_last_stages() {
        let graph = || {
            let mut graph = Graph::new();
            let a = graph.add(Empty(0, vec![])).unwrap();
            let ends = [1, 2].map(|number| graph.add(Empty(number, vec![a])).unwrap());
            (graph, ends)
        };
        let (whole, [b, c]) = graph();
        let both = whole.end();
        let part = |end| graph().0.only(|node| node.id() == end).end();
        assert_eq!((part(b), part(c)), (b, c));
        assert!(both != b && both != c && both == graph().0.end());
    }

    #[test]
    fn a_missing_input_is_named() {
        let absent = StageId::of(&Empty(0, vec![]));
        let error = Graph::new().add(Empty(1, vec![absent])).unwrap_err();
        assert_eq!(error.input, absent);
        assert!(error.to_string().contains(&absent.to_string()));
    }
}
