use serde::{Deserialize, Serialize};
use standin_data::{Seed, Shape};
use standin_nn::layer::{Linear, relu};
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{Module, burn};

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
}

impl Architecture {
    /// `hidden` may be empty for the default: two layers of twice the number of pixel values, at least 128 and at most
    /// 512 units.
    pub(crate) fn new(latent: usize, hidden: &[usize], classes: usize, shape: Shape) -> Self {
        let hidden = match hidden {
            [] => vec![(2 * shape.volume()).clamp(128, 512); 2],
            chosen => chosen.to_vec(),
        };
        Self { latent, hidden, classes, shape }
    }
}

/// A multilayer perceptron from a latent vector and a class to the pixels of an image.
#[derive(Module, Debug)]
pub(crate) struct Decoder {
    stack: Stack,
}

impl Decoder {
    pub(crate) fn new(architecture: &Architecture, seed: Seed, device: &Device) -> Self {
        let Architecture { latent, hidden, classes, shape } = architecture;
        Self { stack: Stack::new(latent + classes, hidden, shape.volume(), seed, device) }
    }

    /// Latent vectors, `n × latent`, and one-hot classes, `n × classes`, to the logits of pixel values, `n × pixels`: a
    /// pixel value in [0, 1] is the logistic function of its logit.
    pub(crate) fn logits(&self, latents: Tensor<2>, classes: Tensor<2>) -> Tensor<2> {
        self.stack.forward(Tensor::cat(vec![latents, classes], 1))
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
