use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Format, Window};
use crate::{Error, Result};

/// How to import. The defaults change nothing and refuse whatever would need a change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImportOptions {
    /// The form of the input; recognised where not given.
    pub format: Option<Format>,
    /// The attribute column that holds the label. Default: the form's own labels, which in a metadata file is the
    /// column "label", if it is there, and in a table likewise, or else its only column of class indices.
    pub label: Option<String>,
    /// The column of a table that holds the pictures. Default: the only one there is, or the one called "image".
    pub image: Option<String>,
    /// Scale every image to this size, by a triangle filter as wide as the source pixels of a target pixel (antialiased
    /// bilinear). Default: sizes stay, and different sizes are an error.
    pub resize: Option<Size>,
    /// Convert to grey or to colour. Default: as stored, and a mixture is an error.
    pub channels: Channels,
    /// What to do with pictures that have transparent pixels. Default: refuse.
    pub alpha: Alpha,
    /// The stored values that become 0–255, for pictures of more than 8 bits per value and for arrays that are not
    /// uint8. Default: such pictures are refused, with the range of values found.
    pub window: Option<Window>,
    /// Leave out pictures that cannot be decoded, and list them; default false, an error.
    pub skip_unreadable: bool,
}

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

/// What to do with the alpha channel of pictures that have transparent pixels. One that is opaque everywhere says nothing
/// and is dropped, and the provenance tells how many were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alpha {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_rows_first() {
        assert_eq!("20x30".parse::<Size>().unwrap(), Size { height: 20, width: 30 });
        for wrong in ["20", "0x3", "ax3", "99999x1", ""] {
            assert!(wrong.parse::<Size>().unwrap_err().to_string().contains("HEIGHTxWIDTH"), "{wrong}");
        }
    }

    #[test]
    fn a_study_file_says_every_option() {
        let text = "label = \"kind\"\nimage = \"scan\"\nresize = \"8x8\"\nchannels = \"grey\"\nalpha = \"white\"\n\
                    window = \"0,4095\"\nskip_unreadable = true\nformat = \"webdataset\"\n";
        let options: ImportOptions = toml::from_str(text).unwrap();
        assert_eq!(options.window, Some(Window::new(0.0, 4095.0).unwrap()));
        assert_eq!((options.alpha, options.format), (Alpha::White, Some(Format::WebDataset)));
        assert_eq!(toml::from_str::<ImportOptions>(&toml::to_string(&options).unwrap()).unwrap(), options);
        assert!(toml::from_str::<ImportOptions>("depth = \"scale\"").is_err());
        assert!(
            toml::from_str::<ImportOptions>("window = \"9,3\"").unwrap_err().to_string().contains("lower one first")
        );
    }
}
