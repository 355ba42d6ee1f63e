//! Reading image sets from the forms the field keeps them in.
//!
//! [`import`] recognises the form, reads it, and applies the conversions asked for, and no other. Everything left out
//! is listed in [`Provenance::skipped`](crate::Provenance).

mod cifar;
mod conversion;
mod folder;
mod format;
mod frames;
mod gather;
mod idx;
mod metadata;
mod npz;
mod options;
mod parquet;
mod picture;
mod shards;
mod webdataset;
mod window;

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

pub use format::Format;
pub(crate) use metadata::{FILE_NAME, LABEL};
pub use options::{Alpha, Channels, ImportOptions, Size};
pub(crate) use parquet::KEY as HUB_KEY;
pub(crate) use webdataset::CLASS_NAMES;
pub use window::Window;

use crate::saved::MANIFEST;
use crate::{Error, ImageSet, Parts, Progress, Provenance, Result, Skipped, export};
use conversion::{Conversion, Tally};
use gather::{Encoded, Gathered, Gathering, Place};

/// What every reader is given.
struct Context<'a> {
    options: &'a ImportOptions,
    progress: &'a dyn Progress,
    /// The folder for pixels on their way to disk; without one they are held in memory.
    scratch: Option<&'a Path>,
}

/// A task that ends when it goes out of scope, by an error too.
struct Task<'a>(&'a dyn Progress);

impl<'a> Task<'a> {
    fn begin(progress: &'a dyn Progress, task: &str, total: u64) -> Self {
        progress.begin(task, total);
        Self(progress)
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Reads an image set into memory.
///
/// Recognised, in this order: the own form ([`ImageSet::save`]), which is mapped, not read; a folder whose subfolders are
/// parts (`train`, `validation`, `test`, `holdout`), each in any form; `metadata.csv` or `metadata.jsonl` with a
/// `file_name` column, as on the Hugging Face hub; IDX (MNIST), gzipped or not; CIFAR binary, in a folder or as the
/// published archive; class folders; a flat folder of pictures; Parquet with a column of pictures and tar shards
/// (WebDataset), as files, folders or names with `*`, `?` and `{000..015}`; `.npz` in the layouts of MedMNIST and
/// DPImageBench.
///
/// Pictures (PNG, JPEG, WebP, BMP, TIFF, PNM) are decoded in parallel and ordered by path, with metadata as it
/// lists them, in shards as they lie. They keep their relative path in the column `file_name`. JPEG orientation tags are
/// not applied.
///
/// Memory: the pixels once, a batch of at most 64 MiB, and names, labels and attributes. Arrays (`.npz`, IDX, CIFAR) are
/// held twice while they are converted.
///
/// # Errors
/// If nothing is there or recognised, a file cannot be read, images differ in size or channels, or an option does not fit;
/// the message says which option helps.
pub fn import(path: &Path, options: &ImportOptions, progress: &dyn Progress) -> Result<Parts> {
    import_in(path, &Context { options, progress, scratch: None })
}

/// Reads an image set, writes it to `folder` in the own form, and opens it there.
///
/// As [`import`], but pixels of pictures go to disk batch by batch, so that the set may be larger than memory: what is
/// held is a batch of at most 64 MiB, names, labels and attributes. They are written once, below a temporary folder beside
/// `folder`, and moved. Arrays (`.npz`, IDX, CIFAR) are read whole.
///
/// # Errors
/// As [`import`] and [`export`](crate::export()).
pub fn import_to(
    path: &Path,
    options: &ImportOptions,
    folder: &Path,
    force: bool,
    progress: &dyn Progress,
) -> Result<Parts> {
    export::place(folder, force, |target, scratch| {
        let parts = import_in(path, &Context { options, progress, scratch: Some(scratch) })?;
        for (name, set) in parts.iter() {
            set.save_moving(&target.join(name))?;
        }
        Ok(())
    })?;
    import(folder, &ImportOptions::default(), &crate::Silent)
}

fn import_in(path: &Path, context: &Context<'_>) -> Result<Parts> {
    let parts = if path.exists() {
        read(path, context)?
    } else {
        match shards::matching(path)? {
            Some(files) => read_shards(path, &files, context)?,
            None => return Err(Error::Missing { path: path.to_path_buf() }),
        }
    };
    for (name, set) in parts.iter() {
        let skipped = &set.provenance().skipped;
        if let Some(first) = skipped.first() {
            let part = if name.is_empty() { String::new() } else { format!(" in {name}") };
            let message = format!("{} left out{part}, for example {}: {}", skipped.len(), first.item, first.reason);
            context.progress.warn(&message);
        }
    }
    Ok(parts)
}

/// Whether a path, or a pattern of shards, leads to anything.
pub(crate) fn is_there(path: &Path) -> bool {
    path.exists() || shards::is_pattern(path)
}

fn read_shards(root: &Path, files: &[PathBuf], context: &Context<'_>) -> Result<Parts> {
    let format = match context.options.format {
        Some(format) => format,
        None => format::detect(&files[0])?,
    };
    refuse_unused(root, format, context.options)?;
    match format {
        Format::Parquet => parquet::read(root, files, context),
        Format::WebDataset => labelled(webdataset::read(root, files, context)?, context),
        other => Err(Error::invalid(
            root,
            format!("the first of {} matching files is {} in the form {other}", files.len(), files[0].display()),
            "names with *, ? or {000..015} stand for shards (.parquet, .tar, .tar.gz): name the file or folder",
        )),
    }
}

/// The parts labelled by the column asked for, unless the reader has used it already.
fn labelled(parts: Parts, context: &Context<'_>) -> Result<Parts> {
    let Some(label) = &context.options.label else { return Ok(parts) };
    parts.map(|_, set| {
        if set.column(label).is_none() && set.labels().is_some() && label == metadata::LABEL {
            return Ok(set);
        }
        set.labelled_by(label)
    })
}

fn read(path: &Path, context: &Context<'_>) -> Result<Parts> {
    if path.is_dir()
        && let Some(parts) = part_folders(path)?
    {
        let parts = parts
            .into_iter()
            .map(|(name, folder)| {
                let content = read(&folder, context)?;
                Ok((name, content.only()?.clone()))
            })
            .collect::<Result<_>>()?;
        return Parts::divided(parts);
    }
    let format = match context.options.format {
        Some(format) => format,
        None => format::detect(path)?,
    };
    refuse_unused(path, format, context.options)?;
    let parts = match format {
        Format::Saved => convert(Parts::undivided(ImageSet::open(path)?), context),
        Format::Metadata => metadata::read(path, context),
        Format::ClassFolders => folder::read_classes(path, context),
        Format::Flat => folder::read_flat(path, context),
        Format::Parquet => return parquet::read(path, &shards::find(path, shards::Kind::Parquet)?, context),
        Format::WebDataset => webdataset::read(path, &shards::find(path, shards::Kind::Tar)?, context),
        Format::Npz => convert(npz::read(path, context)?, context),
        Format::Idx => convert(idx::read(path)?, context),
        Format::Cifar10 => convert(cifar::read(path, cifar::CIFAR_10)?, context),
        Format::Cifar100 => convert(cifar::read(path, cifar::CIFAR_100)?, context),
    }?;
    labelled(parts, context)
}

/// Refuses options that mean nothing for a form: an option that is read and forgotten misleads.
fn refuse_unused(path: &Path, format: Format, options: &ImportOptions) -> Result<()> {
    let eight_bits = matches!(format, Format::Saved | Format::Idx | Format::Cifar10 | Format::Cifar100);
    if options.window.is_some() && eight_bits {
        return Err(Error::invalid(
            path,
            format!("the form {format} holds 8 bits per value, and a window is for deeper pictures"),
            "leave --window out",
        ));
    }
    if options.image.is_some() && format != Format::Parquet {
        return Err(Error::invalid(
            path,
            format!("a column of pictures is named, and the form is {format}"),
            "--image is for Parquet: leave it out",
        ));
    }
    Ok(())
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
        } else if folder::is_picture(&entry) || metadata::is_metadata(&entry) || shards::kind(&entry).is_some() {
            return Ok(None);
        }
    }
    Ok((!parts.is_empty()).then_some(parts))
}

/// Resizes and recolours sets that were read as arrays, and says so in their provenance.
fn convert(parts: Parts, context: &Context<'_>) -> Result<Parts> {
    let options = context.options;
    let conversion = Conversion::of(options);
    if conversion.is_none() {
        return Ok(parts);
    }
    parts.map(|_, set| {
        let (from, shape) = (set.shape(), conversion.target(set.shape()));
        let mut pixels = vec![0; set.len() * shape.volume()];
        pixels
            .par_chunks_exact_mut(shape.volume())
            .zip(set.pixels().par_chunks_exact(from.volume()))
            .for_each(|(converted, image)| converted.copy_from_slice(&conversion.apply(from, image.to_vec())));
        let mut provenance = set.provenance().clone();
        if let Some(description) = conversion.describe(&Tally::default()) {
            provenance.format = format!("{}, {description}", provenance.format);
        }
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

/// Decodes picture files, (path, name for messages), in order.
fn decode_files(root: &Path, pictures: &[(PathBuf, String)], context: &Context<'_>) -> Result<Gathered> {
    let _task = Task::begin(context.progress, "reading images", pictures.len() as u64);
    let mut gathering = Gathering::new(context, root, pictures.len());
    let mut rest = pictures;
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(gathering.batch().min(rest.len()));
        let batch: Vec<Encoded> =
            batch.iter().map(|(path, name)| Encoded { name: name.clone(), place: Place::File(path.clone()) }).collect();
        gathering.add(&batch)?;
        context.progress.advance(batch.len() as u64);
        rest = later;
    }
    gathering.finish()
}

/// Provenance of what was read from `path` in `format`.
fn provenance(
    path: &Path,
    format: Format,
    options: &ImportOptions,
    tally: &Tally,
    skipped: Vec<Skipped>,
) -> Provenance {
    let format = match Conversion::of(options).describe(tally) {
        Some(conversion) => format!("{format}, {conversion}"),
        None => format.to_string(),
    };
    let exported = exported(path);
    Provenance {
        source: path.display().to_string(),
        format,
        licence: exported.licence,
        guarantee: exported.guarantee,
        skipped,
    }
}

/// What an export of this project left beside its images; nothing beside others.
fn exported(path: &Path) -> Provenance {
    let text = fs::read_to_string(path.join(export::PROVENANCE)).unwrap_or_default();
    toml::from_str(&text).unwrap_or_default()
}
