//! Fidelity, variety, copying, and the uncertainty of each.

mod estimate;

pub use estimate::{Estimate, Outcome};
