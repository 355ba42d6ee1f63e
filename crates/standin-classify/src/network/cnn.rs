use serde::{Deserialize, Serialize};
use standin_data::{Seed, Shape};
use standin_nn::layer::{Conv2d, Linear, relu};
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{Module, burn};

use super::{Architecture, Design, Network};

/// Images of this side or smaller are convolved once before the first halving.
const SMALL: usize = 16;

/// Halving ends at planes of this side or smaller.
const LAST: usize = 7;

/// A convolutional network in the manner of LeNet-5 (LeCun et al. 1998), with strides in the place of pooling.
///
/// 3 × 3 convolutions and ReLU halve the planes until their smaller side is at most 7, doubling the channels; images of
/// 16 pixels or less are convolved once at full size before. One hidden layer and one output per class follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cnn;

/// The sizes of its layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CnnSettings {
    /// Channels of the first convolution; at least 1.
    channels: usize,
    /// Most channels of any convolution; at least `channels`.
    most_channels: usize,
    /// Width of the hidden layer; at least 1.
    hidden: usize,
}

impl Design for Cnn {
    type Settings = CnnSettings;
    type Architecture = CnnArchitecture;
    const KEYS: &'static [&'static str] = &["channels", "most_channels", "hidden"];

    /// 16 channels doubling to at most 64, 128 hidden.
    fn defaults(&self) -> CnnSettings {
        CnnSettings { channels: 16, most_channels: 64, hidden: 128 }
    }

    fn check(&self, settings: &CnnSettings) -> Result<(), String> {
        let CnnSettings { channels, most_channels, hidden } = settings;
        if *channels == 0 || *hidden == 0 {
            return Err("`channels` and `hidden` must be at least 1".into());
        }
        if most_channels < channels {
            return Err(format!("`most_channels` is {most_channels}, below `channels` = {channels}"));
        }
        Ok(())
    }

    fn architecture(&self, settings: &CnnSettings, shape: Shape) -> Result<CnnArchitecture, &'static str> {
        let mut side = shape.height.min(shape.width);
        if side < 2 {
            return Err("it needs at least 2 rows and columns; use `logistic`");
        }
        let mut convolutions = Vec::new();
        let mut channels = settings.channels;
        if side <= SMALL {
            convolutions.push(Convolution { channels, stride: 1 });
            channels *= 2;
        }
        while side > LAST || convolutions.len() < 2 {
            convolutions.push(Convolution { channels: channels.min(settings.most_channels), stride: 2 });
            channels *= 2;
            side = side.div_ceil(2);
        }
        Ok(CnnArchitecture { hidden: settings.hidden, convolutions })
    }
}

/// One convolution: its output channels and stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Convolution {
    channels: usize,
    stride: usize,
}

/// All that rebuilds the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CnnArchitecture {
    hidden: usize,
    convolutions: Vec<Convolution>,
}

impl Architecture for CnnArchitecture {
    type Network = CnnNetwork;

    fn build(&self, shape: Shape, classes: usize, seed: Seed, device: &Device) -> CnnNetwork {
        let Shape { mut channels, mut height, mut width } = shape;
        let mut convolutions = Vec::new();
        for (index, layer) in self.convolutions.iter().enumerate() {
            let seed = seed.derive(&format!("convolution {index}"));
            let convolution = Conv2d::new(channels, layer.channels, 3, seed, device);
            let convolution = convolution.with_stride(layer.stride).with_padding(1);
            channels = layer.channels;
            (height, width) = (convolution.output_size(height), convolution.output_size(width));
            convolutions.push(convolution);
        }
        CnnNetwork {
            convolutions,
            hidden: Linear::new(channels * height * width, self.hidden, seed.derive("hidden"), device),
            out: Linear::new(self.hidden, classes, seed.derive("out"), device),
        }
    }
}

/// The network; its features are the hidden layer after ReLU.
#[derive(Module, Debug)]
pub(crate) struct CnnNetwork {
    convolutions: Vec<Conv2d>,
    hidden: Linear,
    out: Linear,
}

impl Network for CnnNetwork {
    fn features(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.convolutions.iter().fold(x, |x, convolution| relu(convolution.forward(x)));
        let [n, channels, height, width] = x.dims();
        relu(self.hidden.forward(x.reshape([n, channels * height * width])))
    }

    fn logits(&self, features: Tensor<2>) -> Tensor<2> {
        self.out.forward(features)
    }

    fn dimension(&self) -> usize {
        self.out.weight.dims()[0]
    }
}

#[cfg(test)]
mod tests {
    use standin_nn::{DeviceChoice, values};

    use super::*;

    /// One plane set through a 3 × 3 convolution with a border of zeros and ReLU, written out in f64. `weights` begin with
    /// `outputs × inputs × 3 × 3` values and one bias per output.
    fn convolved(planes: &[Vec<Vec<f64>>], weights: &mut &[f32], layer: Convolution) -> Vec<Vec<Vec<f64>>> {
        let (height, width) = (planes[0].len(), planes[0][0].len());
        let (kernels, rest) = weights.split_at(layer.channels * planes.len() * 9);
        let (biases, rest) = rest.split_at(layer.channels);
        *weights = rest;
        let value = |plane: &Vec<Vec<f64>>, y: usize, x: usize| {
            let inside = (1..=height).contains(&y) && (1..=width).contains(&x);
            if inside { plane[y - 1][x - 1] } else { 0.0 }
        };
        let at = |output: usize, y: usize, x: usize| {
            let mut sum = f64::from(biases[output]);
            for (input, plane) in planes.iter().enumerate() {
                for tap in 0..9 {
                    let weight = f64::from(kernels[(output * planes.len() + input) * 9 + tap]);
                    sum += weight * value(plane, y * layer.stride + tap / 3, x * layer.stride + tap % 3);
                }
            }
            sum.max(0.0)
        };
        let (rows, columns) = (height.div_ceil(layer.stride), width.div_ceil(layer.stride));
        (0..layer.channels)
            .map(|output| (0..rows).map(|y| (0..columns).map(|x| at(output, y, x)).collect()).collect())
            .collect()
    }

    /// `inputs × outputs` weights and one bias per output.
    fn linear(x: &[f64], weights: &mut &[f32], outputs: usize) -> Vec<f64> {
        let (matrix, rest) = weights.split_at(x.len() * outputs);
        let (biases, rest) = rest.split_at(outputs);
        *weights = rest;
        let sum = |output: usize| -> f64 {
            x.iter().enumerate().map(|(input, x)| x * f64::from(matrix[input * outputs + output])).sum()
        };
        biases.iter().enumerate().map(|(output, &bias)| sum(output) + f64::from(bias)).collect()
    }

    /// Within what f32 leaves of sums of some hundred terms of order 1.
    #[test]
    fn features_and_logits_equal_the_layers_written_out() {
        let shape = Shape { channels: 3, height: 9, width: 11 };
        let settings = CnnSettings { channels: 3, most_channels: 5, hidden: 5 };
        let architecture = Cnn.architecture(&settings, shape).unwrap();
        let device = DeviceChoice::Cpu.inference();
        let network = architecture.build(shape, 2, Seed::new(4), &device);
        let input: Vec<f32> = (0..6 * shape.volume()).map(|at| ((at * at % 251) as f32 - 125.0) / 73.0).collect();
        let x = Tensor::<1>::from_data(input.as_slice(), &device).reshape([6, 3, 9, 11]);
        let features: Vec<f32> = network.features(x.clone()).into_data().iter::<f32>().collect();
        let logits: Vec<f32> = network.forward(x).into_data().iter::<f32>().collect();

        let weights = values(&network);
        for (image, pixels) in input.chunks_exact(shape.volume()).enumerate() {
            let pixels: Vec<f64> = pixels.iter().map(|&pixel| f64::from(pixel)).collect();
            let planes = pixels.chunks_exact(99).map(|plane| plane.chunks_exact(11).map(<[f64]>::to_vec).collect());
            let mut rest = weights.as_slice();
            let layers = architecture.convolutions.iter();
            let planes = layers.fold(planes.collect(), |planes: Vec<_>, &layer| convolved(&planes, &mut rest, layer));
            let hidden = linear(&planes.concat().concat(), &mut rest, 5);
            let hidden: Vec<f64> = hidden.into_iter().map(|value| value.max(0.0)).collect();
            let out = linear(&hidden, &mut rest, 2);
            assert!(rest.is_empty());
            let found = features[image * 5..][..5].iter().chain(&logits[image * 2..][..2]);
            for (&found, expected) in found.zip(hidden.iter().chain(&out)) {
                assert!((f64::from(found) - expected).abs() < 1e-4, "image {image}: {found} for {expected}");
            }
        }
    }
}
