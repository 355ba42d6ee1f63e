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
    /// A path leads nowhere.
    #[error("{}: there is no such file or folder; check the spelling, and that the disk it lies on is mounted", path.display())]
    Missing {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A folder or file holds no image.
    #[error("{}: no image here, {found}; {remedy}", path.display())]
    Empty {
        /// The folder or file.
        path: PathBuf,
        /// What it holds instead.
        found: String,
        /// What was expected and what to do.
        remedy: String,
    },
    /// Labels that tell nothing apart.
    #[error("{origin}: only one class, \"{class}\"; {remedy}")]
    SingleClass {
        /// Where the labels come from.
        origin: String,
        /// The class.
        class: String,
        /// What to do.
        remedy: String,
    },
    /// Sets that must be disjoint share an image.
    #[error(
        "{second} overlaps {first}: image {second_index} of {second} equals image {first_index} of {first} \
         ({count} such images in all); remove the duplicates, or split by a grouping column"
    )]
    Overlap {
        /// The earlier set.
        first: String,
        /// The first shared image's index there.
        first_index: usize,
        /// The later set.
        second: String,
        /// The first shared image's index there.
        second_index: usize,
        /// Images of the later set that are in the earlier one too.
        count: usize,
    },
    /// A download did not arrive.
    #[error("{url}: the download failed: {found}; {remedy}")]
    Download {
        /// What was asked for.
        url: String,
        /// What came instead.
        found: String,
        /// What to do.
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

    /// A name that is none of the known ones; the remedy suggests the nearest.
    ///
    /// `kind` is what the name should be, such as "column"; `known` may be empty.
    pub fn unknown<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        let nearest = known
            .iter()
            .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
            .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 2)
            .min_by_key(|(distance, _)| *distance);
        let list = if known.is_empty() { "there is none".to_owned() } else { format!("known: {}", known.join(", ")) };
        Self::inconsistent(
            format!("there is no {kind} \"{name}\""),
            match nearest {
                Some((_, candidate)) => format!("did you mean \"{candidate}\"? ({list})"),
                None => list,
            },
        )
    }

    /// A finding about values in memory, with its remedy.
    pub fn inconsistent(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Inconsistent { found: found.into(), remedy: remedy.into() }
    }
}
