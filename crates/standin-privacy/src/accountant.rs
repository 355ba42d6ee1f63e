use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::probability;
use crate::event::Composition;
use crate::{Adjacency, Error, Event, Result, event, gaussian, pld, rdp};

/// How an ε was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accountant {
    /// Exactly, in closed form: only Gaussians on all units ran, and their composition is one.
    AnalyticGaussian,
    /// Privacy loss distributions, composed by Fourier transforms.
    PrivacyLossDistributions,
    /// Rényi differential privacy: valid, not tight.
    Renyi,
}

impl fmt::Display for Accountant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnalyticGaussian => "analytic Gaussian",
            Self::PrivacyLossDistributions => "privacy loss distributions",
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

impl EpsilonBounds {
    /// How `high` was computed and how tight it is, in words.
    pub fn description(&self) -> String {
        match self.accountant {
            Accountant::PrivacyLossDistributions => {
                format!("{} (no ε below {:.4} holds)", self.accountant, rounded_down(self.low))
            }
            Accountant::AnalyticGaussian | Accountant::Renyi => self.accountant.to_string(),
        }
    }
}

/// Four decimals, not above the value.
fn rounded_down(value: f64) -> f64 {
    (value * 1e4).floor() / 1e4
}

/// ε of `events` at `delta`.
pub(crate) fn epsilon(events: &[(Event, u64)], adjacency: Adjacency, delta: f64) -> Result<EpsilonBounds> {
    probability("delta", delta)?;
    let composition = Composition::of(events, adjacency)?;
    let rdp = rdp::epsilon(&rdp::divergences(&composition), delta)?;
    let described = || describe(events);
    let bounds = if composition.parts.is_empty() {
        let exact = if composition.mu > 0.0 { gaussian::epsilon(1.0, composition.mu, delta)? } else { 0.0 };
        EpsilonBounds { low: exact * (1.0 - 1e-9), high: exact, rdp, accountant: Accountant::AnalyticGaussian }
    } else {
        match pld::epsilon(&composition, delta) {
            Ok(bracket) => EpsilonBounds {
                low: bracket.low,
                high: bracket.high.min(rdp),
                rdp,
                accountant: Accountant::PrivacyLossDistributions,
            },
            Err(_) if rdp.is_finite() => EpsilonBounds { low: 0.0, high: rdp, rdp, accountant: Accountant::Renyi },
            Err(reason) => return Err(Error::NoFiniteEpsilon { delta, events: described(), reason }),
        }
    };
    if rdp < bounds.low * (1.0 - 1e-9) {
        return Err(Error::Contradiction { rdp, low: bounds.low, delta, events: described() });
    }
    Ok(bounds)
}

/// The events in words, for messages.
fn describe(events: &[(Event, u64)]) -> String {
    struct List<'a>(&'a [(Event, u64)]);
    impl fmt::Display for List<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            event::list(f, self.0)
        }
    }
    List(events).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(text: &str, delta: f64) -> EpsilonBounds {
        let events: Vec<_> = text.split(';').map(|event| Event::parse_repeated(event).unwrap()).collect();
        epsilon(&events, Adjacency::AddRemove, delta).unwrap()
    }

    #[test]
    fn the_usual_point_of_comparison_is_reproduced() {
        let found = bounds("poisson:0.01,1*10000", 1e-5);
        // 6.18771 by inversion of the characteristic function (`tests/fixtures/inversion.py`); 6.191 is what
        // connect-the-dots gives at an interval of 1e-3.
        assert!(found.low <= 6.187_71 && found.high >= 6.187_71 && found.high < 6.191 + 1e-3, "{found:?}");
        assert!(found.high < found.low * 1.005, "{found:?}");
        assert!((found.rdp - 6.713).abs() < 5e-4, "{found:?}");
    }
}
