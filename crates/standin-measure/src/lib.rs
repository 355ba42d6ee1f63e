//! Fidelity, variety, copying, and the uncertainty of each.
//!
//! Every measure is a pure function of embeddings and returns an [`Estimate`]: a value with an interval, the number of
//! observations and how the interval was made. [`evaluate`] takes any of the [`MEASURES`] of one set of synthetic images
//! against the real images the generator saw and those it did not, beside what real images in the place of the synthetic
//! ones would get; where a set is too small it says so instead of giving a number.
//!
//! ```
//! use standin_data::{Seed, Silent};
//! use standin_encode::{Embedding, Stamp};
//! use standin_measure::{Sets, evaluate};
//!
//! let stamp = Stamp::new("example", "");
//! let set = |offset: usize| {
//!     let values = (0..200).map(|at| ((at * 37 + offset * 11) % 101) as f32).collect();
//!     Embedding::new(values, 4, stamp.clone())
//! };
//! let (train, holdout, synthetic) = (set(0)?, set(1)?, set(2)?);
//! let sets = Sets { train: &train, holdout: Some(&holdout), synthetic: &synthetic };
//! for finding in evaluate(&["precision".into(), "recall".into()], sets, Seed::new(1), &Silent)? {
//!     println!("{} against {}: {}", finding.measure, finding.against, finding.outcome);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Repetitions with different seeds become one estimate with [`pool`]; [`bootstrap`] and its companions make intervals
//! for anything else.

mod authenticity;
mod closest;
mod comparison;
mod context;
mod convention;
mod error;
mod estimate;
mod finding;
mod frechet;
mod halves;
mod kernel;
mod linear;
mod manifold;
mod near_copies;
mod overlap;
mod pool;
mod rank_correlation;
mod registry;
mod share;
#[cfg(test)]
mod testing;
mod uncertainty;
mod vendi;

pub use authenticity::authenticity;
pub use closest::dcr_share;
pub use comparison::{ManifoldComparison, compare_manifolds};
pub use context::Sets;
pub use convention::Convention;
pub use error::{Error, Result};
pub use estimate::{Estimate, Outcome};
pub use finding::{Against, Aspect, Finding};
pub use frechet::frechet_distance;
pub use kernel::{kernel_distance, kernel_distance_on_subsets};
pub use manifold::{Manifold, manifold};
pub use near_copies::{NearCopy, near_copies};
pub use pool::{pool, pool_outcomes, pool_outcomes_within, pool_within};
pub use rank_correlation::{spearman, spearman_interval};
pub use registry::{Family, MEASURES, evaluate, measure};
pub use share::{clopper_pearson, clopper_pearson_at, wilson};
pub use uncertainty::{bootstrap, bootstrap_bca, influence_variance, jackknife_variance, mean, normal, t_quantile};
pub use vendi::vendi_score;
