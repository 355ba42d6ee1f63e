use std::fs::{self, File};
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use npyz::zip::{CompressionMethod, DateTime, ZipWriter, write::FileOptions};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::import::FILE_NAME;
use crate::saved::{MANIFEST, csv_error, write_npy_header};
use crate::{Error, ImageSet, Parts, Result, Shape};

/// The file that says where exported pictures come from.
pub(crate) const PROVENANCE: &str = "provenance.toml";

/// A form to export to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportFormat {
    /// PNG files in one folder per class (in `images` without labels) with `metadata.csv`, readable as class folders and
    /// as a Hugging Face image folder, and `provenance.toml`.
    ClassFolders,
    /// One `.npz` in the layout of MedMNIST: `train_images`, `train_labels`, …, or `images`, `labels` without parts.
    Npz,
    /// The own form, see [`ImageSet::save`].
    Saved,
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
///
/// # Errors
/// If the target exists (without `force`), is a folder of foreign content, or cannot be written.
pub fn export(parts: &Parts, path: &Path, format: ExportFormat, force: bool) -> Result<Exported> {
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
    let omitted = match format {
        ExportFormat::Saved => {
            parts.save(&target)?;
            Vec::new()
        }
        ExportFormat::ClassFolders => {
            for (name, set) in parts.iter() {
                write_class_folders(set, &target.join(name))?;
            }
            Vec::new()
        }
        ExportFormat::Npz => write_npz(parts, &target)?,
    };
    if path.is_dir() {
        fs::remove_dir_all(path).map_err(Error::io("replacing", path))?;
    }
    fs::rename(&target, path).map_err(Error::io("moving the export to", path))?;
    Ok(Exported { path: path.to_path_buf(), images: parts.iter().map(|(_, set)| set.len()).sum(), omitted })
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
            .all(|entry| entry.is_ok_and(|entry| own(&entry.path())));
    if made_here {
        return Ok(());
    }
    Err(Error::invalid(
        path,
        "the folder was not made by an export",
        "--force replaces only exports, so that originals are never removed: choose another name",
    ))
}

/// A class or part name as a folder name: characters that some file system refuses become "_".
fn folder_name(name: &str) -> String {
    let safe: String =
        name.chars().map(|c| if c.is_control() || r#"/\:*?"<>|"#.contains(c) { '_' } else { c }).collect();
    match safe.trim_matches([' ', '.']) {
        "" => "_".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

fn write_class_folders(set: &ImageSet, folder: &Path) -> Result<()> {
    let folders: Vec<String> = match set.labels() {
        // The index keeps folders apart whose names differ only in characters that were replaced.
        Some(labels) => {
            let safe: Vec<String> = labels.classes.iter().map(|class| folder_name(class)).collect();
            safe.iter()
                .enumerate()
                .map(|(class, name)| match safe.iter().filter(|other| *other == name).count() {
                    1 => name.clone(),
                    _ => format!("{name}-{class}"),
                })
                .collect()
        }
        None => vec!["images".to_owned()],
    };
    fs::create_dir_all(folder).map_err(Error::io("making the folder", folder))?;
    for name in &folders {
        let path = folder.join(name);
        fs::create_dir_all(&path).map_err(Error::io("making the folder", &path))?;
    }
    let digits = set.len().max(1).to_string().len().max(5);
    let file = |index: usize| {
        let class = set.labels().map_or(0, |labels| labels.values[index] as usize);
        format!("{}/{index:0digits$}.png", folders[class])
    };
    (0..set.len()).into_par_iter().try_for_each(|index| {
        let path = folder.join(file(index));
        write_png(set.shape(), set.image(index), &path)
    })?;

    let path = folder.join("metadata.csv");
    let mut writer = csv::Writer::from_path(&path).map_err(csv_error(&path))?;
    let columns: Vec<(&str, &[String])> = set
        .columns()
        .iter()
        .map(|column| match column.name.as_str() {
            FILE_NAME => ("source_file_name", column.values.as_slice()),
            name => (name, column.values.as_slice()),
        })
        .collect();
    let header =
        [FILE_NAME].into_iter().chain(set.labels().map(|_| "label")).chain(columns.iter().map(|(name, _)| *name));
    writer.write_record(header).map_err(csv_error(&path))?;
    for index in 0..set.len() {
        let file = file(index);
        let label = set.labels().map(|labels| labels.classes[labels.values[index] as usize].as_str());
        let values = columns.iter().map(|(_, values)| values[index].as_str());
        writer.write_record([file.as_str()].into_iter().chain(label).chain(values)).map_err(csv_error(&path))?;
    }
    writer.flush().map_err(Error::io("writing", &path))?;

    let path = folder.join(PROVENANCE);
    let text = toml::to_string(set.provenance())
        .map_err(|error| Error::invalid(&path, error.to_string(), "the provenance must have a TOML form"))?;
    fs::write(&path, text).map_err(Error::io("writing", &path))
}

/// Writes one image, `channels × height × width`, as PNG.
///
/// # Errors
/// If the file cannot be written.
///
/// # Panics
/// If the number of values is not the shape's volume.
pub fn write_png(shape: Shape, image: &[u8], path: &Path) -> Result<()> {
    let color = if shape.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let file = File::create(path).map_err(Error::io("making", path))?;
    let (width, height) = (shape.width as u32, shape.height as u32);
    PngEncoder::new(BufWriter::new(file)).write_image(&interleave(shape, image), width, height, color).map_err(
        |error| match error {
            image::ImageError::IoError(source) => Error::io("writing", path)(source),
            other => Error::invalid(path, other.to_string(), "an image of at most 2³¹ pixels a side was expected"),
        },
    )
}

/// Channel, row, column to row, column, channel.
fn interleave(shape: Shape, planes: &[u8]) -> Vec<u8> {
    assert_eq!(planes.len(), shape.volume(), "an image has channels × height × width values");
    let plane = shape.height * shape.width;
    (0..plane).flat_map(|pixel| (0..shape.channels).map(move |channel| planes[channel * plane + pixel])).collect()
}

fn write_npz(parts: &Parts, path: &Path) -> Result<Vec<String>> {
    let mut omitted = Vec::new();
    let write = |omitted: &mut Vec<String>| -> std::io::Result<()> {
        let mut zip = ZipWriter::new(BufWriter::new(File::create(path)?));
        for (part, set) in parts.iter() {
            let prefix = match part {
                "" => String::new(),
                "validation" => "val_".to_owned(),
                part => format!("{part}_"),
            };
            let Shape { channels, height, width } = set.shape();
            let mut sizes = vec![set.len(), height, width];
            if channels > 1 {
                sizes.push(channels);
            }
            start_array(&mut zip, &format!("{prefix}images"), &sizes, set.pixels().len())?;
            for index in 0..set.len() {
                zip.write_all(&interleave(set.shape(), set.image(index)))?;
            }
            if let Some(labels) = set.labels() {
                // MedMNIST stores labels as uint8; more classes than that need the wider type.
                let wide = labels.classes.len() > usize::from(u8::MAX) + 1;
                let name = format!("{prefix}labels");
                start_typed(&mut zip, &name, &[set.len(), 1], if wide { "<u4" } else { "|u1" }, set.len() * 4)?;
                for &value in &labels.values {
                    match wide {
                        true => zip.write_all(&value.to_le_bytes())?,
                        false => zip.write_all(&[value as u8])?,
                    }
                }
                if labels.classes.iter().enumerate().any(|(index, class)| *class != index.to_string()) {
                    omitted.push("class names".to_owned());
                }
            }
            omitted.extend(set.columns().iter().map(|column| format!("column {}", column.name)));
        }
        zip.finish()?.into_inner()?.sync_all()
    };
    write(&mut omitted).map_err(Error::io("writing", path))?;
    omitted.sort();
    omitted.dedup();
    Ok(omitted)
}

fn start_array<W: Write + Seek>(
    zip: &mut ZipWriter<W>,
    name: &str,
    sizes: &[usize],
    bytes: usize,
) -> std::io::Result<()> {
    start_typed(zip, name, sizes, "|u1", bytes)
}

/// Begins an array; the time stamp is fixed so that equal sets give equal files.
fn start_typed<W: Write + Seek>(
    zip: &mut ZipWriter<W>,
    name: &str,
    sizes: &[usize],
    dtype: &str,
    bytes: usize,
) -> std::io::Result<()> {
    let options = FileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .large_file(bytes as u64 >= u64::from(u32::MAX) / 2);
    zip.start_file(npyz::npz::file_name_from_array_name(name), options)?;
    write_npy_header(zip, sizes, dtype)
}
