//! Adversarial families: a generator learns to make images that a discriminator takes for real.
//!
//! [`contest`] is the game without privacy, [`privacy_game`] the one of several pairs against an adversary, without a
//! guarantee, [`private_contest`] the one in which the discriminator's gradients are noised,
//! and [`subsets`] derives the guarantee of the one in which the generator's are.

mod contest;
mod convolutional;
mod dp_gan;
mod gan;
mod gs_wgan;
mod kept;
mod mixture;
mod objective;
mod penalty;
mod privacy_game;
mod private_contest;
mod smooth;
mod spectral;
mod style;
mod stylegan;
mod subsets;

pub(crate) use convolutional::ConvolutionalGenerator;
pub use dp_gan::{DpGan, DpGanOptions};
pub use gan::{Gan, GanOptions, Regularisation};
pub use gs_wgan::{GsWgan, GsWganOptions};
pub(crate) use kept::KeptDiscriminator;
pub use privacy_game::PrivacyGame;
pub(crate) use smooth::SmoothGenerator;
pub(crate) use style::StyleGenerator;
pub use stylegan::{StyleGan, StyleGanOptions};
