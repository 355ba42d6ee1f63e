//! The convolutions, normalisations, linear maps and attention of training on a CPU, with gradients per privacy unit, and the
//! inner products of many rows that a neighbour search takes.
//!
//! Plain functions of slices: images lie sample by sample, channel by channel, row by row; every result is a new vector.
//! Register tiles are written once for vectors of sixteen numbers and compiled for AVX-512, AVX2, NEON and for any
//! processor; which of them runs is decided when the program runs. Work is split the same way however many threads there
//! are, so results do not depend on their number.
//!
//! Private training needs the norm of each unit's gradient, and then their sum with one factor each:
//!
//! ```
//! use standin_kernels::{Convolution, Units};
//!
//! let layer = Convolution::planar(2, [3, 8], [16, 16], 3, 1, 1);
//! let x = vec![0.5; 2 * 3 * 16 * 16];
//! let output_gradient = vec![0.1; 2 * 8 * 16 * 16];
//! let norms = layer.unit_squared_norms(&x, &output_gradient, &Units::each(2));
//! let factors: Vec<f32> = norms.iter().map(|norm| (1.0 / norm.sqrt()).min(1.0) as f32).collect();
//! let clipped = layer.weight_gradient(&x, &output_gradient, Some(&factors));
//! assert_eq!(clipped.len(), 8 * 3 * 3 * 3);
//! ```

mod activation;
#[cfg(test)]
mod agreement;
mod attention;
mod bytes;
mod channel_sums;
mod convolution;
mod elementwise;
mod embedding;
mod exponential;
mod instructions;
mod layer_normalisation;
mod linear;
mod normalisation;
mod offsets;
mod packed_rows;
mod parts;
mod powers;
mod product;
mod simd;
mod squares;
mod sums;
mod tile;
mod transpose;
mod units;
mod upsampling;
mod weighted_sum;
mod within;

pub use activation::Activation;
pub use attention::Attention;
pub use bytes::ByteRows;
pub use channel_sums::{channel_sums, unit_channel_sums};
pub use convolution::Convolution;
pub use elementwise::{add, relu, relu_backward, silu, silu_backward};
pub use embedding::Embedding;
pub use layer_normalisation::LayerNormalisation;
pub use linear::Linear;
pub use normalisation::Normalisation;
pub use packed_rows::PackedRows;
pub use powers::exponentials;
pub use squares::squared_norms;
pub use units::Units;
pub use upsampling::{Interpolation, Upsampling};
pub use weighted_sum::weighted_sum;
pub use within::sixteens_within;
