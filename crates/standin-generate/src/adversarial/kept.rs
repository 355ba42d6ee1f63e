use std::path::{Path, PathBuf};

use standin_data::{ImageSet, Seed, Shape};
use standin_nn::{DeviceChoice, PixelRange, load_weights, pixels, read_architecture, save_weights};

use super::convolutional::{Architecture, Discriminator};
use crate::opened::same_shape;
use crate::{Discriminate, Error, Result};

const WEIGHTS: &str = "discriminator.safetensors";

/// Images scored at a time.
const SCORED: usize = 256;

/// The discriminator of a finished contest, kept beside the generator.
#[derive(Debug)]
pub(crate) struct KeptDiscriminator {
    network: Discriminator,
    architecture: Architecture,
}

impl KeptDiscriminator {
    /// `network` lives on the inference device.
    pub(super) fn new(network: Discriminator, architecture: Architecture) -> Self {
        Self { network, architecture }
    }

    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        Ok(save_weights(&folder.join(WEIGHTS), &self.network, &self.architecture)?)
    }

    /// That of a folder, of images of a shape and so many classes; none if none was kept there.
    ///
    /// # Errors
    /// If it is damaged, or does not belong to such a generator.
    pub(crate) fn load(folder: &Path, shape: Shape, classes: usize) -> Result<Option<Self>> {
        let path: PathBuf = folder.join(WEIGHTS);
        if !path.exists() {
            return Ok(None);
        }
        let architecture: Architecture = read_architecture(&path)?;
        let belongs = architecture.shape == shape && architecture.classes == classes;
        architecture.check().and(if belongs { Ok(()) } else { Err("it is of other images or classes") }).map_err(
            |found| {
                let remedy = "it must be as this program saved it beside the generator; remove or restore the file";
                Error::invalid(&path, found, remedy)
            },
        )?;
        // The initial weights are replaced, so their seed does not matter.
        let empty = Discriminator::initial(&architecture, Seed::new(0), &DeviceChoice::chosen().inference());
        Ok(Some(Self { network: load_weights(&path, empty)?, architecture }))
    }
}

impl Discriminate for &KeptDiscriminator {
    fn scores(&self, images: &ImageSet, classes: &[u32]) -> Result<Vec<f64>> {
        same_shape(images, self.architecture.shape)?;
        let device = DeviceChoice::chosen().inference();
        let mut scores = Vec::with_capacity(classes.len());
        for (block, classes) in classes.chunks(SCORED).enumerate() {
            let rows: Vec<usize> = (block * SCORED..block * SCORED + classes.len()).collect();
            let images = pixels(images, &rows, PixelRange::Symmetric, &device);
            scores.extend(self.network.score(images, classes).into_data().iter::<f32>().map(f64::from));
        }
        Ok(scores)
    }
}
