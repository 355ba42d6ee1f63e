use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::data_type::AsBytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::{Type, TypePtr};

use super::gather::{BATCH_BYTES, Encoded, Gathering, Place};
use super::hub_features::{self, Feature, Features};
use super::metadata::LABEL;
use super::{Context, Format, Task, provenance, shards};
use crate::{Column, Error, ImageSet, Labels, Parts, Result, Skipped};

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

/// What the columns of a table are for.
#[derive(PartialEq)]
struct Layout {
    image: String,
    /// The struct's or column's type, with the children that are needed.
    image_type: TypePtr,
    attributes: Vec<Attribute>,
    /// The attribute that holds the label.
    label: Option<usize>,
    skipped: Vec<Skipped>,
}

#[derive(PartialEq)]
struct Attribute {
    name: String,
    kind: TypePtr,
    /// The names an index stands for.
    classes: Option<Vec<String>>,
}

fn read_part(root: &Path, files: &[PathBuf], context: &Context<'_>) -> Result<ImageSet> {
    let mut readers = Vec::with_capacity(files.len());
    let mut layout: Option<Layout> = None;
    let mut rows = 0;
    for file in files {
        let reader = open(file)?;
        let here = Layout::of(file, &reader, context)?;
        rows += usize::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
        match &layout {
            Some(first) if !first.agrees(&here) => {
                return Err(Error::invalid(
                    file,
                    format!(
                        "the columns are {}, those of {} {}",
                        here.describe(),
                        files[0].display(),
                        first.describe()
                    ),
                    "the shards of a part need the same columns: import them apart",
                ));
            }
            Some(_) => {}
            None => layout = Some(here),
        }
        readers.push(reader);
    }
    let layout = layout.expect("a part has at least one shard");

    let _task = Task::begin(context.progress, "reading images", rows as u64);
    let mut gathering = Gathering::new(context, root, rows);
    let mut table: Vec<Vec<String>> = vec![Vec::with_capacity(rows); layout.attributes.len()];
    let mut batch = Vec::new();
    let mut bytes = 0;
    for (file, reader) in files.iter().zip(readers) {
        let shard = Arc::new(file.clone());
        let damaged = |error: parquet::errors::ParquetError| table_error(file, &error);
        let iter = RowIter::from_file_into(Box::new(reader)).project(Some(layout.projection())).map_err(damaged)?;
        for (number, row) in iter.enumerate() {
            let mut cells = row.map_err(damaged)?.into_columns();
            let Some(at) = cells.iter().position(|(name, _)| *name == layout.image) else {
                return Err(table_error(file, &"a row without its picture"));
            };
            let (_, picture) = cells.swap_remove(at);
            let encoded = encoded(picture, &shard, number);
            if let Place::Within { bytes: content, .. } = &encoded.place {
                bytes += content.len();
            }
            batch.push(encoded);
            for (values, attribute) in table.iter_mut().zip(&layout.attributes) {
                let cell = cells.iter().find(|(name, _)| *name == attribute.name).map(|(_, cell)| cell);
                values.push(attribute.text(cell.unwrap_or(&Field::Null), file, number)?);
            }
            if batch.len() >= gathering.batch() || bytes >= BATCH_BYTES {
                context.progress.advance(batch.len() as u64);
                gathering.add(&std::mem::take(&mut batch))?;
                bytes = 0;
            }
        }
    }
    gathering.add(&batch)?;
    context.progress.advance(batch.len() as u64);
    let gathered = gathering.finish()?;
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
    SerializedFileReader::new(content).map_err(|error| table_error(file, &error))
}

fn table_error(file: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::invalid(
        file,
        format!("the table cannot be read: {error}"),
        "the file is damaged, cut off or no Parquet: get it again",
    )
}

/// A picture cell: bytes, or a struct of them and a path.
fn encoded(cell: Field, shard: &Arc<PathBuf>, number: usize) -> Encoded {
    let mut path = None;
    let mut bytes = None;
    match cell {
        Field::Bytes(content) => bytes = Some(content.as_bytes().to_vec()),
        Field::Group(fields) => {
            for (name, field) in fields.into_columns() {
                match (name.as_str(), field) {
                    ("bytes", Field::Bytes(content)) => bytes = Some(content.as_bytes().to_vec()),
                    ("path", Field::Str(text)) if !text.is_empty() => path = Some(text),
                    _ => {}
                }
            }
        }
        _ => {}
    }
    let entry = match &path {
        Some(path) => format!("row {number} ({path})"),
        None => format!("row {number}"),
    };
    let shard = shard.clone();
    let stem = shard.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = path.clone().unwrap_or_else(|| format!("{stem}/{number}"));
    let place = match (bytes, path) {
        (Some(bytes), _) => Place::Within { shard, entry, bytes },
        (None, Some(_)) => {
            let reason = "only the path of a picture is here, not the picture: write the table with the files embedded";
            Place::Absent { shard, entry, reason: reason.to_owned() }
        }
        (None, None) => Place::Absent { shard, entry, reason: "the picture is missing".to_owned() },
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
        let file_name = set.column(super::FILE_NAME).map(|names| names.values[first].clone()).unwrap_or_default();
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

impl Layout {
    fn of(file: &Path, reader: &SerializedFileReader<File>, context: &Context<'_>) -> Result<Self> {
        let metadata = reader.metadata().file_metadata();
        let columns = metadata.schema().get_fields();
        let features = hub_features::read(metadata.key_value_metadata(), file)?;
        let image = image_column(file, columns, &features, context.options.image.as_deref())?;
        let mut attributes = Vec::new();
        let mut skipped = Vec::new();
        for column in columns.iter().filter(|column| column.name() != image.name()) {
            let name = column.name().to_owned();
            if is_single_value(column) {
                let classes = match features.get(&name) {
                    Some(Feature::Classes(names)) => Some(names.clone()),
                    _ => None,
                };
                attributes.push(Attribute { name, kind: column.clone(), classes });
            } else {
                let what = if is_binary(column) { "bytes that are not the pictures" } else { "no single values" };
                skipped.push(Skipped { item: format!("column {name}"), reason: what.to_owned() });
            }
        }
        let label = label_column(&attributes, context)?;
        let image_type = match image.is_primitive() {
            true => image.clone(),
            false => picture_struct(image),
        };
        Ok(Self { image: image.name().to_owned(), image_type, attributes, label, skipped })
    }

    /// The columns to read.
    fn projection(&self) -> Type {
        let fields = [&self.image_type]
            .into_iter()
            .chain(self.attributes.iter().map(|attribute| &attribute.kind))
            .cloned()
            .collect();
        Type::group_type_builder("schema").with_fields(fields).build().expect("a group of columns that exist")
    }

    fn agrees(&self, other: &Self) -> bool {
        let columns = |layout: &Self| {
            layout.attributes.iter().map(|column| (column.name.clone(), column.classes.clone())).collect::<Vec<_>>()
        };
        self.image == other.image && self.label == other.label && columns(self) == columns(other)
    }

    fn describe(&self) -> String {
        [self.image.as_str()]
            .into_iter()
            .chain(self.attributes.iter().map(|attribute| attribute.name.as_str()))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl Attribute {
    /// A cell as text: the class name for a class index, nothing for what is missing.
    fn text(&self, cell: &Field, file: &Path, number: usize) -> Result<String> {
        let text = text(cell);
        let Some(classes) = &self.classes else { return Ok(text) };
        if text.is_empty() || text == "-1" {
            return Ok(String::new());
        }
        text.parse().ok().and_then(|index: usize| classes.get(index)).cloned().ok_or_else(|| {
            Error::invalid(
                file,
                format!("column \"{}\" holds \"{text}\" in row {number}", self.name),
                format!(
                    "an index below {} was expected, the number of class names in the huggingface metadata ({})",
                    classes.len(),
                    classes.join(", ")
                ),
            )
        })
    }
}

/// A single value as text; nothing for null and for the floating-point NaN that stands for it.
fn text(cell: &Field) -> String {
    match cell {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::Float(value) if value.is_nan() => String::new(),
        Field::Double(value) if value.is_nan() => String::new(),
        // The crate's own form writes 0 as 0E0.
        Field::Float(value) => format!("{value:?}"),
        Field::Double(value) => format!("{value:?}"),
        other => other.to_string(),
    }
}

fn is_binary(column: &Type) -> bool {
    let info = column.get_basic_info();
    column.is_primitive()
        && column.get_physical_type() == Physical::BYTE_ARRAY
        && info.converted_type() == ConvertedType::NONE
        && matches!(info.logical_type_ref(), None | Some(LogicalType::Bson))
}

/// Whether a cell of the column has a form as text.
fn is_single_value(column: &Type) -> bool {
    if !column.is_primitive() || is_repeated(column) || is_binary(column) {
        return false;
    }
    let info = column.get_basic_info();
    column.get_physical_type() != Physical::FIXED_LEN_BYTE_ARRAY
        || info.converted_type() == ConvertedType::DECIMAL
        || info.logical_type_ref() == Some(&LogicalType::Float16)
}

fn is_repeated(column: &Type) -> bool {
    let info = column.get_basic_info();
    info.has_repetition() && info.repetition() == Repetition::REPEATED
}

/// Whether a column holds pictures by its type: bytes, or a struct with the field `bytes`.
fn is_picture(column: &Type) -> bool {
    match column.is_primitive() {
        true => is_binary(column),
        false => {
            !is_repeated(column) && column.get_fields().iter().any(|child| child.name() == "bytes" && is_binary(child))
        }
    }
}

/// The struct with its bytes and path alone.
fn picture_struct(column: &TypePtr) -> TypePtr {
    let fields = column.get_fields().iter().filter(|child| matches!(child.name(), "bytes" | "path")).cloned().collect();
    let repetition = column.get_basic_info().repetition();
    let group = Type::group_type_builder(column.name()).with_repetition(repetition).with_fields(fields).build();
    Arc::new(group.expect("a group of children that exist"))
}

fn image_column<'a>(
    file: &Path,
    columns: &'a [TypePtr],
    features: &Features,
    asked: Option<&str>,
) -> Result<&'a TypePtr> {
    if let Some(name) = asked {
        let column = columns.iter().find(|column| column.name() == name);
        let column =
            column.ok_or_else(|| Error::unknown("column", name, columns.iter().map(|column| column.name())))?;
        return match is_picture(column) {
            true => Ok(column),
            false => Err(Error::invalid(
                file,
                format!("column \"{name}\" holds no pictures"),
                "encoded pictures as bytes, or a struct of bytes and path, were expected: name another with --image",
            )),
        };
    }
    let candidates: Vec<&TypePtr> = columns.iter().filter(|column| is_picture(column)).collect();
    let declared: Vec<&TypePtr> =
        candidates.iter().filter(|column| features.get(column.name()) == Some(&Feature::Image)).copied().collect();
    let called = candidates.iter().find(|column| column.name() == "image").copied();
    match (declared.as_slice(), candidates.as_slice(), called) {
        (&[only], _, _) | ([], &[only], _) | (_, _, Some(only)) => Ok(only),
        (_, [], _) => Err(Error::Empty {
            path: file.to_path_buf(),
            found: format!(
                "the columns are {}",
                columns.iter().map(|column| column.name()).collect::<Vec<_>>().join(", ")
            ),
            remedy: "a column of encoded pictures (bytes, or a struct of bytes and path) was expected".to_owned(),
        }),
        _ => Err(Error::invalid(
            file,
            format!(
                "several columns may hold the pictures: {}",
                candidates.iter().map(|column| column.name()).collect::<Vec<_>>().join(", ")
            ),
            "choose one with --image COLUMN",
        )),
    }
}

/// The column asked for; else "label"; else the only one of class indices.
fn label_column(attributes: &[Attribute], context: &Context<'_>) -> Result<Option<usize>> {
    let position = |name: &str| attributes.iter().position(|attribute| attribute.name == name);
    if let Some(name) = &context.options.label {
        let known = attributes.iter().map(|attribute| attribute.name.as_str());
        return position(name).map(Some).ok_or_else(|| Error::unknown("column", name, known));
    }
    let classes: Vec<usize> = (0..attributes.len()).filter(|&index| attributes[index].classes.is_some()).collect();
    match (position(LABEL), classes.as_slice()) {
        (Some(label), _) => Ok(Some(label)),
        (None, [only]) => Ok(Some(*only)),
        (None, []) => Ok(None),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|&index| attributes[index].name.as_str()).collect();
            context.progress.warn(&format!(
                "the columns {} hold classes; none is taken as the label: choose one with --label COLUMN",
                names.join(", ")
            ));
            Ok(None)
        }
    }
}
