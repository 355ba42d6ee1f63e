use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::probability;
use crate::event::Composition;
use crate::{Adjacency, Event, Result, rdp};

/// How an ε was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accountant {
    /// Exactly, in closed form: only Gaussians on all units ran, and their composition is one.
    AnalyticGaussian,
    /// Rényi differential privacy: valid, not tight.
    Renyi,
}

impl fmt::Display for Accountant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnalyticGaussian => "analytic Gaussian",
            Self::Renyi => "Rényi differential privacy",
        })
    }
}

/// What is known about the ε of a composition at some δ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpsilonBounds {
    /// No smaller ε holds for the worst pair of neighbours; 0 where nothing better is known.
    pub low: f64,
    /// This ε holds: the headline.
    pub high: f64,
    /// ε by Rényi differential privacy, for comparison; infinite if its divergences are.
    pub rdp: f64,
    /// What gave `low` and `high`.
    pub accountant: Accountant,
}

/// ε of `events` at `delta`.
pub(crate) fn epsilon(events: &[(Event, u64)], adjacency: Adjacency, delta: f64) -> Result<EpsilonBounds> {
    probability("delta", delta)?;
    let composition = Composition::of(events, adjacency)?;
    let rdp = rdp::epsilon(&rdp::divergences(&composition), delta)?;
    Ok(EpsilonBounds { low: 0.0, high: rdp, rdp, accountant: Accountant::Renyi })
}
