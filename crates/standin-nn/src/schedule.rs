use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How the learning rate changes over a training: a factor on the base rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// 1 throughout.
    #[default]
    Constant,
    /// A linear rise from 0 over the first `warm_up` of all steps, then half a cosine from 1 to `floor` (Loshchilov and
    /// Hutter 2017, equation 5, one period).
    Cosine {
        /// Share of all steps that rise, in [0, 1).
        #[serde(default)]
        warm_up: f64,
        /// The factor at the end, in [0, 1].
        #[serde(default)]
        floor: f64,
    },
    /// Multiplied by `factor` after every `every` of all steps.
    Step {
        /// Share of all steps between two changes, in (0, 1].
        every: f64,
        /// In (0, 1].
        factor: f64,
    },
    /// Multiplied by `factor` once per epoch, continuously: factor^epochs.
    Exponential {
        /// In (0, 1].
        factor: f64,
    },
}

impl Schedule {
    /// Cosine with the given share of warm-up, down to 0.
    pub fn cosine(warm_up: f64) -> Self {
        Self::Cosine { warm_up, floor: 0.0 }
    }

    /// Checks that every number is in its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check(&self) -> Result<()> {
        let require = |allowed: bool, setting, value: f64, expected| {
            if allowed { Ok(()) } else { Err(Error::Setting { setting, found: value.to_string(), expected }) }
        };
        let above_zero = |setting, value: f64| {
            require(value > 0.0 && value <= 1.0, setting, value, "it must be above 0 and at most 1")
        };
        match *self {
            Self::Constant => Ok(()),
            Self::Cosine { warm_up, floor } => {
                let expected = "it must be at least 0 and below 1";
                require((0.0..1.0).contains(&warm_up), "schedule.warm_up", warm_up, expected)?;
                require((0.0..=1.0).contains(&floor), "schedule.floor", floor, "it must be at least 0 and at most 1")
            }
            Self::Step { every, factor } => {
                above_zero("schedule.every", every)?;
                above_zero("schedule.factor", factor)
            }
            Self::Exponential { factor } => above_zero("schedule.factor", factor),
        }
    }

    /// The factor at `step` (from 0) of `steps`, with `steps_per_epoch` steps an epoch.
    pub fn factor(&self, step: usize, steps: usize, steps_per_epoch: usize) -> f64 {
        let (step, steps) = (step as f64, steps.max(1) as f64);
        match *self {
            Self::Constant => 1.0,
            Self::Cosine { warm_up, floor } => {
                let rise = warm_up * steps;
                if step < rise {
                    // The first step must not be wasted on a rate of 0.
                    return (step + 1.0) / (rise + 1.0);
                }
                let progress = (step - rise) / (steps - rise);
                floor + (1.0 - floor) * 0.5 * (1.0 + (PI * progress).cos())
            }
            Self::Step { every, factor } => factor.powf((step / (every * steps)).floor()),
            Self::Exponential { factor } => factor.powf(step / steps_per_epoch.max(1) as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_rises_then_falls_to_the_floor() {
        let schedule = Schedule::Cosine { warm_up: 0.1, floor: 0.2 };
        let factor = |step| schedule.factor(step, 1000, 10);
        assert!((0..99).all(|step| factor(step) < factor(step + 1)));
        assert_eq!(factor(100), 1.0);
        assert!((factor(550) - 0.6).abs() < 1e-12, "half way down is the middle of 1 and the floor");
        assert!((100..999).all(|step| factor(step) > factor(step + 1)));
        assert!((factor(1000) - 0.2).abs() < 1e-12);
    }

    #[test]
    fn step_and_exponential_follow_their_powers() {
        let schedule = Schedule::Step { every: 0.25, factor: 0.1 };
        let factors: Vec<f64> = [0, 24, 25, 99].map(|step| schedule.factor(step, 100, 7)).to_vec();
        for (factor, power) in factors.iter().zip([0, 0, 1, 3]) {
            assert!((factor - 0.1f64.powi(power)).abs() < 1e-12);
        }
        let schedule = Schedule::Exponential { factor: 0.9 };
        assert!((schedule.factor(30, 100, 10) - 0.9f64.powi(3)).abs() < 1e-12);
        assert_eq!(Schedule::Constant.factor(50, 100, 10), 1.0);
    }

    #[test]
    fn a_number_outside_its_range_is_named() {
        assert!(Schedule::cosine(0.1).check().is_ok());
        for (schedule, name) in [
            (Schedule::cosine(1.0), "warm_up"),
            (Schedule::Step { every: 0.0, factor: 0.5 }, "every"),
            (Schedule::Exponential { factor: f64::NAN }, "factor"),
        ] {
            assert!(schedule.check().unwrap_err().to_string().contains(name));
        }
    }
}
