//! Adversarial families: a generator learns to make images that a discriminator takes for real.
//!
//! [`contest`] is the game without privacy, [`private_contest`] the one in which the discriminator's gradients are noised.

mod contest;
mod convolutional;
mod dp_gan;
mod gan;
mod objective;
mod penalty;
mod private_contest;
mod spectral;

pub(crate) use convolutional::ConvolutionalGenerator;
pub use dp_gan::{DpGan, DpGanOptions};
pub use gan::{Gan, GanOptions, Regularisation};
