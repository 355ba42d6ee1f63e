use standin_data::ImageSet;
use standin_encode::Embedding;

use crate::{Error, Result};

mod components;
pub mod domias;
pub mod extraction;
pub mod gan_leaks;
pub mod monte_carlo;
pub mod surrogate;

/// Released images, seen as features, and the candidates.
#[derive(Clone, Copy, Debug)]
pub struct ImagesTarget<'a> {
    synthetic: &'a Embedding,
    reference: Option<&'a Embedding>,
    candidates: &'a Embedding,
    pictures: Option<Pictures<'a>>,
}

/// The images themselves, for attacks that train networks on them.
#[derive(Clone, Copy, Debug)]
pub struct Pictures<'a> {
    /// The released images.
    pub released: &'a ImageSet,
    /// Real images that are neither members nor candidates.
    pub reference: Option<&'a ImageSet>,
    /// The images whose membership is in question.
    pub candidates: &'a ImageSet,
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
        Ok(Self { synthetic, reference, candidates, pictures: None })
    }

    /// The same with the images themselves.
    ///
    /// # Errors
    /// If a set has another number of images than of features, or another shape than the candidates.
    pub fn with_pictures(self, pictures: Pictures<'a>) -> Result<Self> {
        let features = [Some(self.synthetic), self.reference, Some(self.candidates)];
        let sets = [Some(pictures.released), pictures.reference, Some(pictures.candidates)];
        for ((what, set), features) in ["released", "reference", "candidate"].into_iter().zip(sets).zip(features) {
            let (found, expected) = (set.map_or(0, ImageSet::len), features.map_or(0, Embedding::rows));
            if found != expected {
                return Err(Error::Pictures { what, found, expected });
            }
            let (found, expected) = (set.unwrap_or(pictures.candidates).shape(), pictures.candidates.shape());
            if found != expected {
                return Err(Error::Shape { found, expected });
            }
        }
        Ok(Self { pictures: Some(pictures), ..self })
    }

    /// The images themselves, where they are known.
    pub fn pictures(&self) -> Option<&Pictures<'a>> {
        self.pictures.as_ref()
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
