//! Reading image sets from the forms the field keeps them in.
//!
//! [`import`] recognises the form, reads it, and applies the conversions asked for, and no other. Everything left out
//! is listed in [`Provenance::skipped`](crate::Provenance).

mod cifar;
mod folder;
mod format;
mod idx;
mod metadata;
mod npz;
mod picture;

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use format::Format;
pub(crate) use metadata::FILE_NAME;
pub use picture::{Channels, Depth, Size, Transparency};

use crate::saved::MANIFEST;
use crate::{Column, Error, ImageSet, Parts, Progress, Provenance, Result, Skipped};
use picture::{Conversion, Picture};

/// How to import. The defaults change nothing and refuse whatever would need a change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImportOptions {
    /// The form of the input; recognised where not given.
    pub format: Option<Format>,
    /// The attribute column that holds the label. Default: the form's own labels, which in a metadata file is the
    /// column "label", if it is there.
    pub label: Option<String>,
    /// Scale every image to this size, by a triangle filter as wide as the source pixels of a target pixel (antialiased
    /// bilinear). Default: sizes stay, and different sizes are an error.
    pub resize: Option<Size>,
    /// Convert to grey or to colour. Default: as stored, and a mixture is an error.
    pub channels: Channels,
    /// What to do with pictures that have transparent pixels. Default: refuse.
    pub transparency: Transparency,
    /// What to do with pictures of more than 8 bits per value. Default: refuse.
    pub depth: Depth,
    /// Leave out pictures that cannot be decoded, and list them; default false, an error.
    pub skip_unreadable: bool,
}

/// Reads an image set.
///
/// Recognised, in this order: the own form ([`ImageSet::save`]); a folder whose subfolders are parts (`train`,
/// `validation`, `test`, `holdout`), each in any form; `metadata.csv` or `metadata.jsonl` with a `file_name` column, as
/// on the Hugging Face hub; IDX (MNIST), gzipped or not; CIFAR binary, in a folder or as the published archive; class
/// folders; a flat folder of pictures; `.npz` in the layouts of MedMNIST and DPImageBench.
///
/// Pictures (PNG, JPEG, WebP, BMP, TIFF, PNM) are decoded in parallel and ordered by path, with metadata as it
/// lists them. They keep their relative path
/// in the column `file_name`. JPEG orientation tags are not applied. All pixels are held in memory.
///
/// # Errors
/// If nothing is there or recognised, a file cannot be read, images differ in size or channels, or an option does not fit;
/// the message says which option helps.
pub fn import(path: &Path, options: &ImportOptions, progress: &dyn Progress) -> Result<Parts> {
    if !path.exists() {
        return Err(Error::Missing { path: path.to_path_buf() });
    }
    let parts = read(path, options, progress)?;
    let parts = match &options.label {
        Some(label) => parts.map(|_, set| label_by(set, label))?,
        None => parts,
    };
    for (name, set) in parts.iter() {
        let skipped = &set.provenance().skipped;
        if let Some(first) = skipped.first() {
            let part = if name.is_empty() { String::new() } else { format!(" in {name}") };
            progress.warn(&format!("{} left out{part}, for example {}: {}", skipped.len(), first.item, first.reason));
        }
    }
    Ok(parts)
}

/// Labels by a column, unless the reader has used it already.
fn label_by(set: ImageSet, label: &str) -> Result<ImageSet> {
    if set.column(label).is_none() && set.labels().is_some() && label == metadata::LABEL {
        return Ok(set);
    }
    set.labelled_by(label)
}

fn read(path: &Path, options: &ImportOptions, progress: &dyn Progress) -> Result<Parts> {
    if path.is_dir()
        && let Some(parts) = part_folders(path)?
    {
        let parts = parts
            .into_iter()
            .map(|(name, folder)| {
                let content = read(&folder, options, progress)?;
                Ok((name, content.only()?.clone()))
            })
            .collect::<Result<_>>()?;
        return Parts::divided(parts);
    }
    let format = match options.format {
        Some(format) => format,
        None => format::detect(path)?,
    };
    match format {
        Format::Saved => convert(Parts::undivided(ImageSet::open(path)?), options),
        Format::Metadata => metadata::read(path, options, progress),
        Format::ClassFolders => folder::read_classes(path, options, progress),
        Format::Flat => folder::read_flat(path, options, progress),
        Format::Npz => convert(npz::read(path)?, options),
        Format::Idx => convert(idx::read(path)?, options),
        Format::Cifar10 => convert(cifar::read(path, cifar::CIFAR_10)?, options),
        Format::Cifar100 => convert(cifar::read(path, cifar::CIFAR_100)?, options),
    }
}

/// The parts a folder's subfolders are, if that is what they are: (part's name, folder).
fn part_folders(path: &Path) -> Result<Option<Vec<(String, PathBuf)>>> {
    if path.join(MANIFEST).exists() {
        return Ok(None);
    }
    let mut parts = Vec::new();
    for entry in folder::list(path)? {
        let name = entry.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if entry.is_dir() && !name.starts_with('.') {
            match format::part_name(&name) {
                Some(part) => parts.push((part.to_owned(), entry)),
                None => return Ok(None),
            }
        } else if folder::is_picture(&entry) || metadata::is_metadata(&entry) {
            return Ok(None);
        }
    }
    Ok((!parts.is_empty()).then_some(parts))
}

/// Resizes and recolours sets that were read as arrays, and says so in their provenance.
fn convert(parts: Parts, options: &ImportOptions) -> Result<Parts> {
    let conversion = Conversion::of(options);
    let Some(description) = conversion.describe() else { return Ok(parts) };
    parts.map(|_, set| {
        let shape = conversion.target(set.shape());
        let pixels: Vec<u8> = set
            .pixels()
            .par_chunks_exact(set.shape().volume())
            .flat_map_iter(|image| conversion.apply(Picture { shape: set.shape(), values: image.to_vec() }).values)
            .collect();
        let mut provenance = set.provenance().clone();
        provenance.format = format!("{}, {description}", provenance.format);
        let mut converted = ImageSet::new(shape, pixels)?.with_provenance(provenance);
        if let Some(labels) = set.labels() {
            converted = converted.with_labels(labels.clone())?;
        }
        for column in set.columns() {
            converted = converted.with_column(column.clone())?;
        }
        Ok(converted)
    })
}

/// Pixels, file names and omissions of a list of pictures.
struct Decoded {
    set: ImageSet,
    /// Positions in the list of those that were decoded.
    kept: Vec<usize>,
    skipped: Vec<Skipped>,
}

/// Decodes pictures, (path, name for messages), in order.
fn decode_all(
    root: &Path,
    pictures: &[(PathBuf, String)],
    options: &ImportOptions,
    progress: &dyn Progress,
) -> Result<Decoded> {
    /// Pictures decoded before their pixels are gathered: enough for every core, little beside the set.
    const BATCH: usize = 256;

    let conversion = Conversion::of(options);
    let mut shape: Option<(crate::Shape, &str)> = None;
    let mut pixels = Vec::new();
    let mut kept = Vec::new();
    let mut skipped = Vec::new();
    progress.begin("reading images", pictures.len() as u64);
    let mut decode = || -> Result<()> {
        for (batch, chunk) in pictures.chunks(BATCH).enumerate() {
            let decoded: Vec<_> = chunk
                .par_iter()
                .map(|(path, _)| picture::decode(path, options).map(|picture| conversion.apply(picture)))
                .collect();
            for (offset, (picture, (path, name))) in decoded.into_iter().zip(chunk).enumerate() {
                match picture {
                    Ok(picture) => {
                        let &mut (expected, first) = shape.get_or_insert((picture.shape, name));
                        if picture.shape != expected {
                            return Err(Error::invalid(
                                root,
                                format!(
                                    "{first} is {expected}, {name} is {} (channels × height × width)",
                                    picture.shape
                                ),
                                format!(
                                    "all images need one shape: --resize {}x{} scales them, --grey or --colour converts \
                                     them",
                                    expected.height, expected.width
                                ),
                            ));
                        }
                        pixels.extend_from_slice(&picture.values);
                        kept.push(batch * BATCH + offset);
                    }
                    Err(picture::Refusal::Unreadable(reason)) if options.skip_unreadable => {
                        skipped.push(Skipped { item: name.clone(), reason });
                    }
                    Err(refusal) => return Err(refusal.at(path)),
                }
            }
            progress.advance(chunk.len() as u64);
        }
        Ok(())
    };
    let outcome = decode();
    progress.end();
    outcome?;
    let Some((shape, _)) = shape else {
        return Err(Error::Empty {
            path: root.to_path_buf(),
            found: format!("none of the {} pictures can be decoded", pictures.len()),
            remedy: skipped.first().map(|first| format!("{}: {}", first.item, first.reason)).unwrap_or_default(),
        });
    };
    let names = kept.iter().map(|&index| pictures[index].1.clone()).collect();
    let set =
        ImageSet::new(shape, pixels)?.with_column(Column { name: metadata::FILE_NAME.to_owned(), values: names })?;
    Ok(Decoded { set, kept, skipped })
}

/// Provenance of what was read from `path` in `format`.
fn provenance(path: &Path, format: Format, options: &ImportOptions, skipped: Vec<Skipped>) -> Provenance {
    let format = match Conversion::of(options).describe() {
        Some(conversion) => format!("{format}, {conversion}"),
        None => format.to_string(),
    };
    Provenance { source: path.display().to_string(), format, licence: licence(path), skipped }
}

/// The licence an export of this project left beside its images.
fn licence(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path.join(crate::export::PROVENANCE)).ok()?;
    toml::from_str::<Provenance>(&text).ok()?.licence
}
