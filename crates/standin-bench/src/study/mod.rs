//! Studies: what to compare, as data, and the graph of stages that answers it.

mod check;
mod configuration;
mod encoders;
mod images;
mod plan;
mod stages;
mod verdict;

pub use configuration::{
    Attacks, CanaryKind, Classifier, Confidence, Data, Generator, GeneratorSampling, GivenImages, Likeness, Matrix,
    Measures, NoCopies, PRESETS, PlantedCanaries, Preset, Privacy, Protocols, ReleasedClassifier, ReleasedGenerator,
    Rule, Sampling, Side, Study, StudyError, StudyFile,
};
pub use encoders::{trainable, trainable_families};
pub use images::StudyImages;
pub use plan::{Plan, PlanError, plan};
pub use stages::Copy;
pub use verdict::strongest_attack;
