use std::path::{Path, PathBuf};

use standin_data::{ImageSet, Seed, Shape};
use standin_nn::{DeviceChoice, PixelRange, load_weights, pixels, read_architecture, save_weights};

use super::convolutional::{Architecture, Discriminator};
use super::mixture::MixtureArchitecture;
use crate::opened::same_shape;
use crate::{Discriminate, Error, Result};

const WEIGHTS: &str = "discriminator.safetensors";

/// Images scored at a time.
const SCORED: usize = 256;

/// The discriminator of a finished contest, kept beside the generator; of several contests on parts of the images, all of
/// them.
#[derive(Debug)]
pub(crate) struct KeptDiscriminator {
    networks: Vec<Discriminator>,
    architecture: Architecture,
}

impl KeptDiscriminator {
    /// `network` lives on the inference device.
    pub(super) fn new(network: Discriminator, architecture: Architecture) -> Self {
        Self { networks: vec![network], architecture }
    }

    /// Those of the pairs of a mixture, on the inference device.
    pub(super) fn several(networks: Vec<Discriminator>, architecture: Architecture) -> Self {
        Self { networks, architecture }
    }

    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        let path = folder.join(WEIGHTS);
        let each = &self.architecture;
        match self.networks.as_slice() {
            [network] => save_weights(&path, network, each)?,
            networks => {
                let architecture = MixtureArchitecture { generators: networks.len(), each: each.clone() };
                save_weights(&path, &networks.to_vec(), &architecture)?;
            }
        }
        Ok(())
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
        let several = read_architecture::<toml::Table>(&path)?.contains_key(MixtureArchitecture::ENTRY);
        let (pairs, architecture) = if several {
            let mixture: MixtureArchitecture = read_architecture(&path)?;
            (Some(mixture.generators), mixture.each)
        } else {
            (None, read_architecture(&path)?)
        };
        let belongs = architecture.shape == shape && architecture.classes == classes;
        let belongs = if belongs { Ok(()) } else { Err("it is of other images or classes") };
        let counted = pairs.map_or(Ok(()), MixtureArchitecture::check_generators);
        architecture.check().and(counted).and(belongs).map_err(|found| {
            let remedy = "it must be as this program saved it beside the generator; remove or restore the file";
            Error::invalid(&path, found, remedy)
        })?;
        // The initial weights are replaced, so their seed does not matter.
        let empty = Discriminator::initial(&architecture, Seed::new(0), &DeviceChoice::chosen().inference());
        let networks = match pairs {
            None => vec![load_weights(&path, empty)?],
            Some(pairs) => load_weights(&path, vec![empty; pairs])?,
        };
        Ok(Some(Self { networks, architecture }))
    }
}

/// Of several the highest score, as each knows a part of the training images (Mukherjee et al. 2021, the white-box attack on
/// PrivGAN).
impl Discriminate for &KeptDiscriminator {
    fn scores(&self, images: &ImageSet, classes: &[u32]) -> Result<Vec<f64>> {
        same_shape(images, self.architecture.shape)?;
        let device = DeviceChoice::chosen().inference();
        let mut scores = Vec::with_capacity(classes.len());
        for (block, classes) in classes.chunks(SCORED).enumerate() {
            let rows: Vec<usize> = (block * SCORED..block * SCORED + classes.len()).collect();
            let images = pixels(images, &rows, PixelRange::Symmetric, &device);
            let mut highest = vec![f64::NEG_INFINITY; rows.len()];
            for network in &self.networks {
                let found = network.score(images.clone(), classes).into_data();
                highest
                    .iter_mut()
                    .zip(found.iter::<f32>())
                    .for_each(|(best, score)| *best = best.max(f64::from(score)));
            }
            scores.extend(highest);
        }
        Ok(scores)
    }
}
