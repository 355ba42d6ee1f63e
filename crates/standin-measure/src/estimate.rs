use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A number with its uncertainty. Nothing in the project reports a bare one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The point estimate.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// The number of observations behind the value.
    pub n: usize,
    /// How the interval was computed, such as "Wilson" or "bootstrap, 200 resamples".
    pub method: String,
}

impl fmt::Display for Estimate {
    /// Value and interval with as many decimals as the precision given, 3 by default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = f.precision().unwrap_or(3);
        write!(f, "{:.decimals$} [{:.decimals$}, {:.decimals$}]", self.value, self.low, self.high)
    }
}

/// An estimate, or the reason why there can be none at this sample size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was measured.
    Measured(Estimate),
    /// It cannot be measured, and why: said instead of printing a number that means nothing.
    NotMeasurable(String),
}

impl Outcome {
    /// The estimate, if there is one.
    pub fn estimate(&self) -> Option<&Estimate> {
        match self {
            Self::Measured(estimate) => Some(estimate),
            Self::NotMeasurable(_) => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measured(estimate) => estimate.fmt(f),
            Self::NotMeasurable(reason) => write!(f, "not measurable: {reason}"),
        }
    }
}
