//! Fidelity, variety, copying, and the uncertainty of each.

mod error;
mod estimate;
mod frechet;
mod kernel;
mod linear;
mod pool;
mod share;
#[cfg(test)]
mod testing;
mod uncertainty;
mod vendi;

pub use error::{Error, Result};
pub use estimate::{Estimate, Outcome};
pub use frechet::frechet_distance;
pub use kernel::{kernel_distance, kernel_distance_on_subsets};
pub use pool::{pool, pool_outcomes, pool_outcomes_within, pool_within};
pub use share::{clopper_pearson, clopper_pearson_at, wilson};
pub use uncertainty::{bootstrap, bootstrap_bca, influence_variance, jackknife_variance, mean, normal, t_quantile};
pub use vendi::vendi_score;
