use serde::{Deserialize, Serialize};
use standin_data::{Seed, Shape};
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{Module, PixelRange, burn};

use super::autoencoder::{AutoencoderOptions, AutoencoderSizes, CodeScale, Decoder};
use super::canvas::Canvas;
use super::denoiser::{CHUNK, CONTROLS, Diffusion, PlaneDenoiser};
use super::options::{LossOptions, NetworkOptions};
use super::precondition::Preconditioning;
use super::unet::{UNet, UNetSizes};
use crate::Control;
use crate::network::{Chunk, Network};

/// A diffusion model of codes, with the network from codes to images.
#[derive(Module, Debug)]
pub(crate) struct CodeDiffusion {
    pub(crate) unet: UNet,
    pub(crate) decoder: Decoder,
}

/// The sizes of a [`CodeDiffusion`] and how it samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodeArchitecture {
    /// How an image lies on the autoencoder's plane.
    pub(crate) canvas: Canvas,
    /// The autoencoder.
    pub(crate) autoencoder: AutoencoderSizes,
    /// The network on the plane of codes.
    pub(crate) unet: UNetSizes,
    /// Where the autoencoder's codes lie.
    pub(crate) scale: CodeScale,
    /// σ_data of training: the standard deviation that codes are scaled to.
    pub(crate) data_deviation: f64,
    /// Noise levels of a sampling that asks for no number.
    pub(crate) steps: usize,
}

impl CodeArchitecture {
    /// For images of a shape; the scale of codes is that of no image yet.
    pub(crate) fn new(
        network: &NetworkOptions,
        autoencoder: &AutoencoderOptions,
        loss: &LossOptions,
        steps: usize,
        shape: Shape,
        classes: usize,
    ) -> Self {
        let canvas = Canvas::new(shape, network.patch, 2 << (network.multipliers.len() - 1));
        let channels = autoencoder.channels;
        Self {
            canvas,
            autoencoder: autoencoder.sizes(canvas),
            unet: network.sizes([channels, canvas.height / 2, canvas.width / 2], classes),
            scale: CodeScale { mean: vec![0.0; channels], deviation: vec![1.0; channels] },
            data_deviation: loss.data_deviation,
            steps,
        }
    }

    /// Positions of a code.
    pub(crate) fn area(&self) -> usize {
        self.unet.height * self.unet.width
    }
}

impl Diffusion for CodeDiffusion {
    fn unet(&self) -> &UNet {
        &self.unet
    }
}

impl Network for CodeDiffusion {
    type Architecture = CodeArchitecture;
    const CONTROLS: &'static [Control] = CONTROLS;
    const CHUNK: usize = CHUNK;

    fn new(architecture: &CodeArchitecture, seed: Seed, device: &Device) -> Self {
        Self {
            unet: UNet::new(&architecture.unet, seed.derive("unet"), device),
            decoder: Decoder::new(&architecture.autoencoder, seed.derive("decoder"), device),
        }
    }

    fn check(architecture: &CodeArchitecture) -> Result<(), &'static str> {
        let CodeArchitecture { canvas, autoencoder, unet, scale, data_deviation, steps } = architecture;
        unet.check()?;
        let AutoencoderSizes { plane, width, channels } = *autoencoder;
        let planes = [plane, canvas.height, canvas.width];
        if !canvas.fits() || planes != [canvas.channels(), 2 * unet.height, 2 * unet.width] || unet.channels != channels
        {
            return Err("canvas, autoencoder and U-Net differ in size");
        }
        if width == 0 || !scale.fits(channels) {
            return Err("the autoencoder has no channels, or the scale of codes is of other channels");
        }
        if !(data_deviation.is_finite() && *data_deviation > 0.0) || *steps == 0 {
            return Err("the data's deviation or the number of steps is not above 0");
        }
        Ok(())
    }

    fn shape(architecture: &CodeArchitecture) -> Shape {
        architecture.canvas.shape
    }

    fn classes(architecture: &CodeArchitecture) -> usize {
        architecture.unet.classes
    }

    fn draw(&self, architecture: &CodeArchitecture, chunk: &Chunk<'_>) -> (Tensor<4>, PixelRange) {
        let CodeArchitecture { canvas, unet, scale, data_deviation, steps, .. } = architecture;
        let denoiser = PlaneDenoiser {
            unet: &self.unet,
            sizes: unet,
            scaling: Preconditioning { data_deviation: *data_deviation },
            range: None,
            labels: chunk.labels,
            guidance: chunk.request.guidance.unwrap_or(1.0),
            groups: None,
            device: chunk.device(),
        };
        let mut codes = denoiser.sample(chunk, *steps);
        scale.restore(&mut codes, architecture.area(), *data_deviation);
        let n = chunk.labels.len();
        let codes = TensorData::new(codes, [n, unet.channels, unet.height, unet.width]);
        let planes = self.decoder.forward(Tensor::from_data(codes, &chunk.device()));
        let images = canvas.unpack(&planes.into_data().iter::<f32>().collect::<Vec<f32>>());
        let Shape { channels, height, width } = canvas.shape;
        (
            Tensor::from_data(TensorData::new(images, [n, channels, height, width]), &chunk.device()),
            PixelRange::Symmetric,
        )
    }
}
