use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::basic::{ConvertedType, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{AsBytes, ByteArray, DataType};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::RowGroupReader;
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};

/// One column of single values in one row group, read from its beginning.
pub(super) struct Leaf {
    reader: ColumnReader,
    description: ColumnDescPtr,
}

/// Whether values of a column have a form as text here. Decimals, times of day, intervals and the like have none.
pub(super) fn has_text(column: &ColumnDescriptor) -> bool {
    use ConvertedType as C;
    match column.physical_type() {
        Physical::BOOLEAN | Physical::FLOAT | Physical::DOUBLE => true,
        Physical::INT32 => matches!(
            column.converted_type(),
            C::NONE | C::INT_8 | C::INT_16 | C::INT_32 | C::UINT_8 | C::UINT_16 | C::UINT_32 | C::DATE
        ),
        Physical::INT64 => matches!(
            column.converted_type(),
            C::NONE | C::INT_64 | C::UINT_64 | C::TIMESTAMP_MILLIS | C::TIMESTAMP_MICROS
        ),
        Physical::BYTE_ARRAY => matches!(column.converted_type(), C::UTF8 | C::ENUM | C::JSON),
        Physical::INT96 | Physical::FIXED_LEN_BYTE_ARRAY => false,
    }
}

/// Calls the table's decoder, and takes its panics for errors: it asserts some of what a damaged footer or page claims,
/// and nothing it leaves behind is used after that.
pub(super) fn contained<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let message =
            panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(ParquetError::General(format!("the decoder gave up: {}", message.unwrap_or("no reason given"))))
    })
}

impl Leaf {
    /// The column of that number among the leaves of the schema; none of its values repeats in a row.
    pub fn open(group: &dyn RowGroupReader, index: usize) -> Result<Self> {
        let description = group.metadata().schema_descr().column(index);
        Ok(Self { reader: contained(|| group.get_column_reader(index))?, description })
    }

    /// The next `rows` values as bytes, none where they are missing.
    pub fn bytes(&mut self, rows: usize) -> Result<Vec<Option<Vec<u8>>>> {
        let ColumnReader::ByteArrayColumnReader(reader) = &mut self.reader else {
            return Err(ParquetError::General(format!("column {} holds no bytes", self.description.path())));
        };
        read(reader, &self.description, rows, |value: ByteArray| Ok(value.as_bytes().to_vec()))
    }

    /// The next `rows` values as text, nothing where they are missing or the floating-point NaN that stands for that.
    pub fn text(&mut self, rows: usize) -> Result<Vec<String>> {
        let description = &self.description;
        let converted = description.converted_type();
        let values = match &mut self.reader {
            ColumnReader::BoolColumnReader(reader) => read(reader, description, rows, |value| Ok(value.to_string())),
            ColumnReader::Int32ColumnReader(reader) => read(reader, description, rows, |value| {
                Ok(match converted {
                    ConvertedType::DATE => date(i64::from(value)),
                    ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 => {
                        value.cast_unsigned().to_string()
                    }
                    _ => value.to_string(),
                })
            }),
            ColumnReader::Int64ColumnReader(reader) => read(reader, description, rows, |value| {
                Ok(match converted {
                    ConvertedType::UINT_64 => value.cast_unsigned().to_string(),
                    ConvertedType::TIMESTAMP_MILLIS => moment(value, 3),
                    ConvertedType::TIMESTAMP_MICROS => moment(value, 6),
                    _ => value.to_string(),
                })
            }),
            ColumnReader::FloatColumnReader(reader) => read(reader, description, rows, |value| {
                Ok(if value.is_nan() { String::new() } else { format!("{value:?}") })
            }),
            ColumnReader::DoubleColumnReader(reader) => read(reader, description, rows, |value| {
                Ok(if value.is_nan() { String::new() } else { format!("{value:?}") })
            }),
            ColumnReader::ByteArrayColumnReader(reader) => read(reader, description, rows, |value: ByteArray| {
                String::from_utf8(value.as_bytes().to_vec()).map_err(|_| {
                    ParquetError::General(format!("column {} holds text that is no UTF-8", description.path()))
                })
            }),
            ColumnReader::Int96ColumnReader(_) | ColumnReader::FixedLenByteArrayColumnReader(_) => {
                Err(ParquetError::General(format!("column {} holds no text", description.path())))
            }
        }?;
        Ok(values.into_iter().map(Option::unwrap_or_default).collect())
    }
}

/// The next `rows` values; a value is there if its definition level is the highest.
fn read<T: DataType, V>(
    reader: &mut ColumnReaderImpl<T>,
    description: &ColumnDescriptor,
    rows: usize,
    convert: impl Fn(T::T) -> Result<V>,
) -> Result<Vec<Option<V>>> {
    let most = description.max_def_level();
    let mut levels: Vec<i16> = Vec::new();
    let mut values: Vec<T::T> = Vec::new();
    let mut done = 0;
    while done < rows {
        let (records, _, _) =
            contained(|| reader.read_records(rows - done, (most > 0).then_some(&mut levels), None, &mut values))?;
        if records == 0 {
            return Err(ParquetError::EOF(format!("column {} ends after {done} of {rows} rows", description.path())));
        }
        done += records;
    }
    if most == 0 {
        levels = vec![0; values.len()];
    }
    let present = levels.iter().filter(|&&level| level == most).count();
    if levels.len() != rows || present != values.len() || levels.iter().any(|level| !(0..=most).contains(level)) {
        return Err(ParquetError::General(format!(
            "column {}: {} values for {present} of {} rows",
            description.path(),
            values.len(),
            levels.len()
        )));
    }
    let mut values = values.into_iter();
    levels.iter().map(|&level| if level == most { values.next().map(&convert).transpose() } else { Ok(None) }).collect()
}

/// The proleptic Gregorian date of a day counted from 1 January 1970.
fn date(day: i64) -> String {
    // Years that begin in March end with the leap day; 400 of them have 146 097 days.
    let day = day + 719_468;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", year + 400 * era + next_year)
}

/// A moment counted from the beginning of 1970 in units of ten to the minus `digits` seconds.
fn moment(value: i64, digits: usize) -> String {
    let unit = 10_i64.pow(digits as u32);
    let (seconds, fraction) = (value.div_euclid(unit), value.rem_euclid(unit));
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let time = format!("{} {:02}:{:02}:{:02}", date(day), second / 3600, second / 60 % 60, second % 60);
    if fraction == 0 { time } else { format!("{time}.{fraction:0digits$}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_moments_have_their_dates() {
        // Python: datetime.date(1970, 1, 1) + datetime.timedelta(days).
        for (day, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (-25_509, "1900-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(date(day), expected);
        }
        assert_eq!(moment(86_399_999, 3), "1970-01-01 23:59:59.999");
        assert_eq!(moment(-1_000_000, 6), "1969-12-31 23:59:59");
        assert!(!date(i64::from(i32::MIN)).is_empty() && !moment(i64::MIN, 3).is_empty());
    }
}
