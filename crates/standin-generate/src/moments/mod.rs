//! Methods that see private images through a few noisy sums alone.

mod analysers;
mod clipped;
mod cosine;
mod dp_merf;
mod dp_mfa;
pub mod fourier;
pub mod matching;
pub mod mean_embedding;
mod releases;
mod sin_cos;
mod spectrum;

pub(crate) use analysers::Analysers;
pub use dp_merf::{DpMerf, DpMerfOptions};
pub use dp_mfa::{DpMfa, DpMfaOptions};
