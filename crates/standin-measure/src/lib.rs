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

mod alias;
mod authenticity;
mod beside_holdout;
mod cells;
mod chance;
mod class_score;
mod closest;
mod cmmd;
mod comparison;
mod context;
mod convention;
mod copying;
mod error;
mod estimate;
mod fd_infinity;
mod feature_likelihood;
mod feature_spread;
mod finding;
mod frechet;
mod halves;
mod identical;
mod image_scores;
mod kernel;
mod linear;
mod logistic;
mod manifold;
mod mean_image;
mod median;
mod medsyn;
mod memorisation_fid;
mod mixture;
mod moments;
mod near_copies;
mod nearest_ratio;
mod occupancy;
mod overlap;
pub mod pairs;
mod pool;
mod rank_correlation;
mod realism;
mod registry;
mod retrieval;
mod share;
mod sliced_wasserstein;
mod table;
#[cfg(test)]
mod testing;
mod two_sample_classifier;
mod two_sample_neighbours;
mod uncertainty;
mod vendi;

pub use alias::{ALIASES, Alias, full_name};
pub use authenticity::authenticity;
pub use chance::benjamini_hochberg;
pub use class_score::class_score;
pub use closest::dcr_share;
pub use cmmd::cmmd;
pub use comparison::{ManifoldComparison, compare_manifolds};
pub use context::Sets;
pub use convention::Convention;
pub use copying::copying_z;
pub use error::{Error, Result};
pub use estimate::{Estimate, Outcome};
pub use fd_infinity::frechet_distance_infinity;
pub use feature_likelihood::{feature_likelihood, feature_likelihood_gap};
pub use feature_spread::feature_spread;
pub use finding::{Against, Aspect, Finding};
pub use frechet::{frechet_distance, frechet_distance_to};
pub use identical::identical_matches;
pub use image_scores::{ImageScore, ImageScores, image_scores};
pub use kernel::{kernel_distance, kernel_distance_on_subsets};
pub use manifold::{Manifold, manifold};
pub use mean_image::{mean_image_size, normalised_variety};
pub use medsyn::{Medsyn, medsyn};
pub use memorisation_fid::memorisation_fid;
pub use moments::Moments;
pub use near_copies::{NearCopy, near_copies};
pub use nearest_ratio::{NearestRatio, nearest_ratio};
pub use pool::{pool, pool_outcomes, pool_outcomes_within, pool_within};
pub use rank_correlation::{mid_ranks, spearman, spearman_interval};
pub use realism::realism;
pub use registry::{Family, MEASURES, evaluate, measure};
pub use retrieval::{retrieval, retrieval_adjusted};
pub use share::{clopper_pearson, clopper_pearson_at, wilson};
pub use sliced_wasserstein::sliced_wasserstein;
pub use table::{Column, Table};
pub use two_sample_classifier::two_sample_classifier;
pub use two_sample_neighbours::two_sample_neighbours;
pub use uncertainty::{bootstrap, bootstrap_bca, influence_variance, jackknife_variance, mean, normal, t_quantile};
pub use vendi::{vendi_score, vendi_score_of_order};
