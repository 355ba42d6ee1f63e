use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use npyz::npz::NpzArchive;
use npyz::zip::result::ZipError;
use npyz::zip::write::FileOptions;
use npyz::zip::{CompressionMethod, DateTime, ZipWriter};

use super::{Contents, npy};
use crate::{Embedding, Error, Result};

const FEATURES: &str = "features";
const LABELS: &str = "labels";
const STAMP: &str = "stamp";

pub(super) fn read(path: &Path) -> Result<Contents> {
    let mut archive = open(path)?;
    let mut names: Vec<String> = archive.array_names().map(str::to_owned).collect();
    names.sort_unstable();
    let features = features_of(path, &names)?;
    let (values, dimension) = npy::read_matrix(entry(&mut archive, path, features)?, path, &quoted(features))?;
    let labels = match names.iter().any(|name| name == LABELS) {
        true => Some(npy::read_integers(entry(&mut archive, path, LABELS)?, path, &quoted(LABELS))?),
        false => None,
    };
    let stamp = match names.iter().any(|name| name == STAMP) {
        true => Some(read_text(entry(&mut archive, path, STAMP)?, path)?),
        false => None,
    };
    Ok(Contents { values, dimension, labels, stamp })
}

pub(super) fn holds_features(path: &Path) -> Result<bool> {
    let mut archive = open(path)?;
    let mut names: Vec<String> = archive.array_names().map(str::to_owned).collect();
    names.sort_unstable();
    match features_of(path, &names) {
        Ok(name) if name == FEATURES => Ok(true),
        Ok(name) => {
            Ok(npyz::NpyFile::new(entry(&mut archive, path, name)?).is_ok_and(|array| array.shape().len() == 2))
        }
        Err(_) => Ok(false),
    }
}

fn open(path: &Path) -> Result<NpzArchive<BufReader<File>>> {
    let file = File::open(path).map_err(Error::reading(path))?;
    NpzArchive::new(BufReader::new(file)).map_err(|error| {
        Error::file(path, format!("no archive of arrays: {error}"), "a file as numpy.savez writes it was expected")
    })
}

/// The array that holds the features.
fn features_of<'a>(path: &Path, names: &'a [String]) -> Result<&'a str> {
    if let Some(name) = names.iter().find(|name| *name == FEATURES) {
        return Ok(name);
    }
    let others: Vec<&String> = names.iter().filter(|name| ![LABELS, STAMP].contains(&name.as_str())).collect();
    match others.as_slice() {
        [only] => Ok(only),
        _ => Err(Error::file(
            path,
            format!("the arrays are {}", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")),
            format!("one array `{FEATURES}` was expected, with `{LABELS}` beside it if there are any"),
        )),
    }
}

fn quoted(name: &str) -> String {
    format!("array `{name}`")
}

fn entry<'a, R: Read + Seek>(archive: &'a mut NpzArchive<R>, path: &Path, name: &str) -> Result<impl Read + 'a> {
    let damaged = |error: ZipError| {
        let remedy = "the file is damaged: make or copy it again";
        Error::file(path, format!("{} cannot be read: {error}", quoted(name)), remedy)
    };
    let entry = archive.zip_archive().by_name(&npyz::npz::file_name_from_array_name(name)).map_err(damaged)?;
    Ok(BufReader::new(entry))
}

fn read_text(reader: impl Read, path: &Path) -> Result<String> {
    let text = npyz::NpyFile::new(reader).and_then(npyz::NpyFile::into_vec::<String>);
    match text.map(<[String; 1]>::try_from) {
        Ok(Ok([text])) => Ok(text),
        Ok(Err(texts)) => Err(Error::file(
            path,
            format!("{} holds {} strings", quoted(STAMP), texts.len()),
            "one string of JSON was expected: write the stamp again or remove the array",
        )),
        Err(error) => Err(Error::file(
            path,
            format!("{} is no string: {error}", quoted(STAMP)),
            "one string of JSON was expected: write the stamp again or remove the array",
        )),
    }
}

pub(super) fn write(path: &Path, embedding: &Embedding, labels: Option<&[i64]>, stamp: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut zip = ZipWriter::new(BufWriter::new(File::create(path)?));
        start(&mut zip, FEATURES, size_of_val(embedding.values()))?;
        npy::write_matrix(&mut zip, embedding.values(), embedding.dimension())?;
        if let Some(labels) = labels {
            start(&mut zip, LABELS, size_of_val(labels))?;
            npy::write_header(&mut zip, "<i8", &[labels.len()])?;
            let bytes: Vec<u8> = labels.iter().flat_map(|label| label.to_le_bytes()).collect();
            zip.write_all(&bytes)?;
        }
        // NumPy's strings are arrays of UTF-32 code points of one length.
        let points: Vec<u8> = stamp.chars().flat_map(|point| u32::from(point).to_le_bytes()).collect();
        start(&mut zip, STAMP, points.len())?;
        npy::write_header(&mut zip, &format!("<U{}", points.len() / 4), &[])?;
        zip.write_all(&points)?;
        zip.finish()?.flush()
    };
    write().map_err(Error::writing(path))
}

/// Begins an array, uncompressed since the mantissas of features do not compress; the time stamp is fixed so that equal
/// embeddings give equal files.
fn start<W: Write + Seek>(zip: &mut ZipWriter<W>, name: &str, bytes: usize) -> std::io::Result<()> {
    let options = FileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .large_file(bytes as u64 >= u64::from(u32::MAX) / 2);
    Ok(zip.start_file(npyz::npz::file_name_from_array_name(name), options)?)
}
