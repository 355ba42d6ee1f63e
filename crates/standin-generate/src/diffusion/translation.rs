//! Images of another group made from given ones: towards noise, and back under another condition.

use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use standin_data::{ImageSet, Progress, Seed, Shape};
use standin_nn::tensor::{Tensor, TensorData};
use standin_nn::{DeviceChoice, PixelRange, quantise};

use super::denoiser::{CHUNK, ImageArchitecture, PlaneDenoiser, Told};
use super::groups::Groups;
use super::solver::{heun_along, level_at, levels_from};
use super::unet::UNet;
use crate::network::Sources;
use crate::{Passage, Result, TranslationRequest};

/// Images of the group that is asked for, `copies` of each source one after the other, solved by Heun's method.
///
/// Cost of an image: up to three passes of the network (one without guidance) for each of 2 · strength · steps evaluations, and twice
/// that with [`Passage::Inversion`].
pub(super) fn translate(
    unet: &UNet,
    architecture: &ImageArchitecture,
    groups: &Groups,
    sources: &Sources<'_>,
    request: &TranslationRequest,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<ImageSet> {
    let to = groups.number(&request.to)?;
    let from = groups.numbers(sources.images);
    let Shape { channels, height, width } = architecture.canvas.shape;
    let rows: Vec<usize> = (0..sources.images.len() * request.copies).collect();
    let of_chunk = |rows: &[usize]| -> Result<ImageSet> {
        let images: Vec<usize> = rows.iter().map(|row| row / request.copies).collect();
        let of_images = |values: &[u32]| images.iter().map(|&image| values[image]).collect::<Vec<u32>>();
        let (labels, from) = (of_images(sources.labels), of_images(&from));
        let to = vec![to; rows.len()];
        let mut x: Vec<f32> =
            images.iter().flat_map(|&image| architecture.canvas.symmetric(sources.images.image(image))).collect();
        let denoiser = |values, guidance, group_guidance| PlaneDenoiser {
            guidance,
            ..architecture.denoiser(unet, &labels, Some(Told { values, guidance: group_guidance }))
        };
        let highest = level_at(request.strength);
        let steps = request.steps.unwrap_or(architecture.steps) as f64 * request.strength;
        let down = levels_from(highest, (steps.round() as usize).max(1));
        match request.passage {
            Passage::Noise => add_noise(&mut x, architecture.canvas.volume(), rows, highest, seed),
            Passage::Inversion => {
                let up: Vec<f64> = down[..down.len() - 1].iter().rev().copied().collect();
                let own = denoiser(&from, 1.0, 1.0);
                heun_along(&mut x, &up, &mut |x, sigma| own.denoise(x, sigma));
            }
        }
        let other = denoiser(&to, request.guidance, request.group_guidance);
        heun_along(&mut x, &down, &mut |x, sigma| other.denoise(x, sigma));
        progress.advance(rows.len() as u64);
        let pixels = TensorData::new(architecture.canvas.unpack(&x), [rows.len(), channels, height, width]);
        let pixels = Tensor::from_data(pixels, &DeviceChoice::chosen().inference());
        Ok(quantise(pixels, PixelRange::Symmetric)?)
    };
    let chunks: Vec<ImageSet> = rows.par_chunks(CHUNK).map(of_chunk).collect::<Result<_>>()?;
    let pixels = chunks.iter().flat_map(|chunk| chunk.pixels()).copied().collect();
    Ok(ImageSet::new(architecture.canvas.shape, pixels)?)
}

/// Adds noise of a standard deviation, which depends on the seed and an image's row alone.
fn add_noise(x: &mut [f32], volume: usize, rows: &[usize], deviation: f64, seed: Seed) {
    let seed = seed.derive("noise on sources");
    for (plane, &row) in x.chunks_exact_mut(volume).zip(rows) {
        let mut rng = seed.rng();
        rng.set_stream(row as u64);
        plane.iter_mut().for_each(|x| *x += deviation as f32 * rng.sample::<f32, _>(StandardNormal));
    }
}
