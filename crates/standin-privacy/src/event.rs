use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{positive, rate};
use crate::{Adjacency, Error, Result};

/// One thing that looked at private data, as an accountant sees it.
///
/// Noise multipliers and scales are relative to the sensitivity to *adding or removing* one unit, whatever the
/// adjacency of the [`Ledger`](crate::Ledger): where units are replaced, the ledger doubles the sensitivity itself.
///
/// There is no event for shuffled, weighted or fixed-size batches, because no bound here holds for them: a sampler that
/// cannot be accounted for cannot be expressed.
///
/// # Text
/// `gaussian:2.5`, `laplace:4`, `histogram:10` and `poisson:0.01,1.1` (rate, noise multiplier) are read by [`FromStr`]
/// and written by [`fmt::Display`]; [`Event::parse_repeated`] also reads a count, as in `poisson:0.01,1.1*10000`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// Gaussian noise on a query of all units.
    Gaussian {
        /// Standard deviation divided by the ℓ₂ sensitivity.
        noise_multiplier: f64,
    },
    /// Laplace noise on a query of all units.
    Laplace {
        /// Scale b divided by the ℓ₁ sensitivity; one release is (1/scale, 0)-private.
        scale: f64,
    },
    /// Gaussian noise on a query of a Poisson sample: each unit takes part independently with the same probability, as
    /// in a step of DP-SGD.
    PoissonSubsampledGaussian {
        /// Probability with which a unit takes part, in (0, 1].
        sampling_rate: f64,
        /// Standard deviation divided by the ℓ₂ sensitivity.
        noise_multiplier: f64,
    },
    /// Gaussian noise on a histogram in which every unit has one vote, so that its ℓ₂ sensitivity is 1.
    NoisedHistogram {
        /// Standard deviation of the noise on each count.
        noise_multiplier: f64,
    },
    /// Several events, each as often as its count says.
    Composed(Vec<(Event, u64)>),
}

/// Names under which training code samples in ways that cannot be accounted for.
const UNSOUND: [&str; 11] = [
    "weighted",
    "shuffled",
    "shuffle",
    "fixed",
    "fixed-size",
    "fixed_size",
    "uniform",
    "without-replacement",
    "without_replacement",
    "balanced",
    "sequential",
];

impl Event {
    /// Checks every parameter, including those of composed events.
    ///
    /// # Errors
    /// If a noise multiplier or scale is not positive and finite, or a sampling rate is not in (0, 1].
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Gaussian { noise_multiplier } | Self::NoisedHistogram { noise_multiplier } => {
                positive("noise_multiplier", *noise_multiplier)
            }
            Self::Laplace { scale } => positive("scale", *scale),
            Self::PoissonSubsampledGaussian { sampling_rate, noise_multiplier } => {
                rate("sampling_rate", *sampling_rate)?;
                positive("noise_multiplier", *noise_multiplier)
            }
            Self::Composed(parts) => parts.iter().try_for_each(|(event, _)| event.check()),
        }
    }

    /// Reads an event and how often it ran: `gaussian:4` or `poisson:0.01,1*10000`.
    ///
    /// # Errors
    /// As for [`Event::from_str`], and if the count is no positive whole number.
    pub fn parse_repeated(text: &str) -> Result<(Self, u64)> {
        let (event, count) = match text.rsplit_once('*') {
            None => (text, 1),
            Some((event, count)) => {
                let count = count.trim().replace('_', "").parse::<u64>().ok().filter(|&count| count > 0);
                (event, count.ok_or_else(|| Error::UnreadableEvent { found: text.into() })?)
            }
        };
        Ok((event.parse()?, count))
    }
}

impl FromStr for Event {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unreadable = || Error::UnreadableEvent { found: text.into() };
        let (name, numbers) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
        let name = name.trim().to_lowercase();
        if UNSOUND.contains(&name.as_str()) {
            return Err(Error::UnknownSampler { found: text.into() });
        }
        let numbers: Vec<f64> =
            numbers.split(',').map(|number| number.trim().parse().map_err(|_| unreadable())).collect::<Result<_>>()?;
        let event = match (name.as_str(), numbers.as_slice()) {
            ("gaussian", &[noise_multiplier]) => Self::Gaussian { noise_multiplier },
            ("laplace", &[scale]) => Self::Laplace { scale },
            ("histogram", &[noise_multiplier]) => Self::NoisedHistogram { noise_multiplier },
            ("poisson", &[sampling_rate, noise_multiplier]) => {
                Self::PoissonSubsampledGaussian { sampling_rate, noise_multiplier }
            }
            _ => return Err(unreadable()),
        };
        event.check()?;
        Ok(event)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gaussian { noise_multiplier } => write!(f, "gaussian:{noise_multiplier}"),
            Self::Laplace { scale } => write!(f, "laplace:{scale}"),
            Self::PoissonSubsampledGaussian { sampling_rate, noise_multiplier } => {
                write!(f, "poisson:{sampling_rate},{noise_multiplier}")
            }
            Self::NoisedHistogram { noise_multiplier } => write!(f, "histogram:{noise_multiplier}"),
            Self::Composed(parts) => {
                f.write_str("(")?;
                list(f, parts)?;
                f.write_str(")")
            }
        }
    }
}

/// Writes `event*count + …`.
pub(crate) fn list(f: &mut fmt::Formatter<'_>, parts: &[(Event, u64)]) -> fmt::Result {
    for (at, (event, count)) in parts.iter().enumerate() {
        let plus = if at > 0 { " + " } else { "" };
        write!(f, "{plus}{event}*{count}")?;
    }
    Ok(())
}

/// What accountants compute with: events without nesting, at the sensitivity of the adjacency, with every Gaussian on
/// all units gathered into one, since their composition is one Gaussian of μ² = Σ μᵢ² (Dong, Roth & Su 2022,
/// "Gaussian differential privacy", Corollary 3.3).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Composition {
    /// μ = √(Σ 1/σ²) of all Gaussians on all units; 0 if there were none.
    pub(crate) mu: f64,
    /// Everything else, alike events gathered.
    pub(crate) parts: Vec<(Part, u64)>,
}

/// An event that does not compose in closed form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part {
    /// A Gaussian on a Poisson sample of rate in (0, 1).
    Subsampled { sampling_rate: f64, sigma: f64 },
    /// Laplace noise of this scale at sensitivity 1.
    Laplace { scale: f64 },
}

impl Composition {
    /// Gathers `events` under `adjacency`.
    ///
    /// # Errors
    /// If Poisson sampling meets replacement of units, or the counts overflow.
    pub(crate) fn of(events: &[(Event, u64)], adjacency: Adjacency) -> Result<Self> {
        let mut composition = Self { mu: 0.0, parts: Vec::new() };
        let mut squared = 0.0;
        for (event, count) in events {
            composition.gather(event, *count, adjacency, &mut squared)?;
        }
        composition.mu = squared.sqrt();
        Ok(composition)
    }

    fn gather(&mut self, event: &Event, count: u64, adjacency: Adjacency, squared: &mut f64) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let sensitivity = match adjacency {
            Adjacency::AddRemove => 1.0,
            Adjacency::ReplaceOne => 2.0,
        };
        match event {
            Event::Gaussian { noise_multiplier } | Event::NoisedHistogram { noise_multiplier } => {
                *squared += count as f64 * (sensitivity / noise_multiplier).powi(2);
            }
            Event::PoissonSubsampledGaussian { sampling_rate: 1.0, noise_multiplier } => {
                *squared += count as f64 * (sensitivity / noise_multiplier).powi(2);
            }
            Event::PoissonSubsampledGaussian { .. } if adjacency == Adjacency::ReplaceOne => {
                return Err(Error::ReplaceOneSampled);
            }
            &Event::PoissonSubsampledGaussian { sampling_rate, noise_multiplier } => {
                self.add(Part::Subsampled { sampling_rate, sigma: noise_multiplier }, count)?;
            }
            Event::Laplace { scale } => self.add(Part::Laplace { scale: scale / sensitivity }, count)?,
            Event::Composed(parts) => {
                for (event, inner) in parts {
                    let count = count.checked_mul(*inner).ok_or(Error::TooManyEvents)?;
                    self.gather(event, count, adjacency, squared)?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, part: Part, count: u64) -> Result<()> {
        match self.parts.iter_mut().find(|(known, _)| *known == part) {
            Some((_, known)) => *known = known.checked_add(count).ok_or(Error::TooManyEvents)?,
            None => self.parts.push((part, count)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_and_written_back() {
        for text in ["gaussian:2.5", "laplace:4", "histogram:10", "poisson:0.01,1.1"] {
            assert_eq!(text.parse::<Event>().unwrap().to_string(), text);
        }
        let (event, count) = Event::parse_repeated("poisson:0.01, 1*10_000").unwrap();
        assert_eq!(event, Event::PoissonSubsampledGaussian { sampling_rate: 0.01, noise_multiplier: 1.0 });
        assert_eq!(count, 10_000);
        for text in ["gaussian", "gaussian:1,2", "poisson:0.1", "laplace:x", "gaussian:1*0", "gaussian:1*-3"] {
            let message = Event::parse_repeated(text).unwrap_err().to_string();
            assert!(message.contains("write gaussian:NOISE_MULTIPLIER"), "{message}");
        }
    }

    #[test]
    fn a_sampler_without_a_sound_bound_cannot_be_expressed() {
        for text in ["weighted:0.01,1", "shuffled:256,1", "fixed-size:64,1.3*100", "without_replacement:64,1"] {
            let error = Event::parse_repeated(text).unwrap_err();
            assert!(matches!(error, Error::UnknownSampler { .. }), "{error}");
            assert!(error.to_string().contains("Poisson sampling"), "{error}");
        }
        assert!(serde_json::from_str::<Event>(r#"{"shuffled": {"batch_size": 64}}"#).is_err());
    }

    #[test]
    fn impossible_parameters_are_named() {
        for (text, name) in
            [("poisson:1.5,1", "sampling_rate is 1.5"), ("poisson:0,1", "sampling_rate"), ("gaussian:0", "noise_mult")]
        {
            let message = text.parse::<Event>().unwrap_err().to_string();
            assert!(message.starts_with(name), "{message}");
        }
        let nested = Event::Composed(vec![(Event::Laplace { scale: f64::NAN }, 1)]);
        assert!(nested.check().is_err());
    }

    #[test]
    fn gaussians_gather_into_one_and_alike_events_merge() {
        let step: Event = "poisson:0.01,1".parse().unwrap();
        let all: Event = "poisson:1,2".parse().unwrap();
        let nested = Event::Composed(vec![(step.clone(), 3), ("histogram:2".parse().unwrap(), 1)]);
        let composition = Composition::of(&[(step, 4), (all, 2), (nested, 2)], Adjacency::AddRemove).unwrap();
        assert_eq!(composition.parts, [(Part::Subsampled { sampling_rate: 0.01, sigma: 1.0 }, 10)]);
        assert!((composition.mu - 1.0).abs() < 1e-15);
    }

    #[test]
    fn replacement_doubles_the_sensitivity() {
        let events = [("gaussian:4".parse().unwrap(), 1), ("laplace:6".parse().unwrap(), 1)];
        let composition = Composition::of(&events, Adjacency::ReplaceOne).unwrap();
        assert_eq!(composition, Composition { mu: 0.5, parts: vec![(Part::Laplace { scale: 3.0 }, 1)] });
        let sampled = [("poisson:0.5,1".parse().unwrap(), 1)];
        assert_eq!(Composition::of(&sampled, Adjacency::ReplaceOne), Err(Error::ReplaceOneSampled));
    }
}
