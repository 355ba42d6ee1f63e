//! Studies: what to compare, as data, and the graph of stages that answers it.

mod check;
mod configuration;
mod plan;
mod stages;
mod verdict;

pub use configuration::{
    Attacks, Classifier, Data, Generator, Measures, Privacy, ReleasedClassifier, Sampling, Side, Study, StudyError,
};
pub use plan::{Plan, plan};
pub use verdict::strongest_attack;
