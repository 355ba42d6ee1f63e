use serde::{Deserialize, Serialize};
use standin_data::{Seed, Shape};
use standin_nn::layer::{Embedding, indices};
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{Module, PixelRange, burn};
use statrs::distribution::{ContinuousCDF, Normal};

use super::prior::{Prior, PriorSizes};
use crate::Control;
use crate::diffusion::autoencoder::{AutoencoderSizes, Decoder};
use crate::diffusion::canvas::Canvas;
use crate::network::{Chunk, Network};

/// Images from grids of codes that a prior draws.
#[derive(Module, Debug)]
pub(crate) struct CodeImages {
    pub(super) prior: Prior,
    pub(super) codebook: Embedding,
    pub(super) decoder: Decoder,
}

/// The sizes of [`CodeImages`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodeImagesArchitecture {
    /// How an image lies on the autoencoder's plane.
    pub(super) canvas: Canvas,
    /// The autoencoder; its channels are the values of a code vector.
    pub(super) autoencoder: AutoencoderSizes,
    /// The prior.
    pub(super) prior: PriorSizes,
}

impl CodeImagesArchitecture {
    /// Rows and columns of codes.
    pub(super) fn grid(&self) -> [usize; 2] {
        [self.canvas.height / 2, self.canvas.width / 2]
    }
}

impl Network for CodeImages {
    type Architecture = CodeImagesArchitecture;

    const CONTROLS: &'static [Control] = &[Control::Temperature];

    const CHUNK: usize = 128;

    fn new(architecture: &CodeImagesArchitecture, seed: Seed, device: &Device) -> Self {
        let CodeImagesArchitecture { autoencoder, prior, .. } = architecture;
        Self {
            prior: Prior::new(prior, seed.derive("prior"), device),
            codebook: Embedding::new(prior.codes, autoencoder.channels, seed.derive("codebook"), device),
            decoder: Decoder::new(autoencoder, seed.derive("decoder"), device),
        }
    }

    fn check(architecture: &CodeImagesArchitecture) -> Result<(), &'static str> {
        let CodeImagesArchitecture { canvas, autoencoder, prior } = architecture;
        let AutoencoderSizes { plane, width, channels } = *autoencoder;
        let even = canvas.height.is_multiple_of(2) && canvas.width.is_multiple_of(2);
        if !canvas.fits() || !even || plane != canvas.channels() {
            return Err("canvas and autoencoder differ in size");
        }
        let PriorSizes { codes, classes, width: features, blocks } = *prior;
        if [width, channels, codes, classes, features, blocks].contains(&0) {
            return Err("autoencoder or prior has a part of size 0");
        }
        Ok(())
    }

    fn shape(architecture: &CodeImagesArchitecture) -> Shape {
        architecture.canvas.shape
    }

    fn classes(architecture: &CodeImagesArchitecture) -> usize {
        architecture.prior.classes
    }

    fn draw(&self, architecture: &CodeImagesArchitecture, chunk: &Chunk<'_>) -> (Tensor<4>, PixelRange) {
        let CodeImagesArchitecture { canvas, autoencoder, prior } = architecture;
        let (n, device) = (chunk.labels.len(), chunk.device());
        let [rows, columns] = architecture.grid();
        let normal = Normal::standard();
        let uniforms: Vec<f32> = chunk.values("codes", rows * columns);
        let uniforms: Vec<f32> = uniforms.into_iter().map(|value| normal.cdf(value.into()) as f32).collect();
        let temperature = chunk.request.temperature;
        let codes = self.prior.sample(prior, [rows, columns], chunk.labels, &uniforms, temperature, &device);
        let vectors = self.codebook.forward(indices(codes, &device));
        let vectors = vectors.reshape([n, rows, columns, autoencoder.channels]).permute([0, 3, 1, 2]);
        let planes = self.decoder.forward(vectors);
        let images = canvas.unpack(&planes.into_data().iter::<f32>().collect::<Vec<f32>>());
        let Shape { channels, height, width } = canvas.shape;
        let images = TensorData::new(images, [n, channels, height, width]);
        (Tensor::from_data(images, &device), PixelRange::Symmetric)
    }
}
