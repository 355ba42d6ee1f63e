//! Mechanisms of differential privacy, their calibration and their guarantees.
//!
//! A randomised algorithm is (ε, δ)-differentially private if, for any two neighbouring data sets and any event, the
//! probability of the event under one is at most e^ε times that under the other, plus δ. What "neighbouring" means is
//! part of the claim: it is the [`Unit`] (one image, or all images of one person) and the [`Adjacency`].
//!
//! The way from a wish to a guarantee:
//!
//! 1. The user states a [`PrivacyTarget`]; [`PrivacyTarget::budget`] checks it against the number of units and fills in
//!    δ, giving a [`Budget`].
//! 2. [`calibrate`] turns the budget into noise for what is going to run, after what a [`Ledger`] says has run;
//!    [`gaussian::sigma`] does so for a single release.
//! 3. A [`NoiseSource`] draws the noise.
//! 4. Whoever looks at the data records each [`Event`] in the ledger as it happens, and [`Ledger::guarantee`] states what
//!    all of it together promises: from what ran, and never from the configuration.
//!
//! What an attack then achieves against the result bounds ε from below: [`lower_bound`].
//!
//! ```
//! use standin_privacy::{Adjacency, Delta, Event, Ledger, NoiseOrigin, PrivacyTarget, Unit, calibrate};
//!
//! # fn main() -> standin_privacy::Result<()> {
//! let target = PrivacyTarget { epsilon: 3.0, delta: Delta::Auto, allow_large_delta: false };
//! let budget = target.budget(55_000)?;
//!
//! let mut ledger = Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Secret);
//! let (sampling_rate, steps) = (0.01, 1000);
//! let noise_multiplier = calibrate::noise_multiplier(budget, sampling_rate, steps, &ledger)?;
//!
//! // After every step that ran:
//! for _ in 0..steps {
//!     ledger.record(Event::PoissonSubsampledGaussian { sampling_rate, noise_multiplier }, 1)?;
//! }
//! let guarantee = ledger.guarantee(budget.delta, vec!["the number of images".into()])?;
//! assert!(guarantee.epsilon <= budget.epsilon);
//! # Ok(())
//! # }
//! ```

mod accountant;
pub mod calibrate;
mod error;
mod event;
pub mod gaussian;
mod guarantee;
mod ledger;
pub mod lower_bound;
mod noise;
mod pld;
pub mod rdp;
mod target;

pub use accountant::{Accountant, EpsilonBounds};
pub use error::{Error, Result};
pub use event::Event;
pub use guarantee::{Adjacency, Guarantee, NOT_PRIVATE, NoiseOrigin, Unit};
pub use ledger::Ledger;
pub use noise::NoiseSource;
pub use target::{Budget, Delta, PrivacyTarget};
