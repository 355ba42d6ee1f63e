use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The range of stored values that becomes 0–255; written `0,4095`, the low end first, in text and configurations.
///
/// A stored value `v` becomes `255 (v − low) / (high − low)`, rounded half up; values outside the range become 0 or 255
/// and are counted. Windows are how radiographs, CT and microscopy, stored in 12 to 16 bits, are shown on 8 bits; which
/// one fits is a decision about the images that nobody but their owner can make.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    low: f64,
    high: f64,
}

impl Window {
    /// A window from `low`, which becomes 0, to `high`, which becomes 255, in stored units.
    ///
    /// # Errors
    /// If an end is not finite or `low` is not below `high`.
    pub fn new(low: f64, high: f64) -> Result<Self> {
        if low.is_finite() && high.is_finite() && low < high {
            return Ok(Self { low, high });
        }
        Err(Error::inconsistent(
            format!("window from {low} to {high}"),
            "two finite numbers, the lower one first, were expected, such as 0,4095",
        ))
    }

    /// The stored value that becomes 0.
    pub fn low(self) -> f64 {
        self.low
    }

    /// The stored value that becomes 255.
    pub fn high(self) -> f64 {
        self.high
    }

    /// The byte of a stored value that is a number.
    pub(super) fn byte(self, value: f64) -> u8 {
        ((value - self.low) * 255.0 / (self.high - self.low) + 0.5).floor().clamp(0.0, 255.0) as u8
    }

    /// Whether the value lies in the window, its ends included.
    pub(super) fn holds(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.low, self.high)
    }
}

impl FromStr for Window {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let ends =
            text.split_once(',').and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)));
        let Some((low, high)) = ends else {
            return Err(Error::inconsistent(
                format!("window \"{text}\""),
                "LOW,HIGH in stored units was expected, such as 0,4095",
            ));
        };
        Self::new(low, high)
    }
}

impl TryFrom<String> for Window {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_become_black_and_white_and_halves_are_rounded_up() {
        let window: Window = "0,510".parse().unwrap();
        assert_eq!([0.0, 1.0, 2.0, 3.0, 510.0].map(|value| window.byte(value)), [0, 1, 1, 2, 255]);
        let signed: Window = "-1000, 400".parse().unwrap();
        assert_eq!([-1000.0, -300.0, 400.0].map(|value| signed.byte(value)), [0, 128, 255]);
    }

    #[test]
    fn values_outside_are_clamped_and_told_apart() {
        let window = Window::new(100.0, 200.0).unwrap();
        assert_eq!([99.0, 0.0, 201.0, 65535.0].map(|value| window.byte(value)), [0, 0, 255, 255]);
        assert_eq!([99.0, 100.0, 200.0, 201.0].map(|value| window.holds(value)), [false, true, true, false]);
    }

    #[test]
    fn the_full_window_is_exact_integer_scaling() {
        let window = Window::new(0.0, 65535.0).unwrap();
        assert!((0..=u16::MAX).all(|value| {
            // 65535 = 255 · 257, so that v · 255 / 65535 is v / 257.
            u32::from(window.byte(f64::from(value))) == (2 * u32::from(value) + 257) / 514
        }));
    }

    #[test]
    fn a_window_is_increasing() {
        let window = Window::new(12.0, 3071.0).unwrap();
        let bytes: Vec<u8> = (0..4096).map(|value| window.byte(f64::from(value))).collect();
        assert!(bytes.is_sorted());
    }

    #[test]
    fn ends_in_the_wrong_order_are_refused() {
        for wrong in ["4095,0", "1,1", "0", "a,b", "0,inf", "NaN,1", ""] {
            assert!(wrong.parse::<Window>().unwrap_err().to_string().contains("such as 0,4095"), "{wrong}");
        }
        assert_eq!("0, 4095".parse::<Window>().unwrap().to_string(), "0,4095");
    }
}
