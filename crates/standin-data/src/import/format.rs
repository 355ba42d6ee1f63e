use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{cifar, folder, idx, metadata, shards};
use crate::saved::MANIFEST;
use crate::{Error, Result};

/// A form image sets are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The project's own form: `images.npy`, `attributes.csv`, `set.toml`.
    Saved,
    /// `metadata.csv` or `metadata.jsonl` beside the pictures, with a `file_name` column.
    Metadata,
    /// One subfolder of pictures per class.
    ClassFolders,
    /// A folder of pictures, subfolders included, without labels.
    Flat,
    /// Parquet files with a column of pictures, as on the Hugging Face hub.
    Parquet,
    /// Tar shards of pictures with `.cls`, `.json` and `.txt` beside them (WebDataset), gzipped or not.
    #[serde(rename = "webdataset")]
    WebDataset,
    /// `.npz` with `train_images`, `train_labels`, … (MedMNIST) or `x`, `y` (DPImageBench).
    Npz,
    /// IDX (MNIST), gzipped or not: a folder, or one file of images with its labels beside it.
    Idx,
    /// CIFAR-10 binary: a folder of batches, one batch, or the published archive.
    #[serde(rename = "cifar-10")]
    Cifar10,
    /// CIFAR-100 binary likewise.
    #[serde(rename = "cifar-100")]
    Cifar100,
}

const NAMES: [(Format, &str); 10] = [
    (Format::Saved, "saved"),
    (Format::Metadata, "metadata"),
    (Format::ClassFolders, "class-folders"),
    (Format::Flat, "flat"),
    (Format::Parquet, "parquet"),
    (Format::WebDataset, "webdataset"),
    (Format::Npz, "npz"),
    (Format::Idx, "idx"),
    (Format::Cifar10, "cifar-10"),
    (Format::Cifar100, "cifar-100"),
];

impl Format {
    /// The names of all formats, as the command line and configurations write them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(_, name)| *name)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name) = NAMES.iter().find(|(format, _)| format == self).expect("every format has a name");
        f.write_str(name)
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        NAMES
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(format, _)| *format)
            .ok_or_else(|| Error::unknown("format", text, Self::names()))
    }
}

/// Names of parts and of the folders and arrays that hold them.
pub(super) const PART_NAMES: [(&str, &[&str]); 4] = [
    ("train", &["train", "training"]),
    ("holdout", &["holdout"]),
    ("validation", &["validation", "valid", "val", "dev"]),
    ("test", &["test", "testing", "t10k"]),
];

/// The part a folder or a prefix of that name holds.
pub(super) fn part_name(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    PART_NAMES.iter().find(|(_, aliases)| aliases.contains(&name.as_str())).map(|(part, _)| *part)
}

/// Recognises the form of a file or folder.
pub(super) fn detect(path: &Path) -> Result<Format> {
    if path.is_dir() { detect_folder(path) } else { detect_file(path) }
}

fn detect_file(path: &Path) -> Result<Format> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    if name.ends_with(".npz") {
        return Ok(Format::Npz);
    }
    if idx::is_idx(path)? {
        return Ok(Format::Idx);
    }
    if let Some(format) = cifar::recognise(path)? {
        return Ok(format);
    }
    match shards::kind(path) {
        Some(shards::Kind::Parquet) => return Ok(Format::Parquet),
        Some(shards::Kind::Tar) => return Ok(Format::WebDataset),
        None => {}
    }
    let found = match folder::is_picture(path) {
        true => "this is a single picture".to_owned(),
        false => "the content is none of the known forms".to_owned(),
    };
    Err(Error::invalid(
        path,
        found,
        format!(
            "give a folder of pictures, .parquet, .tar, .npz, IDX or CIFAR binary, or name the form with --format ({})",
            { Format::names().collect::<Vec<_>>().join(", ") }
        ),
    ))
}

fn detect_folder(path: &Path) -> Result<Format> {
    if path.join(MANIFEST).exists() {
        return Ok(Format::Saved);
    }
    let entries = folder::list(path)?;
    if entries.iter().any(|entry| metadata::is_metadata(entry)) {
        return Ok(Format::Metadata);
    }
    for entry in entries.iter().filter(|entry| entry.is_file() && !folder::is_picture(entry)) {
        if idx::is_idx(entry)? {
            return Ok(Format::Idx);
        }
        if let Some(format) = cifar::recognise(entry)? {
            return Ok(format);
        }
    }
    let loose = entries.iter().find(|entry| entry.is_file() && folder::is_picture(entry));
    let mut classes = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_dir()) {
        if !folder::pictures(entry)?.pictures.is_empty() {
            classes.push(entry);
        }
    }
    match (loose, classes.as_slice()) {
        (Some(_), []) => Ok(Format::Flat),
        (None, [only]) => Err(Error::SingleClass {
            origin: path.display().to_string(),
            class: only.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            remedy: "labels need a second class folder; --format flat reads the pictures without labels".to_owned(),
        }),
        (None, [_, ..]) => Ok(Format::ClassFolders),
        (Some(loose), [first, ..]) => Err(Error::invalid(
            path,
            format!("pictures such as {} lie beside folders of pictures such as {}", loose.display(), first.display()),
            "move them into class folders; or choose --format flat (all pictures, no labels) or --format \
             class-folders (loose pictures are left out)",
        )),
        (None, []) => match shards::recognise(path)? {
            Some(shards::Kind::Parquet) => Ok(Format::Parquet),
            Some(shards::Kind::Tar) => Ok(Format::WebDataset),
            None => Err(folder::nothing(path, &entries)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_names_round_trip() {
        for (format, name) in NAMES {
            assert_eq!(name.parse::<Format>().unwrap(), format);
            assert_eq!(format.to_string(), name);
            assert_eq!(serde_json::to_value(format).unwrap(), name);
        }
        let message = "class-folder".parse::<Format>().unwrap_err().to_string();
        assert!(message.contains("did you mean \"class-folders\""), "{message}");
    }
}
