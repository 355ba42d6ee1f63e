//! Layers: parameters and a forward function each. Networks are built from these alone.
//!
//! Every layer draws its initial parameters from a [`Seed`](standin_data::Seed) and lives on the device given. A layer
//! treats each example of a batch on its own; there is no batch normalisation, which mixes examples and so has no
//! per-example gradient to clip (use [`GroupNorm`]).

mod activation;
mod conv2d;
mod conv_transpose2d;
mod embedding;
mod group_norm;
mod linear;
mod upsample;

pub use activation::{leaky_relu, relu, silu};
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::Conv2d;
pub use embedding::{Embedding, indices};
pub use group_norm::{GroupNorm, GroupNormSilu};
pub use linear::Linear;
pub use upsample::upsample_nearest;
