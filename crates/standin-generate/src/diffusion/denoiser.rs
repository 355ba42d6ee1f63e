use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Progress, Seed, Shape};
use standin_nn::layer::indices;
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{DeviceChoice, Module, PixelRange, burn};

use super::canvas::Canvas;
use super::groups::Groups;
use super::precondition::{Preconditioning, noise_features};
use super::solver::{self, SIGMA_MAX};
use super::translation;
use super::unet::{Shown, UNet, UNetSizes};
use crate::network::{Chunk, Network, Sources};
use crate::opened::same_shape;
use crate::{Control, Denoise, Result, SampleRequest, Solver, TranslationRequest};

/// What a request for samples of a diffusion model may ask for.
pub(crate) const CONTROLS: &[Control] = &[Control::Guidance, Control::Solver, Control::Steps];

/// The same of one that is told groups.
const CONTROLS_OF_GROUPS: &[Control] =
    &[Control::Guidance, Control::Group, Control::GroupGuidance, Control::Solver, Control::Steps];

/// Images drawn together.
pub(crate) const CHUNK: usize = 64;

/// A network that draws by taking noise off planes.
pub(crate) trait Diffusion: Network {
    /// The part that learns to.
    fn unet(&self) -> &UNet;
}

/// A diffusion model of images.
#[derive(Module, Debug)]
pub(crate) struct ImageDiffusion {
    pub(crate) unet: UNet,
}

/// The sizes of an [`ImageDiffusion`] and how it samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageArchitecture {
    /// How an image lies on the network's plane.
    pub(crate) canvas: Canvas,
    /// The network.
    pub(crate) unet: UNetSizes,
    /// σ_data of training.
    pub(crate) data_deviation: f64,
    /// Noise levels of a sampling that asks for no number.
    pub(crate) steps: usize,
    /// The groups it is told beside the class, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) groups: Option<Groups>,
}

impl ImageArchitecture {
    /// The same for a network that is told groups.
    #[must_use]
    pub(crate) fn with_groups(mut self, groups: Groups) -> Self {
        self.unet.groups = groups.names.len();
        self.groups = Some(groups);
        self
    }

    /// What it draws with, for these classes and groups.
    pub(super) fn denoiser<'a>(
        &'a self,
        unet: &'a UNet,
        labels: &'a [u32],
        groups: Option<Told<'a>>,
    ) -> PlaneDenoiser<'a> {
        PlaneDenoiser {
            unet,
            sizes: &self.unet,
            scaling: Preconditioning { data_deviation: self.data_deviation },
            range: Some((-1.0, 1.0)),
            labels,
            guidance: 1.0,
            groups,
            device: DeviceChoice::chosen().inference(),
        }
    }
}

/// The groups that a network is told, and the weight of it.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    /// One for each plane; the number of groups for none.
    pub(crate) values: &'a [u32],
    pub(crate) guidance: f64,
}

/// The network as a denoiser of a chunk's planes, with guidance.
pub(crate) struct PlaneDenoiser<'a> {
    pub(crate) unet: &'a UNet,
    pub(crate) sizes: &'a UNetSizes,
    pub(crate) scaling: Preconditioning,
    /// The values that a plane can have, where that is known: the expected plane lies within, too.
    pub(crate) range: Option<(f32, f32)>,
    pub(crate) labels: &'a [u32],
    pub(crate) guidance: f64,
    /// For a network that is told groups.
    pub(crate) groups: Option<Told<'a>>,
    pub(crate) device: Device,
}

impl PlaneDenoiser<'_> {
    /// F for the chunk's classes and groups, or for none of either.
    fn raw(&self, input: &[f32], sigma: f64, class: bool, group: bool) -> Vec<f32> {
        let UNetSizes { channels, height, width, base_width, .. } = *self.sizes;
        let n = self.labels.len();
        let plane = TensorData::new(input.to_vec(), [n, channels, height, width]);
        let features = TensorData::new(noise_features(sigma, base_width).repeat(n), [n, base_width]);
        let numbers = |values: Option<&[u32]>, none: usize| match values {
            Some(values) => indices(values.iter().copied(), &self.device),
            None => indices(std::iter::repeat_n(none as u32, n), &self.device),
        };
        let classes = numbers(class.then_some(self.labels), self.sizes.classes);
        let told = self.groups.filter(|_| group).map(|told| told.values);
        let groups = (self.sizes.groups > 0).then(|| numbers(told, self.sizes.groups));
        let plane = Tensor::from_data(plane, &self.device);
        let features = Tensor::from_data(features, &self.device);
        let output = self.unet.forward(plane, features, Shown { classes, groups }, None);
        output.into_data().iter::<f32>().collect()
    }

    /// F with the guidance of the chunk. Without groups F∅ + w (F_class − F∅) (Ho & Salimans 2022, equation 6); with them
    /// F∅ + w (F_class − F∅) + v (F_class,group − F_class), each weight for what its condition adds (as Brooks, Holynski & Efros 2023,
    /// equation 3, have it for an image and a text).
    fn guided(&self, input: &[f32], sigma: f64) -> Vec<f32> {
        let weight = self.guidance as f32;
        let Some(Told { guidance, .. }) = self.groups else {
            let mut output = match weight {
                0.0 => Vec::new(),
                _ => self.raw(input, sigma, true, false),
            };
            if weight != 1.0 {
                let none = self.raw(input, sigma, false, false);
                match weight {
                    0.0 => output = none,
                    _ => output.iter_mut().zip(none).for_each(|(y, none)| *y = none + weight * (*y - none)),
                }
            }
            return output;
        };
        let of_group = guidance as f32;
        let mut output = vec![0.0; input.len()];
        for (share, class, group) in
            [(1.0 - weight, false, false), (weight - of_group, true, false), (of_group, true, true)]
        {
            if share != 0.0 {
                let part = self.raw(input, sigma, class, group);
                output.iter_mut().zip(part).for_each(|(y, part)| *y += share * part);
            }
        }
        output
    }

    /// D(x; σ), with guidance: the scalings around F are linear, so weights on F are weights on D.
    pub(crate) fn denoise(&self, x: &[f32], sigma: f64) -> Vec<f32> {
        let inwards = self.scaling.input(sigma) as f32;
        let input: Vec<f32> = x.iter().map(|x| inwards * x).collect();
        let mut output = self.guided(&input, sigma);
        let (skip, out) = (self.scaling.skip(sigma) as f32, self.scaling.out(sigma) as f32);
        output.iter_mut().zip(x).for_each(|(y, x)| *y = skip * x + out * *y);
        if let Some((least, most)) = self.range {
            output.iter_mut().for_each(|y| *y = y.clamp(least, most));
        }
        output
    }

    /// The noise that the network sees, (x − D(x; σ)) / σ, without guidance and from F itself: the quotient would lose digits at
    /// small σ.
    fn noise(&self, x: &[f32], sigma: f64) -> Vec<f32> {
        let inwards = self.scaling.input(sigma) as f32;
        let input: Vec<f32> = x.iter().map(|x| inwards * x).collect();
        let mut output = self.raw(&input, sigma, true, false);
        // 1 − c_skip is σ² c_in², and c_out is σ σ_data c_in.
        let (of_x, of_output) = ((sigma * self.scaling.input(sigma).powi(2)) as f32, self.scaling.out(sigma) / sigma);
        output.iter_mut().zip(x).for_each(|(y, x)| *y = of_x * x - of_output as f32 * *y);
        output
    }

    /// The planes of a chunk, one after the other, from pure noise.
    pub(crate) fn sample(&self, chunk: &Chunk<'_>, steps: usize) -> Vec<f32> {
        let SampleRequest { solver, steps: asked, .. } = *chunk.request;
        let volume = self.sizes.channels * self.sizes.height * self.sizes.width;
        let mut x = chunk.values("start", volume);
        x.iter_mut().for_each(|x| *x *= SIGMA_MAX as f32);
        let steps = asked.unwrap_or(steps);
        let mut denoise = |x: &[f32], sigma: f64| self.denoise(x, sigma);
        match solver.unwrap_or(Solver::Heun) {
            Solver::Heun => solver::heun(&mut x, steps, &mut denoise),
            Solver::Ddim => solver::ddim(&mut x, steps, &mut denoise),
            Solver::Stochastic => {
                let mut noise = |step: usize| chunk.values(&format!("noise of level {step}"), volume);
                solver::stochastic(&mut x, steps, &mut denoise, &mut noise);
            }
        }
        x
    }
}

impl Diffusion for ImageDiffusion {
    fn unet(&self) -> &UNet {
        &self.unet
    }
}

impl Network for ImageDiffusion {
    type Architecture = ImageArchitecture;
    const CONTROLS: &'static [Control] = CONTROLS;
    const CHUNK: usize = CHUNK;

    fn new(architecture: &ImageArchitecture, seed: Seed, device: &Device) -> Self {
        Self { unet: UNet::new(&architecture.unet, seed, device) }
    }

    fn denoiser<'a>(&'a self, architecture: &'a ImageArchitecture) -> Option<Box<dyn Denoise + 'a>> {
        Some(Box::new(OpenedDiffusion { unet: &self.unet, architecture }))
    }

    fn check(architecture: &ImageArchitecture) -> Result<(), &'static str> {
        let ImageArchitecture { canvas, unet, data_deviation, steps, groups } = architecture;
        unet.check()?;
        if groups.as_ref().map_or(0, |groups| groups.names.len()) != unet.groups {
            return Err("the named groups are not as many as the U-Net's");
        }
        let UNetSizes { channels, height, width, .. } = *unet;
        if !canvas.fits() || [channels, height, width] != [canvas.channels(), canvas.height, canvas.width] {
            return Err("the canvas of the images and the U-Net's plane differ in size");
        }
        if !(data_deviation.is_finite() && *data_deviation > 0.0) || *steps == 0 {
            return Err("the data's deviation or the number of steps is not above 0");
        }
        Ok(())
    }

    fn shape(architecture: &ImageArchitecture) -> Shape {
        architecture.canvas.shape
    }

    fn classes(architecture: &ImageArchitecture) -> usize {
        architecture.unet.classes
    }

    fn controls(architecture: &ImageArchitecture) -> &'static [Control] {
        if architecture.groups.is_some() { CONTROLS_OF_GROUPS } else { CONTROLS }
    }

    fn groups(architecture: &ImageArchitecture) -> Option<&Groups> {
        architecture.groups.as_ref()
    }

    fn translate(
        &self,
        architecture: &ImageArchitecture,
        sources: &Sources<'_>,
        request: &TranslationRequest,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Option<Result<ImageSet>> {
        let groups = architecture.groups.as_ref()?;
        Some(translation::translate(&self.unet, architecture, groups, sources, request, seed, progress))
    }

    fn draw(&self, architecture: &ImageArchitecture, chunk: &Chunk<'_>) -> (Tensor<4>, PixelRange) {
        let ImageArchitecture { canvas, steps, .. } = architecture;
        let SampleRequest { group, guidance, group_guidance, .. } = chunk.request;
        // Whoever asks for a group has had it looked up before.
        let known = architecture.groups.as_ref().zip(group.as_deref());
        let numbers = known.and_then(|(groups, name)| Some(vec![groups.number(name).ok()?; chunk.labels.len()]));
        let told = numbers.as_deref().map(|values| Told { values, guidance: group_guidance.unwrap_or(1.0) });
        let denoiser = PlaneDenoiser {
            guidance: guidance.unwrap_or(1.0),
            device: chunk.device(),
            ..architecture.denoiser(&self.unet, chunk.labels, told)
        };
        let images = canvas.unpack(&denoiser.sample(chunk, *steps));
        let Shape { channels, height, width } = canvas.shape;
        let data = TensorData::new(images, [chunk.labels.len(), channels, height, width]);
        (Tensor::from_data(data, &chunk.device()), PixelRange::Symmetric)
    }
}

/// The network of a diffusion model, for whoever holds it.
struct OpenedDiffusion<'a> {
    unet: &'a UNet,
    architecture: &'a ImageArchitecture,
}

impl Denoise for OpenedDiffusion<'_> {
    fn volume(&self) -> usize {
        self.architecture.canvas.volume()
    }

    fn planes(&self, images: &ImageSet) -> Result<Vec<f32>> {
        let ImageArchitecture { canvas, .. } = self.architecture;
        same_shape(images, canvas.shape)?;
        Ok((0..images.len()).flat_map(|image| canvas.symmetric(images.image(image))).collect())
    }

    fn noise(&self, planes: &[f32], sigma: f64, classes: &[u32]) -> Vec<f32> {
        let ImageArchitecture { unet: sizes, data_deviation, .. } = self.architecture;
        let of_block = |(planes, labels): (&[f32], &[u32])| {
            let denoiser = PlaneDenoiser {
                unet: self.unet,
                sizes,
                scaling: Preconditioning { data_deviation: *data_deviation },
                range: None,
                labels,
                guidance: 1.0,
                groups: None,
                device: DeviceChoice::chosen().inference(),
            };
            denoiser.noise(planes, sigma)
        };
        let blocks = planes.par_chunks(CHUNK * self.volume()).zip(classes.par_chunks(CHUNK));
        blocks.map(of_block).collect::<Vec<_>>().concat()
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::StandardNormal;

    use super::*;

    #[test]
    fn noise_is_what_is_left_when_the_expected_image_is_taken_away() {
        let device = DeviceChoice::chosen().inference();
        let sizes = UNetSizes::small_for_tests();
        let initial = UNet::new(&sizes, Seed::new(1), &device);
        // An untrained network gives 0: other weights show that its output counts.
        let mut rng = Seed::new(2).rng();
        let weights: Vec<f32> = (0..initial.num_params()).map(|_| 0.2 * rng.sample::<f32, _>(StandardNormal)).collect();
        let unet = standin_nn::with_values(initial, &weights);
        let volume = sizes.channels * sizes.height * sizes.width;
        let denoiser = PlaneDenoiser {
            unet: &unet,
            sizes: &sizes,
            scaling: Preconditioning { data_deviation: 0.7 },
            range: None,
            labels: &[0, 1],
            guidance: 1.0,
            groups: None,
            device,
        };
        let x: Vec<f32> = (0..2 * volume).map(|_| rng.sample::<f32, _>(StandardNormal)).collect();
        for sigma in [0.05, 0.7, 6.0] {
            let (clean, noise) = (denoiser.denoise(&x, sigma), denoiser.noise(&x, sigma));
            for ((x, clean), noise) in x.iter().zip(clean).zip(noise) {
                let left = (x - clean) / sigma as f32;
                assert!((left - noise).abs() < 1e-3 * (1.0 + left.abs()), "{noise} for {left} at {sigma}");
            }
        }
    }

    #[test]
    fn each_guidance_weighs_what_its_condition_adds() {
        let device = DeviceChoice::chosen().inference();
        let sizes = UNetSizes { groups: 3, ..UNetSizes::small_for_tests() };
        let mut rng = Seed::new(5).rng();
        let initial = UNet::new(&sizes, Seed::new(1), &device);
        let weights: Vec<f32> = (0..initial.num_params()).map(|_| 0.2 * rng.sample::<f32, _>(StandardNormal)).collect();
        let unet = standin_nn::with_values(initial, &weights);
        let x: Vec<f32> = (0..2 * sizes.channels * sizes.height * sizes.width)
            .map(|_| rng.sample::<f32, _>(StandardNormal))
            .collect();
        let of = |guidance: f64, of_group: Option<f64>| PlaneDenoiser {
            unet: &unet,
            sizes: &sizes,
            scaling: Preconditioning { data_deviation: 0.7 },
            range: None,
            labels: &[0, 1],
            guidance,
            groups: of_group.map(|guidance| Told { values: &[2, 0], guidance }),
            device: device.clone(),
        };
        let raw = |class, group| of(1.0, Some(1.0)).raw(&x, 0.8, class, group);
        let (none, class, both) = (raw(false, false), raw(true, false), raw(true, true));
        assert!(none != class && class != both, "the conditions change nothing");
        for (w, v) in [(1.0, 1.0), (1.0, 2.5), (2.0, 0.0), (1.5, 3.0), (0.0, 0.0)] {
            for (at, found) in of(w, Some(v)).guided(&x, 0.8).into_iter().enumerate() {
                let expected =
                    f64::from(none[at]) + w * f64::from(class[at] - none[at]) + v * f64::from(both[at] - class[at]);
                assert!((f64::from(found) - expected).abs() < 1e-4, "{found} for {expected} at {w}, {v}");
            }
        }
        // Who asks for no group has the images of all together.
        assert_eq!(of(1.0, None).guided(&x, 0.8), class);
    }
}
