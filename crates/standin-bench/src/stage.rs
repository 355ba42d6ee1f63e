//! One step of a study, identified by everything that determines its result.

mod identity;
mod inputs;

use std::error::Error;
use std::path::Path;

use serde::{Deserialize, Serialize};
use standin_data::Progress;

pub use identity::{InvalidStageId, StageId};
pub use inputs::{Inputs, UndeclaredInput};

/// What a stage's work ends with: any crate's error passes through `?`.
pub type StageResult = Result<(), Box<dyn Error + Send + Sync>>;

/// One step of a study: prepare, train a generator, sample, embed, measure, attack, ….
///
/// A stage is a function from its configuration and its inputs' files to files of its own. That function must be pure:
/// equal configuration and equal inputs give equal bytes, whatever the number of threads, the time and the machine.
/// Timings therefore never enter an output; the store records them beside.
pub trait Stage: Send + Sync {
    /// What the stage does, in one word, such as "generate". Part of the identity.
    fn kind(&self) -> &'static str;

    /// Counts the changes to this kind's code that change results. Part of the identity, so that results of older code
    /// are not taken for results of this one. Convention: a constant `CODE_VERSION` beside the implementation.
    fn code_version(&self) -> u32;

    /// Everything else that changes the result, defaults and seed included. Part of the identity.
    ///
    /// The order of keys does not matter. Integers and floats differ (`1` is not `1.0`), and all numbers must be finite:
    /// JSON writes the others as `null`. What does not change the result (threads, device names, folders) stays out.
    fn configuration(&self) -> serde_json::Value;

    /// The stages whose outputs this one reads. Their order is part of the identity.
    fn inputs(&self) -> Vec<StageId>;

    /// Does the work: reads from the folders of `inputs`, which it must not change, and writes plain files into `out`,
    /// an empty folder that becomes the stage's when this returns without error.
    ///
    /// The file `stage.toml` there is the store's. Every file is synced to disk and hashed afterwards, so few large
    /// files are better than thousands of small ones. Parallel iterators of rayon use the threads the executor grants.
    ///
    /// # Errors
    /// Whatever stops the work; nothing of `out` is kept then.
    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult;

    /// The stage as data from which another process can make it again (see [`crate::study::rebuild`]); none, as by
    /// default, for one that can only be computed where it was planned, such as one that holds the images themselves.
    fn portable(&self) -> Option<serde_json::Value> {
        None
    }

    /// The name people read, such as "merf-1, seed 0"; the kind by default. Not part of the identity.
    fn name(&self) -> String {
        self.kind().to_owned()
    }

    /// Expected cost relative to the other stages, such as seconds on one core, for want of experience with the like of it
    /// ([`Experience`](crate::experience::Experience)). Decides the order of work and the overall progress, never a result. Not part of the
    /// identity.
    fn weight(&self) -> u64 {
        1
    }

    /// How much there is to do, so that what one stage cost says what another will. Not part of the identity.
    fn workload(&self) -> Workload {
        Workload::default()
    }
}

/// How much a stage has to do, and by what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// What does it, such as the family of a generator: stages of one kind and method take time in proportion to their size.
    pub method: String,
    /// How much there is of it, such as pixel values that pass through a network.
    pub size: f64,
    /// Values that are in memory at once, as far as they differ from one stage of the kind to another.
    #[serde(default)]
    pub held: f64,
}

impl Default for Workload {
    /// As much as any other stage of the kind.
    fn default() -> Self {
        Self { method: String::new(), size: 1.0, held: 0.0 }
    }
}
