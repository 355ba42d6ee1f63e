//! Layers: parameters and a forward function each. Networks are built from these alone.
//!
//! Every layer draws its initial parameters from a [`Seed`](standin_data::Seed) and lives on the device given. A layer
//! treats each example of a batch on its own; there is no batch normalisation, which mixes examples and so has no
//! per-example gradient to clip (use [`GroupNorm`]).
//!
//! # What is fast on the CPU
//! Convolutions, linear layers, normalisations and activations are single operations here, forward and backward (see
//! `standin-kernels`); [`GroupNorm::activated`] does normalisation and activation in one pass. Everything else is the tensor
//! library's, one element-wise pass after the other. `cargo bench -p standin -p standin-nn --bench training` times whole
//! steps, plain and private, beside PyTorch and Opacus.

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
pub use upsample::{double_volume, upsample_nearest};

pub use crate::fused::{Activation, Interpolation};
