use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError};

use crate::{Error, Result, Shape};

/// Writes one image, `channels × height × width`, as PNG.
///
/// # Errors
/// If the file cannot be written.
///
/// # Panics
/// If the number of values is not the shape's volume.
pub fn write_png(shape: Shape, image: &[u8], path: &Path) -> Result<()> {
    let file = File::create(path).map_err(Error::io("making", path))?;
    let mut writer = BufWriter::new(file);
    encode(shape, image, &mut writer, path)?;
    writer.flush().map_err(Error::io("writing", path))
}

/// One image, `channels × height × width`, as the bytes of a PNG file, on its way to `path`.
///
/// # Errors
/// If it is larger than a PNG file can hold.
///
/// # Panics
/// If the number of values is not the shape's volume.
pub fn png_bytes(shape: Shape, image: &[u8], path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    encode(shape, image, &mut bytes, path)?;
    Ok(bytes)
}

fn encode(shape: Shape, image: &[u8], writer: &mut impl Write, path: &Path) -> Result<()> {
    let color = if shape.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let (width, height) = (shape.width as u32, shape.height as u32);
    PngEncoder::new(writer).write_image(&interleave(shape, image), width, height, color).map_err(|error| match error {
        ImageError::IoError(source) => Error::io("writing", path)(source),
        other => Error::invalid(path, other.to_string(), "an image of at most 2³¹ pixels a side was expected"),
    })
}

/// Channel, row, column to row, column, channel.
pub(super) fn interleave(shape: Shape, planes: &[u8]) -> Vec<u8> {
    assert_eq!(planes.len(), shape.volume(), "an image has channels × height × width values");
    let plane = shape.height * shape.width;
    (0..plane).flat_map(|pixel| (0..shape.channels).map(move |channel| planes[channel * plane + pixel])).collect()
}
