use serde::{Deserialize, Serialize};
use standin_data::{Seed, Shape};
use standin_nn::layer::{Linear, relu};
use standin_nn::tensor::activation::sigmoid;
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{Module, PixelRange, burn};

use crate::aggregate::Aggregate;
use crate::network::{Chunk, Network, differentiable};
use crate::opened::Pass;
use crate::{Control, Decode};

/// The sizes of a [`Decoder`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Architecture {
    /// Latent values per image.
    pub latent: usize,
    /// Units of each hidden layer.
    pub hidden: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
    /// Shape of an image.
    pub shape: Shape,
    /// Where the latent vectors of each class lie; empty where they are standard normal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latents: Vec<Aggregate>,
}

impl Architecture {
    /// `hidden` may be empty for the default: two layers of twice the number of pixel values, at least 128 and at most
    /// 512 units.
    pub(crate) fn new(latent: usize, hidden: &[usize], classes: usize, shape: Shape) -> Self {
        let hidden = match hidden {
            [] => vec![(2 * shape.volume()).clamp(128, 512); 2],
            chosen => chosen.to_vec(),
        };
        Self { latent, hidden, classes, shape, latents: Vec::new() }
    }
}

/// A multilayer perceptron from a latent vector and a class to the pixels of an image.
#[derive(Module, Debug)]
pub(crate) struct Decoder {
    stack: Stack,
}

impl Decoder {
    pub(crate) fn new(architecture: &Architecture, seed: Seed, device: &Device) -> Self {
        let Architecture { latent, hidden, classes, shape, .. } = architecture;
        Self { stack: Stack::new(latent + classes, hidden, shape.volume(), seed, device) }
    }

    /// Latent vectors, `n × latent`, and one-hot classes, `n × classes`, to the logits of pixel values, `n × pixels`: a
    /// pixel value in [0, 1] is the logistic function of its logit.
    pub(crate) fn logits(&self, latents: Tensor<2>, classes: Tensor<2>) -> Tensor<2> {
        self.stack.forward(Tensor::cat(vec![latents, classes], 1))
    }
}

impl Network for Decoder {
    type Architecture = Architecture;

    const CONTROLS: &'static [Control] = &[Control::Temperature];

    const CHUNK: usize = 256;

    fn new(architecture: &Architecture, seed: Seed, device: &Device) -> Self {
        Self::new(architecture, seed, device)
    }

    fn check(architecture: &Architecture) -> Result<(), &'static str> {
        let Architecture { latent, hidden, classes, latents, .. } = architecture;
        if *latent == 0 || hidden.contains(&0) {
            return Err("a layer has size 0");
        }
        let fits = |part: &Aggregate| part.mean.len() == *latent && part.factor.len() == latent * latent;
        if !latents.is_empty() && (latents.len() != *classes || !latents.iter().all(fits)) {
            return Err("the latent distributions differ from the architecture in size or number");
        }
        Ok(())
    }

    fn shape(architecture: &Architecture) -> Shape {
        architecture.shape
    }

    fn classes(architecture: &Architecture) -> usize {
        architecture.classes
    }

    fn draw(&self, architecture: &Architecture, chunk: &Chunk<'_>) -> (Tensor<4>, PixelRange) {
        let Architecture { latent, classes, shape, latents, .. } = architecture;
        let mut values = chunk.values("latent", *latent);
        for (noise, &label) in values.chunks_exact_mut(*latent).zip(chunk.labels) {
            noise.iter_mut().for_each(|value| *value *= chunk.request.temperature as f32);
            if let Some(aggregate) = latents.get(label as usize) {
                noise.copy_from_slice(&aggregate.place(noise));
            }
        }
        let device = chunk.device();
        let n = chunk.labels.len();
        let values = Tensor::from_data(TensorData::new(values, [n, *latent]), &device);
        let pixels = sigmoid(self.logits(values, one_hot(chunk.labels, *classes, &device)));
        (pixels.reshape([n, shape.channels, shape.height, shape.width]), PixelRange::Unit)
    }

    fn decoder<'a>(&'a self, architecture: &'a Architecture) -> Option<Box<dyn Decode + 'a>> {
        let Architecture { latent, classes, latents, .. } = architecture;
        let network = differentiable(self, architecture);
        let draw = move |noise: Tensor<2>, labels: &[u32]| {
            let device = noise.device();
            network.logits(place(latents, noise, labels), one_hot(labels, *classes, &device))
        };
        Some(Box::new(Pass { latent: *latent, logits: true, draw }))
    }
}

/// Moves standard normal values, `n × latent`, to where the latent vectors of their classes lie.
fn place(latents: &[Aggregate], noise: Tensor<2>, labels: &[u32]) -> Tensor<2> {
    if latents.is_empty() {
        return noise;
    }
    let ([n, latent], device) = (noise.dims(), noise.device());
    let of_labels = |part: fn(&Aggregate) -> &Vec<f64>| -> Vec<f32> {
        labels.iter().flat_map(|&label| part(&latents[label as usize]).iter().map(|&value| value as f32)).collect()
    };
    let means = Tensor::<2>::from_data(TensorData::new(of_labels(|part| &part.mean), [n, latent]), &device);
    let factors = TensorData::new(of_labels(|part| &part.factor), [n, latent, latent]);
    let factors = Tensor::<3>::from_data(factors, &device);
    means + factors.matmul(noise.reshape([n, latent, 1])).reshape([n, latent])
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

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_into_vec::<f32>().unwrap()
    }

    #[test]
    fn images_of_every_shape_come_out() {
        let device = DeviceChoice::chosen().inference();
        for (channels, height, width) in [(1, 8, 8), (1, 28, 28), (3, 17, 30), (1, 1, 5)] {
            let shape = Shape { channels, height, width };
            let decoder = Decoder::new(&Architecture::new(3, &[5], 2, shape), Seed::new(1), &device);
            let logits = decoder.logits(Tensor::ones([4, 3], &device), one_hot(&[0, 1, 1, 0], 2, &device));
            assert_eq!(logits.dims(), [4, shape.volume()], "{shape}");
        }
    }

    #[test]
    fn the_class_changes_the_image() {
        let device = DeviceChoice::chosen().inference();
        let shape = Shape { channels: 1, height: 16, width: 16 };
        let decoder = Decoder::new(&Architecture::new(3, &[], 2, shape), Seed::new(1), &device);
        let images = values(decoder.logits(Tensor::ones([2, 3], &device), one_hot(&[0, 1], 2, &device)));
        assert_ne!(images[..256], images[256..]);
    }
}
