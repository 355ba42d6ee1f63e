//! What the store and the executor cost by themselves, and how long a large study takes to plan.
//!
//!     cargo bench -p standin -p standin-bench --bench overhead

use std::num::NonZero;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use standin_bench::executor::{LocalExecutor, Quiet};
use standin_bench::experience::Experience;
use standin_bench::graph::Graph;
use standin_bench::planned::Planned;
use standin_bench::stage::{Inputs, Stage, StageId, StageResult};
use standin_bench::store::Store;
use standin_bench::study::{Study, plan};
use standin_data::{Progress, Silent};

const STAGES: usize = 10_000;

/// A stage that does next to nothing: it writes a kilobyte.
struct Small {
    number: usize,
    inputs: Vec<StageId>,
}

impl Stage for Small {
    fn kind(&self) -> &'static str {
        "small"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        json!({ "number": self.number })
    }

    fn inputs(&self) -> Vec<StageId> {
        self.inputs.clone()
    }

    fn run(&self, _: &Inputs, out: &Path, _: &dyn Progress) -> StageResult {
        Ok(std::fs::write(out.join("result.bin"), [self.number as u8; 1024])?)
    }
}

/// Chains of five, all of them read by the last.
fn graph() -> Graph {
    let mut graph = Graph::new();
    let mut last = Vec::new();
    let mut before = Vec::new();
    for number in 0..STAGES - 1 {
        let id = graph.add(Small { number, inputs: before }).expect("every input was added before");
        before = if number % 5 == 4 { Vec::new() } else { vec![id] };
        last.push(id);
    }
    graph.add(Small { number: STAGES, inputs: last }).expect("every input was added before");
    graph
}

fn line(what: &str, seconds: f64, of: usize) {
    println!("{what:<58} {seconds:>9.2} s {:>9.3} ms a stage", 1e3 * seconds / of as f64);
}

fn timed<T>(what: &str, of: usize, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = work();
    line(what, begun.elapsed().as_secs_f64(), of);
    result
}

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(folder.path().join("runs")).expect("a new store");
    let threads = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    println!("{STAGES} stages that write a kilobyte each, {threads} threads");
    let mut small = timed("the graph made", STAGES, graph);
    let run = |graph: &Graph| LocalExecutor::default().run(graph, &store, &Quiet).expect("a store that works");
    let one_by_one = LocalExecutor { threads: NonZero::<usize>::MIN, ..LocalExecutor::default() };
    let first = timed("computed, every result on the disk", STAGES, || run(&small));
    assert!(first.is_complete());
    timed("found again", STAGES, || run(&small));
    timed("costs learnt and planned, all in the store", STAGES, || {
        small.expect(&Experience::of(&store).expect("a store that works"));
        Planned::of(&small, &store, threads)
    });
    timed("read and hashed again", STAGES, || store.verify(&Silent).expect("a store that works"));

    let alone = tempfile::tempdir().expect("a temporary folder");
    let alone = Store::open(alone.path().join("runs")).expect("a new store");
    let part = graph().only(|node| node.stage().name() == "small" && node.stage().inputs().is_empty());
    let count = part.len();
    timed("computed one after the other", count, || one_by_one.run(&part, &alone, &Quiet).expect("a store that works"));

    let generators: Vec<String> = (0..210)
        .map(|number| {
            format!(
                "{{ name = \"vae-{number}\", family = \"vae\", settings = {{ beta = {:.2} }} }}",
                1.0 + number as f64 / 100.0
            )
        })
        .collect();
    let text = format!(
        "name = \"large\"\nseeds = [1, 2, 3]\ngenerator = [{}]\nclassifier = [\"cnn\", \"logistic\"]\n\
         [data]\nsource = \"digits\"\ntrain = 700\nholdout = 700\n",
        generators.join(", ")
    );
    let study = Study::parse(&text, Path::new("large.toml")).expect("a valid study");
    let images = study.import(folder.path(), &Silent).expect("the built-in digits");
    let begun = Instant::now();
    let mut planned = plan(&study, images).expect("a study that can be planned");
    let seconds = begun.elapsed().as_secs_f64();
    let stages = planned.graph.len();
    line(&format!("a study of {} generators planned: {stages} stages", study.generators.len()), seconds, stages);
    timed("its costs expected, none in the store", stages, || {
        planned.graph.expect(&Experience::of(&store).expect("a store that works"));
        Planned::of(&planned.graph, &store, threads)
    });
}
