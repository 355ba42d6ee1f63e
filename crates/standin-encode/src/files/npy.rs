use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use half::f16;
use npyz::{DType, Endianness, NpyHeader, Order, TypeChar, TypeStr, WriterBuilder};

use super::Contents;
use crate::{Error, Result};

/// Bytes decoded at once.
const CHUNK: usize = 1 << 16;

/// Writes a row-major matrix of `columns` columns in single precision as `.npy`, replacing a file that is there.
///
/// # Errors
/// If the file cannot be written.
///
/// # Panics
/// If the values do not fill whole rows.
pub fn write_npy(path: &Path, values: &[f32], columns: usize) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        write_matrix(&mut file, values, columns)?;
        file.flush()
    };
    write().map_err(Error::writing(path))
}

/// Reads a matrix of half, single or double precision, in C or Fortran order, from `.npy`: its values row by row, and the
/// number of columns. Values are passed on as they are, also those that are not finite.
///
/// # Errors
/// If the file is missing, damaged or no matrix of floats.
pub fn read_npy(path: &Path) -> Result<(Vec<f32>, usize)> {
    let file = File::open(path).map_err(Error::reading(path))?;
    read_matrix(BufReader::new(file), path, "the array")
}

pub(super) fn read(path: &Path) -> Result<Contents> {
    let (values, dimension) = read_npy(path)?;
    Ok(Contents { values, dimension, labels: None, stamp: None })
}

pub(super) fn write_matrix(writer: &mut impl Write, values: &[f32], columns: usize) -> std::io::Result<()> {
    assert!(columns > 0 && values.len().is_multiple_of(columns), "values fill whole rows");
    write_header(writer, "<f4", &[values.len() / columns, columns])?;
    let mut bytes = Vec::with_capacity(CHUNK);
    for values in values.chunks(CHUNK / 4) {
        bytes.clear();
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        writer.write_all(&bytes)?;
    }
    Ok(())
}

/// Writes the header of an array in C order; its values are to follow.
pub(super) fn write_header(writer: &mut impl Write, kind: &str, shape: &[usize]) -> std::io::Result<()> {
    let kind: TypeStr = kind.parse().expect("a type string of this crate");
    let shape: Vec<u64> = shape.iter().map(|&size| size as u64).collect();
    npyz::WriteOptions::new_header_only()
        .dtype(DType::Plain(kind))
        .shape(&shape)
        .writer(writer)
        .write_header_only()
        .map(|_| ())
}

/// Reads a matrix of floats; `name` is what an error calls the array.
pub(super) fn read_matrix(mut reader: impl Read, path: &Path, name: &str) -> Result<(Vec<f32>, usize)> {
    const REMEDY: &str = "a matrix of floats, images × features, was expected";
    let (header, kind) = read_header(&mut reader, path, name)?;
    let [rows, columns] = *header.shape() else {
        return Err(Error::file(
            path,
            format!("{name} has the shape {:?}", header.shape()),
            format!("{REMEDY}: save x.reshape(len(x), -1) if every image has one row of features"),
        ));
    };
    if columns == 0 {
        return Err(Error::file(path, format!("{name} has the shape [{rows}, 0]"), REMEDY));
    }
    let (rows, columns) = (rows as usize, columns as usize);
    let values = match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 2) => read_values(reader, &header, &kind, path, name, |bytes, big| match big {
            true => f16::from_be_bytes(bytes).to_f32(),
            false => f16::from_le_bytes(bytes).to_f32(),
        }),
        (TypeChar::Float, 4) => read_values(reader, &header, &kind, path, name, |bytes, big| match big {
            true => f32::from_be_bytes(bytes),
            false => f32::from_le_bytes(bytes),
        }),
        (TypeChar::Float, 8) => read_values(reader, &header, &kind, path, name, |bytes, big| match big {
            true => f64::from_be_bytes(bytes) as f32,
            false => f64::from_le_bytes(bytes) as f32,
        }),
        _ => {
            Err(Error::file(path, format!("{name} is of type {kind}"), format!("{REMEDY}: save x.astype(\"float32\")")))
        }
    }?;
    match header.order() {
        Order::C => Ok((values, columns)),
        Order::Fortran => Ok((transpose(&values, columns, rows), columns)),
    }
}

/// Reads a vector of integers, n or n × 1.
pub(super) fn read_integers(mut reader: impl Read, path: &Path, name: &str) -> Result<Vec<i64>> {
    const REMEDY: &str = "one integer per image was expected: save y.astype(\"int64\").ravel(), or leave the array out";
    let (header, kind) = read_header(&mut reader, path, name)?;
    if !matches!(*header.shape(), [_] | [_, 1]) {
        return Err(Error::file(path, format!("{name} has the shape {:?}", header.shape()), REMEDY));
    }
    macro_rules! integers {
        ($type:ty) => {
            read_values(reader, &header, &kind, path, name, |bytes, big| match big {
                true => i64::from(<$type>::from_be_bytes(bytes)),
                false => i64::from(<$type>::from_le_bytes(bytes)),
            })
        };
    }
    match (kind.type_char(), kind.size_field()) {
        (TypeChar::Uint, 1) => integers!(u8),
        (TypeChar::Uint, 2) => integers!(u16),
        (TypeChar::Uint, 4) => integers!(u32),
        (TypeChar::Int, 1) => integers!(i8),
        (TypeChar::Int, 2) => integers!(i16),
        (TypeChar::Int, 4) => integers!(i32),
        (TypeChar::Int, 8) => integers!(i64),
        _ => Err(Error::file(path, format!("{name} is of type {kind}"), REMEDY)),
    }
}

fn read_header(reader: &mut impl Read, path: &Path, name: &str) -> Result<(NpyHeader, TypeStr)> {
    let remedy = "an array as numpy.save writes it was expected: make or copy the file again";
    let header = NpyHeader::from_reader(reader)
        .map_err(|error| Error::file(path, format!("{name} has no readable header: {error}"), remedy))?;
    match header.dtype() {
        DType::Plain(kind) => Ok((header, kind)),
        other => Err(Error::file(path, format!("{name} is a structured array, {}", other.descr()), remedy)),
    }
}

/// Decodes all values in the order they are stored; the memory taken never exceeds what the file really holds by more than
/// a constant factor, whatever its header claims.
fn read_values<T, const WIDTH: usize>(
    mut reader: impl Read,
    header: &NpyHeader,
    kind: &TypeStr,
    path: &Path,
    name: &str,
    decode: impl Fn([u8; WIDTH], bool) -> T,
) -> Result<Vec<T>> {
    let big_endian = kind.endianness() == Endianness::Big;
    let damaged = |found: String| Error::file(path, found, "the file is cut off or damaged: make or copy it again");
    let expected = header
        .shape()
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(usize::try_from(size).ok()?))
        .ok_or_else(|| damaged(format!("{name} claims the shape {:?}", header.shape())))?;
    let mut values = Vec::with_capacity(expected.min(CHUNK));
    let mut bytes = Vec::with_capacity(CHUNK);
    while values.len() < expected {
        let wanted = ((expected - values.len()).saturating_mul(WIDTH)).min(CHUNK);
        bytes.clear();
        reader.by_ref().take(wanted as u64).read_to_end(&mut bytes).map_err(Error::reading(path))?;
        let (whole, _) = bytes.as_chunks::<WIDTH>();
        values.extend(whole.iter().map(|&bytes| decode(bytes, big_endian)));
        if bytes.len() < wanted {
            return Err(damaged(format!(
                "{name} ends after {} of the {expected} values of its shape {:?}",
                values.len(),
                header.shape()
            )));
        }
    }
    Ok(values)
}

/// Row-major `columns × rows` from row-major `rows × columns`.
fn transpose<T: Copy>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}
