//! Studies: what to compare, as data, and the graph of stages that answers it.

mod check;
mod configuration;
mod encoders;
mod images;
mod plan;
pub(crate) mod refusal;
mod settings;
pub(crate) mod stages;
mod verdict;

pub use crate::leakage::strongest_attack;
pub use configuration::{
    Attacks, CanaryKind, Classifier, Confidence, Data, Generator, GeneratorSampling, GivenImages, Gpus, Likeness,
    Matrix, Measures, NoCopies, PRESETS, PlantedCanaries, Preset, Privacy, Protocols, ReleasedClassifier,
    ReleasedGenerator, Resources, Rule, Sampling, Side, Slurm, Study, StudyError, StudyFile,
};
pub use encoders::{trainable, trainable_families};
pub use images::StudyImages;
pub use plan::{Plan, PlanError, plan};
pub(crate) use refusal::{Refusal, distinct, explain, known, refusal, require};
pub use settings::{SettingDifference, configuration_differences, setting_differences};
pub use stages::{Copy, KINDS, Rebuild, rebuild};
