use std::path::{Path, PathBuf};

use standin_data::Shape;

/// What can go wrong with encoders and embeddings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An image set could not be used.
    #[error(transparent)]
    Data(#[from] standin_data::Error),
    /// The encoder cannot take images of this shape.
    #[error("encoder `{encoder}` cannot take images of {shape} (channels × height × width): {remedy}")]
    Shape {
        /// The encoder's name.
        encoder: &'static str,
        /// The images' shape.
        shape: Shape,
        /// What it takes.
        remedy: String,
    },
    /// No encoder of that name is registered.
    #[error("there is no encoder `{name}`; did you mean `{nearest}`? Known are {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The registered name most like it.
        nearest: &'static str,
        /// The registered names.
        known: String,
    },
    /// Two embeddings that do not belong in one computation.
    #[error("embeddings of different protocols: {left} against {right}; encode both sets with the same encoder")]
    Protocol {
        /// One stamp.
        left: String,
        /// The other.
        right: String,
    },
    /// A value that is not a number, which would silently spoil every distance.
    #[error(
        "{what}: row {row}, column {column} is {value}; features must be finite, so encode again or remove the row"
    )]
    NotFinite {
        /// The embedding.
        what: String,
        /// The row.
        row: usize,
        /// The column.
        column: usize,
        /// The value found.
        value: f32,
    },
    /// A value that is no code, under a stamp that says codes.
    #[error(
        "{what}: row {row}, column {column} is {value}; codes that compare by the Hamming distance are whole numbers from \
         0 to 65535, so use the Euclidean distance for anything else"
    )]
    NotACode {
        /// The embedding.
        what: String,
        /// The row.
        row: usize,
        /// The column.
        column: usize,
        /// The value found.
        value: f32,
    },
    /// Rows that cannot be compared by their cosine.
    #[error(
        "{what}: {}, and the cosine of an angle is asked for; {}",
        row.map_or("codes have no direction".to_owned(), |row| format!("row {row} is all zero and has no direction")),
        if row.is_some() { "leave that row out, or look at its image" } else { "choose an encoder that gives features" }
    )]
    NoDirection {
        /// The embedding.
        what: String,
        /// The row of zeros; none where no row has a direction.
        row: Option<usize>,
    },
    /// More neighbours are asked for than there are rows to choose from.
    #[error("{k} nearest neighbours among {available} rows; ask for at least 1 and at most as many as there are rows")]
    TooFewNeighbours {
        /// Neighbours asked for.
        k: usize,
        /// Rows to choose from.
        available: usize,
    },
    /// Balls without a radius, or radii without a ball.
    #[error("{radii} radii for {rows} rows; every row of the base set needs exactly one radius")]
    Radii {
        /// Radii given.
        radii: usize,
        /// Rows of the base set.
        rows: usize,
    },
    /// A file that cannot be read or written, or that does not hold what it should.
    #[error("{}: {found}; {remedy}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What was expected and what to do.
        remedy: String,
    },
    /// The number of values is no multiple of the dimension.
    #[error("{values} values for rows of {dimension}; the number of values must be a multiple of the dimension")]
    Ragged {
        /// Values given.
        values: usize,
        /// Values per row.
        dimension: usize,
    },
}

impl Error {
    pub(crate) fn file(path: &Path, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), found: found.into(), remedy: remedy.into() }
    }

    /// Turns the system's reason for not reading into an error that names the file.
    pub(crate) fn reading(path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |error| {
            let remedy = match error.kind() {
                std::io::ErrorKind::NotFound => "check the spelling, and that the disk it lies on is mounted",
                std::io::ErrorKind::PermissionDenied => "allow reading it",
                _ => "the file may be cut off or damaged: make or copy it again",
            };
            Self::file(path, format!("reading failed: {error}"), remedy)
        }
    }

    /// Turns the system's reason for not writing into an error that names the file.
    pub(crate) fn writing(path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |error| {
            let remedy = "check that the folder exists, that it may be written to and that the disk is not full";
            Self::file(path, format!("writing failed: {error}"), remedy)
        }
    }
}

/// The result of encoding.
pub type Result<T, E = Error> = std::result::Result<T, E>;
