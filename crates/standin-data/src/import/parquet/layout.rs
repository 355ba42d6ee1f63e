use std::fs::File;
use std::path::Path;

use parquet::basic::{ConvertedType, Type as Physical};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::features::{self, Feature, Features};
use super::leaf;
use crate::import::{Context, LABEL};
use crate::{Error, Result, Skipped};

/// What the columns of a table are for. Numbers are of leaves, the columns that hold values.
pub(super) struct Layout {
    /// The pictures' name, the leaf of their bytes, and that of their paths.
    image: String,
    pub bytes: usize,
    pub path: Option<usize>,
    pub attributes: Vec<Attribute>,
    /// The attribute that holds the label.
    pub label: Option<usize>,
    pub skipped: Vec<Skipped>,
}

pub(super) struct Attribute {
    pub name: String,
    pub leaf: usize,
    /// The names an index stands for.
    pub classes: Option<Vec<String>>,
}

impl Layout {
    pub fn of(file: &Path, reader: &SerializedFileReader<File>, context: &Context<'_>) -> Result<Self> {
        let metadata = reader.metadata().file_metadata();
        let schema = metadata.schema_descr();
        let features = features::read(metadata.key_value_metadata(), file)?;
        let columns: Vec<&str> = schema.root_schema().get_fields().iter().map(|column| column.name()).collect();
        let image = image_column(file, schema, &columns, &features, context.options.image.as_deref())?;
        let bytes = pictures(schema, image).unwrap_or_default();
        let path = leaves(schema).position(|leaf| leaf.path().parts() == [image, "path"] && is_text(leaf));
        let mut attributes = Vec::new();
        let mut skipped = Vec::new();
        for &name in columns.iter().filter(|name| **name != image) {
            let found = leaves(schema).position(|leaf| leaf.path().parts() == [name] && leaf.max_rep_level() == 0);
            match found.filter(|&index| leaf::has_text(&schema.column(index))) {
                Some(leaf) => {
                    let classes = match features.get(name) {
                        Some(Feature::Classes(names)) => Some(names.clone()),
                        _ => None,
                    };
                    attributes.push(Attribute { name: name.to_owned(), leaf, classes });
                }
                None => skipped.push(Skipped {
                    item: format!("column {name}"),
                    reason: "no single number, text or date in a row".to_owned(),
                }),
            }
        }
        let label = label_column(&attributes, context)?;
        Ok(Self { image: image.to_owned(), bytes, path, attributes, label, skipped })
    }

    /// Whether another shard can continue this one.
    pub fn agrees(&self, other: &Self) -> bool {
        let columns = |layout: &Self| -> Vec<(String, Option<Vec<String>>)> {
            layout.attributes.iter().map(|column| (column.name.clone(), column.classes.clone())).collect()
        };
        self.image == other.image && self.label == other.label && columns(self) == columns(other)
    }

    /// The columns in use, for messages.
    pub fn describe(&self) -> String {
        let attributes = self.attributes.iter().map(|attribute| match &attribute.classes {
            Some(classes) => format!("{} ({} classes)", attribute.name, classes.len()),
            None => attribute.name.clone(),
        });
        [self.image.clone()].into_iter().chain(attributes).collect::<Vec<_>>().join(", ")
    }
}

impl Attribute {
    /// The class name for a class index; nothing for what is missing, which the hub's libraries write as −1.
    pub fn class(&self, text: String, file: &Path, row: usize) -> Result<String> {
        let Some(classes) = &self.classes else { return Ok(text) };
        if text.is_empty() || text == "-1" {
            return Ok(String::new());
        }
        text.parse().ok().and_then(|index: usize| classes.get(index)).cloned().ok_or_else(|| {
            Error::invalid(
                file,
                format!("column \"{}\" holds \"{text}\" in row {row}", self.name),
                format!(
                    "an index below {} was expected, the number of class names in the huggingface metadata ({})",
                    classes.len(),
                    classes.join(", ")
                ),
            )
        })
    }
}

fn leaves(schema: &SchemaDescriptor) -> impl Iterator<Item = &ColumnDescriptor> {
    schema.columns().iter().map(AsRef::as_ref)
}

fn is_binary(leaf: &ColumnDescriptor) -> bool {
    leaf.physical_type() == Physical::BYTE_ARRAY
        && leaf.converted_type() == ConvertedType::NONE
        && leaf.logical_type_ref().is_none()
        && leaf.max_rep_level() == 0
}

fn is_text(leaf: &ColumnDescriptor) -> bool {
    leaf.physical_type() == Physical::BYTE_ARRAY && leaf.max_rep_level() == 0
}

/// The leaf of the pictures in a column that holds such by its type: bytes, or a struct with the field `bytes`.
fn pictures(schema: &SchemaDescriptor, column: &str) -> Option<usize> {
    leaves(schema).position(|leaf| {
        let parts = leaf.path().parts();
        is_binary(leaf) && (parts == [column] || parts == [column, "bytes"])
    })
}

fn image_column<'a>(
    file: &Path,
    schema: &SchemaDescriptor,
    columns: &[&'a str],
    features: &Features,
    asked: Option<&str>,
) -> Result<&'a str> {
    if let Some(name) = asked {
        let Some(&column) = columns.iter().find(|column| **column == name) else {
            return Err(Error::unknown("column", name, columns.iter().copied()));
        };
        return match pictures(schema, column) {
            Some(_) => Ok(column),
            None => Err(Error::invalid(
                file,
                format!("column \"{name}\" holds no pictures"),
                "encoded pictures as bytes, or a struct of bytes and path, were expected: name another with --image",
            )),
        };
    }
    let candidates: Vec<&str> = columns.iter().copied().filter(|column| pictures(schema, column).is_some()).collect();
    let declared: Vec<&str> =
        candidates.iter().copied().filter(|column| features.get(*column) == Some(&Feature::Image)).collect();
    match (declared.as_slice(), candidates.as_slice()) {
        (&[only], _) | ([], &[only]) => Ok(only),
        (_, []) => Err(Error::Empty {
            path: file.to_path_buf(),
            found: format!("the columns are {}", columns.join(", ")),
            remedy: "a column of encoded pictures (bytes, or a struct of bytes and path) was expected".to_owned(),
        }),
        _ if candidates.contains(&"image") => Ok("image"),
        _ => Err(Error::invalid(
            file,
            format!("several columns may hold the pictures: {}", candidates.join(", ")),
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
