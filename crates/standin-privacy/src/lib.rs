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
//! 2. [`gaussian::sigma`] turns the budget and the sensitivity of a release into the standard deviation of its noise.
//! 3. A [`NoiseSource`] draws the noise.
//! 4. A [`Guarantee`] records what ran, computed from the noise that was drawn ([`gaussian::epsilon`]) and never from
//!    the configuration.
//!
//! ```
//! use standin_privacy::{Delta, NoiseSource, PrivacyTarget, gaussian};
//!
//! # fn main() -> standin_privacy::Result<()> {
//! let target = PrivacyTarget { epsilon: 1.0, delta: Delta::Auto, allow_large_delta: false };
//! let images = 55_000;
//! let budget = target.budget(images)?;
//!
//! // A mean of vectors of norm at most 1, with a public number of images: one image moves it by at most 1/N.
//! let sensitivity = 1.0 / images as f64;
//! let sigma = gaussian::sigma(budget.epsilon, budget.delta, sensitivity)?;
//! let mut mean = vec![0.0; 128];
//! NoiseSource::secret()?.add_gaussian(sigma, &mut mean)?;
//! assert!(gaussian::epsilon(sigma, sensitivity, budget.delta)? <= budget.epsilon * (1.0 + 1e-10));
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
