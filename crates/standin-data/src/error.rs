use std::path::{Path, PathBuf};

/// What can go wrong with image sets, each with the place, the finding and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{}: {action} failed: {source}", path.display())]
    Io {
        /// What was attempted, such as "reading".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file or folder is there but is not what it should be.
    #[error("{}: {found}; {remedy}", path.display())]
    Invalid {
        /// The file or folder.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What was expected and what to do.
        remedy: String,
    },
    /// A value in memory breaks an image set's rules.
    #[error("{found}; {remedy}")]
    Inconsistent {
        /// What was found.
        found: String,
        /// What was expected and what to do.
        remedy: String,
    },
}

/// The result of an operation on image sets.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wraps a system error with the path it concerns.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// A finding about a file, with its remedy.
    pub fn invalid(path: &Path, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Invalid { path: path.to_path_buf(), found: found.into(), remedy: remedy.into() }
    }

    /// A finding about values in memory, with its remedy.
    pub fn inconsistent(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Inconsistent { found: found.into(), remedy: remedy.into() }
    }
}
