use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use half::f16;
use parquet::basic::{Compression, LogicalType, Repetition, Type as PhysicalType};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{DataType, DoubleType, FixedLenByteArrayType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescriptor, Type};

use super::Contents;
use crate::{Embedding, Error, Result};

const EMBEDDING: &str = "embedding";
const LABEL: &str = "label";
const STAMP: &str = "standin.stamp";
/// Rows written or read at once: bounds the buffers of the reader and the writer.
const ROWS: usize = 1024;
/// Rows of a row group, which a reader must be able to hold.
const ROWS_OF_GROUP: usize = 16 * ROWS;

pub(super) fn read(path: &Path) -> Result<Contents> {
    let file = File::open(path).map_err(Error::reading(path))?;
    let reader = SerializedFileReader::new(file).map_err(damaged(path))?;
    let metadata = reader.metadata().file_metadata();
    let schema = metadata.schema_descr_ptr();
    let root_of = |column: usize| schema.get_column_root(column).name();
    let columns = 0..schema.num_columns();
    let lists: Vec<usize> = columns.clone().filter(|&column| root_of(column) == EMBEDDING).collect();
    let groups = (0..reader.num_row_groups()).map(|at| reader.get_row_group(at)).collect::<Result<Vec<_>, _>>();
    let groups = groups.map_err(damaged(path))?;

    let (values, dimension) = match *lists.as_slice() {
        [column] if schema.column(column).max_rep_level() == 1 && is_float(&schema.column(column)) => {
            read_lists(path, &groups, column)?
        }
        [] => {
            let flat =
                |column: &usize| schema.column(*column).max_rep_level() == 0 && is_float(&schema.column(*column));
            let flat: Vec<usize> = columns.clone().filter(flat).collect();
            read_columns(path, &groups, &flat)?
        }
        _ => {
            let remedy = "a list of floats in every row was expected";
            return Err(Error::file(path, format!("the column `{EMBEDDING}` holds something else"), remedy));
        }
    };
    let label = columns.clone().find(|&column| schema.column(column).path().string() == LABEL);
    let labels = label.map(|column| read_labels(path, &groups, column)).transpose()?;
    let entries = metadata.key_value_metadata().map_or(&[][..], Vec::as_slice);
    let stamp = entries.iter().find(|entry| entry.key == STAMP).and_then(|entry| entry.value.clone());
    Ok(Contents { values, dimension, labels, stamp })
}

pub(super) fn holds_features(path: &Path) -> Result<bool> {
    let file = File::open(path).map_err(Error::reading(path))?;
    let reader = SerializedFileReader::new(file).map_err(damaged(path))?;
    let metadata = reader.metadata().file_metadata();
    let schema = metadata.schema_descr();
    let stamped = metadata.key_value_metadata().is_some_and(|entries| entries.iter().any(|entry| entry.key == STAMP));
    Ok(stamped || (0..schema.num_columns()).any(|column| schema.get_column_root(column).name() == EMBEDDING))
}

type Groups<'a> = [Box<dyn RowGroupReader + 'a>];

fn damaged(path: &Path) -> impl Fn(ParquetError) -> Error {
    move |error| {
        Error::file(path, format!("no readable Parquet: {error}"), "the file may be damaged: make or copy it again")
    }
}

fn is_float(column: &ColumnDescriptor) -> bool {
    match column.physical_type() {
        PhysicalType::FLOAT | PhysicalType::DOUBLE => true,
        PhysicalType::FIXED_LEN_BYTE_ARRAY => column.logical_type_ref() == Some(&LogicalType::Float16),
        _ => false,
    }
}

/// One batch of a column: its levels as far as it has any, and the values that are not null.
struct Batch<T> {
    records: usize,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    values: Vec<T>,
}

/// Calls `each` for the batches of one column chunk.
fn batches<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    path: &Path,
    mut each: impl FnMut(&Batch<T::T>) -> Result<()>,
) -> Result<()> {
    loop {
        let mut batch = Batch { records: 0, definitions: Vec::new(), repetitions: Vec::new(), values: Vec::new() };
        let Batch { definitions, repetitions, values, .. } = &mut batch;
        let read = reader.read_records(ROWS, Some(definitions), Some(repetitions), values);
        batch.records = read.map_err(damaged(path))?.0;
        if batch.records == 0 {
            return Ok(());
        }
        each(&batch)?;
    }
}

/// Calls `each` for the batches of one chunk of a column of floats.
fn float_batches(
    group: &dyn RowGroupReader,
    column: usize,
    path: &Path,
    mut each: impl FnMut(&Batch<f32>) -> Result<()>,
) -> Result<()> {
    fn converted<T>(batch: &Batch<T>, convert: impl Fn(&T) -> f32) -> Batch<f32> {
        Batch {
            records: batch.records,
            definitions: batch.definitions.clone(),
            repetitions: batch.repetitions.clone(),
            values: batch.values.iter().map(convert).collect(),
        }
    }
    match group.get_column_reader(column).map_err(damaged(path))? {
        ColumnReader::FloatColumnReader(reader) => batches::<FloatType>(reader, path, each),
        ColumnReader::DoubleColumnReader(reader) => {
            batches::<DoubleType>(reader, path, |batch| each(&converted(batch, |&value| value as f32)))
        }
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            batches::<FixedLenByteArrayType>(reader, path, |batch| {
                each(&converted(batch, |value| match value.data() {
                    &[low, high] => f16::from_le_bytes([low, high]).to_f32(),
                    _ => f32::NAN,
                }))
            })
        }
        _ => unreachable!("`is_float` chose the column"),
    }
}

fn null(path: &Path, row: usize, column: &str) -> Error {
    Error::file(
        path,
        format!("row {row} of the column `{column}` is empty or holds a null"),
        "a finite value was expected everywhere: remove the row or encode the image again",
    )
}

/// The rows of a list column, all of one length.
fn read_lists(path: &Path, groups: &Groups, column: usize) -> Result<(Vec<f32>, usize)> {
    let mut values = Vec::new();
    let mut dimension = None;
    let mut rows = 0;
    for group in groups {
        let descriptor = group.metadata().schema_descr().column(column);
        let present = descriptor.max_def_level();
        float_batches(&**group, column, path, |batch| {
            if batch.definitions.iter().any(|&level| level != present) {
                let at = batch.definitions.iter().position(|&level| level != present).unwrap_or(0);
                let before = batch.repetitions[..=at].iter().filter(|&&level| level == 0).count();
                return Err(null(path, rows + before - 1, EMBEDDING));
            }
            for row in batch.repetitions.chunk_by(|_, &next| next != 0) {
                let expected = *dimension.get_or_insert(row.len());
                if row.len() != expected {
                    return Err(Error::file(
                        path,
                        format!("row {rows} has {} features, the rows before it have {expected}", row.len()),
                        "rows of one length were expected: encode all images with one encoder",
                    ));
                }
                rows += 1;
            }
            values.extend_from_slice(&batch.values);
            Ok(())
        })?;
    }
    let dimension = dimension.ok_or_else(|| {
        Error::file(path, "no rows", "at least one row was expected, to tell how many features it has")
    })?;
    Ok((values, dimension))
}

/// One feature from each column.
fn read_columns(path: &Path, groups: &Groups, columns: &[usize]) -> Result<(Vec<f32>, usize)> {
    if columns.is_empty() {
        return Err(Error::file(
            path,
            "no column of floats",
            format!("a list column `{EMBEDDING}`, or one floating-point column for each feature, was expected"),
        ));
    }
    let dimension = columns.len();
    let mut values = Vec::new();
    for group in groups {
        let begin = values.len();
        let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        for (at, &column) in columns.iter().enumerate() {
            let mut row = 0;
            let name = group.metadata().schema_descr().column(column).name().to_owned();
            float_batches(&**group, column, path, |batch| {
                if batch.values.len() != batch.records {
                    let missing = batch.definitions.iter().position(|&level| level == 0).unwrap_or(0);
                    return Err(null(path, begin / dimension + row + missing, &name));
                }
                for &value in &batch.values {
                    let place = begin + row * dimension + at;
                    if place >= values.len() {
                        values.resize(begin + (row + 1) * dimension, 0.0);
                    }
                    values[place] = value;
                    row += 1;
                }
                Ok(())
            })?;
            if row != rows {
                let found = format!("the column `{name}` has {row} of the {rows} rows of its group");
                return Err(Error::file(path, found, "the file is damaged: make or copy it again"));
            }
        }
    }
    Ok((values, dimension))
}

fn read_labels(path: &Path, groups: &Groups, column: usize) -> Result<Vec<i64>> {
    let mut labels = Vec::new();
    for group in groups {
        let mut take = |records: usize, values: &mut dyn Iterator<Item = i64>| {
            let before = labels.len();
            labels.extend(values);
            if labels.len() - before == records { Ok(()) } else { Err(null(path, labels.len(), LABEL)) }
        };
        match group.get_column_reader(column).map_err(damaged(path))? {
            ColumnReader::Int32ColumnReader(reader) => batches(reader, path, |batch| {
                take(batch.records, &mut batch.values.iter().map(|&label| i64::from(label)))
            }),
            ColumnReader::Int64ColumnReader(reader) => {
                batches(reader, path, |batch| take(batch.records, &mut batch.values.iter().copied()))
            }
            _ => {
                let remedy = format!("integers were expected: number the classes, or rename the column `{LABEL}`");
                Err(Error::file(path, format!("the column `{LABEL}` holds no integers"), remedy))
            }
        }?;
    }
    Ok(labels)
}

pub(super) fn write(path: &Path, embedding: &Embedding, labels: Option<&[i64]>, stamp: String) -> Result<()> {
    let failed = |error: ParquetError| Error::writing(path)(std::io::Error::other(error));
    let file = File::create(path).map_err(Error::writing(path))?;
    let schema = schema(labels.is_some()).map_err(failed)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_key_value_metadata(Some(vec![KeyValue::new(STAMP.to_owned(), stamp)]))
        .build();
    let write = || -> Result<(), ParquetError> {
        let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
        let dimension = embedding.dimension();
        let repetitions: Vec<i16> = (0..ROWS * dimension).map(|at| i16::from(at % dimension != 0)).collect();
        let definitions = vec![1; ROWS * dimension];
        for first in (0..embedding.rows()).step_by(ROWS_OF_GROUP) {
            let rows = first..embedding.rows().min(first + ROWS_OF_GROUP);
            let mut group = writer.next_row_group()?;
            let mut column = group.next_column()?.expect("the schema begins with the embedding");
            for values in embedding.values()[rows.start * dimension..rows.end * dimension].chunks(ROWS * dimension) {
                let levels = 0..values.len();
                column.typed::<FloatType>().write_batch(
                    values,
                    Some(&definitions[levels.clone()]),
                    Some(&repetitions[levels]),
                )?;
            }
            column.close()?;
            if let Some(labels) = labels {
                let mut column = group.next_column()?.expect("the schema has a label");
                column.typed::<Int64Type>().write_batch(&labels[rows], None, None)?;
                column.close()?;
            }
            group.close()?;
        }
        writer.close().map(|_| ())
    };
    write().map_err(failed)
}

/// The list column in the three levels the format prescribes, and the label.
fn schema(labels: bool) -> Result<Type, ParquetError> {
    let element = Type::primitive_type_builder("element", PhysicalType::FLOAT);
    let element = element.with_repetition(Repetition::REQUIRED).build()?;
    let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
    let list = list.with_fields(vec![Arc::new(element)]).build()?;
    let embedding = Type::group_type_builder(EMBEDDING)
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(list)])
        .build()?;
    let mut fields = vec![Arc::new(embedding)];
    if labels {
        let label = Type::primitive_type_builder(LABEL, PhysicalType::INT64);
        fields.push(Arc::new(label.with_repetition(Repetition::REQUIRED).build()?));
    }
    Type::group_type_builder("schema").with_fields(fields).build()
}
