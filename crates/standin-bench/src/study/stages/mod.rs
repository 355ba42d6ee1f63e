//! The stages of a study, one file for each step of the pipeline.

mod attack;
mod canaries;
mod classify;
mod divide;
mod embed;
mod gallery;
mod gather;
mod generate;
mod given;
mod measure;
mod pool;
mod portable;
mod refine;
mod score;
mod split;
mod summarise;
mod workload;

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use standin_nn::DeviceChoice;

pub use attack::{AttackClassifier, AttackGenerator, AttackImages, Attacked, Embedded, ShadowRun};
pub use canaries::{AuditCanaries, CanariedRun, Ending, Plant};
pub use classify::{AnswerOnSample, Classify, Predictions, TrainingSet};
pub use divide::{Divide, Division};
pub use embed::{ChosenEncoder, Embed, FitEncoder, Images};
pub use gallery::DrawGallery;
pub use generate::{Generate, Sample, settings};
pub use given::Take;
pub use measure::{MEAN_IMAGE_SIZE, Measure, MeasureImages};
pub use portable::{KINDS, Rebuild, rebuild};
pub use refine::{Filter, Refine};
pub use score::{Copy, ScoreImages};
pub use split::{Draw, Members, Split};
pub use summarise::{ReleasedRun, Repetition, Summarise};
pub(crate) use workload::training;

/// An error of any of the crates below.
pub(crate) type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// The configuration of a stage that trains or samples: a device other than the CPU rounds differently, and is part of it.
pub(crate) fn on_device(mut configuration: Value) -> Value {
    let device = DeviceChoice::chosen();
    if device != DeviceChoice::Cpu {
        configuration["device"] = device.to_string().into();
    }
    configuration
}

/// A file of a stage that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {found}; `standin runs verify` finds damaged stages, `standin runs prune` removes them")]
struct Damaged {
    path: String,
    found: String,
}

fn damaged(path: &Path, found: impl ToString) -> BoxedError {
    Box::new(Damaged { path: path.display().to_string(), found: found.to_string() })
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), BoxedError> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    std::fs::write(path, text).map_err(|error| damaged(path, error))
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, BoxedError> {
    let text = std::fs::read_to_string(path).map_err(|error| damaged(path, error))?;
    serde_json::from_str(&text).map_err(|error| damaged(path, error))
}
