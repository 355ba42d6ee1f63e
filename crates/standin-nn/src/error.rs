use std::path::{Path, PathBuf};

/// What can go wrong in training and with weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An image set could not be used.
    #[error(transparent)]
    Data(#[from] standin_data::Error),
    /// The loss or a gradient stopped being a number.
    #[error(
        "training diverged at step {step}: the {what} is {value}; lower the learning rate (now {learning_rate:e}), \
         clip gradients (`clip_norm`), or check that no input is NaN"
    )]
    Diverged {
        /// The step, counted from 0.
        step: usize,
        /// "loss" or "norm of the gradient".
        what: &'static str,
        /// The value found.
        value: f64,
        /// The learning rate of that step.
        learning_rate: f64,
    },
    /// The accountant or the noise source refused.
    #[error(transparent)]
    Privacy(#[from] standin_privacy::Error),
    /// A parameter whose gradient cannot be told apart by unit.
    #[error(
        "parameter `{parameter}` takes part in the loss outside the layers that give per-sample gradients, so it cannot be \
         trained privately; use the layers of `standin_nn::layer`, and optimiser settings for weight decay"
    )]
    NotPerSample {
        /// Its path.
        parameter: String,
    },
    /// What was spent before is accounted for otherwise than what is to be spent.
    #[error(
        "the ledger of what ran before is for {found}, and this training is for {expected}; begin with a ledger of the same \
         units and noise, or the guarantee would say what did not happen"
    )]
    OtherLedger {
        /// Units and noise of the ledger.
        found: String,
        /// Units and noise of the training.
        expected: String,
    },
    /// Examples of a batch influence each other's losses.
    #[error(
        "the loss of one example changes from {alone} to {beside} when another example of the batch is exchanged, so no \
         example has a gradient of its own to clip; replace batch normalisation by group normalisation, and any other \
         operation across the batch"
    )]
    Mixed {
        /// The loss beside one example.
        alone: f64,
        /// The loss beside another.
        beside: f64,
    },
    /// Not one loss per row.
    #[error(
        "the objective gave {found} losses for {rows} rows; private training needs one loss per row, not their mean"
    )]
    Losses {
        /// Values given.
        found: usize,
        /// Rows of the batch.
        rows: usize,
    },
    /// No such column of units.
    #[error("{set} has no column `{column}` to take the units of privacy from; its columns: {known}")]
    NoUnitColumn {
        /// The image set.
        set: String,
        /// The column asked for.
        column: String,
        /// Those there are.
        known: String,
    },
    /// Images without a unit.
    #[error(
        "{set}: {missing} images have no value in column `{column}` (the first is image {first}), so nobody's guarantee \
         would cover them; fill the column, or leave those images out"
    )]
    UnitMissing {
        /// The image set.
        set: String,
        /// The column.
        column: String,
        /// How many have none.
        missing: usize,
        /// The first of them.
        first: usize,
    },
    /// A setting outside its range.
    #[error("{setting} is {found}; {expected}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// The value given.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// A device that this build cannot use.
    #[error("device \"{name}\": {reason}")]
    Device {
        /// The name given.
        name: String,
        /// Why not, and what to give instead.
        reason: &'static str,
    },
    /// A file could not be read or written.
    #[error("{}: {action} failed: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of weights or a checkpoint that is not what it should be.
    #[error("{}: {found}; {remedy}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What was expected and what to do.
        remedy: &'static str,
    },
    /// The caller's part of a training step failed.
    #[error(transparent)]
    Objective(Box<dyn std::error::Error + Send + Sync>),
}

/// The result of training or of reading weights.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wraps an error of the caller's own part of a training step.
    pub fn objective(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Objective(Box::new(error))
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn file(path: &Path, found: impl Into<String>, remedy: &'static str) -> Self {
        Self::File { path: path.to_path_buf(), found: found.into(), remedy }
    }
}
