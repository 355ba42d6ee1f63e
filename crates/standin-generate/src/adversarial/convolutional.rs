use serde::{Deserialize, Serialize};
use standin_data::{Seed, Shape};
use standin_nn::burn::module::Param;
use standin_nn::initial::normal;
use standin_nn::layer::{Conv2d, ConvTranspose2d, Embedding, GroupNormSilu, Linear, indices, silu};
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{Module, PixelRange, burn};

use crate::network::{Chunk, Network, differentiable};
use crate::opened::Pass;
use crate::{Control, Decode};

/// The sizes of a generator or a discriminator of images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Architecture {
    /// Latent values per image.
    pub latent: usize,
    /// Channels at the resolution next to the image's own; each halving doubles them, up to four times as many.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
    /// Shape of an image.
    pub shape: Shape,
}

impl Architecture {
    /// How often the smallest planes are doubled to reach the image: so often that none of their sides is above 7.
    pub(crate) fn doublings(&self) -> usize {
        let side = self.shape.height.max(self.shape.width);
        let fits = |doublings: &usize| side.div_ceil(1 << doublings) <= 7;
        (1..usize::BITS as usize).find(fits).expect("no side is longer than a usize")
    }

    /// Height and width of the planes after `halvings` halvings, each rounded up.
    pub(crate) fn planes(&self, halvings: usize) -> [usize; 2] {
        [self.shape.height, self.shape.width].map(|side| side.div_ceil(1 << halvings))
    }

    /// Channels after `halvings ≥ 1` halvings.
    pub(crate) fn channels(&self, halvings: usize) -> usize {
        self.width << (halvings - 1).min(2)
    }

    /// Checks sizes that come from a file.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let Self { latent, width, classes, shape } = self;
        if [*latent, *width, *classes, shape.volume()].contains(&0) || !matches!(shape.channels, 1 | 3) {
            return Err("a layer or the image shape has size 0, or the images have other than 1 or 3 channels");
        }
        if [*latent, *width, *classes, shape.height, shape.width].into_iter().any(|size| size > 1 << 16) {
            return Err("a layer or an image side is larger than any this program makes");
        }
        Ok(())
    }
}

/// Groups of a normalisation over `channels`: eight, or the most that divide them.
pub(crate) fn groups(channels: usize) -> usize {
    (1..=8).rev().find(|&groups| channels.is_multiple_of(groups)).unwrap_or(1)
}

/// The part of the planes that is the image: planes that were doubled may be larger than the image, and lose their margins.
pub(crate) fn cropped(x: Tensor<4>, Shape { height, width, .. }: Shape) -> Tensor<4> {
    let [n, channels, rows, columns] = x.dims();
    if [rows, columns] == [height, width] {
        return x;
    }
    let (top, left) = ((rows - height) / 2, (columns - width) / 2);
    x.slice([0..n, 0..channels, top..top + height, left..left + width])
}

/// A network that makes images from noise while it trains against a discriminator.
pub(crate) trait Synthesis: Module {
    /// One image per class label, values in [−1, 1]. The noise of a row depends on the seed and the row's place alone.
    fn synthesise(&self, labels: &[u32], seed: Seed, device: &Device) -> Tensor<4>;
}

/// From a latent vector and a class to an image, by transposed convolutions (Radford, Metz & Chintala 2016), with group
/// normalisation where they have batch normalisation. Transposed kernels of 4 at stride 2 cover all pixels evenly.
#[derive(Module, Debug)]
pub(crate) struct ConvolutionalGenerator {
    class: Embedding,
    first: Linear,
    norms: Vec<GroupNormSilu>,
    doublings: Vec<ConvTranspose2d>,
    last: Conv2d,
    #[module(skip)]
    architecture: Architecture,
}

impl ConvolutionalGenerator {
    /// A generator with initial weights.
    pub(crate) fn initial(architecture: &Architecture, seed: Seed, device: &Device) -> Self {
        let Architecture { latent, classes, shape, .. } = *architecture;
        let halvings = architecture.doublings();
        let [height, width] = architecture.planes(halvings);
        let channels = |halvings: usize| architecture.channels(halvings.max(1));
        let doubling = |level: usize| {
            let seed = seed.derive(&format!("doubling {level}"));
            let layer = ConvTranspose2d::new(channels(level), channels(level - 1), 4, seed, device);
            layer.with_stride(2).with_padding(1)
        };
        let norm = |level: usize| GroupNormSilu::new(groups(channels(level)), channels(level), device);
        Self {
            class: Embedding::new(classes, latent, seed.derive("class"), device),
            first: Linear::new(2 * latent, channels(halvings) * height * width, seed.derive("first"), device),
            norms: (0..=halvings).rev().map(norm).collect(),
            doublings: (1..=halvings).rev().map(doubling).collect(),
            last: Conv2d::new(channels(0), shape.channels, 3, seed.derive("last"), device).with_padding(1),
            architecture: architecture.clone(),
        }
    }

    /// Latent vectors, `n × latent`, and n classes to images, `n × channels × height × width`, values in [−1, 1].
    pub(crate) fn forward(&self, latents: Tensor<2>, labels: &[u32]) -> Tensor<4> {
        let n = labels.len();
        let halvings = self.doublings.len();
        let [height, width] = self.architecture.planes(halvings);
        let class = self.class.forward(indices(labels.iter().copied(), &latents.device()));
        let x = self.first.forward(Tensor::cat(vec![latents, class], 1));
        let mut x = x.reshape([n, self.architecture.channels(halvings), height, width]);
        x = self.norms[0].forward(x);
        for (doubling, norm) in self.doublings.iter().zip(&self.norms[1..]) {
            x = norm.forward(doubling.forward(x));
        }
        cropped(self.last.forward(x), self.architecture.shape).tanh()
    }
}

impl Synthesis for ConvolutionalGenerator {
    fn synthesise(&self, labels: &[u32], seed: Seed, device: &Device) -> Tensor<4> {
        self.forward(normal([labels.len(), self.architecture.latent], 1.0, seed, device), labels)
    }
}

impl Network for ConvolutionalGenerator {
    type Architecture = Architecture;
    const CONTROLS: &'static [Control] = &[Control::Temperature];
    const CHUNK: usize = 64;

    fn new(architecture: &Architecture, seed: Seed, device: &Device) -> Self {
        Self::initial(architecture, seed, device)
    }

    fn check(architecture: &Architecture) -> Result<(), &'static str> {
        architecture.check()
    }

    fn shape(architecture: &Architecture) -> Shape {
        architecture.shape
    }

    fn classes(architecture: &Architecture) -> usize {
        architecture.classes
    }

    fn draw(&self, architecture: &Architecture, chunk: &Chunk<'_>) -> (Tensor<4>, PixelRange) {
        let latents = chunk.normal("latent", architecture.latent) * chunk.request.temperature;
        (self.forward(latents, chunk.labels), PixelRange::Symmetric)
    }

    fn decoder<'a>(&'a self, architecture: &'a Architecture) -> Option<Box<dyn Decode + 'a>> {
        let network = differentiable(self, architecture);
        let draw = move |latents: Tensor<2>, labels: &[u32]| unit_rows(network.forward(latents, labels));
        Some(Box::new(Pass { latent: architecture.latent, logits: false, draw }))
    }
}

/// Images with values in [−1, 1] as rows of values in [0, 1].
pub(crate) fn unit_rows(images: Tensor<4>) -> Tensor<2> {
    (images.flatten::<2>(1, 3) + 1.0) * 0.5
}

/// From an image and its class to a score, high for images taken as real: strided convolutions, one layer of features φ,
/// and ψ(φ) + ⟨v_class, φ⟩ (Miyato & Koyama 2018, equation 3).
///
/// There is no normalisation: it would undo the bound that spectral normalisation sets, and batch statistics would mix
/// images. The activation is x·σ(x), which has the second derivatives that a penalty on gradients needs.
#[derive(Module, Debug)]
pub(crate) struct Discriminator {
    halvings: Vec<Conv2d>,
    features: Linear,
    class: Embedding,
    out: Linear,
}

impl Discriminator {
    /// A discriminator with initial weights, of `2 · width` features.
    pub(crate) fn initial(architecture: &Architecture, seed: Seed, device: &Device) -> Self {
        let features = 2 * architecture.width;
        let (halvings, inputs) = halvings(architecture, seed, device);
        // The scale at which the class's part of the score starts like the other's.
        let deviation = (features as f64).sqrt().recip();
        let class = normal([architecture.classes, features], deviation, seed.derive("class"), device);
        Self {
            halvings,
            features: Linear::new(inputs, features, seed.derive("features"), device),
            class: Embedding { weight: Param::from_tensor(class) },
            out: Linear::new(features, 1, seed.derive("out"), device),
        }
    }

    /// n images, values in [−1, 1], and their classes to n scores. Each image's score depends on that image alone.
    pub(crate) fn score(&self, images: Tensor<4>, labels: &[u32]) -> Tensor<1> {
        let n = labels.len();
        let device = images.device();
        let features = features(&self.halvings, &self.features, images);
        let class = self.class.forward(indices(labels.iter().copied(), &device));
        let projection = (class * features.clone()).sum_dim(1);
        (self.out.forward(features) + projection).reshape([n])
    }
}

/// The strided convolutions that take an image to its smallest planes, and the number of values there.
pub(crate) fn halvings(architecture: &Architecture, seed: Seed, device: &Device) -> (Vec<Conv2d>, usize) {
    let halvings = architecture.doublings();
    let channels = |halvings: usize| match halvings {
        0 => architecture.shape.channels,
        halvings => architecture.channels(halvings),
    };
    let halving = |level: usize| {
        let seed = seed.derive(&format!("halving {level}"));
        Conv2d::new(channels(level - 1), channels(level), 3, seed, device).with_stride(2).with_padding(1)
    };
    let [height, width] = architecture.planes(halvings);
    ((1..=halvings).map(halving).collect(), channels(halvings) * height * width)
}

/// φ: n images through their halvings and a layer of features, with x·σ(x) after each.
pub(crate) fn features(halvings: &[Conv2d], layer: &Linear, images: Tensor<4>) -> Tensor<2> {
    let x = halvings.iter().fold(images, |x, halving| silu(halving.forward(x)));
    let [n, channels, height, width] = x.dims();
    silu(layer.forward(x.reshape([n, channels * height * width])))
}

#[cfg(test)]
mod tests {
    use standin_nn::{DeviceChoice, values};

    use super::*;

    fn architecture(channels: usize, height: usize, width: usize) -> Architecture {
        Architecture { latent: 5, width: 6, classes: 3, shape: Shape { channels, height, width } }
    }

    fn list<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    #[test]
    fn images_of_every_shape_are_made_and_scored() {
        let device = DeviceChoice::chosen().inference();
        for (channels, height, width) in [(1, 8, 8), (1, 28, 28), (3, 17, 30), (1, 1, 5), (3, 64, 64)] {
            let architecture = architecture(channels, height, width);
            let generator = ConvolutionalGenerator::initial(&architecture, Seed::new(1), &device);
            let images = generator.synthesise(&[0, 2, 1, 0], Seed::new(2), &device);
            assert_eq!(images.dims(), [4, channels, height, width]);
            assert!(list(images.clone()).iter().all(|value| value.abs() <= 1.0));
            let discriminator = Discriminator::initial(&architecture, Seed::new(3), &device);
            assert_eq!(discriminator.score(images, &[0, 2, 1, 0]).dims(), [4]);
        }
    }

    #[test]
    fn the_class_and_the_noise_change_the_image_and_the_class_the_score() {
        let device = DeviceChoice::chosen().inference();
        let architecture = architecture(1, 8, 8);
        let generator = ConvolutionalGenerator::initial(&architecture, Seed::new(1), &device);
        let latents = Tensor::ones([2, 5], &device);
        let images = list(generator.forward(latents, &[0, 1]));
        assert_ne!(images[..64], images[64..]);
        let draw = |seed| list(generator.synthesise(&[0], Seed::new(seed), &device));
        assert_ne!(draw(1), draw(2));
        let discriminator = Discriminator::initial(&architecture, Seed::new(3), &device);
        let scores = list(discriminator.score(Tensor::ones([2, 1, 8, 8], &device), &[0, 1]));
        assert_ne!(scores[0], scores[1]);
    }

    #[test]
    fn a_score_depends_on_its_image_alone() {
        let device = DeviceChoice::chosen().inference();
        let architecture = architecture(1, 8, 8);
        let discriminator = Discriminator::initial(&architecture, Seed::new(3), &device);
        let image: Tensor<4> = normal([1, 1, 8, 8], 1.0, Seed::new(4), &device);
        let alone = list(discriminator.score(image.clone(), &[1]))[0];
        let others = normal([3, 1, 8, 8], 1.0, Seed::new(5), &device);
        let among = list(discriminator.score(Tensor::cat(vec![image, others], 0), &[1, 0, 2, 1]))[0];
        assert!((alone - among).abs() < 1e-5, "{alone} {among}");
    }

    #[test]
    fn every_parameter_of_the_discriminator_is_trainable() {
        let device = DeviceChoice::chosen().training();
        let discriminator = Discriminator::initial(&architecture(1, 8, 8), Seed::new(3), &device);
        let images = normal([4, 1, 8, 8], 1.0, Seed::new(5), &device);
        let loss = discriminator.score(images, &[0, 1, 2, 1]).square().sum();
        let gradient = standin_nn::gradient(&discriminator, &loss);
        assert_eq!(gradient.len(), values(&discriminator).len());
        assert!(gradient.iter().filter(|&&value| value != 0.0).count() > gradient.len() * 9 / 10);
    }
}
