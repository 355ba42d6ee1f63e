use std::io::{BufReader, Read};
use std::path::Path;

use npyz::npz::NpzArchive;
use npyz::{DType, NpyHeader, Order, TypeChar};
use rayon::prelude::*;

use super::{Format, format, picture};
use crate::{Error, ImageSet, Labels, Parts, Provenance, Result, Shape, Skipped};

/// An array as it is stored: sizes, kind, bytes per value, byte order and values.
struct Array {
    name: String,
    sizes: Vec<usize>,
    kind: TypeChar,
    width: usize,
    big_endian: bool,
    bytes: Vec<u8>,
}

/// Names of arrays that belong together: the part, the images, the labels.
struct Layout {
    part: String,
    images: String,
    labels: String,
    /// Whether images are stored channels first where both readings are possible.
    channels_first: bool,
}

/// Reads the arrays of MedMNIST (`train_images` N×H×W or N×H×W×3, `train_labels` N×1, …), of DPImageBench (`x`
/// N×C×H×W, `y` N), or `images` and `labels`.
///
/// Values are uint8, or floats in 0–1, which become `round(255 v)`.
pub(super) fn read(path: &Path) -> Result<Parts> {
    let broken = |error: std::io::Error| {
        Error::invalid(path, format!("the archive cannot be read: {error}"), "an .npz file of numpy.savez was expected")
    };
    let mut archive = NpzArchive::open(path).map_err(broken)?;
    let mut present: Vec<String> = archive.array_names().map(str::to_owned).collect();
    present.sort();
    let layouts = layouts(&present);
    if layouts.is_empty() {
        return Err(Error::Empty {
            path: path.to_path_buf(),
            found: format!("the arrays are {}", present.join(", ")),
            remedy:
                "train_images and train_labels (MedMNIST), x and y (DPImageBench), or images and labels were expected"
                    .to_owned(),
        });
    }
    let known: Vec<&String> = layouts.iter().flat_map(|layout| [&layout.images, &layout.labels]).collect();
    let skipped: Vec<Skipped> = present
        .iter()
        .filter(|name| !known.contains(name))
        .map(|name| Skipped { item: name.clone(), reason: "an array that is neither images nor their labels".into() })
        .collect();

    let mut sets = Vec::new();
    for layout in layouts {
        let images = read_array(&mut archive, &layout.images).map_err(broken)?;
        let (shape, pixels) = images_of(path, images, layout.channels_first)?;
        let mut set = ImageSet::new(shape, pixels)?.with_provenance(Provenance {
            source: path.display().to_string(),
            format: Format::Npz.to_string(),
            skipped: skipped.clone(),
            ..Provenance::default()
        });
        if present.contains(&layout.labels) {
            let labels = read_array(&mut archive, &layout.labels).map_err(broken)?;
            let names = label_names(path, &labels, set.len())?;
            set = set.with_labels(Labels::from_names(&names))?;
        }
        sets.push((layout.part, set));
    }
    match sets.as_slice() {
        [(part, _)] if part.is_empty() => Ok(Parts::undivided(sets.remove(0).1)),
        _ => Parts::divided(sets),
    }
}

fn layouts(present: &[String]) -> Vec<Layout> {
    let mut layouts = Vec::new();
    for (part, aliases) in format::PART_NAMES {
        for alias in aliases {
            layouts.push(Layout {
                part: part.to_owned(),
                images: format!("{alias}_images"),
                labels: format!("{alias}_labels"),
                channels_first: false,
            });
        }
    }
    layouts.retain(|layout| present.contains(&layout.images));
    if layouts.is_empty() {
        for (images, labels, channels_first) in [("x", "y", true), ("images", "labels", false)] {
            if present.iter().any(|name| name == images) {
                let (images, labels) = (images.to_owned(), labels.to_owned());
                layouts.push(Layout { part: String::new(), images, labels, channels_first });
                break;
            }
        }
    }
    layouts
}

fn read_array<R: Read + std::io::Seek>(archive: &mut NpzArchive<R>, name: &str) -> std::io::Result<Array> {
    let invalid = |text: String| std::io::Error::new(std::io::ErrorKind::InvalidData, text);
    let file = archive.zip_archive().by_name(&npyz::npz::file_name_from_array_name(name))?;
    let mut reader = BufReader::new(file);
    let header = NpyHeader::from_reader(&mut reader)?;
    let DType::Plain(kind) = header.dtype() else {
        return Err(invalid(format!("{name} is a structured array")));
    };
    let width = kind.num_bytes().ok_or_else(|| invalid(format!("{name} holds Python objects")))?;
    let sizes: Vec<usize> = header.shape().iter().map(|&size| size as usize).collect();
    if header.order() == Order::Fortran && sizes.len() > 1 {
        return Err(invalid(format!("{name} is in Fortran order: save numpy.ascontiguousarray({name}) instead")));
    }
    let expected = sizes
        .iter()
        .try_fold(width, |product, &size| product.checked_mul(size))
        .ok_or_else(|| invalid(format!("{name} claims the shape {sizes:?}")))?;
    let mut bytes = Vec::new();
    reader.take(expected as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() != expected {
        return Err(invalid(format!("{name} has {} bytes, its shape {sizes:?} needs {expected}", bytes.len())));
    }
    let big_endian = kind.endianness() == npyz::Endianness::Big;
    Ok(Array { name: name.to_owned(), sizes, kind: kind.type_char(), width, big_endian, bytes })
}

impl Array {
    /// The values as numbers, if the kind is a number at all.
    fn numbers(&self) -> Option<Vec<f64>> {
        macro_rules! each {
            ($type:ty) => {{
                let (values, _) = self.bytes.as_chunks();
                values
                    .iter()
                    .map(|&bytes| match self.big_endian {
                        true => <$type>::from_be_bytes(bytes) as f64,
                        false => <$type>::from_le_bytes(bytes) as f64,
                    })
                    .collect()
            }};
        }
        Some(match (self.kind, self.width) {
            (TypeChar::Bool | TypeChar::Uint, 1) => each!(u8),
            (TypeChar::Uint, 2) => each!(u16),
            (TypeChar::Uint, 4) => each!(u32),
            (TypeChar::Uint, 8) => each!(u64),
            (TypeChar::Int, 1) => each!(i8),
            (TypeChar::Int, 2) => each!(i16),
            (TypeChar::Int, 4) => each!(i32),
            (TypeChar::Int, 8) => each!(i64),
            (TypeChar::Float, 4) => each!(f32),
            (TypeChar::Float, 8) => each!(f64),
            _ => return None,
        })
    }

    fn described(&self) -> String {
        format!("{} ({} bytes per value) with shape {:?}", self.kind.to_str(), self.width, self.sizes)
    }
}

fn images_of(path: &Path, array: Array, channels_first: bool) -> Result<(Shape, Vec<u8>)> {
    let channels = |count: usize| count == 1 || count == 3;
    let (shape, interleaved) = match *array.sizes.as_slice() {
        [_, height, width] => (Shape { channels: 1, height, width }, false),
        [_, c, height, width] if channels(c) && (channels_first || !channels(width)) => {
            (Shape { channels: c, height, width }, false)
        }
        [_, height, width, c] if channels(c) => (Shape { channels: c, height, width }, true),
        _ => {
            return Err(Error::invalid(
                path,
                format!("{} is {}", array.name, array.described()),
                "images N×H×W, N×H×W×C or N×C×H×W with 1 or 3 channels were expected",
            ));
        }
    };
    let values = match (array.kind, array.width) {
        (TypeChar::Uint, 1) => array.bytes,
        (TypeChar::Float, _) => bytes_of_floats(path, &array, shape)?,
        _ => {
            return Err(Error::invalid(
                path,
                format!("{} is {}", array.name, array.described()),
                "uint8, or float32 or float64 in 0–1, was expected: convert the array before",
            ));
        }
    };
    if !interleaved || shape.channels == 1 {
        return Ok((shape, values));
    }
    let planes = values
        .par_chunks_exact(shape.volume().max(1))
        .flat_map_iter(|image| picture::to_planes(image, shape.channels))
        .collect();
    Ok((shape, planes))
}

fn bytes_of_floats(path: &Path, array: &Array, shape: Shape) -> Result<Vec<u8>> {
    let values = array.numbers().ok_or_else(|| {
        Error::invalid(
            path,
            format!("{} is {}", array.name, array.described()),
            "float32 or float64 was expected: convert the array before",
        )
    })?;
    if let Some(index) = values.iter().position(|value| !(0.0..=1.0).contains(value)) {
        return Err(Error::invalid(
            path,
            format!("{} holds {} in image {}", array.name, values[index], index / shape.volume().max(1)),
            "floats in 0–1 were expected: rescale the array, clip it, or store uint8",
        ));
    }
    Ok(values.into_iter().map(|value| (value * 255.0).round() as u8).collect())
}

/// The class names behind integer labels, N or N×1.
fn label_names(path: &Path, array: &Array, images: usize) -> Result<Vec<String>> {
    let one_each = matches!(array.sizes.as_slice(), [n] | [n, 1] if *n == images);
    if !one_each {
        return Err(Error::invalid(
            path,
            format!("{} is {} for {images} images", array.name, array.described()),
            "one integer per image was expected; several labels per image are not supported",
        ));
    }
    let numbers = array.numbers().filter(|numbers| numbers.iter().all(|number| number.fract() == 0.0));
    let numbers = numbers.ok_or_else(|| {
        Error::invalid(
            path,
            format!("{} is {} with values that are no integers", array.name, array.described()),
            "integer labels were expected",
        )
    })?;
    Ok(numbers.into_iter().map(|number| (number as i64).to_string()).collect())
}
