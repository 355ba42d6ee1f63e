//! Checks that options share, each with the option's name, its value and the range in the message.

use crate::{Error, Result};

/// Checks that a count is at least `least`.
pub(crate) fn at_least(family: &'static str, option: &str, value: usize, least: usize) -> Result<()> {
    if value >= least {
        return Ok(());
    }
    Err(Error::Options { family, reason: format!("{option} is {value}; it must be at least {least}") })
}

/// Checks that a number is finite and above 0.
pub(crate) fn above_zero(family: &'static str, option: &str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Error::Options { family, reason: format!("{option} is {value}; it must be a finite number above 0") })
}
