//! Layers: parameters and a forward function each. Networks are built from these alone.
//!
//! Every layer draws its initial parameters from a [`Seed`](standin_data::Seed) and lives on the device given. A layer
//! treats each example of a batch on its own; there is no batch normalisation, which mixes examples and so has no
//! per-example gradient to clip (use [`GroupNorm`]).
//!
//! # What is fast on the CPU
//! Measured on one thread of a shared 2-core Zen 3 (`cargo run --release --example step_time`), a training step on 64 images
//! of 28 × 28: two convolutions of stride 2 with 16 and 32 channels 11 ms, with 32 and 64 channels 25 ms; the latter with
//! [`GroupNormSilu`] in the place of [`relu`] 39 ms, and with one convolution of stride 1 before them 136 ms. A
//! perceptron of 256 hidden units takes 1 ms. So: halve the planes first, prefer strides to pooling and ReLU to SiLU, and
//! keep full-size planes few. The backward pass costs three forward passes.

mod activation;
mod attention;
mod convolution;
mod embedding;
mod group_norm;
mod layer_norm;
mod linear;
mod pool;
mod transposed_convolution;
mod upsample;

pub use activation::{leaky_relu, relu, silu};
pub use attention::SelfAttention;
pub use convolution::{Conv1d, Conv2d, Conv3d, Convolution};
pub use embedding::{Embedding, indices};
pub use group_norm::{GroupNorm, GroupNormSilu};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use pool::{global_average_pool, global_max_pool, max_pool};
pub use transposed_convolution::{ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, TransposedConvolution};
pub use upsample::upsample_nearest;

pub use crate::fused::Activation;
