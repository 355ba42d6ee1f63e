//! Encoders, embeddings and streamed neighbour search.

mod embedding;
mod encoder;
mod error;

pub use embedding::{Embedding, Stamp};
pub use encoder::{Encoder, Family};
pub use error::{Error, Result};
