//! Membership inference against images, classifiers and generators.
//!
//! An attack gives each *candidate* image a score: the higher, the more likely the image was a training member. What it
//! may see is its [`Access`]: the released images only, answers of a released classifier, or a generator. Beyond that it
//! may need ([`Need`]) true labels, reference images, or shadow models. [`ATTACKS`] lists all that are built in.
//!
//! A score means nothing by itself. [`evaluate`] sets the scores of members beside those of non-members from the same
//! population and says how well they are told apart, with intervals: AUC, balanced accuracy, and the true-positive
//! rate at low false-positive rates, which is where a leak that concerns few people shows. [`epsilon_lower`] turns the
//! same scores into a lower bound on ε.
//!
//! ```
//! use standin_attack::{ImagesTarget, Target, attack, evaluate};
//! use standin_data::Seed;
//! use standin_encode::{Embedding, Stamp};
//!
//! # fn main() -> standin_attack::Result<()> {
//! let stamp = Stamp::new("pixels", "one number each");
//! let embed = |values: &[f32]| Embedding::new(values.to_vec(), 1, stamp.clone());
//! // The first three candidates were trained on, and the generator has copied them.
//! let synthetic = embed(&[1.0, 5.0, 9.0])?;
//! let candidates = embed(&[1.0, 5.01, 9.0, 2.0, 3.5, 7.0])?;
//!
//! let target = Target::Images(ImagesTarget::new(&synthetic, None, &candidates)?);
//! let scores = attack("gan-leaks")?.build().score(&target)?;
//! let evaluation = evaluate(&scores[..3], &scores[3..], Seed::new(1))?;
//! assert_eq!(evaluation.auc.value, 1.0);
//! # Ok(())
//! # }
//! ```
//!
//! # What the numbers do not say
//! Members are scored as they come, so every figure is about the *average* member of *one* run: a release that is safe
//! for the average may expose the unusual. A weak result is a statement about this attack, never a proof of privacy;
//! the proof is the accountant's guarantee.

mod access;
mod canaries;
mod classifier;
mod error;
mod evaluation;
mod generator;
mod identities;
mod images;
mod median;
mod population;
mod registry;

pub use access::{Access, Attack, Family, Need, Target};
pub use canaries::Canaries;
pub use canaries::runs::{CanaryAudit, CanaryRun};
pub use classifier::lira::{Lira, Shadows, Variance};
pub use classifier::metric::Metric;
pub use classifier::rmia::Rmia;
pub use classifier::{ClassifierTarget, Logits, Shadow, scaled_confidences};
pub use error::{Error, Result};
pub use evaluation::epsilon::epsilon_lower;
pub use evaluation::holm::holm;
pub use evaluation::{Evaluation, FALSE_POSITIVE_RATES, RateAt, evaluate};
pub use generator::denoising::Denoising;
pub use generator::discriminator::Discriminator;
pub use generator::latent::Latent;
pub use generator::loss_ratio::LossRatio;
pub use generator::{GeneratorShadow, GeneratorTarget};
pub use identities::{
    FALSE_DISCOVERY_RATE, IdentityAudit, IdentityFindings, IdentityMatch, IdentityOptions, ImagePair, Recognised,
    SyntheticIdentities, SyntheticMatch, Verification, VerificationAt, Verified, audit_identities,
};
pub use images::domias::Domias;
pub use images::extraction::Extraction;
pub use images::gan_leaks::GanLeaks;
pub use images::monte_carlo::{MonteCarlo, Radius};
pub use images::surrogate::Surrogate;
pub use images::{ImagesTarget, Pictures};
pub use population::population;
pub use registry::{ATTACKS, attack};
