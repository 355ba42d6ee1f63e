use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::{Format, folder, format};
use crate::{Error, ImageSet, Labels, Parts, Provenance, Result, Shape};

/// IDX: two zero bytes, the type (8: unsigned byte), the number of dimensions, each size as a big-endian 32-bit number,
/// then the values (LeCun, Cortes, Burges, *The MNIST database of handwritten digits*).
const UNSIGNED_BYTE: u8 = 8;

/// Dimensions of an array of images and of labels.
const IMAGES: u8 = 3;
const LABELS: u8 = 1;

/// The gzip or plain content of a file.
fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut magic = [0; 2];
    let gzipped = File::open(path)?.read_exact(&mut magic).is_ok() && magic == [0x1F, 0x8B];
    let file = BufReader::new(File::open(path)?);
    Ok(if gzipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// The number of dimensions, if the file begins as IDX of unsigned bytes does.
fn dimensions(path: &Path) -> Result<Option<u8>> {
    let mut magic = [0; 4];
    let mut reader = open(path).map_err(Error::io("opening", path))?;
    Ok((reader.read_exact(&mut magic).is_ok() && magic[..3] == [0, 0, UNSIGNED_BYTE]).then_some(magic[3]))
}

/// Whether a file holds images in IDX.
pub(super) fn is_idx(path: &Path) -> Result<bool> {
    Ok(dimensions(path)? == Some(IMAGES))
}

/// The sizes and values of an array.
fn read_array(path: &Path, dimensions: u8) -> Result<(Vec<usize>, Vec<u8>)> {
    let broken = |found: String| Error::invalid(path, found, "the file is damaged or no IDX: get it again");
    let mut reader = open(path).map_err(Error::io("opening", path))?;
    let mut header = vec![0; 4 + 4 * usize::from(dimensions)];
    reader.read_exact(&mut header).map_err(|error| broken(format!("the header cannot be read: {error}")))?;
    if header[..4] != [0, 0, UNSIGNED_BYTE, dimensions] {
        return Err(broken(format!(
            "it begins with {:?} instead of {:?} ({dimensions} dimensions of unsigned bytes)",
            &header[..4],
            [0, 0, UNSIGNED_BYTE, dimensions]
        )));
    }
    let (sizes, _) = header[4..].as_chunks::<4>();
    let sizes: Vec<usize> = sizes.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
    let expected = sizes
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size))
        .ok_or_else(|| broken(format!("sizes {sizes:?}")))?;
    let mut values = Vec::new();
    reader
        .take(expected as u64 + 1)
        .read_to_end(&mut values)
        .map_err(|error| broken(format!("it breaks off after {} values: {error}", values.len())))?;
    if values.len() != expected {
        let more = if values.len() > expected { "more than " } else { "" };
        return Err(broken(format!(
            "{more}{} values instead of {expected} for sizes {sizes:?}",
            values.len().min(expected)
        )));
    }
    Ok((sizes, values))
}

/// One file of images with its labels beside it, or a folder of such pairs.
pub(super) fn read(path: &Path) -> Result<Parts> {
    if path.is_file() {
        return read_pair(path).map(Parts::undivided);
    }
    let mut files = Vec::new();
    for entry in folder::list(path)? {
        if entry.is_file() && is_idx(&entry)? {
            files.push(entry);
        }
    }
    match files.as_slice() {
        [] => Err(folder::nothing(path, &folder::list(path)?)),
        [only] => read_pair(only).map(Parts::undivided),
        _ => {
            let parts = files
                .iter()
                .map(|file| {
                    let part = part_of(file).ok_or_else(|| {
                        Error::invalid(
                            file,
                            "the name does not say which part this is",
                            "several files of images need train, validation or test (t10k) in their names: rename it, \
                             or import one file",
                        )
                    })?;
                    Ok((part.to_owned(), read_pair(file)?))
                })
                .collect::<Result<_>>()?;
            Parts::divided(parts)
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn part_of(path: &Path) -> Option<&'static str> {
    file_name(path).split(['-', '_', '.']).find_map(format::part_name)
}

/// The file of labels beside a file of images: the same name with "labels" for "images" and "idx1" for "idx3".
fn labels_beside(images: &Path) -> Option<PathBuf> {
    let name = file_name(images);
    let labels = name.replace("images", "labels").replace("idx3", "idx1");
    let bare = labels.strip_suffix(".gz").unwrap_or(&labels).to_owned();
    [format!("{bare}.gz"), bare]
        .into_iter()
        .filter(|candidate| *candidate != name)
        .map(|candidate| images.with_file_name(candidate))
        .find(|candidate| candidate.is_file())
}

fn read_pair(images: &Path) -> Result<ImageSet> {
    let (sizes, pixels) = read_array(images, IMAGES)?;
    let shape = Shape { channels: 1, height: sizes[1], width: sizes[2] };
    let set = ImageSet::new(shape, pixels)?.with_provenance(Provenance {
        source: images.display().to_string(),
        format: Format::Idx.to_string(),
        ..Provenance::default()
    });
    let Some(path) = labels_beside(images) else { return Ok(set) };
    let (_, labels) = read_array(&path, LABELS)?;
    if labels.len() != set.len() {
        return Err(Error::invalid(
            &path,
            format!("{} labels for {} images in {}", labels.len(), set.len(), images.display()),
            "both files must come from one set: get them again",
        ));
    }
    let names: Vec<String> = labels.iter().map(u8::to_string).collect();
    set.with_labels(Labels::from_names(&names))
}
