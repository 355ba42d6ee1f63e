//! Progress of a study's stages.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use standin_bench::executor::{End, Execution, Overall, Reporter};
use standin_bench::graph::{Graph, Node};
use standin_data::Progress;

use crate::terminal::{Terminal, duration};

/// Between two plain lines about the whole study.
const INTERVAL: Duration = Duration::from_secs(10);

/// Tells the terminal what an executor does.
#[derive(Debug)]
pub struct StageReporter<'a> {
    terminal: &'a Terminal,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    began: Instant,
    /// Weight that was in the store already: it says nothing about the speed of this run.
    cached: u64,
    computed: usize,
    said: Option<Instant>,
    /// How much of the graph has ended.
    overall: Option<Overall>,
    /// On a cluster: how many stages are computed and how many wait.
    queue: Option<(usize, usize)>,
}

impl<'a> StageReporter<'a> {
    /// Reports to this terminal.
    pub fn new(terminal: &'a Terminal) -> Self {
        let state = State { began: Instant::now(), cached: 0, computed: 0, said: None, overall: None, queue: None };
        Self { terminal, state: Mutex::new(state) }
    }

    /// Says what was done and what was saved.
    pub fn finish(&self, execution: &Execution) {
        self.terminal.overall(None);
        let computed = execution.stages.iter().filter(|stage| matches!(stage.end, End::Computed(_))).count();
        let cached = execution.stages.len() - computed;
        let saved = execution.seconds_saved();
        let elapsed = self.lock().began.elapsed();
        self.terminal.note(&match (computed, cached) {
            (0, _) => format!(
                "nothing to do: all {cached} stages are in the store ({} of work)",
                duration(Duration::from_secs_f64(saved))
            ),
            (_, 0) => format!("{computed} stages computed in {}", duration(elapsed)),
            (_, _) => format!(
                "{computed} stages computed in {}, {cached} found in the store ({} of work saved)",
                duration(elapsed),
                duration(Duration::from_secs_f64(saved))
            ),
        });
    }

    /// Says how far the study is, if it has moved at all.
    fn say(&self, state: &mut State) {
        let Some(overall) = state.overall.filter(|_| state.computed > 0 || state.queue.is_some()) else { return };
        let mut line = format!("{} of {} stages, {:.0} %", overall.stages, overall.of_stages, 100.0 * overall.share());
        if state.computed > 0 {
            let done = overall.weight.saturating_sub(state.cached).max(1);
            let rest = overall.of_weight.saturating_sub(overall.weight);
            line += &format!(", {} left", duration(state.began.elapsed().mul_f64(rest as f64 / done as f64)));
        }
        if let Some((running, pending)) = state.queue {
            line += &format!("; {running} running, {pending} in the queue");
        }
        let due = state.said.is_none_or(|said| said.elapsed() >= INTERVAL);
        if due {
            state.said = Some(Instant::now());
        }
        self.terminal.overall(Some((&line, due)));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Reporter for StageReporter<'_> {
    fn planned(&self, graph: &Graph) {
        self.terminal.note(&format!("{} stages", graph.len()));
    }

    fn started(&self, node: &Node, _: usize) -> Box<dyn Progress + '_> {
        Box::new(self.terminal.progress(&node.stage().name()))
    }

    fn waiting(&self, node: &Node) {
        self.terminal.note(&format!("waiting for {}, which another process computes", node.stage().name()));
    }

    fn ended(&self, node: &Node, end: &End, overall: Overall) {
        let mut state = self.lock();
        match end {
            End::Cached(_) => state.cached += node.weight(),
            End::Computed(_) => state.computed += 1,
            End::Failed(failure) => self.terminal.warn(&format!("{} failed: {failure}", node.stage().name())),
            End::Skipped(_) | End::NotStarted => {}
        }
        state.overall = Some(overall);
        self.say(&mut state);
    }

    fn queued(&self, running: usize, pending: usize) {
        let mut state = self.lock();
        state.queue = Some((running, pending));
        self.say(&mut state);
    }
}
