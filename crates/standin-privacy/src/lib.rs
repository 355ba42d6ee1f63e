//! Mechanisms of differential privacy, their calibration and their guarantees.

mod guarantee;

pub use guarantee::{Adjacency, Guarantee, NoiseOrigin, Unit};
