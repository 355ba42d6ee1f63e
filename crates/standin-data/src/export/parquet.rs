use std::fs::{self, File};
use std::io::BufWriter;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type};
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use super::png::png_bytes;
use super::shards::{batches, shard_stem, shards};
use super::{attribute_names, own_columns};
use crate::import::{HUB_KEY, LABEL};
use crate::{Error, ImageSet, Parts, Result};

/// The column of pictures.
pub(super) const IMAGE: &str = "image";

/// Definition level of a field of the struct `image` that is there, and of a column that is there.
const FIELD: i16 = 2;
const COLUMN: i16 = 1;

/// Values encoded between two looks at a page's size: few, so that a page of pictures stays near its limit of 1 MiB.
const STEP: usize = 8;

/// Writes `data/PART-00000-of-00001.parquet` and so on; pictures in the struct `{bytes, path}` of the hub's libraries,
/// the label as 64-bit index with its names in the schema's metadata, attributes as text. One row group holds at most
/// 1000 images and 64 MiB of pixels.
pub(super) fn write(parts: &Parts, folder: &Path) -> Result<()> {
    let folder = folder.join("data");
    fs::create_dir_all(&folder).map_err(Error::io("making the folder", &folder))?;
    for (part, set) in parts.iter() {
        let shards = shards(set);
        for (number, shard) in shards.iter().enumerate() {
            let path = folder.join(format!("{}-{number:05}-of-{:05}.parquet", shard_stem(part), shards.len()));
            write_shard(set, shard.clone(), &path)?;
        }
    }
    Ok(())
}

fn write_shard(set: &ImageSet, shard: Range<usize>, path: &Path) -> Result<()> {
    let broken = |error: ParquetError| match error {
        ParquetError::External(source) => Error::io("writing", path)(std::io::Error::other(source)),
        other => Error::invalid(path, format!("writing the table failed: {other}"), "check the disk and its space"),
    };
    let attributes = attribute_names(set, &own_columns(set, IMAGE));
    let schema = schema(set, &attributes).map_err(broken)?;
    let picture = ColumnPath::new(vec![IMAGE.to_owned(), "bytes".to_owned()]);
    let properties = WriterProperties::builder()
        .set_created_by("standin".to_owned())
        .set_compression(Compression::SNAPPY)
        .set_write_batch_size(STEP)
        .set_column_compression(picture.clone(), Compression::UNCOMPRESSED)
        .set_column_dictionary_enabled(picture.clone(), false)
        .set_column_statistics_enabled(picture, EnabledStatistics::None)
        .set_key_value_metadata(Some(vec![KeyValue::new(HUB_KEY.to_owned(), features(set, &attributes).to_string())]))
        .build();
    let file = BufWriter::new(File::create(path).map_err(Error::io("making", path))?);
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).map_err(broken)?;
    let digits = set.len().max(1).to_string().len().max(5);
    for batch in batches(set, shard).into_iter().filter(|batch| !batch.is_empty()) {
        let pictures: Vec<ByteArray> = batch
            .clone()
            .into_par_iter()
            .map(|index| png_bytes(set.shape(), set.image(index), path).map(ByteArray::from))
            .collect::<Result<_>>()?;
        let names: Vec<ByteArray> =
            batch.clone().map(|index| ByteArray::from(format!("{index:0digits$}.png").into_bytes())).collect();
        let mut group = writer.next_row_group().map_err(broken)?;
        column::<ByteArrayType>(&mut group, &pictures, FIELD).map_err(broken)?;
        column::<ByteArrayType>(&mut group, &names, FIELD).map_err(broken)?;
        if let Some(labels) = set.labels() {
            let labels: Vec<i64> = labels.values[batch.clone()].iter().map(|&label| i64::from(label)).collect();
            column::<Int64Type>(&mut group, &labels, COLUMN).map_err(broken)?;
        }
        for (_, values) in &attributes {
            let values: Vec<ByteArray> =
                values[batch.clone()].iter().map(|value| ByteArray::from(value.as_str())).collect();
            column::<ByteArrayType>(&mut group, &values, COLUMN).map_err(broken)?;
        }
        group.close().map_err(broken)?;
    }
    let file = writer.into_inner().map_err(broken)?;
    file.into_inner()
        .map_err(|error| error.into_error())
        .and_then(|file| file.sync_all())
        .map_err(Error::io("writing", path))
}

/// Writes the next column, in which no value is missing.
fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, BufWriter<File>>,
    values: &[T::T],
    level: i16,
) -> std::result::Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("more columns than the schema has".to_owned()));
    };
    column.typed::<T>().write_batch(values, Some(&vec![level; values.len()]), None)?;
    column.close()
}

fn schema(set: &ImageSet, attributes: &[(String, &[String])]) -> std::result::Result<Type, ParquetError> {
    let optional = |name: &str, kind: Physical, logical: Option<LogicalType>| {
        Type::primitive_type_builder(name, kind)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    };
    let picture = Type::group_type_builder(IMAGE)
        .with_repetition(Repetition::OPTIONAL)
        .with_fields(vec![
            optional("bytes", Physical::BYTE_ARRAY, None)?,
            optional("path", Physical::BYTE_ARRAY, Some(LogicalType::String))?,
        ])
        .build()?;
    let mut fields = vec![Arc::new(picture)];
    if set.labels().is_some() {
        fields.push(optional(LABEL, Physical::INT64, None)?);
    }
    for (name, _) in attributes {
        fields.push(optional(name, Physical::BYTE_ARRAY, Some(LogicalType::String))?);
    }
    Type::group_type_builder("schema").with_fields(fields).build()
}

/// The description of the columns that the hub's libraries read.
fn features(set: &ImageSet, attributes: &[(String, &[String])]) -> Value {
    let mut features = Map::new();
    features.insert(IMAGE.to_owned(), json!({"_type": "Image"}));
    if let Some(labels) = set.labels() {
        features.insert(LABEL.to_owned(), json!({"names": labels.classes, "_type": "ClassLabel"}));
    }
    for (name, _) in attributes {
        features.insert(name.clone(), json!({"dtype": "string", "_type": "Value"}));
    }
    json!({"info": {"features": features}})
}
