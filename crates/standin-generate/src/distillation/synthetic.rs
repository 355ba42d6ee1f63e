use standin_data::{ImageSet, Labels, Seed, Shape};
use standin_nn::burn::module::Param;
use standin_nn::initial::normal;
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{DeviceChoice, Module, Optimization, Optimizer, PixelRange, Schedule, burn, pixels, quantise};

use super::embedding::RandomNetwork;
use crate::Result;

/// Images that are themselves the parameters: as many of each class, in order of the classes, values in [−1, 1] and as far
/// outside as training takes them.
#[derive(Module, Debug)]
pub(crate) struct Synthetic {
    pixels: Param<Tensor<4>>,
}

/// Standard deviation of the values of images that start as noise.
const NOISE: f64 = 0.3;

impl Synthetic {
    /// Grey noise.
    pub(crate) fn noise(shape: Shape, count: usize, seed: Seed, device: &Device) -> Self {
        let size = [count, shape.channels, shape.height, shape.width];
        Self { pixels: Param::from_tensor(normal(size, NOISE, seed, device)) }
    }

    /// The images of a set at `indices`.
    pub(crate) fn real(images: &ImageSet, indices: &[usize], device: &Device) -> Self {
        Self { pixels: Param::from_tensor(pixels(images, indices, PixelRange::Symmetric, device)) }
    }

    /// Σ over classes of ‖target − mean embedding of the class's images‖², one value.
    ///
    /// `targets` are `classes × width`.
    pub(crate) fn mismatch(&self, network: &RandomNetwork, targets: &[f32], classes: usize) -> Tensor<1> {
        let embedded = network.embed(self.pixels.val());
        let [count, width] = embedded.dims();
        let means = embedded.reshape([classes, count / classes, width]).mean_dim(1).reshape([classes, width]);
        let targets = TensorData::new(targets.to_vec(), [classes, width]);
        (means - Tensor::from_data(targets, &self.pixels.val().device())).square().sum()
    }

    /// As labelled images.
    ///
    /// # Errors
    /// If the classes do not divide the images.
    pub(crate) fn images(&self, classes: &[String]) -> Result<ImageSet> {
        let count = self.pixels.dims()[0];
        let each = count / classes.len();
        let values = (0..count).map(|image| (image / each) as u32).collect();
        let set = quantise(self.pixels.val(), PixelRange::Symmetric)?;
        Ok(set.with_labels(Labels { values, classes: classes.to_vec() })?)
    }
}

/// Adam for pixels, whose scale is that of the values themselves: an image crosses its range in tens of steps.
pub(crate) fn optimization(learning_rate: f64) -> Optimization {
    let optimizer = Optimizer::Adam { beta_1: 0.5, beta_2: 0.99, epsilon: 1e-8, weight_decay: 0.0, noise_floor: None };
    let schedule = Schedule::Cosine { warm_up: 0.0, floor: 0.1 };
    Optimization { optimizer, learning_rate, schedule, ..Optimization::default() }
}

/// A network to match embeddings of, whose weights stay as they were drawn.
pub(crate) fn frozen(shape: Shape, width: usize, seed: Seed) -> RandomNetwork {
    RandomNetwork::new(shape, width, seed, &DeviceChoice::chosen().training()).no_grad()
}
