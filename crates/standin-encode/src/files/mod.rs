//! Embeddings on disk, in the formats other tools read and write.

mod npy;
mod npz;
mod parquet;

use std::fs;
use std::path::{Path, PathBuf};

pub use npy::{read_npy, write_npy};

use crate::{Embedding, Error, Result, Stamp};

/// The encoder's name in the stamp of a file that does not say how its features were made.
const UNSTAMPED: &str = "file";

/// An embedding with what a file may hold besides. The ending of the name decides the format:
///
/// | ending | features | labels | stamp |
/// |---|---|---|---|
/// | `.npy` | the array, images × features | — | `NAME.stamp.json` beside `NAME.npy` |
/// | `.npz` | array `features`, or the only array that is neither of the others | array `labels` | array `stamp`: one string of JSON |
/// | `.parquet` | list column `embedding`, or every floating-point column in order | column `label` | metadata entry `standin.stamp` |
///
/// Features may be stored in half, single or double precision, NumPy arrays in C or Fortran order; they are held and
/// written in single precision. A `.npz` or Parquet file without a stamp may have one beside it too. Other columns of a
/// Parquet file are left alone. Equal embeddings give equal files.
///
/// Memory: the features once, and a second time while an array in Fortran order is turned.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingFile {
    /// The features.
    pub embedding: Embedding,
    /// One integer per image.
    pub labels: Option<Vec<i64>>,
}

/// What a format reads: the features, row-major, with their number per image; the labels; the stamp.
struct Contents {
    values: Vec<f32>,
    dimension: usize,
    labels: Option<Vec<i64>>,
    stamp: Option<String>,
}

impl EmbeddingFile {
    /// Reads a file.
    ///
    /// A file without a stamp gets one whose encoder is `file` and whose preprocessing is `description`, or says that
    /// nothing is known. So two such files compare with each other, and never with features whose making is known; whoever
    /// knows that two files were made differently describes them differently. A stamp in the file counts more than the
    /// description.
    ///
    /// # Errors
    /// If the file is missing or damaged, its ending is none of those above, the features are no matrix of floats or one
    /// of them is not finite, the labels are not one integer per image, or the stamp is unreadable.
    pub fn read(path: &Path, description: Option<&str>) -> Result<Self> {
        let Contents { values, dimension, labels, stamp } = match Format::of(path)? {
            Format::Npy => npy::read(path),
            Format::Npz => npz::read(path),
            Format::Parquet => parquet::read(path),
        }?;
        let stamp = match (stamp, stamp_beside(path)?) {
            (Some(text), _) => parse_stamp(path, &text)?,
            (None, Some((beside, text))) => parse_stamp(&beside, &text)?,
            (None, None) => {
                Stamp::new(UNSTAMPED, description.unwrap_or("nothing is recorded of how these features were made"))
            }
        };
        let embedding = Embedding::new(values, dimension, stamp).map_err(|error| match error {
            Error::NotFinite { row, column, value, .. } => {
                Error::NotFinite { what: path.display().to_string(), row, column, value }
            }
            other => other,
        })?;
        if let Some(labels) = &labels
            && labels.len() != embedding.rows()
        {
            return Err(Error::file(
                path,
                format!("{} labels for {} rows of features", labels.len(), embedding.rows()),
                "one integer per row was expected: write the file again, or leave the labels out",
            ));
        }
        Ok(Self { embedding, labels })
    }

    /// Writes a file, replacing one that is there.
    ///
    /// # Errors
    /// If it cannot be written, its ending is none of those above, or there are labels and the format has no place for
    /// them.
    ///
    /// # Panics
    /// If there are labels, but not one for each row.
    pub fn write(&self, path: &Path) -> Result<()> {
        let labels = self.labels.as_deref();
        assert!(labels.is_none_or(|labels| labels.len() == self.embedding.rows()), "one label per row");
        write(path, &self.embedding, labels)
    }
}

impl Embedding {
    /// Writes the features and their stamp to a `.npy`, `.npz` or `.parquet` file, replacing one that is there; see
    /// [`EmbeddingFile`].
    ///
    /// # Errors
    /// If the file cannot be written or its ending is another.
    pub fn save(&self, path: &Path) -> Result<()> {
        write(path, self, None)
    }

    /// Reads features and their stamp from a `.npy`, `.npz` or `.parquet` file; [`EmbeddingFile::read`] says what happens
    /// to a file without a stamp.
    ///
    /// # Errors
    /// As [`EmbeddingFile::read`].
    pub fn load(path: &Path) -> Result<Self> {
        EmbeddingFile::read(path, None).map(|file| file.embedding)
    }
}

/// Whether a file holds features, as opposed to images: any `.npy`; a `.npz` with an array `features` or whose only array
/// is a matrix; a Parquet file with a column `embedding` or a stamp.
///
/// # Errors
/// If the name ends like one of these and the file cannot be read.
pub fn holds_features(path: &Path) -> Result<bool> {
    match Format::of(path) {
        Err(_) => Ok(false),
        Ok(_) if !path.is_file() => Ok(false),
        Ok(Format::Npy) => Ok(true),
        Ok(Format::Npz) => npz::holds_features(path),
        Ok(Format::Parquet) => parquet::holds_features(path),
    }
}

fn write(path: &Path, embedding: &Embedding, labels: Option<&[i64]>) -> Result<()> {
    let stamp = serde_json::to_string(embedding.stamp()).expect("a stamp is strings and a name");
    match Format::of(path)? {
        Format::Npy if labels.is_some() => Err(Error::file(
            path,
            "the embedding has labels",
            "a `.npy` file holds one array: write `.npz` or `.parquet`, or leave the labels out",
        )),
        Format::Npy => {
            write_npy(path, embedding.values(), embedding.dimension())?;
            let beside = sidecar(path);
            fs::write(&beside, stamp + "\n").map_err(Error::writing(&beside))
        }
        Format::Npz => npz::write(path, embedding, labels, &stamp),
        Format::Parquet => parquet::write(path, embedding, labels, stamp),
    }
}

enum Format {
    Npy,
    Npz,
    Parquet,
}

impl Format {
    fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("npy") => Ok(Self::Npy),
            Some("npz") => Ok(Self::Npz),
            Some("parquet") => Ok(Self::Parquet),
            other => Err(Error::file(
                path,
                other.map_or("the name has no ending".to_owned(), |ending| format!("the name ends in `.{ending}`")),
                "embeddings are files ending in `.npy`, `.npz` or `.parquet`",
            )),
        }
    }
}

/// `NAME.stamp.json` beside `NAME.npy`.
fn sidecar(path: &Path) -> PathBuf {
    path.with_extension("stamp.json")
}

fn stamp_beside(path: &Path) -> Result<Option<(PathBuf, String)>> {
    let beside = sidecar(path);
    match fs::read_to_string(&beside) {
        Ok(text) => Ok(Some((beside, text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::reading(&beside)(error)),
    }
}

fn parse_stamp(path: &Path, text: &str) -> Result<Stamp> {
    serde_json::from_str(text).map_err(|error| {
        let found = format!("the stamp {} is unreadable: {error}", text.trim());
        Error::file(path, found, "remove it, or write encoder, weights (or null), preprocessing and metric as JSON")
    })
}
