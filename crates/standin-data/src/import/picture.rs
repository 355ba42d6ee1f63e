use std::io::Cursor;
use std::path::Path;

use image::codecs::pnm::PnmDecoder;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::{Alpha, ImportOptions, frames};
use crate::Shape;

/// One decoded picture as planes: channel, row, column.
pub(super) struct Picture {
    pub shape: Shape,
    pub values: Vec<u8>,
    /// Whether an alpha channel that it had held transparent pixels.
    pub alpha: Option<bool>,
    /// Values outside the window, if one was applied.
    pub outside: Option<usize>,
}

/// Why a picture was not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It cannot be decoded.
    Unreadable(String),
    /// It can, but an option must say how to fit it into 8 bits without transparency.
    Unsuited { found: String, remedy: String },
    /// It has 16 bits per value, of which the lowest and highest are given, and there is no window.
    Deep { low: u16, high: u16 },
}

/// The format told by the first bytes, or by the name's ending where those say nothing.
fn format(bytes: &[u8], name: &str) -> Result<ImageFormat, Refusal> {
    image::guess_format(bytes)
        .or_else(|_| ImageFormat::from_path(Path::new(name)))
        .map_err(|_| Refusal::Unreadable("no picture: neither the first bytes nor the name tell its format".to_owned()))
}

/// Decodes a file's content; `name` helps where the first bytes do not tell its format.
pub(super) fn decode(bytes: &[u8], name: &str, options: &ImportOptions) -> Result<Picture, Refusal> {
    let format = format(bytes, name)?;
    if format == ImageFormat::Jpeg && !ends_whole(bytes) {
        return Err(Refusal::Unreadable("the JPEG breaks off before its end".to_owned()));
    }
    if let Some(found) = frames::more_than_one(bytes, format) {
        return Err(Refusal::Unsuited {
            found,
            remedy: "one picture per file was expected: write the pages or frames to files of their own".to_owned(),
        });
    }
    let mut picture = image::load_from_memory_with_format(bytes, format)
        .map_err(|error| Refusal::Unreadable(format!("decoding failed: {error}")))?;
    if format == ImageFormat::Pnm {
        restore_stored_units(&mut picture, bytes);
    }
    planes(picture, options)
}

/// The shape and nothing else, from the header; none where it cannot be read.
pub(super) fn shape(bytes: &[u8], name: &str) -> Option<Shape> {
    let format = format(bytes, name).ok()?;
    let decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    let channels = if decoder.color_type().has_color() { 3 } else { 1 };
    Some(Shape { channels, height: height as usize, width: width as usize })
}

/// Whether a JPEG has an end-of-image marker after its last scan. The decoder fills the rest of a broken file with grey
/// and says nothing, which would put invented pixels into the set.
fn ends_whole(bytes: &[u8]) -> bool {
    const START_OF_SCAN: [u8; 2] = [0xFF, 0xDA];
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    if bytes.ends_with(&END_OF_IMAGE) {
        return true;
    }
    let scan = bytes.windows(2).rposition(|pair| pair == START_OF_SCAN).unwrap_or(0);
    bytes[scan..].windows(2).any(|pair| pair == END_OF_IMAGE)
}

/// Undoes the decoder's stretching of a PNM's values from 0–maximum to 0–65535, so that a window means the values in the
/// file. Exact, since the stretching is by at least 1.
fn restore_stored_units(picture: &mut DynamicImage, bytes: &[u8]) {
    let Ok(decoder) = PnmDecoder::new(Cursor::new(bytes)) else { return };
    let maximum = decoder.header().maximal_sample();
    let values: &mut [u16] = match picture {
        DynamicImage::ImageLuma16(picture) => picture,
        DynamicImage::ImageRgb16(picture) => picture,
        DynamicImage::ImageLumaA16(picture) => picture,
        DynamicImage::ImageRgba16(picture) => picture,
        _ => return,
    };
    for value in values {
        *value = ((u32::from(*value) * maximum + 32767) / 65535) as u16;
    }
}

fn planes(picture: DynamicImage, options: &ImportOptions) -> Result<Picture, Refusal> {
    use DynamicImage as D;

    let color = picture.color();
    let (height, width) = (picture.height() as usize, picture.width() as usize);
    let channels = if color.has_color() { 3 } else { 1 };
    let shape = Shape { channels, height, width };
    let samples = usize::from(color.channel_count());
    let mut outside = None;
    let bytes = match picture {
        D::ImageLuma8(picture) => picture.into_raw(),
        D::ImageLumaA8(picture) => picture.into_raw(),
        D::ImageRgb8(picture) => picture.into_raw(),
        D::ImageRgba8(picture) => picture.into_raw(),
        D::ImageLuma16(picture) => narrow(&picture, samples, channels, options, &mut outside)?,
        D::ImageLumaA16(picture) => narrow(&picture, samples, channels, options, &mut outside)?,
        D::ImageRgb16(picture) => narrow(&picture, samples, channels, options, &mut outside)?,
        D::ImageRgba16(picture) => narrow(&picture, samples, channels, options, &mut outside)?,
        _ => {
            return Err(Refusal::Unsuited {
                found: "floating-point values".to_owned(),
                remedy: "8 or 16 bits per value were expected: convert the pictures before, since their range is not \
                         known"
                    .to_owned(),
            });
        }
    };
    if options.window.is_some() && outside.is_none() {
        return Err(Refusal::Unsuited {
            found: "8 bits per value, and a window is for deeper pictures".to_owned(),
            remedy: "leave --window out, or import pictures of 8 and of 16 bits apart".to_owned(),
        });
    }
    let (values, alpha) = match samples - channels {
        0 => (to_planes(bytes, channels), None),
        _ => {
            let (bytes, transparent) = without_alpha(&bytes, samples, options.alpha)?;
            (to_planes(bytes, channels), Some(transparent))
        }
    };
    Ok(Picture { shape, values, alpha, outside })
}

/// Sixteen bits to eight: colours by the window, alpha by its own full range.
fn narrow(
    values: &[u16],
    samples: usize,
    channels: usize,
    options: &ImportOptions,
    outside: &mut Option<usize>,
) -> Result<Vec<u8>, Refusal> {
    let is_colour = |at: usize| at % samples < channels;
    let Some(window) = options.window else {
        let colours = || values.iter().enumerate().filter(|(at, _)| is_colour(*at)).map(|(_, &value)| value);
        return Err(Refusal::Deep { low: colours().min().unwrap_or(0), high: colours().max().unwrap_or(0) });
    };
    let mut clamped = 0;
    let bytes = values
        .iter()
        .enumerate()
        .map(|(at, &value)| {
            if !is_colour(at) {
                return ((u32::from(value) * 255 + 32767) / 65535) as u8;
            }
            let value = f64::from(value);
            clamped += usize::from(!window.holds(value));
            window.byte(value)
        })
        .collect();
    *outside = Some(clamped);
    Ok(bytes)
}

/// The colours of interleaved pixels whose last sample is alpha, and whether any is transparent.
fn without_alpha(values: &[u8], samples: usize, alpha: Alpha) -> Result<(Vec<u8>, bool), Refusal> {
    let transparent = values.iter().skip(samples - 1).step_by(samples).filter(|&&value| value != u8::MAX).count();
    if transparent > 0 && alpha == Alpha::Refuse {
        return Err(Refusal::Unsuited {
            found: format!("{transparent} transparent pixels"),
            remedy: "opaque pictures were expected: --alpha white or black lays them on a background, --alpha drop \
                     forgets the alpha channel"
                .to_owned(),
        });
    }
    let blend = |value: u8, opacity: u8| {
        let background = match alpha {
            Alpha::White => 255,
            Alpha::Black => 0,
            Alpha::Drop | Alpha::Refuse => return value,
        };
        let opacity = u32::from(opacity);
        ((u32::from(value) * opacity + background * (255 - opacity) + 127) / 255) as u8
    };
    let colours = values
        .chunks_exact(samples)
        .flat_map(|pixel| {
            let (colour, opacity) = pixel.split_at(samples - 1);
            colour.iter().map(move |&value| blend(value, opacity[0]))
        })
        .collect();
    Ok((colours, transparent > 0))
}

/// Row, column, channel to channel, row, column; 1 or 3 channels.
pub(super) fn to_planes(interleaved: Vec<u8>, channels: usize) -> Vec<u8> {
    if channels == 1 {
        return interleaved;
    }
    let mut planes = vec![0; interleaved.len()];
    split_planes(&interleaved, channels, &mut planes);
    planes
}

/// As [`to_planes`], into `planes` of the same length.
pub(super) fn split_planes(interleaved: &[u8], channels: usize, planes: &mut [u8]) {
    if channels != 3 {
        planes.copy_from_slice(interleaved);
        return;
    }
    let (pixels, _) = interleaved.as_chunks::<3>();
    let (red, rest) = planes.split_at_mut(pixels.len());
    let (green, blue) = rest.split_at_mut(pixels.len());
    for (((pixel, red), green), blue) in pixels.iter().zip(red).zip(green).zip(blue) {
        [*red, *green, *blue] = *pixel;
    }
}
