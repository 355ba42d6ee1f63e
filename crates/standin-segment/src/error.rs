use std::path::{Path, PathBuf};

/// What can go wrong in segmentation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A volume, a list or a folder could not be used.
    #[error(transparent)]
    Data(#[from] standin_data::Error),
    /// Training diverged, or weights or a checkpoint could not be used.
    #[error(transparent)]
    Network(#[from] standin_nn::Error),
    /// A setting outside its range.
    #[error("{setting} is {found}; {expected}")]
    Setting {
        /// Its key.
        setting: &'static str,
        /// The value given.
        found: String,
        /// What is allowed.
        expected: String,
    },
    /// Settings that cannot be read.
    #[error("settings: {found}; docs/segmentation.md names the keys and their defaults")]
    Settings {
        /// What is wrong with them.
        found: String,
    },
    /// One volume has two roles that exclude each other.
    #[error("{name} is {first} and {second}; {remedy}")]
    Overlap {
        /// The volume.
        name: String,
        /// Its first role.
        first: String,
        /// Its second role.
        second: String,
        /// Why that cannot be, and what to do.
        remedy: &'static str,
    },
    /// A model folder that is not what it should be.
    #[error("{}: {found}; {remedy}", path.display())]
    Model {
        /// The file or folder.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
}

/// The result of a training, a prediction or a preparation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn setting(setting: &'static str, found: impl ToString, expected: impl Into<String>) -> Self {
        Self::Setting { setting, found: found.to_string(), expected: expected.into() }
    }

    pub(crate) fn model(path: &Path, found: impl Into<String>, remedy: &'static str) -> Self {
        Self::Model { path: path.to_path_buf(), found: found.into(), remedy }
    }
}
