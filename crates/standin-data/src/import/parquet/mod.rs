//! Tables with a column of encoded pictures.

mod features;
mod layout;
mod leaf;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};

pub(crate) use features::KEY;

use super::gather::{BATCH_BYTES, Encoded, Gathering, Place};
use super::{Context, FILE_NAME, Format, Task, provenance, shards};
use crate::{Column, Error, ImageSet, Labels, Parts, Result};
use layout::{Attribute, Layout};
use leaf::{Leaf, contained};

/// Pictures read at once before their size is looked at.
const STEP: usize = 16;

/// Reads tables with a column of pictures: encoded files as bytes, alone or in a struct `{bytes, path}` as the Hugging
/// Face hub keeps them. Other columns of single values become attributes, one of them the label.
///
/// Class names come from the `huggingface` metadata of the schema where it has them; the index −1 stands for a missing
/// label there. Pictures are read batch by batch; a page of the file's column is held besides.
pub(super) fn read(root: &Path, files: &[PathBuf], context: &Context<'_>) -> Result<Parts> {
    let mut sets = Vec::new();
    for (part, shards) in shards::by_part(root, files)? {
        sets.push((part, read_part(root, &shards, context)?));
    }
    match sets.as_slice() {
        [(part, _)] if part.is_empty() => Ok(Parts::undivided(sets.remove(0).1)),
        _ => Parts::divided(sets),
    }
}

fn read_part(root: &Path, files: &[PathBuf], context: &Context<'_>) -> Result<ImageSet> {
    let mut shards = Vec::with_capacity(files.len());
    let mut rows = 0;
    for file in files {
        let reader = open(file)?;
        let layout = Layout::of(file, &reader, context)?;
        rows += usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
        if let Some((first_file, _, first)) = shards.first()
            && !layout.agrees(first)
        {
            let first_file: &&PathBuf = first_file;
            return Err(Error::invalid(
                file,
                format!(
                    "the columns are {}, those of {} {}",
                    layout.describe(),
                    first_file.display(),
                    first.describe()
                ),
                "the shards of a part need the same columns: import them apart",
            ));
        }
        shards.push((file, reader, layout));
    }

    let _task = Task::begin(context.progress, "reading images", rows as u64);
    let mut gathering = Gathering::new(context, root, rows);
    let attributes = shards.first().map_or(0, |(_, _, layout)| layout.attributes.len());
    let mut table: Vec<Vec<String>> = vec![Vec::with_capacity(rows); attributes];
    for (file, reader, layout) in &shards {
        let shard = Arc::new(file.to_path_buf());
        let mut row = 0;
        for group in 0..reader.num_row_groups() {
            let group = contained(|| reader.get_row_group(group)).map_err(|error| damaged(file, &error))?;
            row = read_group(&*group, layout, &shard, row, &mut gathering, &mut table, context)?;
        }
    }
    let gathered = gathering.finish()?;
    let (_, _, layout) = &shards[0];
    let mut skipped = layout.skipped.clone();
    skipped.extend(gathered.skipped);
    let origin = provenance(root, Format::Parquet, context.options, &gathered.tally, skipped);
    let mut set = gathered.set.with_provenance(origin);
    for (index, (attribute, values)) in layout.attributes.iter().zip(table).enumerate() {
        let values: Vec<String> = match gathered.kept.len() == values.len() {
            true => values,
            false => gathered.kept.iter().map(|&row| values[row].clone()).collect(),
        };
        set = match layout.label == Some(index) {
            true => label(set, attribute, values, root, context)?,
            false => set.with_column(Column { name: attribute.name.clone(), values })?,
        };
    }
    Ok(set)
}

fn open(file: &Path) -> Result<SerializedFileReader<File>> {
    let content = File::open(file).map_err(Error::io("opening", file))?;
    contained(|| SerializedFileReader::new(content)).map_err(|error| damaged(file, &error))
}

fn damaged(file: &Path, error: &ParquetError) -> Error {
    Error::invalid(
        file,
        format!("the table cannot be read: {error}"),
        "the file is damaged, cut off or no Parquet: get it again",
    )
}

/// Reads a row group whose first row is number `row` of its file; the number of the row after it.
fn read_group(
    group: &dyn RowGroupReader,
    layout: &Layout,
    shard: &Arc<PathBuf>,
    mut row: usize,
    gathering: &mut Gathering<'_>,
    table: &mut [Vec<String>],
    context: &Context<'_>,
) -> Result<usize> {
    let file: &Path = shard;
    let broken = |error: ParquetError| damaged(file, &error);
    let mut pictures = Leaf::open(group, layout.bytes).map_err(broken)?;
    let mut paths = layout.path.map(|path| Leaf::open(group, path)).transpose().map_err(broken)?;
    let mut columns = layout
        .attributes
        .iter()
        .map(|attribute| Leaf::open(group, attribute.leaf))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(broken)?;
    let mut left = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    while left > 0 {
        let mut contents = Vec::new();
        let mut bytes = 0;
        while left > 0 && contents.len() < gathering.batch() && bytes < BATCH_BYTES {
            let step = STEP.min(left);
            let read = pictures.bytes(step).map_err(broken)?;
            bytes += read.iter().flatten().map(Vec::len).sum::<usize>();
            contents.extend(read);
            left -= step;
        }
        let names = match &mut paths {
            Some(paths) => paths.text(contents.len()).map_err(broken)?,
            None => vec![String::new(); contents.len()],
        };
        for ((column, attribute), values) in columns.iter_mut().zip(&layout.attributes).zip(table.iter_mut()) {
            for (offset, text) in column.text(contents.len()).map_err(broken)?.into_iter().enumerate() {
                values.push(attribute.class(text, file, row + offset)?);
            }
        }
        let batch: Vec<Encoded> = contents
            .into_iter()
            .zip(names)
            .enumerate()
            .map(|(offset, (bytes, path))| encoded(bytes, path, shard, row + offset))
            .collect();
        gathering.add(&batch)?;
        context.progress.advance(batch.len() as u64);
        row += batch.len();
    }
    Ok(row)
}

/// A row's picture; its name is its path, or else the shard and the row.
fn encoded(bytes: Option<Vec<u8>>, path: String, shard: &Arc<PathBuf>, row: usize) -> Encoded {
    let shard = shard.clone();
    let stem = shard.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let (name, entry) = match path.is_empty() {
        true => (format!("{stem}/{row}"), format!("row {row}")),
        false => (path.clone(), format!("row {row} ({path})")),
    };
    let place = match bytes {
        Some(bytes) => Place::Within { shard, entry, bytes },
        None => {
            let reason = match path.is_empty() {
                true => "the picture is missing",
                false => "only the path of a picture is here: write the table with the files embedded",
            };
            Place::Absent { shard, entry, reason: reason.to_owned() }
        }
    };
    Encoded { name, place }
}

/// The set with its labels; without, if every one is missing and nobody asked for them.
fn label(
    set: ImageSet,
    attribute: &Attribute,
    values: Vec<String>,
    root: &Path,
    context: &Context<'_>,
) -> Result<ImageSet> {
    let missing = values.iter().filter(|value| value.is_empty()).count();
    if missing == values.len() && context.options.label.is_none() {
        context
            .progress
            .warn(&format!("column \"{}\" is empty for every image: the set has no labels", attribute.name));
        return Ok(set);
    }
    if let Some(first) = values.iter().position(String::is_empty) {
        let file_name = set.column(FILE_NAME).map(|names| names.values[first].clone()).unwrap_or_default();
        return Err(Error::invalid(
            root,
            format!("column \"{}\" is empty for {missing} images, the first {file_name}", attribute.name),
            "a label for every image was expected: fill it in, remove those rows, or choose another column with --label",
        ));
    }
    let labels = Labels::from_names(&values);
    match &attribute.classes {
        Some(classes) => set.with_labels(labels.among(classes)?),
        None => set.with_labels(labels),
    }
}
