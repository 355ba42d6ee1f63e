use std::fmt;

use serde::{Deserialize, Serialize};

use crate::accountant::{self, EpsilonBounds};
use crate::event::{self, Composition};
use crate::{Adjacency, Error, Event, Guarantee, NoiseOrigin, Result, Unit};

/// What actually ran on private data, and what it cost.
///
/// Whoever touches the data records each event as it happens; the ledger answers what all of it together guarantees.
/// Asking never changes it. It is serialised into checkpoints, so that resumed training goes on with the same account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Ledger {
    unit: Unit,
    adjacency: Adjacency,
    noise: NoiseOrigin,
    events: Vec<(Event, u64)>,
}

/// A ledger as it stands in a file, whose numbers are checked before they count.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    unit: Unit,
    adjacency: Adjacency,
    noise: NoiseOrigin,
    events: Vec<(Event, u64)>,
}

impl TryFrom<Written> for Ledger {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        let mut ledger = Self::new(written.unit, written.adjacency, written.noise);
        written.events.into_iter().try_for_each(|(event, count)| ledger.record(event, count))?;
        Ok(ledger)
    }
}

impl Ledger {
    /// A ledger in which nothing has run yet.
    pub fn new(unit: Unit, adjacency: Adjacency, noise: NoiseOrigin) -> Self {
        Self { unit, adjacency, noise, events: Vec::new() }
    }

    /// Enters that `event` ran `count` times. Equal events in a row take one entry.
    ///
    /// # Errors
    /// If a parameter of the event is outside its range (see [`Event::check`]), the event is Poisson sampling and the
    /// adjacency replacement, or there are more events than can be counted. The ledger is unchanged then.
    pub fn record(&mut self, event: Event, count: u64) -> Result<()> {
        event.check()?;
        Composition::of(&[(event.clone(), count)], self.adjacency)?;
        match self.events.last_mut() {
            Some((last, known)) if *last == event => {
                *known = known.checked_add(count).ok_or(Error::TooManyEvents)?;
            }
            _ if count == 0 => {}
            _ => self.events.push((event, count)),
        }
        Ok(())
    }

    /// Everything that ran, in order, each with how often it ran in a row.
    pub fn events(&self) -> &[(Event, u64)] {
        &self.events
    }

    /// Whose presence is protected.
    pub fn unit(&self) -> &Unit {
        &self.unit
    }

    /// What makes two data sets neighbours.
    pub fn adjacency(&self) -> Adjacency {
        self.adjacency
    }

    /// Where the noise came from.
    pub fn noise(&self) -> NoiseOrigin {
        self.noise
    }

    /// The privacy loss ε of everything recorded, at `delta`: 0 if nothing ran.
    ///
    /// # Errors
    /// If `delta` is not in (0, 1), no finite ε can be computed, or the accountants contradict each other, which is a
    /// defect of this crate and never answered with a number.
    pub fn epsilon(&self, delta: f64) -> Result<EpsilonBounds> {
        accountant::epsilon(&self.events, self.adjacency, delta)
    }

    /// The guarantee of everything recorded, at `delta`, with the headline [`EpsilonBounds::high`]; `not_covered` says
    /// in words what the guarantee leaves out.
    ///
    /// # Errors
    /// As for [`Ledger::epsilon`].
    pub fn guarantee(&self, delta: f64, not_covered: Vec<String>) -> Result<Guarantee> {
        let bounds = self.epsilon(delta)?;
        Ok(Guarantee {
            epsilon: bounds.high,
            delta,
            unit: self.unit.clone(),
            adjacency: self.adjacency,
            sampler: self.sampler(),
            mechanism: self.mechanism(),
            accountant: bounds.description(),
            noise: self.noise,
            not_covered,
        })
    }

    /// How records were sampled, in words.
    fn sampler(&self) -> String {
        let mut rates: Vec<f64> = Vec::new();
        let mut all = false;
        visit(&self.events, 1, &mut |event, _| match event {
            Event::PoissonSubsampledGaussian { sampling_rate, .. } => {
                if !rates.contains(sampling_rate) {
                    rates.push(*sampling_rate);
                }
            }
            _ => all = true,
        });
        let mut parts: Vec<String> = rates.iter().map(|rate| format!("Poisson, rate {}", short(*rate))).collect();
        if all || parts.is_empty() {
            parts.insert(0, "full batch".into());
        }
        parts.join("; ")
    }

    /// What ran, in words.
    fn mechanism(&self) -> String {
        let mut parts = Vec::new();
        visit(&self.events, 1, &mut |event, count| {
            let (what, one) = match event {
                Event::Gaussian { noise_multiplier } => {
                    (format!("of noise multiplier {}", short(*noise_multiplier)), "Gaussian release")
                }
                Event::Laplace { scale } => (format!("of scale {}", short(*scale)), "Laplace release"),
                Event::PoissonSubsampledGaussian { noise_multiplier, .. } => {
                    (format!("of noise multiplier {}", short(*noise_multiplier)), "Gaussian step on a sample")
                }
                Event::NoisedHistogram { noise_multiplier } => {
                    (format!("of noise multiplier {}", short(*noise_multiplier)), "noised histogram")
                }
                Event::Composed(_) => return,
            };
            parts.push(format!("{count} × {one} {what}"));
        });
        if parts.is_empty() { "nothing looked at the data".into() } else { parts.join(", ") }
    }
}

/// Calls `each` with every event that is not composed and how often it ran.
fn visit(events: &[(Event, u64)], times: u64, each: &mut impl FnMut(&Event, u64)) {
    for (event, count) in events {
        let count = count.saturating_mul(times);
        match event {
            Event::Composed(parts) => visit(parts, count, each),
            event => each(event, count),
        }
    }
}

/// Six significant digits at most.
fn short(value: f64) -> String {
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    if rounded != 0.0 && rounded.abs() < 1e-3 { format!("{rounded:e}") } else { rounded.to_string() }
}

impl fmt::Display for Ledger {
    /// The events as `poisson:0.01,1*10000 + gaussian:4*1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        event::list(f, &self.events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step() -> Event {
        "poisson:0.01,1".parse().unwrap()
    }

    fn ledger() -> Ledger {
        Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Secret)
    }

    #[test]
    fn equal_events_in_a_row_take_one_entry() {
        let mut ledger = ledger();
        for _ in 0..5 {
            ledger.record(step(), 2).unwrap();
        }
        ledger.record("gaussian:4".parse().unwrap(), 1).unwrap();
        ledger.record(step(), 1).unwrap();
        ledger.record(step(), 0).unwrap();
        assert_eq!(ledger.to_string(), "poisson:0.01,1*10 + gaussian:4*1 + poisson:0.01,1*1");
    }

    #[test]
    fn asking_changes_nothing_and_one_entry_equals_many() {
        let mut whole = ledger();
        whole.record(step(), 1000).unwrap();
        let mut piecewise = ledger();
        for _ in 0..10 {
            piecewise.record(step(), 100).unwrap();
            let before = piecewise.clone();
            let first = piecewise.epsilon(1e-5).unwrap();
            assert_eq!(first, piecewise.epsilon(1e-5).unwrap());
            assert_eq!(before, piecewise);
        }
        assert_eq!(whole.epsilon(1e-5), piecewise.epsilon(1e-5));
        assert_eq!(whole, piecewise);
    }

    #[test]
    fn more_steps_cost_more() {
        let mut ledger = ledger();
        assert_eq!(ledger.epsilon(1e-5).unwrap().high, 0.0);
        let mut last = 0.0;
        for _ in 0..6 {
            ledger.record(step(), 300).unwrap();
            let epsilon = ledger.epsilon(1e-5).unwrap().high;
            assert!(epsilon > last, "{epsilon} after {last}");
            last = epsilon;
        }
    }

    #[test]
    fn json_carries_the_account_and_refuses_impossible_events() {
        let mut ledger = Ledger::new(Unit::Group("patient".into()), Adjacency::AddRemove, NoiseOrigin::Reproducible);
        ledger.record(step(), 17).unwrap();
        ledger.record(Event::Composed(vec![("laplace:3".parse().unwrap(), 2)]), 1).unwrap();
        let text = serde_json::to_string(&ledger).unwrap();
        assert_eq!(serde_json::from_str::<Ledger>(&text).unwrap(), ledger);
        let broken = text.replace("0.01", "1.01");
        let message = serde_json::from_str::<Ledger>(&broken).unwrap_err().to_string();
        assert!(message.contains("sampling_rate is 1.01"), "{message}");
    }

    #[test]
    fn an_impossible_event_leaves_the_ledger_as_it_was() {
        let mut ledger = ledger();
        ledger.record(step(), 3).unwrap();
        let before = ledger.clone();
        assert!(ledger.record(Event::Gaussian { noise_multiplier: 0.0 }, 1).is_err());
        assert_eq!(ledger.record(step(), u64::MAX), Err(Error::TooManyEvents));
        assert_eq!(ledger, before);
    }

    #[test]
    fn the_guarantee_says_what_ran() {
        let mut ledger = Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Reproducible);
        ledger.record("gaussian:4".parse().unwrap(), 1).unwrap();
        ledger.record(step(), 100).unwrap();
        let guarantee = ledger.guarantee(1e-5, vec!["the number of images".into()]).unwrap();
        assert_eq!(guarantee.epsilon, ledger.epsilon(1e-5).unwrap().high);
        assert_eq!(guarantee.sampler, "full batch; Poisson, rate 0.01");
        assert!(guarantee.mechanism.contains("100 × Gaussian step on a sample of noise multiplier 1"));
        assert!(guarantee.statement().starts_with("NOT PRIVATE"));
    }
}
