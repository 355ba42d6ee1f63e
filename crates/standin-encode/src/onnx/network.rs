use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rten::{DataType, Dimension, LoadError, LoadErrorKind, ModelOptions, NodeId, RunOptions, ThreadPool, ValueType};
use rten::{Model, ValueView};
use rten_tensor::prelude::*;

use crate::{Error, Result};

/// A network read from an ONNX file.
pub(crate) struct Network {
    model: Model,
    path: PathBuf,
    digest: String,
}

/// An input of a network. A size is `None` where any size is accepted.
pub(crate) struct Input {
    pub name: String,
    pub node: NodeId,
    pub shape: Option<Vec<Option<usize>>>,
}

/// One thread's right to run a network.
pub(crate) struct Runner(Arc<ThreadPool>);

impl Network {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(Error::reading(path))?;
        let digest = blake3::hash(&bytes).to_hex().to_string();
        let mut options = ModelOptions::with_all_ops();
        let model = options.prepack_weights(true).load(bytes).map_err(|error| unloadable(path, &error))?;
        Ok(Self { model, path: path.to_owned(), digest })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// BLAKE3 of the file.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// The inputs, all of which take floats.
    pub(crate) fn inputs(&self) -> Result<Vec<Input>> {
        let ids = self.model.input_ids().iter();
        ids.map(|&node| {
            let info = self.model.node_info(node).ok_or_else(|| self.error("an input is missing", EXPORT))?;
            let name = info.name().unwrap_or("without a name").to_owned();
            if let Some(kind) = info.dtype()
                && kind != ValueType::Tensor(DataType::Float)
            {
                let found = format!("the input `{name}` is a {kind}");
                return Err(self.error(found, "a tensor of floats was expected: export the network with float inputs"));
            }
            let sizes = |shape: Vec<Dimension>| shape.into_iter().map(size).collect();
            Ok(Input { name, node, shape: info.shape().map(sizes) })
        })
        .collect()
    }

    /// The output of that name, or the only one.
    pub(crate) fn output(&self, name: Option<&str>) -> Result<(String, NodeId)> {
        let ids = self.model.output_ids();
        let name_of = |&id: &NodeId| self.model.node_info(id).and_then(|info| info.name()).unwrap_or("").to_owned();
        let names: Vec<String> = ids.iter().map(name_of).collect();
        let known = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match (name, ids) {
            (None, &[only]) => Ok((names[0].clone(), only)),
            (None, _) => {
                let settings = super::settings::beside(&self.path);
                let remedy = format!("write `output = \"NAME\"` in {}", settings.display());
                Err(self.error(format!("the network has the outputs {known}"), remedy))
            }
            (Some(name), _) => {
                names.iter().position(|known| known == name).map(|at| (name.to_owned(), ids[at])).ok_or_else(|| {
                    self.error(format!("there is no output `{name}`"), format!("the network has the outputs {known}"))
                })
            }
        }
    }

    /// Runs the network once. Inputs are tensors of a shape; the output's shape and values come back.
    pub(crate) fn run(
        &self,
        inputs: &[(NodeId, &[usize], &[f32])],
        output: NodeId,
        runner: &Runner,
    ) -> Result<(Vec<usize>, Vec<f32>)> {
        let inputs = inputs.iter().map(|&(node, shape, values)| {
            let view = ValueView::from_shape(shape, values).expect("the shape and the number of values agree");
            (node, view.into())
        });
        let options = RunOptions::default().with_thread_pool(Some(runner.0.clone()));
        let [value] = self
            .model
            .run_n(inputs.collect(), [output], Some(options))
            .map_err(|error| self.error(format!("running the network failed: {error}"), EXPORT))?;
        let kind = value.dtype();
        let tensor = value.into_tensor::<f32>().ok_or_else(|| {
            self.error(format!("the output is a {kind}"), "a tensor of floats was expected: choose another output")
        })?;
        Ok((tensor.shape().to_vec(), tensor.into_data()))
    }

    pub(crate) fn error(&self, found: impl Into<String>, remedy: impl Into<String>) -> Error {
        Error::file(&self.path, found, remedy)
    }
}

const EXPORT: &str = "check the network with another ONNX runtime, or export it again for images of a fixed size";

fn size(dimension: Dimension) -> Option<usize> {
    match dimension {
        Dimension::Fixed(size) => Some(size),
        Dimension::Symbolic(_) => None,
    }
}

fn unloadable(path: &Path, error: &LoadError) -> Error {
    let remedy = match error.kind() {
        LoadErrorKind::OperatorInvalid => {
            "the operator or this form of it is not supported: export the network with another opset, or encode the \
             images elsewhere and pass the features as a file"
        }
        LoadErrorKind::ExternalDataError => {
            "the weights must be inside: onnx.save_model(model, path, save_as_external_data=False)"
        }
        _ => "a network in ONNX format was expected: copy the file or export it again",
    };
    Error::file(path, format!("the network cannot be loaded: {error}"), remedy)
}

/// Calls `work` for every number below `items` on as many threads as the current pool has; the first error ends it.
///
/// Each item runs the network on one thread, so results depend neither on the number of threads nor on what else is in a
/// batch, and memory is bounded by one item's activations for each thread. Threads of their own are used because a
/// worker of a pool that waits for a network would begin further items meanwhile.
pub(crate) fn run_each(items: usize, work: impl Fn(usize, &Runner) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let worker = || {
        let runner = Runner(Arc::new(ThreadPool::with_num_threads(1)));
        while !failed.load(Ordering::Relaxed) {
            let item = next.fetch_add(1, Ordering::Relaxed);
            if item >= items {
                break;
            }
            work(item, &runner).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..rayon::current_num_threads().min(items)).map(|_| scope.spawn(worker)).collect();
        let outcomes: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        outcomes.into_iter().try_for_each(|outcome| outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}
