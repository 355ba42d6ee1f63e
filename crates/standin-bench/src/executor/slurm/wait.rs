//! Waiting for a submission.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::{Result, Submission};
use crate::executor::schedule::Schedule;
use crate::executor::{End, Execution, Failure, Overall, Reporter, Run};
use crate::graph::Graph;
use crate::stage::StageId;
use crate::store::Store;

/// Between two looks at queue and store: this at first, and a twentieth of the time waited up to the other.
const POLL: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// A network file system may show a finished stage so much later than its task left the queue.
const LAG: Duration = Duration::from_secs(5);
/// For so long the queue may be unreachable.
const OUTAGE: Duration = Duration::from_secs(15 * 60);
/// Lines of a failed task's log that are shown.
const LAST_LINES: usize = 5;

impl Submission {
    /// Waits until every stage is finished or nothing is left in the queue, and says for every stage how it ended. Unless it is to keep
    /// going, the first failure takes what waits out of the queue; tasks at work go on.
    ///
    /// # Errors
    /// If the store cannot be read, or the queue cannot be asked for a quarter of an hour. The jobs go on in any case.
    pub fn wait(&self, graph: &Graph, store: &Store, keep_going: bool, reporter: &dyn Reporter) -> Result<Execution> {
        let positions = self.tasks().positions();
        let mut run = Run { graph, reporter, schedule: Schedule::new(graph), overall: Overall::nothing_of(graph) };
        run.take_finished(store);
        let begun = Instant::now();
        let mut answered = Instant::now();
        let mut gone: HashMap<usize, Instant> = HashMap::new();
        let mut withdrawn: HashSet<usize> = HashSet::new();
        loop {
            let queue = match self.queue() {
                Ok(queue) => queue,
                Err(error) if answered.elapsed() > OUTAGE => return Err(error),
                Err(_) => {
                    thread::sleep(POLL[1]);
                    continue;
                }
            };
            answered = Instant::now();
            // After the queue, so that what has left it is in the store or has failed.
            let present: HashSet<StageId> = store.ids()?.into_iter().collect();
            let mut open = false;
            for (at, node) in graph.nodes().iter().enumerate() {
                if run.schedule.end_of(at).is_some() {
                    continue;
                }
                if present.contains(&node.id()) {
                    match store.finished(node.id()) {
                        Ok(Some(record)) => run.end(at, End::Computed(record)),
                        Ok(None) => {}
                        Err(error) => run.end(at, End::Failed(Failure::Store(error))),
                    }
                    continue;
                }
                let task = positions.get(&node.id());
                let readable = node
                    .inputs()
                    .iter()
                    .all(|&input| run.schedule.end_of(input).is_some_and(|end| end.record().is_some()));
                if task.is_some_and(|task| withdrawn.contains(task)) {
                    continue;
                }
                if !readable || task.is_some_and(|task| queue.contains_key(task)) {
                    gone.remove(&at);
                    open = true;
                } else if gone.entry(at).or_insert_with(Instant::now).elapsed() <= LAG {
                    open = true;
                } else {
                    let log = task.and_then(|&task| self.log(task));
                    let last_lines = log.as_deref().map(last_lines).unwrap_or_default();
                    run.end(at, End::Failed(Failure::Job { log, last_lines }));
                }
            }
            let complete = (0..graph.len()).all(|at| run.schedule.end_of(at).is_some_and(|end| end.record().is_some()));
            if complete || (!open && queue.is_empty()) {
                return Ok(run.finish());
            }
            if !keep_going && withdrawn.is_empty() && run.schedule.any_failed() {
                self.cancel_waiting(&queue)?;
                withdrawn = queue.iter().filter(|(_, queued)| !queued.running).map(|(&task, _)| task).collect();
            }
            let running = queue.values().filter(|queued| queued.running).count();
            reporter.queued(running, queue.len() - running);
            thread::sleep((begun.elapsed() / 20).clamp(POLL[0], POLL[1]));
        }
    }
}

/// The end of a log, as far as it can be read.
fn last_lines(log: &Path) -> Vec<String> {
    const TAIL: u64 = 4_096;
    let read = || {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(|&line| line.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("x.log");
        let text: Vec<String> = (0..1_000).map(|line| format!("line {line}\n")).collect();
        std::fs::write(&log, text.concat()).unwrap();
        assert_eq!(last_lines(&log), ["line 995", "line 996", "line 997", "line 998", "line 999"]);
        assert!(last_lines(&folder.path().join("none.log")).is_empty());
    }
}
