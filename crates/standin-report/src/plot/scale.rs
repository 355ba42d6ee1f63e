//! Scales: from values to positions, with the ticks a reader expects.

use crate::number::{plain, rate};

/// A monotone map from values to positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
    logarithmic: bool,
}

/// A value worth a tick, with its label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) position: f64,
    pub(crate) label: String,
}

impl Scale {
    /// Equal steps are equal distances: `low` at position `start`, `high` at `end`. `low` < `high`.
    pub(crate) fn linear((low, high): (f64, f64), (start, end): (f64, f64)) -> Self {
        Self { low, high, start, end, logarithmic: false }
    }

    /// Equal factors are equal distances. 0 < `low` < `high`.
    pub(crate) fn logarithmic((low, high): (f64, f64), (start, end): (f64, f64)) -> Self {
        Self { low, high, start, end, logarithmic: true }
    }

    /// The position of a value; values outside the domain land on its nearer end.
    pub(crate) fn position(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.start + share.clamp(0.0, 1.0) * (self.end - self.start)
    }

    /// Where the domain begins and ends.
    pub(crate) fn domain(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Where positions begin and end.
    pub(crate) fn range(&self) -> (f64, f64) {
        (self.start, self.end)
    }

    /// About `target` ticks at 1, 2 or 5 times a power of ten on a linear scale, at every power of ten on a logarithmic
    /// one. `percent` writes shares as percentages.
    pub(crate) fn ticks(&self, target: usize, percent: bool) -> Vec<Tick> {
        let values = if self.logarithmic { decades(self.low, self.high) } else { steps(self.low, self.high, target) };
        let label = |value: f64| if percent { rate(value) } else { plain(value) };
        values.into_iter().map(|value| Tick { position: self.position(value), label: label(value) }).collect()
    }

    /// `count` values from one end of the domain to the other, at equal distances.
    pub(crate) fn spread(&self, count: usize) -> Vec<f64> {
        let last = count.saturating_sub(1).max(1) as f64;
        let value = |index: usize| {
            let share = index as f64 / last;
            if self.logarithmic {
                self.low * (self.high / self.low).powf(share)
            } else {
                self.low + share * (self.high - self.low)
            }
        };
        (0..count).map(value).collect()
    }
}

/// Multiples of a round step within [low, high].
fn steps(low: f64, high: f64, target: usize) -> Vec<f64> {
    let rough = (high - low) / target.max(1) as f64;
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * magnitude);
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    // Multiplying by the step would print 0.30000000000000004; rounding at its magnitude does not.
    let digits = 10_f64.powf((1.0 - step.log10()).ceil().max(0.0));
    (first..=last).map(|index| (index as f64 * step * digits).round() / digits).collect()
}

/// Powers of ten within [low, high].
fn decades(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = ((low.log10() - 1e-9).ceil() as i32, (high.log10() + 1e-9).floor() as i32);
    (first..=last).map(|exponent| 10_f64.powi(exponent)).collect()
}

/// The smallest domain around the finite ones of `values` with `margin` of its width free at both ends; never empty.
pub(crate) fn domain(values: impl IntoIterator<Item = f64>, margin: f64) -> (f64, f64) {
    let (low, high) = values
        .into_iter()
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0.0, 1.0);
    }
    let width = high - low;
    let free = if width > 0.0 { margin * width } else { (0.1 * high.abs()).max(0.5) };
    (low - free, high + free)
}

/// The smallest domain around `values` with `margin` of its width free at both ends, kept within [0, 1].
pub(crate) fn share_domain(values: impl IntoIterator<Item = f64>, margin: f64) -> (f64, f64) {
    let (low, high) = values
        .into_iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0.0, 1.0);
    }
    let free = (margin * (high - low)).max(0.01);
    ((low - free).max(0.0), (high + free).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_ticks_are_round() {
        assert_eq!(steps(0.43, 0.81, 5), [0.5, 0.6, 0.7, 0.8]);
        assert_eq!(steps(0.0, 1.0, 5), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        assert_eq!(steps(0.871, 0.902, 4), [0.88, 0.89, 0.9]);
        assert_eq!(steps(-30.0, 70.0, 5), [-20.0, 0.0, 20.0, 40.0, 60.0]);
    }

    #[test]
    fn logarithmic_ticks_are_powers_of_ten() {
        let scale = Scale::logarithmic((1e-3, 1.0), (0.0, 300.0));
        let ticks = scale.ticks(9, true);
        let labels: Vec<_> = ticks.iter().map(|tick| tick.label.replace('\u{202f}', " ")).collect();
        assert_eq!(labels, ["0.1 %", "1 %", "10 %", "100 %"]);
        for (tick, expected) in ticks.iter().zip([0.0, 100.0, 200.0, 300.0]) {
            assert!((tick.position - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn positions_stay_on_the_axis() {
        let scale = Scale::logarithmic((1e-3, 1.0), (0.0, 300.0));
        assert_eq!(scale.position(0.0), 0.0);
        assert_eq!(scale.position(5.0), 300.0);
        let reversed = Scale::linear((0.0, 1.0), (100.0, 0.0));
        assert_eq!(reversed.position(0.25), 75.0);
    }

    #[test]
    fn spread_is_even_in_position() {
        for scale in [Scale::linear((2.0, 5.0), (0.0, 10.0)), Scale::logarithmic((1e-4, 1.0), (0.0, 10.0))] {
            for (index, value) in scale.spread(11).into_iter().enumerate() {
                assert!((scale.position(value) - index as f64).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn domain_holds_every_finite_value() {
        assert_eq!(domain([], 0.1), (0.0, 1.0));
        assert_eq!(domain([f64::INFINITY, 2.0, -2.0], 0.25), (-3.0, 3.0));
        assert_eq!(domain([20.0], 0.1), (18.0, 22.0));
        let (low, high) = domain([0.0], 0.1);
        assert!(low < 0.0 && high > 0.0);
    }

    #[test]
    fn share_domain_holds_every_value() {
        assert_eq!(share_domain([], 0.1), (0.0, 1.0));
        let (low, high) = share_domain([0.5, 0.7, 0.99], 0.1);
        assert!(low < 0.5 && low > 0.4 && high == 1.0);
        let (low, high) = share_domain([0.5], 0.1);
        assert!(low < 0.5 && high > 0.5);
    }
}
