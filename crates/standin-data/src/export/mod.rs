//! Writing image sets for other tools.

mod card;
mod class_folders;
mod grid;
mod npz;
mod parquet;
mod png;
mod shards;
mod webdataset;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::import::{CLASS_NAMES, FILE_NAME, LABEL};
use crate::saved::MANIFEST;
use crate::{Error, ImageSet, Parts, Provenance, Result};

pub use grid::{first_of_each_class, write_grid};
pub use png::{png_bytes, write_png};

/// The file that says where exported pictures come from.
pub(crate) const PROVENANCE: &str = "provenance.toml";

/// The data card.
const CARD: &str = "README.md";

/// What an export writes beside the pictures.
pub(crate) const BESIDE: [&str; 3] = [PROVENANCE, CARD, CLASS_NAMES];

/// A form to export to. All but `Saved` and `Npz` come with a data card, `README.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportFormat {
    /// PNG files in one folder per class (in `images` without labels) with `metadata.csv`, readable as class folders and
    /// as a Hugging Face image folder, and `provenance.toml`.
    ClassFolders,
    /// `data/train-00000-of-00001.parquet` and so on with a column `image` of PNG files, as on the Hugging Face hub: the
    /// label is a `ClassLabel`, attributes are text.
    Parquet,
    /// Tar shards `train-000000.tar` and so on of `000000.png`, `000000.cls` (the class index) and `000000.json` (the
    /// attributes), with `classnames.txt` (WebDataset).
    #[serde(rename = "webdataset")]
    WebDataset,
    /// One `.npz` in the layout of MedMNIST: `train_images`, `train_labels`, …, or `images`, `labels` without parts.
    Npz,
    /// The own form, see [`ImageSet::save`].
    Saved,
}

const NAMES: [(ExportFormat, &str); 5] = [
    (ExportFormat::ClassFolders, "class-folders"),
    (ExportFormat::Parquet, "parquet"),
    (ExportFormat::WebDataset, "webdataset"),
    (ExportFormat::Npz, "npz"),
    (ExportFormat::Saved, "saved"),
];

impl ExportFormat {
    /// The names of all forms, as the command line and configurations write them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(_, name)| *name)
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name) = NAMES.iter().find(|(format, _)| format == self).expect("every form has a name");
        f.write_str(name)
    }
}

impl FromStr for ExportFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = NAMES.iter().find(|(_, name)| *name == text);
        known.map(|(format, _)| *format).ok_or_else(|| Error::unknown("form to export to", text, Self::names()))
    }
}

/// What an export wrote, and what its form has no place for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The file or folder.
    pub path: PathBuf,
    /// Images written.
    pub images: usize,
    /// What was not written, such as "class names".
    pub omitted: Vec<String>,
}

/// Writes a set for other tools. Equal sets give equal bytes.
///
/// Everything is written beside the target under a temporary name and moved there when complete. With `force` an
/// existing file is replaced; an existing folder only if an export made it, so that original images are never removed.
/// Beside a set that is mapped from disk at most 64 MiB of pictures are held.
///
/// # Errors
/// If the target exists (without `force`), is a folder of foreign content, or cannot be written.
pub fn export(parts: &Parts, path: &Path, format: ExportFormat, force: bool) -> Result<Exported> {
    let omitted = place(path, force, |target, _| {
        let omitted = match format {
            ExportFormat::Saved => {
                parts.save(target)?;
                Vec::new()
            }
            ExportFormat::ClassFolders => {
                for (name, set) in parts.iter() {
                    class_folders::write(set, &target.join(name))?;
                }
                card::write(parts, target, format)?;
                Vec::new()
            }
            ExportFormat::Parquet => {
                parquet::write(parts, target)?;
                write_provenance(&joint_provenance(parts), target)?;
                card::write(parts, target, format)?;
                Vec::new()
            }
            ExportFormat::WebDataset => {
                webdataset::write(parts, target)?;
                write_provenance(&joint_provenance(parts), target)?;
                card::write(parts, target, format)?;
                Vec::new()
            }
            ExportFormat::Npz => npz::write(parts, target)?,
        };
        Ok(omitted)
    })?;
    Ok(Exported { path: path.to_path_buf(), images: parts.iter().map(|(_, set)| set.len()).sum(), omitted })
}

/// Has `write` make a file or folder under a temporary name, given with a scratch folder on the same file system, and
/// moves it to `path` when it is complete.
pub(crate) fn place<T>(path: &Path, force: bool, write: impl FnOnce(&Path, &Path) -> Result<T>) -> Result<T> {
    refuse_overwriting(path, force)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(Error::io("making the folder", parent))?;
    let stage = tempfile::Builder::new()
        .prefix(".standin-export-")
        .tempdir_in(parent)
        .map_err(Error::io("making a temporary folder in", parent))?;
    let target = stage.path().join("export");
    let written = write(&target, stage.path())?;
    if path.is_dir() {
        fs::remove_dir_all(path).map_err(Error::io("replacing", path))?;
    }
    fs::rename(&target, path).map_err(Error::io("moving the export to", path))?;
    Ok(written)
}

fn refuse_overwriting(path: &Path, force: bool) -> Result<()> {
    let empty = path.is_dir() && fs::read_dir(path).map_err(Error::io("reading the folder", path))?.next().is_none();
    if !path.exists() || empty {
        return Ok(());
    }
    if !force {
        return Err(Error::invalid(path, "it exists already", "choose another name, or replace it with --force"));
    }
    let own = |folder: &Path| folder.join(MANIFEST).is_file() || folder.join(PROVENANCE).is_file();
    let made_here = !path.is_dir()
        || own(path)
        || fs::read_dir(path)
            .map_err(Error::io("reading the folder", path))?
            .all(|entry| entry.is_ok_and(|entry| entry.file_name() == CARD || own(&entry.path())));
    if made_here {
        return Ok(());
    }
    Err(Error::invalid(
        path,
        "the folder was not made by an export",
        "--force replaces only exports, so that originals are never removed: choose another name",
    ))
}

/// That of all parts together.
fn joint_provenance(parts: &Parts) -> Provenance {
    let mut sets = parts.iter().map(|(_, set)| set.provenance());
    let first = sets.next().cloned().unwrap_or_default();
    sets.fold(first, |joint, part| joint.joined(part))
}

fn write_provenance(provenance: &Provenance, folder: &Path) -> Result<()> {
    let path = folder.join(PROVENANCE);
    let text = toml::to_string(provenance)
        .map_err(|error| Error::invalid(&path, error.to_string(), "the provenance must have a TOML form"))?;
    fs::write(&path, text).map_err(Error::io("writing", &path))
}

/// The attributes with the names they get in a table whose own columns have the names `taken`.
fn attribute_names<'a>(set: &'a ImageSet, taken: &[&str]) -> Vec<(String, &'a [String])> {
    let present = |name: &str| set.column(name).is_some() || taken.contains(&name);
    set.columns()
        .iter()
        .map(|column| {
            let mut name = column.name.clone();
            if taken.contains(&name.as_str()) {
                name = format!("source_{name}");
                while present(&name) {
                    name.push('_');
                }
            }
            (name, column.values.as_slice())
        })
        .collect()
}

/// The names of a table's own columns: pictures or their files, and the label if there is one.
fn own_columns(set: &ImageSet, pictures: &'static str) -> Vec<&'static str> {
    [pictures].into_iter().chain(set.labels().map(|_| LABEL)).collect()
}

/// The files of class folders are told apart by this column.
const FILES: &str = FILE_NAME;
