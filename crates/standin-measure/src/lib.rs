//! Fidelity, variety, copying, and the uncertainty of each.

mod estimate;
mod share;

pub use estimate::{Estimate, Outcome};
pub use share::{clopper_pearson, clopper_pearson_at, wilson};
