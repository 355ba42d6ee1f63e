//! A stage whose bytes depend on its seed and its inputs, with a place to misbehave.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rayon::prelude::*;
use serde_json::{Value, json};
use standin_bench::executor::{Execution, LocalExecutor, Quiet};
use standin_bench::graph::Graph;
use standin_bench::stage::{Inputs, Stage, StageId, StageResult};
use standin_bench::store::Store;
use standin_data::{Progress, Seed};

type Middle = Arc<dyn Fn(&Path) -> StageResult + Send + Sync>;

/// Writes `values.bin` in two halves and `deep/sum.json`.
#[derive(Clone)]
pub struct Writer {
    pub name: String,
    pub seed: u64,
    pub inputs: Vec<StageId>,
    pub weight: u64,
    /// Called when half of `values.bin` is written.
    pub middle: Middle,
}

impl Writer {
    pub fn new(name: &str, inputs: &[StageId]) -> Self {
        Self { name: name.to_owned(), seed: 7, inputs: inputs.to_vec(), weight: 1, middle: Arc::new(|_| Ok(())) }
    }

    pub fn with_middle(self, middle: impl Fn(&Path) -> StageResult + Send + Sync + 'static) -> Self {
        Self { middle: Arc::new(middle), ..self }
    }
}

impl Stage for Writer {
    fn kind(&self) -> &'static str {
        "write"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        json!({"purpose": self.name, "seed": self.seed})
    }

    fn inputs(&self) -> Vec<StageId> {
        self.inputs.clone()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn weight(&self) -> u64 {
        self.weight
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        progress.begin("write", 2);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&Seed::new(self.seed).derive(&self.name).value().to_le_bytes());
        for &input in &self.inputs {
            hasher.update(&fs::read(inputs.folder(input)?.join("values.bin"))?);
        }
        let mut values = vec![0; 40_000];
        hasher.finalize_xof().fill(&mut values);

        let mut file = fs::File::create(out.join("values.bin"))?;
        file.write_all(&values[..20_000])?;
        progress.advance(1);
        (self.middle)(out)?;
        file.write_all(&values[20_000..])?;
        progress.advance(1);

        let sum: u64 = values.par_iter().map(|&value| u64::from(value)).sum();
        fs::create_dir(out.join("deep"))?;
        fs::write(out.join("deep/sum.json"), sum.to_string())?;
        progress.end();
        Ok(())
    }
}

/// `prepare` → (`left`, `right`) → `join`, all calling `middle` with their name.
pub fn diamond(middle: impl Fn(&str) -> StageResult + Send + Sync + 'static) -> Graph {
    let middle = Arc::new(middle);
    let mut graph = Graph::new();
    let mut add = |name: &'static str, inputs: &[StageId]| {
        let middle = middle.clone();
        graph.add(Writer::new(name, inputs).with_middle(move |_| middle(name))).unwrap()
    };
    let prepare = add("prepare", &[]);
    let left = add("left", &[prepare]);
    let right = add("right", &[prepare]);
    add("join", &[left, right]);
    graph
}

/// A diamond that takes long enough for others to come by, and notes each computation in `log`.
pub fn noted_diamond(folder: &Path) -> Graph {
    let log = folder.join("log");
    diamond(move |name| {
        fs::File::options().append(true).create(true).open(&log)?.write_all(format!("{name}\n").as_bytes())?;
        thread::sleep(Duration::from_millis(50));
        Ok(())
    })
}

/// The names in the log, sorted.
pub fn noted(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_to_string(folder.join("log")).unwrap().lines().map(str::to_owned).collect();
    names.sort();
    names
}

pub fn run(graph: &Graph, store: &Store, threads: usize) -> Execution {
    let executor = LocalExecutor { threads: NonZero::new(threads).unwrap(), keep_going: true, memory: None };
    executor.run(graph, store, &Quiet).unwrap()
}

/// One letter per stage in the graph's order: Computed, cAched, Failed, Skipped, Not started.
pub fn ends(execution: &Execution) -> String {
    use standin_bench::executor::End;
    let letter = |end: &End| match end {
        End::Computed(_) => 'C',
        End::Cached(_) => 'A',
        End::Failed(_) => 'F',
        End::Skipped(_) => 'S',
        End::NotStarted => 'N',
    };
    execution.stages.iter().map(|stage| letter(&stage.end)).collect()
}

/// Every file of every finished stage but the records, with its content.
pub fn outputs(store: &Store) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for id in store.ids().unwrap() {
        for output in store.record(id).unwrap().unwrap().outputs {
            let path = store.folder(id).join(&output.path);
            files.insert(path.strip_prefix(store.root()).unwrap().to_path_buf(), fs::read(&path).unwrap());
        }
    }
    files
}

/// Names in the store's folder that belong to stages at work or to what killed ones left.
pub fn temporaries(store: &Store) -> Vec<String> {
    let names = fs::read_dir(store.root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".tmp-")).collect()
}
