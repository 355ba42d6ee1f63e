use serde::{Deserialize, Serialize};
use standin_data::{Seed, Shape};
use standin_nn::layer::{Conv2d, Linear, relu, upsample_nearest};
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{Module, burn};

/// The kind of network that turns latent vectors into images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Convolutional for images of at least 16 × 16, dense for smaller ones.
    #[default]
    Auto,
    /// Linear layers alone: each pixel has its own weights.
    Dense,
    /// Linear layers to planes of a quarter of the image's size, then twice an enlargement and a convolution, so that
    /// neighbouring pixels resemble each other.
    Convolutional,
}

/// Channels of the planes before each enlargement of a convolutional network.
const CHANNELS: [usize; 2] = [32, 16];

/// The sizes of a [`Decoder`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Architecture {
    /// Latent values per image.
    pub latent: usize,
    /// Units of each dense hidden layer.
    pub hidden: Vec<usize>,
    /// Channels of the planes before each enlargement; none for a dense network.
    pub channels: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
    /// Shape of an image.
    pub shape: Shape,
}

impl Architecture {
    /// `hidden` may be empty for the default: two layers of twice the number of pixel values, at least 128 and at most
    /// 512 units.
    pub(crate) fn new(latent: usize, hidden: &[usize], network: Network, classes: usize, shape: Shape) -> Self {
        let hidden = match hidden {
            [] => vec![(2 * shape.volume()).clamp(128, 512); 2],
            chosen => chosen.to_vec(),
        };
        let convolutional = match network {
            Network::Auto => shape.height.min(shape.width) >= 16,
            Network::Dense => false,
            Network::Convolutional => true,
        };
        let channels = if convolutional { CHANNELS.to_vec() } else { Vec::new() };
        Self { latent, hidden, channels, classes, shape }
    }

    /// Rows and columns of the planes before the first enlargement; after all of them they cover the image.
    fn base(&self) -> [usize; 2] {
        let factor = 1 << self.channels.len();
        [self.shape.height.div_ceil(factor), self.shape.width.div_ceil(factor)]
    }
}

/// From a latent vector and a class to the pixels of an image.
#[derive(Module, Debug)]
pub(crate) struct Decoder {
    stack: Stack,
    convolutions: Vec<Conv2d>,
    #[module(skip)]
    base: [usize; 2],
    #[module(skip)]
    size: [usize; 2],
}

impl Decoder {
    pub(crate) fn new(architecture: &Architecture, seed: Seed, device: &Device) -> Self {
        let Architecture { latent, hidden, channels, classes, shape } = architecture;
        let base = architecture.base();
        let outputs = match channels.first() {
            Some(first) => first * base[0] * base[1],
            None => shape.volume(),
        };
        let planes: Vec<usize> = channels.iter().copied().chain([shape.channels]).collect();
        let convolution = |(index, pair): (usize, &[usize])| {
            // The last one sees two pixels far, so that each of its outputs depends on several planes' pixels.
            let reach = if index + 1 == channels.len() { 2 } else { 1 };
            let seed = seed.derive(&format!("convolution {index}"));
            Conv2d::new(pair[0], pair[1], 2 * reach + 1, seed, device).with_padding(reach)
        };
        Self {
            stack: Stack::new(latent + classes, hidden, outputs, seed, device),
            convolutions: planes.windows(2).enumerate().map(convolution).collect(),
            base,
            size: [shape.height, shape.width],
        }
    }

    /// Latent vectors, `n × latent`, and one-hot classes, `n × classes`, to the logits of pixel values, `n × pixels`: a
    /// pixel value in [0, 1] is the logistic function of its logit.
    pub(crate) fn logits(&self, latents: Tensor<2>, classes: Tensor<2>) -> Tensor<2> {
        let flat = self.stack.forward(Tensor::cat(vec![latents, classes], 1));
        if self.convolutions.is_empty() {
            return flat;
        }
        let [n, values] = flat.dims();
        let [rows, columns] = self.base;
        let mut planes = flat.reshape([n, values / (rows * columns), rows, columns]);
        for convolution in &self.convolutions {
            planes = convolution.forward(upsample_nearest(relu(planes), 2));
        }
        let channels = planes.dims()[1];
        let [height, width] = self.size;
        planes.slice([0..n, 0..channels, 0..height, 0..width]).reshape([n, channels * height * width])
    }
}

/// Linear layers with ReLU between them.
#[derive(Module, Debug)]
pub(crate) struct Stack {
    layers: Vec<Linear>,
}

impl Stack {
    pub(crate) fn new(inputs: usize, hidden: &[usize], outputs: usize, seed: Seed, device: &Device) -> Self {
        let sizes: Vec<usize> = [&[inputs], hidden, &[outputs]].concat();
        let layers = sizes.windows(2).enumerate();
        let layer = |(index, pair): (usize, &[usize])| {
            Linear::new(pair[0], pair[1], seed.derive(&format!("layer {index}")), device)
        };
        Self { layers: layers.map(layer).collect() }
    }

    pub(crate) fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                x = relu(x);
            }
            x = layer.forward(x);
        }
        x
    }
}

/// The class of each row as a one-hot code, `labels × classes`.
pub(crate) fn one_hot(labels: &[u32], classes: usize, device: &Device) -> Tensor<2> {
    let mut codes = vec![0.0; labels.len() * classes];
    for (code, &label) in codes.chunks_exact_mut(classes).zip(labels) {
        code[label as usize] = 1.0;
    }
    Tensor::from_data(TensorData::new(codes, [labels.len(), classes]), device)
}

#[cfg(test)]
mod tests {
    use standin_nn::DeviceChoice;

    use super::*;

    #[test]
    fn every_image_size_comes_out_of_either_network() {
        let device = DeviceChoice::Cpu.inference();
        for (channels, height, width) in [(1, 8, 8), (1, 28, 28), (3, 17, 30), (1, 1, 5)] {
            let shape = Shape { channels, height, width };
            for network in [Network::Auto, Network::Dense, Network::Convolutional] {
                let architecture = Architecture::new(3, &[5], network, 2, shape);
                let decoder = Decoder::new(&architecture, Seed::new(1), &device);
                let logits = decoder.logits(Tensor::ones([4, 3], &device), one_hot(&[0, 1, 1, 0], 2, &device));
                assert_eq!(logits.dims(), [4, shape.volume()], "{shape} {network:?}");
            }
        }
    }

    #[test]
    fn the_class_changes_the_image() {
        let device = DeviceChoice::Cpu.inference();
        let shape = Shape { channels: 1, height: 16, width: 16 };
        let decoder = Decoder::new(&Architecture::new(3, &[], Network::Auto, 2, shape), Seed::new(1), &device);
        let images = decoder.logits(Tensor::ones([2, 3], &device), one_hot(&[0, 1], 2, &device));
        let values = images.into_data().try_into_vec::<f32>().unwrap();
        assert_ne!(values[..256], values[256..]);
    }
}
