//! Methods that see private images through a few noisy sums alone.

mod analysers;
mod clipped;
mod decoder_options;
mod dp_kernel;
mod dp_mepf;
mod dp_merf;
mod dp_mfa;
mod dp_ntk;
pub mod features;
pub mod fourier;
mod fourier_parts;
mod kernel;
pub mod matching;
pub mod mean_embedding;
mod one_shot;
mod perceptual;
mod releases;
mod sin_cos;
mod spectrum;
mod tangent;

pub(crate) use analysers::Analysers;
pub use decoder_options::DecoderOptions;
pub use dp_kernel::{DpKernel, DpKernelOptions};
pub use dp_mepf::{DpMepf, DpMepfOptions};
pub use dp_merf::{DpMerf, DpMerfOptions};
pub use dp_mfa::{DpMfa, DpMfaOptions};
pub use dp_ntk::{DpNtk, DpNtkOptions};
