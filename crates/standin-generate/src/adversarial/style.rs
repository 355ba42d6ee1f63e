use serde::{Deserialize, Serialize};
use standin_data::{Seed, Shape};
use standin_nn::burn::module::Param;
use standin_nn::initial::normal;
use standin_nn::layer::{Conv2d, Embedding, Linear, indices, silu, upsample_nearest};
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{Module, PixelRange, burn};

use super::convolutional::{Architecture, Synthesis, cropped, unit_rows};
use crate::network::{Chunk, Network, differentiable};
use crate::opened::Pass;
use crate::{Control, Decode};

/// The sizes of a [`StyleGenerator`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StyleArchitecture {
    /// Latent values, channels, classes and shape.
    pub sizes: Architecture,
    /// Values of a style, w.
    pub style: usize,
    /// Layers of the mapping from latent vectors to styles.
    pub mapping: usize,
    /// How many times more slowly than the rest the mapping learns: its parameters are so much larger and its outputs so much smaller,
    /// which Adam's steps do not follow (Karras et al. 2019, appendix C). Generators from before it have no such entry, and are refused:
    /// their weights mean something else.
    pub slowness: usize,
}

/// A convolution whose kernel is scaled for each image, per input channel by a style and then per output channel to unit
/// norm (Karras et al. 2020, StyleGAN2, equations 1 to 3).
///
/// Scaling the kernel of each image would take a convolution per image. Scaling the input channels before and the output
/// channels after one shared convolution is the same function, since a convolution is linear in both.
#[derive(Module, Debug)]
struct ModulatedConv {
    scale: Linear,
    convolution: Conv2d,
    #[module(skip)]
    demodulates: bool,
}

/// Added to the squared norm of a kernel before the root.
const EPSILON: f64 = 1e-8;

impl ModulatedConv {
    fn new(
        style: usize,
        (inputs, outputs): (usize, usize),
        kernel: usize,
        demodulates: bool,
        seed: Seed,
        device: &Device,
    ) -> Self {
        let mut scale = Linear::new(style, inputs, seed.derive("scale"), device);
        // Scales begin around 1, and as far from it as styles from 0. Weights of size 1 on styles over √style, as published, move
        // slowly under Adam: faster ones learn to make all images of a class alike before they learn to tell them apart.
        scale.bias = Param::from_tensor(Tensor::ones([inputs], device));
        scale.weight = Param::from_tensor(normal(scale.weight.dims(), 1.0, seed.derive("scale weight"), device));
        let convolution = Conv2d::new(inputs, outputs, kernel, seed.derive("kernel"), device).with_padding(kernel / 2);
        Self { scale, convolution, demodulates }
    }

    /// `n × inputs × height × width` and n styles to `n × outputs × height × width`.
    fn forward(&self, x: Tensor<4>, styles: Tensor<2>) -> Tensor<4> {
        let [n, inputs, _, _] = x.dims();
        let [_, style] = styles.dims();
        let scales = self.scale.forward(styles / (style as f64).sqrt());
        let y = self.convolution.forward(x * scales.clone().reshape([n, inputs, 1, 1]));
        if !self.demodulates {
            return y;
        }
        let [outputs, _, rows, columns] = self.convolution.weight.dims();
        let squares = self.convolution.weight.val().square().reshape([outputs, inputs, rows * columns]);
        let squares = squares.sum_dim(2).reshape([outputs, inputs]);
        let norms = (scales.square().matmul(squares.transpose()) + EPSILON).sqrt();
        let factors = norms.recip();
        // The bias belongs after the demodulation, and the layer added it before.
        let bias = self.convolution.bias.val().reshape([1, outputs]) * (-factors.clone() + 1.0);
        y * factors.reshape([n, outputs, 1, 1]) + bias.reshape([n, outputs, 1, 1])
    }
}

/// A modulated convolution, noise on every pixel in a learnt strength, and the activation.
#[derive(Module, Debug)]
struct StyleLayer {
    convolution: ModulatedConv,
    strength: Param<Tensor<1>>,
}

impl StyleLayer {
    fn forward(&self, x: Tensor<4>, styles: Tensor<2>, noise: Tensor<4>) -> Tensor<4> {
        let y = self.convolution.forward(x, styles);
        silu(y + noise * self.strength.val().reshape([1, 1, 1, 1]))
    }
}

/// All of one resolution.
#[derive(Module, Debug)]
struct StyleBlock {
    first: StyleLayer,
    second: StyleLayer,
    /// To the image of this resolution, without demodulation.
    colours: ModulatedConv,
}

/// A generator in the manner of StyleGAN2 at small sizes: a mapping from latent vector and class to a style, a learnt constant,
/// blocks of two modulated convolutions and a sum of images over the resolutions.
#[derive(Module, Debug)]
pub(crate) struct StyleGenerator {
    class: Embedding,
    mapping: Vec<Linear>,
    constant: Embedding,
    blocks: Vec<StyleBlock>,
    /// The mean style of each class, `classes × style`: 0 until [`StyleGenerator::with_centres`].
    centres: Param<Tensor<2>>,
    #[module(skip)]
    architecture: StyleArchitecture,
}

/// Where the noise of a layer comes from: its name, height and width to `n × 1 × height × width` normal values.
type Noise<'a> = dyn Fn(&str, usize, usize) -> Tensor<4> + 'a;

impl StyleGenerator {
    /// A generator with initial weights.
    pub(crate) fn initial(architecture: &StyleArchitecture, seed: Seed, device: &Device) -> Self {
        let StyleArchitecture { sizes, style, mapping, slowness } = architecture;
        let halvings = sizes.doublings();
        let channels = |level: usize| sizes.channels(level.max(1));
        let layer = |inputs: usize, outputs: usize, seed: Seed| StyleLayer {
            convolution: ModulatedConv::new(*style, (inputs, outputs), 3, true, seed, device),
            strength: Param::from_tensor(Tensor::zeros([1], device)),
        };
        let block = |level: usize| {
            let seed = seed.derive(&format!("block {level}"));
            let inputs = channels((level + 1).min(halvings));
            let colours = (channels(level), sizes.shape.channels);
            StyleBlock {
                first: layer(inputs, channels(level), seed.derive("first")),
                second: layer(channels(level), channels(level), seed.derive("second")),
                colours: ModulatedConv::new(*style, colours, 1, false, seed.derive("colours"), device),
            }
        };
        let [height, width] = sizes.planes(halvings);
        let map = |at: usize| {
            let inputs = if at == 0 { 2 * sizes.latent } else { *style };
            // He et al. 2015, equation 10.
            let deviation = (2.0 / inputs as f64).sqrt() * *slowness as f64;
            let weight = normal([inputs, *style], deviation, seed.derive(&format!("mapping {at}")), device);
            Linear { weight: Param::from_tensor(weight), ..Linear::zero(inputs, *style, device) }
        };
        Self {
            class: Embedding::new(sizes.classes, sizes.latent, seed.derive("class"), device),
            mapping: (0..*mapping).map(map).collect(),
            constant: Embedding::new(1, channels(halvings) * height * width, seed.derive("constant"), device),
            blocks: (0..=halvings).rev().map(block).collect(),
            centres: Param::from_tensor(Tensor::zeros([sizes.classes, *style], device)),
            architecture: architecture.clone(),
        }
    }

    /// Latent vectors, `n × latent`, and classes to styles, `n × style`. Each latent vector is scaled to length √latent first.
    fn styles(&self, latents: Tensor<2>, labels: &[u32]) -> Tensor<2> {
        let length = (latents.clone().square().mean_dim(1) + EPSILON).sqrt();
        let class = self.class.forward(indices(labels.iter().copied(), &latents.device()));
        let x = Tensor::cat(vec![latents / length, class], 1);
        self.mapping.iter().fold(x, |x, layer| silu(layer.forward(x) / self.architecture.slowness as f64))
    }

    /// Styles to images, `n × channels × height × width`.
    fn images(&self, styles: Tensor<2>, noise: &Noise<'_>) -> Tensor<4> {
        let [n, _] = styles.dims();
        let sizes = &self.architecture.sizes;
        let halvings = self.blocks.len() - 1;
        let [height, width] = sizes.planes(halvings);
        let constant = self.constant.forward(indices(vec![0; n], &styles.device()));
        let mut x = constant.reshape([n, sizes.channels(halvings), height, width]);
        let mut sum: Option<Tensor<4>> = None;
        for (at, block) in self.blocks.iter().enumerate() {
            if at > 0 {
                x = upsample_nearest(x, 2);
            }
            let [_, _, height, width] = x.dims();
            x = block.first.forward(x, styles.clone(), noise(&format!("{at} first"), height, width));
            x = block.second.forward(x, styles.clone(), noise(&format!("{at} second"), height, width));
            let colours = block.colours.forward(x.clone(), styles.clone());
            sum = Some(match sum {
                None => colours,
                Some(coarser) => upsample_nearest(coarser, 2) + colours,
            });
        }
        cropped(sum.expect("there is a block for the smallest planes"), sizes.shape)
    }

    /// The same generator with the mean style of each class estimated from `draws` latent vectors.
    #[must_use]
    pub(crate) fn with_centres(mut self, draws: usize, seed: Seed, device: &Device) -> Self {
        let StyleArchitecture { sizes, .. } = &self.architecture;
        let centres: Vec<Tensor<2>> = (0..sizes.classes)
            .map(|class| {
                let latents = normal([draws, sizes.latent], 1.0, seed.derive(&format!("class {class}")), device);
                self.styles(latents, &vec![class as u32; draws]).mean_dim(0)
            })
            .collect();
        self.centres = Param::from_tensor(Tensor::cat(centres, 0));
        self
    }
}

impl Synthesis for StyleGenerator {
    fn synthesise(&self, labels: &[u32], seed: Seed, device: &Device) -> Tensor<4> {
        let n = labels.len();
        let latents = normal([n, self.architecture.sizes.latent], 1.0, seed.derive("latent"), device);
        let noise = |layer: &str, height, width| normal([n, 1, height, width], 1.0, seed.derive(layer), device);
        self.images(self.styles(latents, labels), &noise)
    }
}

impl Network for StyleGenerator {
    type Architecture = StyleArchitecture;
    const CONTROLS: &'static [Control] = &[Control::Truncation];
    const CHUNK: usize = 64;

    fn new(architecture: &StyleArchitecture, seed: Seed, device: &Device) -> Self {
        Self::initial(architecture, seed, device)
    }

    fn check(architecture: &StyleArchitecture) -> Result<(), &'static str> {
        if [architecture.style, architecture.mapping, architecture.slowness]
            .into_iter()
            .any(|size| size == 0 || size > 1 << 16)
        {
            return Err("the style or its mapping has size 0, or is larger than any this program makes");
        }
        architecture.sizes.check()
    }

    fn shape(architecture: &StyleArchitecture) -> Shape {
        architecture.sizes.shape
    }

    fn classes(architecture: &StyleArchitecture) -> usize {
        architecture.sizes.classes
    }

    fn draw(&self, architecture: &StyleArchitecture, chunk: &Chunk<'_>) -> (Tensor<4>, PixelRange) {
        let n = chunk.labels.len();
        let mut styles = self.styles(chunk.normal("latent", architecture.sizes.latent), chunk.labels);
        if let Some(share) = chunk.request.truncation {
            let centres = self.centres.val().select(0, indices(chunk.labels.iter().copied(), &chunk.device()));
            styles = centres.clone() + (styles - centres) * share;
        }
        let noise = |layer: &str, height: usize, width: usize| {
            let values = chunk.values(&format!("noise {layer}"), height * width);
            Tensor::from_data(TensorData::new(values, [n, 1, height, width]), &chunk.device())
        };
        (self.images(styles, &noise), PixelRange::Symmetric)
    }

    /// Without the noise of the layers, which is 0 on average.
    fn decoder<'a>(&'a self, architecture: &'a StyleArchitecture) -> Option<Box<dyn Decode + 'a>> {
        let network = differentiable(self, architecture);
        let draw = move |latents: Tensor<2>, labels: &[u32]| {
            let device = latents.device();
            let silence = |_: &str, height, width| Tensor::zeros([labels.len(), 1, height, width], &device);
            unit_rows(network.images(network.styles(latents, labels), &silence))
        };
        Some(Box::new(Pass { latent: architecture.sizes.latent, logits: false, draw }))
    }
}

#[cfg(test)]
mod tests {
    use standin_nn::DeviceChoice;
    use standin_nn::burn::tensor::module::conv2d;
    use standin_nn::burn::tensor::ops::ConvOptions;

    use super::*;

    fn list<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    fn device() -> Device {
        DeviceChoice::chosen().inference()
    }

    /// One image at a time, with the kernel itself scaled and normalised, as the paper writes it.
    #[test]
    fn scaling_activations_is_scaling_each_images_kernel() {
        let layer = ModulatedConv::new(4, (3, 5), 3, true, Seed::new(1), &device());
        let x: Tensor<4> = normal([2, 3, 6, 6], 1.0, Seed::new(2), &device());
        let styles: Tensor<2> = normal([2, 4], 3.0, Seed::new(3), &device());
        let found = list(layer.forward(x.clone(), styles.clone()));
        // Styles of four values, over √4.
        let scales = layer.scale.forward(styles / 2.0);
        for image in 0..2 {
            let scale = scales.clone().slice([image..image + 1, 0..3]).reshape([1, 3, 1, 1]);
            let kernel = layer.convolution.weight.val() * scale;
            let norms = kernel.clone().square().reshape([5, 27]).sum_dim(1).sqrt();
            let kernel = kernel / norms.reshape([5, 1, 1, 1]);
            let options = ConvOptions::new([1; 2], [1; 2], [1; 2], 1);
            let expected = conv2d(
                x.clone().slice([image..image + 1, 0..3, 0..6, 0..6]),
                kernel,
                Some(layer.convolution.bias.val()),
                options,
            );
            for (found, expected) in found[image * 180..].iter().zip(list(expected)) {
                assert!((found - expected).abs() < 1e-4, "{found} for {expected}");
            }
        }
    }

    fn architecture(channels: usize, height: usize, width: usize) -> StyleArchitecture {
        let sizes = Architecture { latent: 5, width: 4, classes: 3, shape: Shape { channels, height, width } };
        StyleArchitecture { sizes, style: 6, mapping: 2, slowness: 100 }
    }

    #[test]
    fn images_of_every_shape_are_made_and_the_class_changes_them() {
        for (channels, height, width) in [(1, 8, 8), (3, 17, 30), (1, 1, 5)] {
            let generator = StyleGenerator::initial(&architecture(channels, height, width), Seed::new(1), &device());
            let images = generator.synthesise(&[0, 2, 1, 0], Seed::new(2), &device());
            assert_eq!(images.dims(), [4, channels, height, width]);
            let of = |class| list(generator.synthesise(&[class], Seed::new(2), &device()));
            assert_ne!(of(0), of(1));
        }
    }

    #[test]
    fn centres_are_the_mean_styles_of_their_classes() {
        let generator = StyleGenerator::initial(&architecture(1, 8, 8), Seed::new(1), &device());
        let with = generator.clone().with_centres(2000, Seed::new(2), &device());
        let latents: Tensor<2> = normal([2000, 5], 1.0, Seed::new(7), &device());
        let mean = list(generator.styles(latents, &[1; 2000]).mean_dim(0));
        // Two estimates of values with deviations below 1 from 2000 draws each.
        for (found, expected) in list(with.centres.val())[6..12].iter().zip(mean) {
            assert!((found - expected).abs() < 0.13, "{found} for {expected}");
        }
    }
}
