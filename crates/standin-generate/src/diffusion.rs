//! Diffusion models in the formulation of EDM (Karras, Aittala, Aila & Laine 2022): a network learns to take noise of every
//! level off images, and sampling takes it off step by step, starting from noise alone.
//!
//! | family | learns from | guarantee |
//! |---|---|---|
//! | [`Edm`] | the images | none |
//! | [`DualEdm`] | the images of a majority, then those of other groups; told class and group | none |
//! | [`LatentDiffusion`] | codes of an autoencoder of the images | none |
//! | [`Dpdm`] | the images, by private training from scratch | yes |
//! | [`PdpDiffusion`] | public images, then the private ones | yes |
//! | [`PrivImage`] | the public images most like the private ones by a noised histogram, then the private ones | yes |
//! | [`DpFeta`] | noised class means, then the private images | yes |
//! | [`DpLora`] | public images, then low-rank adapters from the private ones | yes |
//! | [`DpLdm`] | codes of an autoencoder of public images | yes |
//!
//! The parts, in the order of use: images on a canvas, the scalings around the network, the objective, the network, training,
//! solvers. A private family differs from another in what happens
//! before the private training alone: all end in the same one, with one ledger.

pub(crate) mod autoencoder;
pub(crate) mod block;
pub(crate) mod canvas;
mod cells;
mod central;
pub(crate) mod denoiser;
mod dp_feta;
mod dp_ldm;
mod dp_lora;
mod dpdm;
mod dual_edm;
mod edm;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod groups;
pub(crate) mod latent;
mod latent_diffusion;
pub(crate) mod low_rank;
pub(crate) mod objective;
mod options;
mod pdp;
pub(crate) mod precondition;
mod priv_image;
mod query;
pub(crate) mod solver;
pub(crate) mod training;
mod translation;
pub(crate) mod unet;

pub use autoencoder::AutoencoderOptions;
pub use dp_feta::{DpFeta, DpFetaOptions};
pub use dp_ldm::{DpLdm, DpLdmOptions};
pub use dp_lora::{DpLora, DpLoraOptions};
pub use dpdm::{Dpdm, DpdmOptions};
pub use dual_edm::{Adaptation, AdaptationOptions, DualEdm, DualEdmOptions};
pub use edm::{Edm, EdmOptions};
pub use groups::GroupOptions;
pub use latent_diffusion::{LatentDiffusion, LatentDiffusionOptions};
pub use options::{LossOptions, NetworkOptions, PrivateOptions, TrainingOptions};
pub use pdp::{PdpDiffusion, PdpDiffusionOptions};
pub use priv_image::{PrivImage, PrivImageOptions};

/// The families whose network takes noise off images themselves, as [`Trained::denoiser`](crate::Trained::denoiser) gives it.
pub const OF_IMAGES: &[&str] =
    &[Edm::NAME, DualEdm::NAME, Dpdm::NAME, PdpDiffusion::NAME, PrivImage::NAME, DpFeta::NAME, DpLora::NAME];
