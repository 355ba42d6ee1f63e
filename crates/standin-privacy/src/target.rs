use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::positive;
use crate::{Error, Result};

/// The failure probability asked for: written in a configuration as a number or as `"auto"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Delta {
    /// 1/(N ln N) for N units; the default.
    #[default]
    Auto,
    /// This value.
    Value(f64),
}

/// How δ stands in a configuration file.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "delta must be a number in (0, 1), such as 1e-6, or \"auto\"")]
enum Written {
    Number(f64),
    Word(String),
}

impl TryFrom<Written> for Delta {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        match written {
            Written::Number(value) => Ok(Self::Value(value)),
            Written::Word(word) => word.parse(),
        }
    }
}

impl From<Delta> for Written {
    fn from(delta: Delta) -> Self {
        match delta {
            Delta::Auto => Self::Word("auto".into()),
            Delta::Value(value) => Self::Number(value),
        }
    }
}

impl FromStr for Delta {
    type Err = Error;

    /// Reads `auto` or a number, as on the command line. The number's range is checked by [`PrivacyTarget::budget`].
    fn from_str(text: &str) -> Result<Self> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            number => match number.parse() {
                Ok(value) => Ok(Self::Value(value)),
                Err(_) => Err(Error::UnreadableDelta { found: text.into() }),
            },
        }
    }
}

impl fmt::Display for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Value(value) => value.fmt(f),
        }
    }
}

/// The guarantee a user asks for, before the data are known.
///
/// There is no default ε: how much may leak is the user's decision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivacyTarget {
    /// Privacy loss ε > 0: e^ε bounds how much more likely any outcome becomes by one unit's presence.
    pub epsilon: f64,
    /// Failure probability; `"auto"` by default.
    #[serde(default)]
    pub delta: Delta,
    /// Accept δ ≥ 1/N; `false` by default.
    #[serde(default)]
    pub allow_large_delta: bool,
}

/// A [`PrivacyTarget`] checked against the number of units: the numbers a mechanism is calibrated to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Privacy loss, finite and positive.
    pub epsilon: f64,
    /// Failure probability in (0, 1), below 1/N unless a larger one was allowed.
    pub delta: f64,
}

impl PrivacyTarget {
    /// The budget for a data set of `units` units (images, or groups of images where the group is the unit).
    ///
    /// N enters δ and is thereby treated as public.
    ///
    /// # Errors
    /// If ε is not positive and finite; if δ is not in (0, 1), or is at least 1/N without `allow_large_delta`; if δ is
    /// automatic and there are fewer than 3 units.
    pub fn budget(&self, units: usize) -> Result<Budget> {
        positive("epsilon", self.epsilon)?;
        let delta = match self.delta {
            Delta::Auto if units < 3 => return Err(Error::TooFewUnits { units }),
            Delta::Auto => 1.0 / (units as f64 * (units as f64).ln()),
            Delta::Value(value) => value,
        };
        if !(delta > 0.0 && delta < 1.0) {
            let expected = "greater than 0 and less than 1, such as 1e-6, or \"auto\"";
            return Err(Error::OutOfRange { parameter: "delta", value: delta, expected });
        }
        let limit = 1.0 / units as f64;
        if delta >= limit && !self.allow_large_delta {
            return Err(Error::LargeDelta { delta, limit, units });
        }
        Ok(Budget { epsilon: self.epsilon, delta })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(epsilon: f64, delta: Delta) -> PrivacyTarget {
        PrivacyTarget { epsilon, delta, allow_large_delta: false }
    }

    #[test]
    fn automatic_delta_is_below_one_in_n() {
        let budget = target(1.0, Delta::Auto).budget(55_000).unwrap();
        assert!((budget.delta - 1.665_750_877e-6).abs() < 1e-15, "{}", budget.delta);
        for units in [3, 10, 1_000_000] {
            assert!(target(1.0, Delta::Auto).budget(units).unwrap().delta < 1.0 / units as f64);
        }
        let message = target(1.0, Delta::Auto).budget(2).unwrap_err().to_string();
        assert!(message.contains("there are 2"), "{message}");
    }

    #[test]
    fn delta_of_one_in_n_is_refused_unless_allowed() {
        let message = target(1.0, Delta::Value(0.001)).budget(1000).unwrap_err().to_string();
        assert!(message.contains("0.001") && message.contains("allow_large_delta"), "{message}");
        let allowed = PrivacyTarget { allow_large_delta: true, ..target(1.0, Delta::Value(0.001)) };
        assert_eq!(allowed.budget(1000).unwrap().delta, 0.001);
        assert_eq!(target(1.0, Delta::Value(0.000_999)).budget(1000).unwrap().delta, 0.000_999);
    }

    #[test]
    fn values_outside_their_range_are_named() {
        for epsilon in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let message = target(epsilon, Delta::Auto).budget(100).unwrap_err().to_string();
            assert!(message.starts_with(&format!("epsilon is {epsilon}")), "{message}");
        }
        for delta in [0.0, -1e-9, 1.0, f64::NAN] {
            let wish = PrivacyTarget { allow_large_delta: true, ..target(1.0, Delta::Value(delta)) };
            let message = wish.budget(100).unwrap_err().to_string();
            assert!(message.starts_with(&format!("delta is {delta}")), "{message}");
        }
    }

    #[test]
    fn configuration_reads_words_and_numbers_and_writes_them_back() {
        let read = |text: &str| toml::from_str::<PrivacyTarget>(text);
        assert_eq!(read("epsilon = 2").unwrap(), target(2.0, Delta::Auto));
        assert_eq!(read("epsilon = 2.5\ndelta = \"auto\"").unwrap(), target(2.5, Delta::Auto));
        assert_eq!(read("epsilon = 1.0\ndelta = 1e-7").unwrap(), target(1.0, Delta::Value(1e-7)));
        assert!(read("delta = 1e-7").unwrap_err().to_string().contains("epsilon"));
        assert!(read("epsilon = 1.0\ndelta = \"small\"").unwrap_err().to_string().contains("`small`"));
        assert!(read("epsilon = 1.0\ndelta = true").unwrap_err().to_string().contains("or \"auto\""));
        assert!(read("epsilon = 1.0\nsigma = 3").unwrap_err().to_string().contains("sigma"));
        for wish in [target(0.3, Delta::Auto), target(8.0, Delta::Value(1e-9))] {
            assert_eq!(read(&toml::to_string(&wish).unwrap()).unwrap(), wish);
        }
        assert_eq!("1e-5".parse::<Delta>().unwrap(), Delta::Value(1e-5));
        assert!("one".parse::<Delta>().unwrap_err().to_string().contains("`one`"));
    }
}
