//! Studies: what to compare, as data, and the graph of stages that answers it.

mod check;
mod configuration;
mod encoders;
mod images;
mod plan;
mod stages;
mod verdict;

pub use configuration::{
    Attacks, CanaryKind, Classifier, Confidence, Data, Generator, GeneratorSampling, GivenImages, Gpus, Likeness,
    Measures, NoCopies, PlantedCanaries, Privacy, Protocols, ReleasedClassifier, ReleasedGenerator, Resources,
    Sampling, Side, Slurm, Study, StudyError,
};
pub use encoders::{trainable, trainable_families};
pub use images::StudyImages;
pub use plan::{Plan, PlanError, plan};
pub use stages::{Copy, KINDS, Rebuild, rebuild};
pub use verdict::strongest_attack;
