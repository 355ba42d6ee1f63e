use std::io::{BufReader, Read};
use std::path::Path;

use npyz::npz::NpzArchive;
use npyz::{DType, NpyHeader, Order, TypeChar};
use rayon::prelude::*;

use super::{Context, Format, Window, format, picture};
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
/// Values are uint8, or floats in 0–1, which become `round(255 v)`; with a window, any numbers but uint8.
pub(super) fn read(path: &Path, context: &Context<'_>) -> Result<Parts> {
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
        let (shape, pixels, clamped) = images_of(path, images, layout.channels_first, context.options.window)?;
        let mut set = ImageSet::new(shape, pixels)?.with_provenance(Provenance {
            source: path.display().to_string(),
            format: match context.options.window {
                Some(window) => format!("{}, window {window} to 0–255 (clamped: {clamped} values)", Format::Npz),
                None => Format::Npz.to_string(),
            },
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

/// The shape, the planes, and the number of values outside the window.
fn images_of(
    path: &Path,
    array: Array,
    channels_first: bool,
    window: Option<Window>,
) -> Result<(Shape, Vec<u8>, usize)> {
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
    let (values, clamped) = match (array.kind, array.width, window) {
        (TypeChar::Uint, 1, None) => (array.bytes, 0),
        (TypeChar::Uint, 1, Some(_)) => {
            return Err(Error::invalid(
                path,
                format!("{} is uint8, and a window is for deeper arrays", array.name),
                "leave --window out",
            ));
        }
        (_, _, Some(window)) => windowed(path, &array, shape, window)?,
        (TypeChar::Float, _, None) => (bytes_of_floats(path, &array, shape)?, 0),
        _ => {
            let numbers = array.numbers();
            let range = numbers.iter().flatten().fold(None, |range: Option<(f64, f64)>, &value| {
                Some(range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
            });
            let found = match range {
                Some((low, high)) => format!(", values from {low} to {high}"),
                None => String::new(),
            };
            return Err(Error::invalid(
                path,
                format!("{} is {}{found}", array.name, array.described()),
                "uint8, or float32 or float64 in 0–1, was expected: --window LOW,HIGH says which values become black \
                 and white",
            ));
        }
    };
    if !interleaved || shape.channels == 1 {
        return Ok((shape, values, clamped));
    }
    let volume = shape.volume().max(1);
    let mut planes = vec![0; values.len()];
    planes
        .par_chunks_exact_mut(volume)
        .zip(values.par_chunks_exact(volume))
        .for_each(|(planes, image)| picture::split_planes(image, shape.channels, planes));
    Ok((shape, planes, clamped))
}

fn windowed(path: &Path, array: &Array, shape: Shape, window: Window) -> Result<(Vec<u8>, usize)> {
    let Some(values) = array.numbers() else {
        return Err(Error::invalid(path, format!("{} is {}", array.name, array.described()), "numbers were expected"));
    };
    if let Some(index) = values.iter().position(|value| value.is_nan()) {
        return Err(Error::invalid(
            path,
            format!("{} holds NaN in image {}", array.name, index / shape.volume().max(1)),
            "numbers were expected: replace them before",
        ));
    }
    let clamped = values.iter().filter(|&&value| !window.holds(value)).count();
    Ok((values.into_iter().map(|value| window.byte(value)).collect(), clamped))
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
            "floats in 0–1 were expected: rescale the array, store uint8, or say with --window LOW,HIGH which values \
             become black and white",
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
