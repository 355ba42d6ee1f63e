use standin_data::{ImageSet, Seed, Shape};
use standin_nn::layer::{Activation, Conv2d, GroupNorm};
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{DeviceChoice, Module, PixelRange, burn, pixels};

/// A convolutional network with random weights, never trained: strided convolutions, each with instance normalisation and
/// ReLU, and the last planes as one vector of length 1 (after Zhao & Bilen 2023, whose networks pool instead and whose vectors
/// have any length).
///
/// Length 1 is what a private release needs; without privacy it makes classes of faint and strong images count alike.
#[derive(Module, Debug)]
pub(crate) struct RandomNetwork {
    convolutions: Vec<Conv2d>,
    norms: Vec<GroupNorm>,
}

/// Convolutions, each halving the planes.
const DEPTH: usize = 3;

/// Added to a squared length before the root, for an image of which nothing passes.
const EPSILON: f64 = 1e-12;

/// Images embedded together.
const BLOCK: usize = 256;

impl RandomNetwork {
    /// A network of `width` channels in every layer.
    pub(crate) fn new(shape: Shape, width: usize, seed: Seed, device: &Device) -> Self {
        let convolution = |level: usize| {
            let inputs = if level == 0 { shape.channels } else { width };
            let seed = seed.derive(&format!("convolution {level}"));
            Conv2d::new(inputs, width, 3, seed, device).with_stride(2).with_padding(1)
        };
        Self {
            convolutions: (0..DEPTH).map(convolution).collect(),
            norms: (0..DEPTH).map(|_| GroupNorm::new(width, width, device)).collect(),
        }
    }

    /// Values of an embedding.
    pub(crate) fn width(shape: Shape, width: usize) -> usize {
        let halved = |side: usize| (0..DEPTH).fold(side, |side, _| side.div_ceil(2));
        width * halved(shape.height) * halved(shape.width)
    }

    /// Images, values in [−1, 1], to vectors of length 1, `n × width`.
    pub(crate) fn embed(&self, images: Tensor<4>) -> Tensor<2> {
        let mut x = images;
        for (level, (convolution, norm)) in self.convolutions.iter().zip(&self.norms).enumerate() {
            x = convolution.forward(x);
            let [_, _, height, width] = x.dims();
            // The variance of a single pixel is 0, and normalising would leave nothing.
            x = if level + 1 < DEPTH && height * width > 1 {
                norm.activated(x, Activation::Relu)
            } else {
                standin_nn::layer::relu(x)
            };
        }
        let [n, channels, height, width] = x.dims();
        let x = x.reshape([n, channels * height * width]);
        let length = (x.clone().square().sum_dim(1) + EPSILON).sqrt();
        x / length
    }
}

/// The sum over each class's images of their embeddings, `classes × width`, and the number of images of each class.
///
/// Each embedding has length at most 1, computed again in f64; one that is no number counts as 0. Cost: one forward pass of
/// every image.
pub(crate) fn class_sums(network: &RandomNetwork, images: &ImageSet, members: &[Vec<usize>], width: usize) -> Vec<f64> {
    let device = DeviceChoice::chosen().inference();
    let mut sums = vec![0.0; members.len() * width];
    for (sum, of_class) in sums.chunks_exact_mut(width).zip(members) {
        for block in of_class.chunks(BLOCK) {
            let embedded = network.embed(pixels(images, block, PixelRange::Symmetric, &device));
            let values: Vec<f32> = embedded.into_data().iter::<f32>().collect();
            for row in values.chunks_exact(width) {
                add_bounded(sum, row);
            }
        }
    }
    sums
}

/// Adds a row scaled to length 1 at most.
pub(crate) fn add_bounded(sum: &mut [f64], row: &[f32]) {
    let length = row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() {
        return;
    }
    let factor = if length > 1.0 { 1.0 / length } else { 1.0 };
    sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += factor * f64::from(value));
}

#[cfg(test)]
mod tests {
    use standin_data::digits;

    use super::*;

    #[test]
    fn embeddings_have_length_one_and_tell_images_apart() {
        let digits = digits();
        let device = DeviceChoice::chosen().inference();
        let network = RandomNetwork::new(digits.shape(), 12, Seed::new(1), &device);
        let width = RandomNetwork::width(digits.shape(), 12);
        let rows = network.embed(pixels(&digits, &[0, 1, 2], PixelRange::Symmetric, &device));
        assert_eq!(rows.dims(), [3, width]);
        let rows: Vec<f32> = rows.into_data().iter::<f32>().collect();
        for row in rows.chunks_exact(width) {
            let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            assert!((length - 1.0).abs() < 1e-4, "{length}");
        }
        let cosine: f32 = rows[..width].iter().zip(&rows[width..2 * width]).map(|(a, b)| a * b).sum();
        assert!(cosine < 0.99, "{cosine}");
    }

    /// Any image, whatever its embedding, moves the sums by at most 1 and one class's row alone.
    #[test]
    fn an_image_more_moves_the_sums_by_one_at_most() {
        for row in [vec![30.0, -40.0], vec![0.1, 0.2], vec![f32::NAN, 1.0], vec![f32::INFINITY, 0.0]] {
            let mut sum = vec![2.0, 3.0];
            add_bounded(&mut sum, &row);
            let moved = ((sum[0] - 2.0).powi(2) + (sum[1] - 3.0).powi(2)).sqrt();
            assert!(moved <= 1.0 + 1e-12, "{moved}");
        }
        let digits = digits();
        let device = DeviceChoice::chosen().inference();
        let network = RandomNetwork::new(digits.shape(), 4, Seed::new(1), &device);
        let width = RandomNetwork::width(digits.shape(), 4);
        let sums = |last: &[usize]| class_sums(&network, &digits, &[vec![0, 1, 2], last.to_vec()], width);
        let (without, with) = (sums(&[3, 4]), sums(&[3, 4, 5]));
        assert_eq!(without[..width], with[..width]);
        let moved = without.iter().zip(&with).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        assert!(moved > 0.99 && moved <= 1.0 + 1e-6, "{moved}");
    }
}
