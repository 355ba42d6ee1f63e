//! Tables of single findings for other programs, as comma-separated values and as Parquet.

use std::error::Error as Reason;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

use crate::{Error, Result};

/// A column of a table.
#[derive(Debug)]
pub struct Column<Row> {
    /// Its name in the header.
    pub name: &'static str,
    /// What it holds, and in which unit.
    pub summary: &'static str,
    values: Values<Row>,
}

/// How a column is taken from a row, and by that its type: whole numbers, numbers, true and false, or text.
#[derive(Debug)]
enum Values<Row> {
    Index(fn(&Row) -> Option<usize>),
    Number(fn(&Row) -> Option<f64>),
    Flag(fn(&Row) -> Option<bool>),
    Text(fn(&Row) -> Option<String>),
}

impl<Row> Column<Row> {
    /// A column of whole numbers from 0.
    pub const fn index(name: &'static str, summary: &'static str, value: fn(&Row) -> Option<usize>) -> Self {
        Self { name, summary, values: Values::Index(value) }
    }

    /// A column of numbers.
    pub const fn number(name: &'static str, summary: &'static str, value: fn(&Row) -> Option<f64>) -> Self {
        Self { name, summary, values: Values::Number(value) }
    }

    /// A column of true and false.
    pub const fn flag(name: &'static str, summary: &'static str, value: fn(&Row) -> Option<bool>) -> Self {
        Self { name, summary, values: Values::Flag(value) }
    }

    /// A column of text.
    pub const fn text(name: &'static str, summary: &'static str, value: fn(&Row) -> Option<String>) -> Self {
        Self { name, summary, values: Values::Text(value) }
    }

    /// The value as text that reads back to the same number; empty where there is none.
    fn written(&self, row: &Row) -> String {
        fn or_empty(value: Option<impl ToString>) -> String {
            value.map_or_else(String::new, |value| value.to_string())
        }
        match self.values {
            Values::Index(value) => or_empty(value(row)),
            Values::Number(value) => or_empty(value(row)),
            Values::Flag(value) => or_empty(value(row)),
            Values::Text(value) => value(row).unwrap_or_default(),
        }
    }

    fn field(&self) -> parquet::errors::Result<Type> {
        let (physical, logical) = match self.values {
            Values::Index(_) => (Physical::INT64, None),
            Values::Number(_) => (Physical::DOUBLE, None),
            Values::Flag(_) => (Physical::BOOLEAN, None),
            Values::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        Type::primitive_type_builder(self.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
    }
}

/// Rows and how they are written.
#[derive(Debug)]
pub struct Table<'a, Row> {
    /// The columns, in order.
    pub columns: &'a [Column<Row>],
    /// The rows.
    pub rows: &'a [Row],
    /// What a Parquet file says about itself, by key.
    pub metadata: Vec<(&'static str, Option<String>)>,
}

impl<Row> Table<'_, Row> {
    /// Writes one line per row under a header, as comma-separated values in UTF-8. An existing file is replaced.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        let write = || -> Result<(), Box<dyn Reason + Send + Sync>> {
            let mut writer = csv::Writer::from_path(path)?;
            writer.write_record(self.columns.iter().map(|column| column.name))?;
            for row in self.rows {
                writer.write_record(self.columns.iter().map(|column| column.written(row)))?;
            }
            Ok(writer.flush()?)
        };
        write().map_err(|source| Error::Write { path: path.into(), source })
    }

    /// Writes the same table as Parquet: 64-bit integers, doubles, booleans and strings, all nullable, compressed with Snappy, with
    /// the metadata as key-value pairs. An existing file is replaced.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_parquet(&self, path: &Path) -> Result<()> {
        let write = || -> Result<(), Box<dyn Reason + Send + Sync>> {
            let metadata = self.metadata.iter();
            let metadata = metadata.map(|(key, value)| KeyValue { key: (*key).into(), value: value.clone() });
            let properties = WriterProperties::builder()
                .set_compression(Compression::SNAPPY)
                .set_key_value_metadata(Some(metadata.collect()))
                .build();
            let fields = self.columns.iter().map(|column| Ok(Arc::new(column.field()?)));
            let fields = fields.collect::<parquet::errors::Result<Vec<_>>>()?;
            let schema = Type::group_type_builder("scores").with_fields(fields).build()?;
            let file = BufWriter::new(File::create(path)?);
            let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
            let mut rows = writer.next_row_group()?;
            for column in self.columns {
                let mut into = rows.next_column()?.expect("the schema has a column for each of these");
                match column.values {
                    Values::Index(value) => {
                        self.write_column::<Int64Type>(&mut into, |row| value(row).map(|index| index as i64))?;
                    }
                    Values::Number(value) => self.write_column::<DoubleType>(&mut into, value)?,
                    Values::Flag(value) => self.write_column::<BoolType>(&mut into, value)?,
                    Values::Text(value) => {
                        let bytes = |row: &Row| value(row).map(|text| ByteArray::from(text.into_bytes()));
                        self.write_column::<ByteArrayType>(&mut into, bytes)?;
                    }
                }
                into.close()?;
            }
            rows.close()?;
            Ok(writer.into_inner()?.flush()?)
        };
        write().map_err(|source| Error::Write { path: path.into(), source })
    }

    fn write_column<T: DataType>(
        &self,
        into: &mut SerializedColumnWriter<'_>,
        value: impl Fn(&Row) -> Option<T::T>,
    ) -> parquet::errors::Result<()> {
        let cells: Vec<Option<T::T>> = self.rows.iter().map(value).collect();
        let present: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
        let values: Vec<T::T> = cells.into_iter().flatten().collect();
        into.typed::<T>().write_batch(&values, Some(&present), None)?;
        Ok(())
    }
}
