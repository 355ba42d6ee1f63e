use standin_data::{ImageSet, Progress};

use crate::{Embedding, Result, Stamp};

/// Turns images into features.
pub trait Encoder: Send + Sync {
    /// How the features of this encoder are made, given images of the set's shape.
    ///
    /// # Errors
    /// If the encoder cannot take images of that shape.
    fn stamp(&self, images: &ImageSet) -> Result<Stamp>;

    /// One row of features per image, in order.
    ///
    /// # Errors
    /// If the encoder cannot take images of that shape.
    fn encode(&self, images: &ImageSet, progress: &dyn Progress) -> Result<Embedding>;

    /// Digest of everything the encoder has read from files: its weights, and how it prepares images. With its name it
    /// says what the encoder does before there are images.
    fn weights(&self) -> Option<String> {
        None
    }
}

/// A registered encoder.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The name in configurations and on the command line. `NAME:ARGUMENT` stands for every name with that beginning.
    pub name: &'static str,
    /// What it computes, in one line.
    pub summary: &'static str,
    /// Time and memory, and how they grow.
    pub cost: &'static str,
    /// Paper.
    pub source: &'static str,
    /// Makes one. What it gets is what follows the colon of the name, nothing where there is none.
    ///
    /// # Errors
    /// If the argument names nothing that can be made an encoder.
    pub build: fn(&str) -> Result<Box<dyn Encoder>>,
}
