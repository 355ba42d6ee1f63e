//! The images that options name.

use std::path::Path;

use standin_data::{ImageSet, ImportOptions, Parts, Source};
use standin_encode::{Embedding, encoder, holds_features};

use super::Context;
use crate::failure::Failure;

/// Reads them.
#[derive(Debug)]
pub struct Reader<'a> {
    options: ImportOptions,
    context: &'a Context<'a>,
}

/// The images to train on and to ask about.
#[derive(Debug)]
pub struct Sides {
    /// To train on.
    pub train: ImageSet,
    /// To ask about.
    pub test: Option<ImageSet>,
}

/// A set as an encoder sees it.
#[derive(Debug)]
pub struct Seen {
    /// One row for each image.
    pub features: Embedding,
    /// The images; none where features were given.
    pub images: Option<ImageSet>,
}

impl<'a> Reader<'a> {
    /// With these options for files.
    pub fn new(options: ImportOptions, context: &'a Context<'a>) -> Self {
        Self { options, context }
    }

    /// One set.
    pub fn read(&self, text: &str) -> Result<ImageSet, Failure> {
        let progress = self.context.terminal.progress("");
        Ok(Source::parse(text)?.images(&self.options, self.context.cache, &progress)?)
    }

    /// The parts of one set.
    pub fn parts(&self, text: &str) -> Result<Parts, Failure> {
        let progress = self.context.terminal.progress("");
        Ok(Source::parse(text)?.parts(&self.options, None, self.context.cache, &progress)?)
    }

    /// The features of one set: read from a file of features, or its images encoded.
    pub fn embed(&self, text: &str, name: &str) -> Result<Embedding, Failure> {
        Ok(self.seen(text, name)?.features)
    }

    /// The features of one set, and its images where it is one of images.
    pub fn seen(&self, text: &str, name: &str) -> Result<Seen, Failure> {
        let path = Path::new(text);
        if holds_features(path)? {
            return Ok(Seen { features: Embedding::load(path)?, images: None });
        }
        let images = self.read(text)?;
        let features = encoder(name)?.encode(&images, &self.context.terminal.progress(""))?;
        Ok(Seen { features, images: Some(images) })
    }

    /// Training images and the test images of the same set: of a set with parts of which none is named, the parts `train`
    /// and `test`.
    pub fn read_with_test(&self, text: &str) -> Result<Sides, Failure> {
        let parts = self.parts(text)?;
        match parts.find("train") {
            Some(train) => Ok(Sides { train: train.clone(), test: parts.find("test").cloned() }),
            None => Ok(Sides { train: parts.only()?.clone(), test: None }),
        }
    }
}
