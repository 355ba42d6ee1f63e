use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::stage::StageId;

/// What can go wrong with a store, each with the place, the finding and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{}: {action} failed: {source}{}", path.display(), remedy(source))]
    Io {
        /// What was attempted, such as "writing".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A folder is no store.
    #[error("{}: {found}; name a store, or a new or empty folder that may become one", path.display())]
    NotAStore {
        /// The folder.
        path: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// A store has the layout of another version of the program.
    #[error(
        "{}: the store has format {found}, this program reads {supported}; use the program that wrote it, or another folder",
        path.display()
    )]
    Format {
        /// The marker.
        path: PathBuf,
        /// The layout's version there.
        found: i64,
        /// The layout's version this program knows.
        supported: u32,
    },
    /// A finished stage is not as it was when it finished.
    #[error("{}: {found}; delete this folder and run again to have the stage computed anew", path.display())]
    Damaged {
        /// The stage's folder.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// A stage left something that cannot be an output.
    #[error("{}: {found}; a stage may write plain files with UTF-8 names and no file called stage.toml", path.display())]
    InvalidOutput {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// No stage has such a digest.
    #[error("{}: no stage's digest begins with \"{prefix}\"; `standin runs list` shows all", path.display())]
    UnknownStage {
        /// The store.
        path: PathBuf,
        /// The digits given.
        prefix: String,
    },
    /// Several stages' digests begin alike.
    #[error(
        "{}: {} stages' digests begin with \"{prefix}\" ({}); give more digits",
        path.display(),
        matching.len(),
        matching.iter().map(StageId::short).collect::<Vec<_>>().join(", ")
    )]
    AmbiguousStage {
        /// The store.
        path: PathBuf,
        /// The digits given.
        prefix: String,
        /// The stages they fit.
        matching: Vec<StageId>,
    },
    /// Something is to be removed while another process, or another thread of this one, computes.
    #[error("{}: the store is in use; wait until the running study has ended", path.display())]
    InUse {
        /// The store.
        path: PathBuf,
    },
}

/// The result of an operation on a store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wraps a system error with the path it concerns.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}

/// What to do about a system error, where that is not plain from its text.
fn remedy(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; free space and run again: finished stages are kept",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "; choose a folder you may write to",
        ErrorKind::Unsupported => "; put the store on a file system that has file locks",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_names_the_file_and_the_remedy() {
        let error = Error::io("writing", Path::new("runs/x/images.npz"))(ErrorKind::StorageFull.into());
        let text = error.to_string();
        assert!(text.starts_with("runs/x/images.npz: writing failed: "), "{text}");
        assert!(text.ends_with("free space and run again: finished stages are kept"), "{text}");
    }
}
