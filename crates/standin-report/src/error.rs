use std::path::{Path, PathBuf};

/// What can go wrong with a report, each with the place, the finding and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{}: {action} failed: {source}", path.display())]
    Io {
        /// What was attempted, such as "writing".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is missing, foreign or damaged.
    #[error("{}: {found}; {remedy}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What was expected and what to do.
        remedy: String,
    },
    /// A report is already there.
    #[error("{}: already there; pass --force to replace it, or choose another folder with --out", path.display())]
    Exists {
        /// The file that would have been overwritten.
        path: PathBuf,
    },
}

/// The result of an operation on reports.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn invalid(path: &Path, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Invalid { path: path.to_path_buf(), found: found.into(), remedy: remedy.into() }
    }
}
