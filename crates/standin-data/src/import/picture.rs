use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageFormat};
use serde::{Deserialize, Serialize};

use super::ImportOptions;
use crate::{Error, Result, Shape};

/// Height and width in pixels; written `28x28`, rows first, in text and configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size {
    /// Rows, at least 1.
    pub height: usize,
    /// Columns, at least 1.
    pub width: usize,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        /// Longest side, so that a typing error does not ask for more memory than there is.
        const LARGEST: usize = 1 << 14;
        let side = |text: &str| text.trim().parse().ok().filter(|side| (1..=LARGEST).contains(side));
        text.split_once(['x', '×'])
            .and_then(|(height, width)| Some(Self { height: side(height)?, width: side(width)? }))
            .ok_or_else(|| {
                Error::inconsistent(
                    format!("size \"{text}\""),
                    format!("HEIGHTxWIDTH with sides from 1 to {LARGEST} was expected, such as 32x32"),
                )
            })
    }
}

impl TryFrom<String> for Size {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        size.to_string()
    }
}

/// Grey or colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// As stored.
    #[default]
    Keep,
    /// Luma of ITU-R BT.601, `(19595 r + 38470 g + 7471 b + 2¹⁵) / 2¹⁶`, as Pillow's mode "L".
    Grey,
    /// Three channels; grey is repeated.
    Colour,
}

/// What to do with transparent pixels. A picture whose alpha channel is opaque everywhere loses nothing with it and is
/// always accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transparency {
    /// An error.
    #[default]
    Refuse,
    /// Lay the picture on white.
    White,
    /// Lay the picture on black.
    Black,
    /// Forget the alpha channel and take the colours stored under it.
    Drop,
}

/// What to do with more than 8 bits per value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// An error.
    #[default]
    Refuse,
    /// Scale 0–65535 to 0–255, `v · 255 / 65535` rounded. Twelve-bit images stored in 16 bits become dark: rescale those
    /// before.
    Scale,
}

/// One decoded picture as planes: channel, row, column.
pub(super) struct Picture {
    pub shape: Shape,
    pub values: Vec<u8>,
}

/// Why a picture was not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It cannot be decoded.
    Unreadable(String),
    /// It can, but an option must say how to fit it into 8 bits without transparency.
    Unsuited { found: String, remedy: String },
}

impl Refusal {
    /// The same as an error about `path`.
    pub fn at(self, path: &Path) -> Error {
        match self {
            Self::Unreadable(reason) => Error::invalid(
                path,
                reason,
                "replace or remove the file, or leave such files out with --skip-unreadable",
            ),
            Self::Unsuited { found, remedy } => Error::invalid(path, found, remedy),
        }
    }
}

/// Decodes one file; its format is told by its first bytes, or by its name where those say nothing.
pub(super) fn decode(path: &Path, options: &ImportOptions) -> Result<Picture, Refusal> {
    let bytes = fs::read(path).map_err(|error| Refusal::Unreadable(format!("reading failed: {error}")))?;
    let format = image::guess_format(&bytes).or_else(|_| ImageFormat::from_path(path));
    let format = format.map_err(|error| Refusal::Unreadable(format!("no picture: {error}")))?;
    if format == ImageFormat::Jpeg && !ends_whole(&bytes) {
        return Err(Refusal::Unreadable("the JPEG breaks off before its end".to_owned()));
    }
    let picture = image::load_from_memory_with_format(&bytes, format)
        .map_err(|error| Refusal::Unreadable(format!("decoding failed: {error}")))?;
    planes(picture, options)
}

/// Whether a JPEG has an end-of-image marker after its last scan. The decoder fills the rest of a broken file with grey
/// and says nothing, which would put invented pixels into the set.
fn ends_whole(bytes: &[u8]) -> bool {
    const START_OF_SCAN: [u8; 2] = [0xFF, 0xDA];
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    let scan = bytes.windows(2).rposition(|pair| pair == START_OF_SCAN).unwrap_or(0);
    bytes[scan..].windows(2).any(|pair| pair == END_OF_IMAGE)
}

fn planes(picture: DynamicImage, options: &ImportOptions) -> Result<Picture, Refusal> {
    use DynamicImage as D;

    let color = picture.color();
    if color.bytes_per_pixel() > color.channel_count() && options.depth == Depth::Refuse {
        return Err(Refusal::Unsuited {
            found: format!("{} bits per value", color.bits_per_pixel() / u16::from(color.channel_count())),
            remedy: "8 were expected: --depth scale maps 0–65535 to 0–255; or convert the pictures before".to_owned(),
        });
    }
    if matches!(picture, D::ImageRgb32F(_) | D::ImageRgba32F(_)) {
        return Err(Refusal::Unsuited {
            found: "floating-point values".to_owned(),
            remedy: "8-bit values were expected: convert the pictures before, since their range is not known"
                .to_owned(),
        });
    }
    let (height, width) = (picture.height() as usize, picture.width() as usize);
    let channels = if color.has_color() { 3 } else { 1 };
    let interleaved = match (color.has_color(), color.has_alpha()) {
        (false, false) => picture.into_luma8().into_raw(),
        (true, false) => picture.into_rgb8().into_raw(),
        (false, true) => opaque::<2>(&picture.into_luma_alpha8().into_raw(), options.transparency)?,
        (true, true) => opaque::<4>(&picture.into_rgba8().into_raw(), options.transparency)?,
    };
    let shape = Shape { channels, height, width };
    Ok(Picture { shape, values: to_planes(&interleaved, channels) })
}

/// The colours of pixels whose last of `N` values is alpha.
fn opaque<const N: usize>(values: &[u8], transparency: Transparency) -> Result<Vec<u8>, Refusal> {
    let (pixels, _) = values.as_chunks::<N>();
    let transparent = pixels.iter().filter(|pixel| pixel[N - 1] != u8::MAX).count();
    if transparent > 0 && transparency == Transparency::Refuse {
        return Err(Refusal::Unsuited {
            found: format!("{transparent} transparent pixels"),
            remedy: "opaque pictures were expected: --transparency white or black lays them on a background, drop \
                     forgets the alpha channel"
                .to_owned(),
        });
    }
    let blend = |value: u8, alpha: u8| {
        let background = match transparency {
            Transparency::White => 255,
            Transparency::Black => 0,
            Transparency::Drop | Transparency::Refuse => return value,
        };
        let alpha = u32::from(alpha);
        ((u32::from(value) * alpha + background * (255 - alpha) + 127) / 255) as u8
    };
    Ok(pixels.iter().flat_map(|pixel| pixel[..N - 1].iter().map(|&value| blend(value, pixel[N - 1]))).collect())
}

/// Row, column, channel to channel, row, column.
pub(super) fn to_planes(interleaved: &[u8], channels: usize) -> Vec<u8> {
    (0..channels).flat_map(|channel| interleaved.iter().skip(channel).step_by(channels).copied()).collect()
}

/// The changes to every image that were asked for.
pub(super) struct Conversion {
    resize: Option<Size>,
    channels: Channels,
    transparency: Transparency,
    depth: Depth,
}

impl Conversion {
    pub fn of(options: &ImportOptions) -> Self {
        Self {
            resize: options.resize,
            channels: options.channels,
            transparency: options.transparency,
            depth: options.depth,
        }
    }

    /// What is done, for provenance; nothing if images stay as they are.
    pub fn describe(&self) -> Option<String> {
        let mut steps = Vec::new();
        match self.depth {
            Depth::Refuse => {}
            Depth::Scale => steps.push("16 bits scaled to 8".to_owned()),
        }
        match self.transparency {
            Transparency::Refuse => {}
            Transparency::White => steps.push("transparent pixels on white".to_owned()),
            Transparency::Black => steps.push("transparent pixels on black".to_owned()),
            Transparency::Drop => steps.push("alpha channel dropped".to_owned()),
        }
        match self.channels {
            Channels::Keep => {}
            Channels::Grey => steps.push("converted to grey (BT.601)".to_owned()),
            Channels::Colour => steps.push("grey repeated as colour".to_owned()),
        }
        if let Some(size) = self.resize {
            steps.push(format!("resized to {size} (antialiased bilinear)"));
        }
        (!steps.is_empty()).then(|| steps.join(", "))
    }

    /// The shape of an image of `shape` afterwards.
    pub fn target(&self, shape: Shape) -> Shape {
        let channels = match self.channels {
            Channels::Keep => shape.channels,
            Channels::Grey => 1,
            Channels::Colour => 3,
        };
        let Size { height, width } = self.resize.unwrap_or(Size { height: shape.height, width: shape.width });
        Shape { channels, height, width }
    }

    /// Converts the channels, then scales.
    pub fn apply(&self, picture: Picture) -> Picture {
        let target = self.target(picture.shape);
        let Picture { shape, values } = picture;
        let values = match (shape.channels, target.channels) {
            (3, 1) => grey(&values),
            (1, 3) => values.repeat(3),
            _ => values,
        };
        if (shape.height, shape.width) == (target.height, target.width) {
            return Picture { shape: target, values };
        }
        let values = values
            .chunks_exact(shape.height * shape.width)
            .flat_map(|plane| {
                let plane = GrayImage::from_raw(shape.width as u32, shape.height as u32, plane.to_vec())
                    .expect("a plane has height × width values");
                imageops::resize(&plane, target.width as u32, target.height as u32, FilterType::Triangle).into_raw()
            })
            .collect();
        Picture { shape: target, values }
    }
}

fn grey(planes: &[u8]) -> Vec<u8> {
    let n = planes.len() / 3;
    let (red, rest) = planes.split_at(n);
    let (green, blue) = rest.split_at(n);
    red.iter()
        .zip(green)
        .zip(blue)
        .map(|((&r, &g), &b)| {
            ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + (1 << 15)) >> 16) as u8
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_is_bt_601_luma() {
        // Pillow: Image.new("RGB", (1, 1), c).convert("L") for these five colours.
        let colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [10, 100, 200]];
        let planes: Vec<u8> = (0..3).flat_map(|channel| colours.map(|colour: [u8; 3]| colour[channel])).collect();
        assert_eq!(grey(&planes), [76, 150, 29, 255, 84]);
    }

    #[test]
    fn shrinking_averages_instead_of_picking() {
        let shape = Shape { channels: 1, height: 8, width: 8 };
        let stripes: Vec<u8> = (0..64).map(|i| if i % 2 == 0 { 0 } else { 255 }).collect();
        let options = ImportOptions { resize: Some(Size { height: 2, width: 2 }), ..ImportOptions::default() };
        let small = Conversion::of(&options).apply(Picture { shape, values: stripes });
        assert_eq!(small.shape, Shape { channels: 1, height: 2, width: 2 });
        assert!(small.values.iter().all(|value| (110..=145).contains(value)), "{:?}", small.values);
    }

    #[test]
    fn resizing_agrees_with_pillow_within_one() {
        // Pillow 13.0: Image.fromarray(a).resize((4, 3), Image.BILINEAR), which rounds between its two passes.
        const PILLOW: [u8; 12] = [111, 115, 114, 130, 116, 129, 130, 124, 125, 149, 150, 142];
        let (height, width) = (9, 11);
        let values = (0..height * width)
            .map(|at| (at / width, at % width))
            .map(|(row, column)| ((row * 37 + column * 91 + row * column * 5) % 256) as u8)
            .collect();
        let options = ImportOptions { resize: Some(Size { height: 3, width: 4 }), ..ImportOptions::default() };
        let shape = Shape { channels: 1, height, width };
        let resized = Conversion::of(&options).apply(Picture { shape, values });
        assert!(resized.values.iter().zip(PILLOW).all(|(a, b)| a.abs_diff(b) <= 1), "{:?}", resized.values);
    }

    #[test]
    fn resizing_keeps_a_constant_image() {
        let shape = Shape { channels: 3, height: 5, width: 7 };
        let values = [10, 20, 30].iter().flat_map(|&value| [value; 35]).collect();
        let options = ImportOptions { resize: Some(Size { height: 3, width: 9 }), ..ImportOptions::default() };
        let resized = Conversion::of(&options).apply(Picture { shape, values });
        assert_eq!(resized.values, [10, 20, 30].iter().flat_map(|&value| [value; 27]).collect::<Vec<u8>>());
    }

    #[test]
    fn sizes_read_rows_first() {
        assert_eq!("20x30".parse::<Size>().unwrap(), Size { height: 20, width: 30 });
        for wrong in ["20", "0x3", "ax3", "99999x1", ""] {
            assert!(wrong.parse::<Size>().unwrap_err().to_string().contains("HEIGHTxWIDTH"), "{wrong}");
        }
        assert!(toml::from_str::<ImportOptions>("resize = \"8x8\"").is_ok());
    }
}
