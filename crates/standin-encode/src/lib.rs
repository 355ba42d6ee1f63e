//! Encoders, embeddings and streamed neighbour search.

mod embedding;
mod encoder;
mod error;
mod neighbours;
mod screen;

pub use embedding::{Embedding, Stamp};
pub use encoder::{Encoder, Family};
pub use error::{Error, Result};
pub use neighbours::{Boundary, Neighbours, Pair, closest_pairs, count_within, nearest};
pub use screen::squared_distance;
