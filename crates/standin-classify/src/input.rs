//! What a network sees of an image: standardised pixels, or scattering features.

use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Progress, Shape, Silent};
use standin_encode::{encoder, scattering_planes};
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{PixelRange, pixels};

use crate::augment::Seeds;
use crate::standardise::Standardisation;
use crate::{Augmentation, Result};

/// Images that are encoded at once on the way to a network.
const CHUNK: usize = 2048;

/// Added to a group's variance before the root: a group that never varies stays at 0.
const EPSILON: f64 = 1e-5;

/// How images become the input of a network; saved with the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Input {
    /// Pixels, each channel to this mean and deviation.
    Standardisation(Standardisation),
    /// Scattering coefficients at every position, normalised within each image.
    Scattering(Scattering),
}

/// Scattering coefficients as planes, each group of planes of an image to mean 0 and variance 1 (Tramèr and Boneh 2021,
/// section 2.2): what is done to an image depends on no other image, so it costs no privacy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scattering {
    /// Groups of consecutive planes.
    pub(crate) groups: usize,
}

impl Scattering {
    /// The features of these images, row-major, one row of planes per image.
    fn encode(self, images: &ImageSet, progress: &dyn Progress) -> Result<Vec<f32>> {
        let features = encoder("scattering-full")?.encode(images, progress)?;
        let dimension = features.dimension();
        let mut values = features.values().to_vec();
        values.par_chunks_mut(dimension).for_each(|row| normalise_groups(row, self.groups));
        Ok(values)
    }
}

/// Each of `groups` equal parts to mean 0 and variance 1.
fn normalise_groups(values: &mut [f32], groups: usize) {
    let length = values.len() / groups;
    for group in values.chunks_exact_mut(length) {
        let n = length as f64;
        let mean = group.iter().map(|&value| f64::from(value)).sum::<f64>() / n;
        let variance = group.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / n;
        let scale = 1.0 / (variance + EPSILON).sqrt();
        group.iter_mut().for_each(|value| *value = ((f64::from(*value) - mean) * scale) as f32);
    }
}

impl Input {
    /// The shape of what a network sees of images of `shape`.
    ///
    /// # Errors
    /// If the images are too small for wavelets.
    pub(crate) fn shape(&self, shape: Shape) -> Result<Shape> {
        match self {
            Self::Standardisation(_) => Ok(shape),
            Self::Scattering(_) => Ok(scattering_planes(shape)?),
        }
    }

    /// The input of a network for all of these images: `n × channels × height × width`.
    ///
    /// # Errors
    /// If the images are too small for wavelets.
    pub(crate) fn tensor(&self, images: &ImageSet, indices: &[usize], device: &Device) -> Result<Tensor<4>> {
        match self {
            Self::Standardisation(standardisation) => {
                Ok(standardisation.apply(pixels(images, indices, PixelRange::Unit, device)))
            }
            Self::Scattering(scattering) => {
                let planes = scattering_planes(images.shape())?;
                let values = scattering.encode(&images.select(indices), &Silent)?;
                Ok(tensor(values, indices.len(), planes, device))
            }
        }
    }

    /// These training images, ready to be drawn in batches.
    ///
    /// # Errors
    /// If the images are too small for wavelets.
    pub(crate) fn examples<'a>(&'a self, images: &'a ImageSet, progress: &dyn Progress) -> Result<Examples<'a>> {
        match self {
            Self::Standardisation(standardisation) => Ok(Examples::Pixels { images, standardisation }),
            Self::Scattering(scattering) => {
                let planes = scattering_planes(images.shape())?;
                let mut values = vec![f16::ZERO; images.len() * planes.volume()];
                progress.begin("scattering", images.len() as u64);
                for (start, kept) in (0..images.len()).step_by(CHUNK).zip(values.chunks_mut(CHUNK * planes.volume())) {
                    let indices: Vec<usize> = (start..(start + CHUNK).min(images.len())).collect();
                    kept.convert_from_f32_slice(&scattering.encode(&images.select(&indices), &Silent)?);
                    progress.advance(indices.len() as u64);
                }
                progress.end();
                Ok(Examples::Scattering { values, planes })
            }
        }
    }
}

fn tensor(values: Vec<f32>, n: usize, shape: Shape, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values, [n, shape.channels, shape.height, shape.width]), device)
}

/// Training images as a network will see them.
pub(crate) enum Examples<'a> {
    /// Standardised when they are drawn.
    Pixels { images: &'a ImageSet, standardisation: &'a Standardisation },
    /// Encoded once. Half precision keeps normalised features to 3 digits in 2 bytes each: 480 MB for 60 000 images of
    /// 28 × 28.
    Scattering { values: Vec<f16>, planes: Shape },
}

impl Examples<'_> {
    /// The images at `indices`, `n × channels × height × width`, pixels changed at random.
    ///
    /// # Errors
    /// Never for indices of training images.
    pub(crate) fn batch(
        &self,
        indices: &[usize],
        augmentation: Augmentation,
        seeds: Seeds,
        device: &Device,
    ) -> Result<Tensor<4>> {
        match self {
            Self::Pixels { images, standardisation } => {
                let x = if augmentation.is_none() {
                    pixels(images, indices, PixelRange::Unit, device)
                } else {
                    let changed = augmentation.apply(images, indices, seeds)?;
                    pixels(&changed, &(0..changed.len()).collect::<Vec<_>>(), PixelRange::Unit, device)
                };
                Ok(standardisation.apply(x))
            }
            Self::Scattering { values, planes } => {
                let dimension = planes.volume();
                let mut batch = vec![0.0; indices.len() * dimension];
                batch.par_chunks_mut(dimension).zip(indices).for_each(|(row, &index)| {
                    values[index * dimension..][..dimension].convert_to_f32_slice(row);
                });
                Ok(tensor(batch, indices.len(), *planes, device))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use standin_data::Seed;
    use standin_nn::DeviceChoice;

    use super::*;

    fn pictures() -> ImageSet {
        let shape = Shape { channels: 1, height: 8, width: 9 };
        ImageSet::new(shape, (0..5 * shape.volume()).map(|at| (at * at % 251) as u8).collect()).unwrap()
    }

    #[test]
    fn groups_of_features_are_normalised_within_each_image() {
        let features = Scattering { groups: 3 }.encode(&pictures(), &Silent).unwrap();
        assert_eq!(features.len(), 5 * 9 * 16);
        for group in features.chunks_exact(3 * 16) {
            let mean = group.iter().sum::<f32>() / 48.0;
            let square = group.iter().map(|value| value * value).sum::<f32>() / 48.0;
            assert!(mean.abs() < 1e-5 && (0.8..1.0001).contains(&square), "{mean} {square}");
        }
        let alone = Scattering { groups: 3 }.encode(&pictures().select(&[3]), &Silent).unwrap();
        assert_eq!(alone, features[3 * 144..4 * 144]);
    }

    #[test]
    fn a_group_that_never_varies_is_zero() {
        let mut values = [7.0, 7.0, 1.0, 3.0];
        normalise_groups(&mut values, 2);
        assert_eq!(values[..2], [0.0, 0.0]);
        assert!((values[2] + 1.0).abs() < 1e-4 && (values[3] - 1.0).abs() < 1e-4);
    }

    /// Half precision has 11 significant bits.
    #[test]
    fn training_sees_what_use_sees() {
        let images = pictures();
        let device = DeviceChoice::Cpu.inference();
        for input in
            [Input::Standardisation(Standardisation::per_channel(&images)), Input::Scattering(Scattering { groups: 9 })]
        {
            let examples = input.examples(&images, &Silent).unwrap();
            let values = |x: Tensor<4>| x.into_data().iter::<f32>().collect::<Vec<_>>();
            let trained =
                values(examples.batch(&[4, 1], Augmentation::default(), Seeds::One(Seed::new(1)), &device).unwrap());
            let used = values(input.tensor(&images, &[4, 1], &device).unwrap());
            assert_eq!(used.len(), 2 * input.shape(images.shape()).unwrap().volume());
            for (trained, used) in trained.iter().zip(&used) {
                assert!((trained - used).abs() <= used.abs() / 2048.0 + 1e-6, "{trained} for {used}");
            }
        }
    }
}
