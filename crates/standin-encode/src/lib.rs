//! Encoders, embeddings and streamed neighbour search.
//!
//! An [`Encoder`] turns an image set into an [`Embedding`], a matrix of features that carries the [`Stamp`] of how it was
//! made; every distance, measure and attack downstream works on embeddings and refuses to mix stamps. The encoders here
//! need no training: [`ENCODERS`] lists them and [`encoder`] makes one.
//!
//! [`nearest`], [`closest_pairs`], both at once ([`matches()`]) and the balls of [`count_within`], [`count_around`] and [`holding`] search neighbours
//! exactly, by the [`Metric`] that the stamp names. For the Euclidean distance matrix products in single precision do the
//! bulk of the work and bound every distance, and only what the bounds leave open is measured again in double precision;
//! for the Hamming distance codes are compared as integers. Nothing of size n² is ever held, and results depend neither
//! on tiles nor on the number of threads.
//!
//! ```
//! use standin_data::{ImageSet, Shape, Silent};
//! let images = ImageSet::new(Shape { channels: 1, height: 8, width: 8 }, (0..=255).collect())?;
//! let embedding = standin_encode::encoder("scattering")?.encode(&images, &Silent)?;
//! let neighbours = standin_encode::nearest(&embedding, &embedding, 1, true)?;
//! assert_eq!(neighbours.len(), 4);
//! # Ok::<(), standin_encode::Error>(())
//! ```

mod balls;
mod both_ways;
mod embedding;
mod encoder;
mod error;
mod files;
mod fourier;
mod hamming;
mod lpips;
mod matches;
mod neighbours;
mod onnx;
mod pixels;
mod registry;
mod resize;
mod scattering;
mod screen;
#[cfg(test)]
mod testing;
mod trained;
mod wavelets;

pub use balls::{Boundary, count_around, count_within, holding};
pub use both_ways::{Held, Holdings, held_both_ways};
pub use embedding::{Embedding, Metric, Stamp};
pub use encoder::{Encoder, Family};
pub use error::{Error, Result};
pub use files::{EmbeddingFile, holds_features, read_npy, write_npy};
pub use lpips::Lpips;
pub use matches::{Matches, matches};
pub use neighbours::{Neighbours, Pair, closest_pairs, nearest, nearest_of_others};
pub use onnx::{PRESETS, Preset};
pub use registry::{ENCODERS, encoder};
pub use resize::Resize;
pub use scattering::{Scattered, ScatteringMap, scattering_planes};
pub use screen::squared_distance;
pub use trained::{FittedEncoder, TrainableEncoder, TrainableFamily, TrainingError};
