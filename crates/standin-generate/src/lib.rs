//! Generators: methods that learn to make images like those of a labelled set, and ways to sample from them.
//!
//! Every method is a [`Generator`], registered by name in [`GENERATORS`]. [`Generator::fit`] gives a [`Trained`] one,
//! which answers any number of [`SampleRequest`]s, can be saved and [`load`]ed, and carries the
//! [`Guarantee`](standin_privacy::Guarantee) of what ran.
//!
//! # Private generators
//! A private method takes a [`Protection`], a target and a source of noise, and refuses to run without; every other
//! method refuses to run with one. Private images are touched in four ways, each an event of one ledger:
//!
//! - *Noisy sums of clipped records*, released once: [`DpMerf`], [`DpMepf`], [`DpNtk`], [`DpMfa`], [`DpDistillation`], and
//!   the first step of [`diffusion::DpFeta`]. Everything after is post-processing. The chain to check for [`DpMerf`] is [`fourier`]
//!   ([`features`] of norm at most 1), [`mean_embedding`] (sensitivity, noise, guarantee), [`matching`] (the generator's
//!   loss, which sees the noisy release alone).
//! - *Noisy votes*: [`PrivateEvolution`], and the first step of [`diffusion::PrivImage`].
//! - *Noisy slopes of a kernel mean embedding*, in every step: [`DpKernel`].
//! - *Noisy sums of clipped gradients*: [`DpGan`] and the private [`diffusion`] models by
//!   [`standin_nn::PrivateTrainer`], [`GsWgan`] at its generated images.
//!
//! With a place to [`Work`] in, a release is made once however often a fit is interrupted.
//!
//! ```
//! use standin_data::{ImageSet, Labels, Seed, Shape, Silent};
//! use standin_generate::{Fit, SampleRequest, family};
//!
//! # fn main() -> Result<(), standin_generate::Error> {
//! let shape = Shape { channels: 1, height: 2, width: 2 };
//! let labels = Labels { values: vec![0, 1], classes: vec!["dark".to_owned(), "bright".to_owned()] };
//! let images = ImageSet::new(shape, vec![10, 20, 10, 20, 240, 250, 240, 250])?.with_labels(labels)?;
//!
//! let options = toml::toml! { least_steps = 200 };
//! let generator = (family("vae")?.build)(&options)?;
//! let trained = generator.fit(&images, Fit::new(Seed::new(1), &Silent))?;
//! let sampled = trained.sample(&SampleRequest::new(6), Seed::new(2), &Silent)?;
//! assert_eq!(sampled.len(), 6);
//! assert!(sampled.image(0).iter().all(|&value| value < 128));
//! # Ok(())
//! # }
//! ```

mod adversarial;
mod aggregate;
mod cosine;
mod decoder;
pub mod diffusion;
mod distillation;
mod error;
mod evolution;
mod families;
mod generator;
mod lineage;
mod model_card;
mod moments;
mod network;
mod opened;
mod options;
mod perturb;
mod sampling;
mod surrogate;
mod trained_images;
mod translation;
mod vae;
mod vqvae;
mod work;

pub use adversarial::{
    DpGan, DpGanOptions, Gan, GanOptions, GsWgan, GsWganOptions, PrivacyGame, Regularisation, StyleGan, StyleGanOptions,
};
pub use distillation::{DistributionMatching, DistributionMatchingOptions, DpDistillation, DpDistillationOptions};
pub use error::{Error, Result};
pub use evolution::{ApiOptions, PrivateEvolution, PrivateEvolutionOptions};
pub use families::{GENERATORS, family, load};
pub use generator::{Description, Family, Fit, Generator, Protection, PublicImages, Trained};
pub use lineage::Lineage;
pub use model_card::write_card;
pub use moments::{
    DecoderOptions, DpKernel, DpKernelOptions, DpMepf, DpMepfOptions, DpMerf, DpMerfOptions, DpMfa, DpMfaOptions,
    DpNtk, DpNtkOptions, features, fourier, matching, mean_embedding,
};
pub use opened::{Decode, Denoise, Discriminate, Misfit, Misfits};
pub use perturb::perturbed;
pub use sampling::{Balance, Control, SampleRequest, Solver};
pub use translation::{Passage, TranslationRequest};
pub use vae::{Vae, VaeOptions};
pub use vqvae::{
    CodebookUse, ENCODERS, PriorOptions, QuantisedOptions, TrainedVqVae, VqVae, VqVaeEncoder, VqVaeFeatures,
    VqVaeGenerator, VqVaeGeneratorOptions, VqVaeOptions, VqVaeView,
};
pub use work::Work;
