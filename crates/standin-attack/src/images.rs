use standin_encode::Embedding;

use crate::{Error, Result};

pub mod domias;
pub mod gan_leaks;
pub mod monte_carlo;

/// Released images, seen as features, and the candidates.
#[derive(Clone, Copy, Debug)]
pub struct ImagesTarget<'a> {
    synthetic: &'a Embedding,
    reference: Option<&'a Embedding>,
    candidates: &'a Embedding,
}

impl<'a> ImagesTarget<'a> {
    /// Features of the released images, of reference images, and of the candidates, all by one encoder.
    ///
    /// `reference` are real images of the same population that are neither members nor candidates, for attacks that
    /// calibrate by how common an image is. A member or candidate among them spoils the calibration, which cannot be
    /// detected here.
    ///
    /// # Errors
    /// If one of the sets is empty or their protocols differ.
    pub fn new(synthetic: &'a Embedding, reference: Option<&'a Embedding>, candidates: &'a Embedding) -> Result<Self> {
        let named = [("synthetic images", Some(synthetic)), ("reference images", reference)];
        for (what, set) in named.into_iter().chain([("candidates", Some(candidates))]) {
            let Some(set) = set else { continue };
            if set.is_empty() {
                return Err(Error::Empty { what });
            }
            candidates.require_same_protocol(set)?;
        }
        Ok(Self { synthetic, reference, candidates })
    }

    /// The released images.
    pub fn synthetic(&self) -> &'a Embedding {
        self.synthetic
    }

    /// Real images that are neither members nor candidates.
    pub fn reference(&self) -> Option<&'a Embedding> {
        self.reference
    }

    /// The images whose membership is in question.
    pub fn candidates(&self) -> &'a Embedding {
        self.candidates
    }
}
