use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use safetensors::SafeTensors;

use crate::weights::{Stored, floats, write_tensors};
use crate::{Error, History, Learner, OptimizerState, ParameterShape, Plan, Result, TrainerState};

const REMEDY: &str = "it must be a checkpoint of this very training; delete it to start again, or use another folder";

/// Names of a private training's entries.
const PROMISE: &str = "promise";
const MEMORY: &str = "memory";

/// When to write a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// After this many steps.
    Steps(usize),
    /// After this much time.
    Time(Duration),
}

/// Where and when a training writes what it needs to continue.
///
/// One file, `checkpoint.safetensors`, replaced at once: it is never half-written. It holds the parameters, the
/// optimiser's memory, the moving average and the losses so far; the random generators have no state beyond the step.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    path: PathBuf,
    every: Every,
    configuration: String,
}

/// What a checkpoint held.
pub(crate) struct Resumed {
    pub(crate) states: Vec<(String, TrainerState)>,
    pub(crate) memory: Option<String>,
    pub(crate) history: History,
}

impl Checkpoints {
    /// Checkpoints in `folder`, which must exist, of a training described by `configuration`: everything that changes
    /// its course beyond the [`Plan`], data included, as text or as a digest. A checkpoint of another is refused.
    pub fn new(folder: &Path, every: Every, configuration: impl Into<String>) -> Self {
        Self { path: folder.join("checkpoint.safetensors"), every, configuration: configuration.into() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the checkpoint, if there is one: when the result is stored, it is of no more use.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn remove(&self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("removing", &self.path)(error)),
            _ => Ok(()),
        }
    }

    pub(crate) fn due(&self, steps: usize, since: Duration) -> bool {
        match self.every {
            Every::Steps(every) => steps.is_multiple_of(every.max(1)),
            Every::Time(every) => since >= every,
        }
    }

    pub(crate) fn foreign(&self, found: &str) -> Error {
        Error::file(&self.path, found, REMEDY)
    }

    fn fingerprint(&self, plan: &Plan) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("standin checkpoint 1");
        for number in [plan.examples, plan.batch_size, plan.steps] {
            hasher.update(&(number as u64).to_le_bytes());
        }
        hasher.update(&plan.seed.value().to_le_bytes());
        hasher.update(self.configuration.as_bytes());
        hasher.finalize().to_hex().to_string()
    }

    pub(crate) fn write(&self, plan: &Plan, learner: &dyn Learner, history: &History) -> Result<()> {
        let mut tensors = vec![Stored::new("losses", vec![history.losses.len()], history.losses.clone())];
        let mut metadata = HashMap::from([("fingerprint".to_owned(), self.fingerprint(plan))]);
        metadata.extend(learner.promise().map(|promise| (PROMISE.to_owned(), promise)));
        metadata.extend(learner.memory().map(|memory| (MEMORY.to_owned(), memory)));
        for (name, state) in learner.states() {
            metadata.insert(format!("steps of {name}"), state.optimizer.steps.to_string());
            let flat = [
                ("first", Some(state.optimizer.first)),
                ("second", Some(state.optimizer.second)),
                ("average", state.average),
            ];
            for (part, values) in flat {
                if let Some(values) = values {
                    tensors.push(Stored::new(format!("{name}/{part}"), vec![values.len()], values));
                }
            }
            let mut rest = state.values.as_slice();
            // The number keeps the order of the parameters, which the format does not.
            for (index, shape) in state.shapes.into_iter().enumerate() {
                let (own, others) = rest.split_at(shape.len());
                rest = others;
                tensors.push(Stored::new(
                    format!("{name}/parameter/{index:06}/{}", shape.name),
                    shape.shape,
                    own.to_vec(),
                ));
            }
        }
        write_tensors(&self.path, tensors, metadata)
    }

    /// The states and the history of the last checkpoint, if there is one.
    pub(crate) fn read(&self, plan: &Plan, promise: Option<&str>) -> Result<Option<Resumed>> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("reading", &self.path)(error)),
        };
        let damaged = |error: safetensors::SafeTensorError| self.foreign(&format!("not readable ({error})"));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let metadata = metadata.metadata().clone().unwrap_or_default();
        let found = metadata.get(PROMISE).map(String::as_str);
        if found != promise {
            let words = |promise: Option<&str>| promise.map_or("no guarantee".to_owned(), str::to_owned);
            let (found, asked) = (words(found), words(promise));
            return Err(self.foreign(&format!("it was made for {found}, and this training is for {asked}")));
        }
        if metadata.get("fingerprint") != Some(&self.fingerprint(plan)) {
            return Err(self.foreign("made by another configuration, plan or seed"));
        }
        let tensors = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let read = |name: &str| -> Result<Vec<f32>> {
            floats(&tensors.tensor(name).map_err(damaged)?)
                .ok_or_else(|| self.foreign(&format!("tensor `{name}` is not of 32-bit floats")))
        };
        let mut names: Vec<&str> = tensors.names().into_iter().collect();
        names.sort_unstable();
        let mut states = Vec::new();
        for (key, steps) in &metadata {
            let Some(name) = key.strip_prefix("steps of ") else { continue };
            let steps =
                steps.parse().map_err(|_| self.foreign(&format!("metadata `{key}` is \"{steps}\", not a number")))?;
            let prefix = format!("{name}/parameter/");
            let (mut shapes, mut values) = (Vec::new(), Vec::new());
            for full in names.iter().filter(|full| full.starts_with(&prefix)) {
                let shape = tensors.tensor(full).map_err(damaged)?.shape().to_vec();
                values.extend(read(full)?);
                let parameter = full[prefix.len()..].split_once('/').map_or("", |(_, parameter)| parameter);
                shapes.push(ParameterShape { name: parameter.to_owned(), shape });
            }
            let average = format!("{name}/average");
            let average = names.contains(&average.as_str()).then(|| read(&average)).transpose()?;
            let optimizer = OptimizerState {
                steps,
                first: read(&format!("{name}/first"))?,
                second: read(&format!("{name}/second"))?,
            };
            states.push((name.to_owned(), TrainerState { shapes, values, optimizer, average }));
        }
        states.sort_by(|a, b| a.0.cmp(&b.0));
        let memory = metadata.get(MEMORY).cloned();
        Ok(Some(Resumed { states, memory, history: History { losses: read("losses")? } }))
    }
}
