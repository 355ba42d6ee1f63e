//! Distillation: a small set of images that stands for a large one, itself what is trained.
//!
//! [`embedding`] holds the random networks, [`synthetic`] the images and what they are to match, [`release`] what is
//! released of private images.

mod distribution_matching;
mod dp_distillation;
mod embedding;
mod release;
mod synthetic;

pub use distribution_matching::{DistributionMatching, DistributionMatchingOptions};
pub use dp_distillation::{DpDistillation, DpDistillationOptions};
