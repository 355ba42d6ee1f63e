//! Running the stages of a graph on this machine.
//!
//! # Threads
//! The executor hands out `threads` threads and never more. Whenever some are free, the ready stages share them equally,
//! most urgent first, so many ready stages run side by side with few threads each, and a stage that is ready alone gets
//! all. A stage keeps what it was granted until it ends: its parallel iterators run in a rayon pool of that size. By the
//! contract of [`Stage::run`](crate::stage::Stage::run), what it computes does not depend on it.
//!
//! Urgency is the expected cost of the longest chain of stages that begins with the stage.
//!
//! # Memory
//! A stage is begun only if what it is expected to hold ([`Graph::expect`]) fits beside what the running ones are expected to hold; a less
//! urgent one that fits goes first. A stage of which nothing is known counts nothing.
//!
//! # Failure
//! An error or a panic ends one stage. What reads it is skipped, the rest goes on unless asked otherwise, and what is
//! finished stays in the store for the next attempt.

mod log;
mod memory;
mod outcome;
mod reporter;
mod schedule;
pub mod slurm;

use std::any::Any;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use rayon::ThreadPoolBuilder;

pub use memory::{Account, Counting, available_bytes};
pub use outcome::{End, Execution, Failure, StageOutcome};
pub use reporter::{Overall, Quiet, Reporter};

use crate::graph::{Graph, Node};
use crate::stage::Inputs;
use crate::store::{Claim, Cost, Result, Session, Store};
use log::Log;
use schedule::{Patience, Schedule};

/// Stack of each thread a stage runs on, as large as that of a program's first thread, in bytes.
const STACK: usize = 8 << 20;

/// Runs stages in threads of this process.
#[derive(Clone, Copy, Debug)]
pub struct LocalExecutor {
    /// Threads that all running stages together may use.
    pub threads: NonZero<usize>,
    /// Whether stages that do not depend on a failed one are still begun.
    pub keep_going: bool,
    /// Bytes that all running stages together may be expected to hold; none for no limit. A stage that is expected to need more by itself
    /// runs alone.
    pub memory: Option<u64>,
}

impl Default for LocalExecutor {
    /// All cores, four fifths of the memory that is free now, and as much of the study as possible.
    fn default() -> Self {
        Self {
            threads: thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
            keep_going: true,
            memory: available_bytes().map(|bytes| bytes / 5 * 4),
        }
    }
}

impl LocalExecutor {
    /// Runs what is not yet in the store, and says for every stage how it ended.
    ///
    /// Several processes may run graphs on one store at the same time: each stage is computed by one of them, and the
    /// others take its result.
    ///
    /// # Errors
    /// If the store cannot be used at all. What goes wrong with a single stage is in the result.
    ///
    /// # Panics
    /// If the reporter panics in [`Reporter::planned`] or [`Reporter::ended`].
    pub fn run(&self, graph: &Graph, store: &Store, reporter: &dyn Reporter) -> Result<Execution> {
        let session = store.session()?;
        reporter.planned(graph);
        let mut run = Run { graph, reporter, schedule: Schedule::new(graph), overall: Overall::nothing_of(graph) };
        run.take_finished(store);
        let mut free = self.threads.get();
        // What the running stages are expected to hold.
        let mut held = 0;
        let bytes =
            |position: usize| graph.nodes()[position].expected().and_then(|expected| expected.bytes).unwrap_or(0);

        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            loop {
                while free > 0 && (self.keep_going || !run.schedule.any_failed()) {
                    let alone = free == self.threads.get();
                    let fits = |position| alone || self.memory.is_none_or(|memory| held + bytes(position) <= memory);
                    let Some((position, patience)) = run.schedule.take_next(fits) else { break };
                    let threads = (free / (1 + run.schedule.waiting())).max(1);
                    let (node, session, sender) = (&graph.nodes()[position], &session, sender.clone());
                    let work = move || {
                        let end = attempt(node, session, reporter, threads, patience);
                        // The receiver outlives the stages, unless the reporter panicked: then nobody asks any more.
                        let _ = sender.send((position, threads, end));
                    };
                    match thread::Builder::new().spawn_scoped(scope, work) {
                        Ok(_) => {
                            free -= threads;
                            held += bytes(position);
                        }
                        Err(error) => run.end(position, End::Failed(Failure::Threads(error.to_string()))),
                    }
                }
                if free == self.threads.get() {
                    break;
                }
                let (position, threads, end) = receiver.recv().expect("a running stage holds a sender");
                free += threads;
                held -= bytes(position);
                match end {
                    Some(end) => run.end(position, end),
                    None => run.schedule.postpone(position),
                }
            }
        });
        Ok(run.finish())
    }
}

/// The state of one execution.
struct Run<'a> {
    graph: &'a Graph,
    reporter: &'a dyn Reporter,
    schedule: Schedule<'a>,
    overall: Overall,
}

impl Run<'_> {
    /// Ends every stage whose result, or damaged result, is in the store already.
    fn take_finished(&mut self, store: &Store) {
        let mut damaged = Vec::new();
        for (position, node) in self.graph.nodes().iter().enumerate() {
            match store.finished(node.id()) {
                Ok(Some(record)) => self.end(position, End::Cached(record)),
                Ok(None) => {}
                Err(error) => damaged.push((position, error)),
            }
        }
        // Only now, because what depends on a damaged stage is skipped unless it is finished itself.
        for (position, error) in damaged {
            self.end(position, End::Failed(Failure::Store(error)));
        }
    }

    fn end(&mut self, position: usize, end: End) {
        for ended in self.schedule.end(position, end) {
            let node = &self.graph.nodes()[ended];
            self.overall.add(node);
            if let Some(end) = self.schedule.end_of(ended) {
                self.reporter.ended(node, end, self.overall);
            }
        }
    }

    fn finish(self) -> Execution {
        let ends = self.schedule.into_ends();
        let stages = self.graph.nodes().iter().zip(ends).map(|(node, end)| StageOutcome {
            id: node.id(),
            kind: node.stage().kind(),
            name: node.stage().name(),
            end: end.unwrap_or(End::NotStarted),
        });
        Execution { stages: stages.collect() }
    }
}

/// Runs one stage; `None` if another process computes it and the caller would rather do something else first.
fn attempt(node: &Node, session: &Session, reporter: &dyn Reporter, threads: usize, patience: Patience) -> Option<End> {
    // A reporter may panic, too.
    catch_unwind(AssertUnwindSafe(|| compute(node, session, reporter, threads, patience)))
        .unwrap_or_else(|payload| Err(Failure::Panicked(panic_message(&*payload))))
        .unwrap_or_else(|failure| Some(End::Failed(failure)))
}

fn compute(
    node: &Node,
    session: &Session,
    reporter: &dyn Reporter,
    threads: usize,
    patience: Patience,
) -> Result<Option<End>, Failure> {
    let claim = match session.claim(node.id())? {
        Claim::Busy if patience == Patience::Wait => {
            reporter.waiting(node);
            session.claim_or_wait(node.id())?
        }
        claim => claim,
    };
    let work = match claim {
        Claim::Busy => return Ok(None),
        Claim::Finished(record) => return Ok(Some(End::Cached(*record))),
        Claim::Mine(work) => work,
    };

    let stage = node.stage();
    let account = Account::open();
    let inputs = Inputs::new(stage.inputs().into_iter().map(|id| (id, session.store().folder(id))).collect());
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(STACK)
        .start_handler(|_| account.charge_thread())
        .build()
        .map_err(|error| Failure::Threads(error.to_string()))?;
    let log = Log::new(reporter.started(node, threads));
    let begun = Instant::now();
    // A stage shares nothing mutable with the rest but the store, whose discipline allows for stages that die.
    let computed = catch_unwind(AssertUnwindSafe(|| {
        pool.install(|| {
            stage.run(&inputs, work.out(), &log).map_err(Failure::Stage)?;
            let cost = Cost { wall: begun.elapsed(), threads, peak_memory_bytes: account.most() };
            Ok::<_, Failure>(work.finish(stage, cost)?)
        })
    }))
    .unwrap_or_else(|payload| Err(Failure::Panicked(panic_message(&*payload))));
    let path = session.store().log(node.id());
    match computed {
        Ok(record) => {
            // What an earlier attempt said of its failure no longer holds.
            let _ = std::fs::remove_file(path);
            Ok(Some(End::Computed(record)))
        }
        Err(failure) => {
            log.write(&path, node, threads, &failure);
            Err(failure)
        }
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
