use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Progress, Seed, Shape};
use standin_nn::layer::{Conv2d, Linear, relu};
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{
    DeviceChoice, Module, Optimization, Optimizer, PixelRange, Plan, Schedule, burn, digest, fit, load_weights, loss,
    pixels, read_architecture, save_weights,
};

use crate::classifier::{require_classes, require_shape, save_family};
use crate::standardise::Standardisation;
use crate::{Augmentation, Classifier, Error, Logits, Result, TrainedClassifier};

/// Images of this side or smaller are convolved once before the first halving.
const SMALL: usize = 16;

/// Halving ends at planes of this side or smaller.
const LAST: usize = 7;

/// Images that go through the network at once when it is used; fixed, so that results do not depend on threads.
const ROWS: usize = 256;

/// A convolutional network in the manner of LeNet-5 (LeCun et al. 1998), with strides in the place of pooling.
///
/// 3 × 3 convolutions and ReLU halve the planes until their smaller side is at most 7, doubling the channels; images of
/// 16 pixels or less are convolved once at full size before. One hidden layer and one output per class follow. Pixels are
/// standardised per channel. Trained with Adam, a cosine schedule and a fixed number of steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cnn {
    /// Channels of the first convolution; at least 1.
    pub channels: usize,
    /// Most channels of any convolution; at least `channels`.
    pub most_channels: usize,
    /// Width of the hidden layer; at least 1.
    pub hidden: usize,
    /// Passes over the training set, as far as the bounds on steps allow; above 0.
    pub epochs: f64,
    /// Fewest steps, so that small sets are learnt too; at least 1.
    pub fewest_steps: usize,
    /// Most steps; at least `fewest_steps`.
    pub most_steps: usize,
    /// Images a step; at least 1.
    pub batch_size: usize,
    /// Largest learning rate; above 0.
    pub learning_rate: f64,
    /// Decoupled weight decay of AdamW; at least 0.
    pub weight_decay: f64,
    /// Probability spread evenly over all classes, in [0, 1).
    pub label_smoothing: f64,
    /// Decay of the moving average of weights that is used in the end, in [0, 1); none for the last step's weights.
    pub average_decay: Option<f64>,
    /// Random changes of training images.
    pub augmentation: Augmentation,
}

impl Default for Cnn {
    /// 16 channels doubling to at most 64, 128 hidden, 6 epochs in 200 to 6000 steps of 64 images, learning rate
    /// 2 · 10⁻³, weight decay 0.01, nothing else.
    fn default() -> Self {
        Self {
            channels: 16,
            most_channels: 64,
            hidden: 128,
            epochs: 6.0,
            fewest_steps: 200,
            most_steps: 6000,
            batch_size: 64,
            learning_rate: 2e-3,
            weight_decay: 0.01,
            label_smoothing: 0.0,
            average_decay: None,
            augmentation: Augmentation { shift: 0, flip: false },
        }
    }
}

impl Cnn {
    /// The same configuration, its values checked.
    ///
    /// # Errors
    /// Names the first value outside its range.
    pub fn checked(self) -> Result<Self> {
        let reason = if self.channels == 0 || self.hidden == 0 || self.batch_size == 0 || self.fewest_steps == 0 {
            "`channels`, `hidden`, `batch_size` and `fewest_steps` must be at least 1".to_owned()
        } else if self.most_channels < self.channels {
            format!("`most_channels` is {}, below `channels` = {}", self.most_channels, self.channels)
        } else if self.most_steps < self.fewest_steps {
            format!("`most_steps` is {}, below `fewest_steps` = {}", self.most_steps, self.fewest_steps)
        } else if !(self.epochs.is_finite() && self.epochs > 0.0) {
            format!("`epochs` is {}; it must be a number above 0", self.epochs)
        } else if !(0.0..1.0).contains(&self.label_smoothing) {
            format!("`label_smoothing` is {}; it must be at least 0 and below 1", self.label_smoothing)
        } else {
            self.optimization().check()?;
            return Ok(self);
        };
        Err(Error::Configuration { classifier: "cnn", reason })
    }

    fn optimization(&self) -> Optimization {
        Optimization {
            optimizer: Optimizer::adam(self.weight_decay),
            learning_rate: self.learning_rate,
            schedule: Schedule::cosine(0.05),
            clip_norm: None,
            average_decay: self.average_decay,
        }
    }

    /// Steps for a training set of `examples` images.
    pub fn steps(&self, examples: usize) -> usize {
        let epochs = Plan::epochs(examples, self.batch_size, self.epochs, Seed::new(0));
        epochs.steps.clamp(self.fewest_steps, self.most_steps)
    }

    /// As [`Classifier::fit`], with the concrete type.
    ///
    /// # Errors
    /// As [`Classifier::fit`].
    pub fn train(&self, train: &ImageSet, seed: Seed, progress: &dyn Progress) -> Result<TrainedCnn> {
        let labels = require_classes(train)?;
        let architecture = Architecture {
            shape: train.shape(),
            classes: labels.classes.clone(),
            standardisation: Standardisation::per_channel(train),
            convolutions: convolutions(self, train.shape())?,
            hidden: self.hidden,
        };
        let device = DeviceChoice::Cpu.training();
        let network = Network::new(&architecture, seed.derive("weights"), &device);
        let plan = Plan::steps(train.len(), self.batch_size, self.steps(train.len()), seed.derive("order"));
        let fitted = fit(network, &self.optimization(), &plan, None, progress, |network: &Network, batch| {
            let x = if self.augmentation == Augmentation::default() {
                pixels(train, batch.indices, PixelRange::Unit, &device)
            } else {
                let changed = self.augmentation.apply(train, batch.indices, batch.seed)?;
                pixels(&changed, &(0..changed.len()).collect::<Vec<_>>(), PixelRange::Unit, &device)
            };
            let own: Vec<u32> = batch.indices.iter().map(|&index| labels.values[index]).collect();
            let targets = loss::smoothed_targets(&own, labels.classes.len(), self.label_smoothing, &device);
            let logits = network.forward(architecture.standardised(x));
            Ok(loss::cross_entropy(logits, targets).mean())
        })?;
        Ok(TrainedCnn { network: fitted.model, architecture })
    }
}

impl Classifier for Cnn {
    fn fit(&self, train: &ImageSet, seed: Seed, progress: &dyn Progress) -> Result<Box<dyn TrainedClassifier>> {
        Ok(Box::new(self.train(train, seed, progress)?))
    }
}

/// Channels and strides of the convolutions for images of one shape.
fn convolutions(config: &Cnn, shape: Shape) -> Result<Vec<Convolution>> {
    let mut side = shape.height.min(shape.width);
    if side < 2 {
        let remedy = "it needs at least 2 rows and columns; use `logistic`";
        return Err(Error::Shape { classifier: "cnn", shape, remedy });
    }
    let mut layers = Vec::new();
    let mut channels = config.channels;
    if side <= SMALL {
        layers.push(Convolution { channels, stride: 1 });
        channels *= 2;
    }
    while side > LAST || layers.len() < 2 {
        layers.push(Convolution { channels: channels.min(config.most_channels), stride: 2 });
        channels *= 2;
        side = side.div_ceil(2);
    }
    Ok(layers)
}

/// One convolution: its output channels and stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Convolution {
    channels: usize,
    stride: usize,
}

/// All that rebuilds the network, saved beside its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Architecture {
    shape: Shape,
    classes: Vec<String>,
    hidden: usize,
    convolutions: Vec<Convolution>,
    standardisation: Standardisation,
}

impl Architecture {
    /// Values in [0, 1], `n × channels × height × width`, to mean 0 and variance 1 per channel of the training set.
    fn standardised(&self, x: Tensor<4>) -> Tensor<4> {
        let device = x.device();
        let per_channel = |values: Vec<f32>| {
            Tensor::<1>::from_data(values.as_slice(), &device).reshape([1, self.shape.channels, 1, 1])
        };
        let scale = self.standardisation.deviation.iter().map(|deviation| (255.0 / deviation) as f32);
        let pairs = self.standardisation.mean.iter().zip(&self.standardisation.deviation);
        let offset = pairs.map(|(mean, deviation)| (-mean / deviation) as f32);
        x * per_channel(scale.collect()) + per_channel(offset.collect())
    }
}

#[derive(Module, Debug)]
struct Network {
    convolutions: Vec<Conv2d>,
    hidden: Linear,
    out: Linear,
}

impl Network {
    fn new(architecture: &Architecture, seed: Seed, device: &Device) -> Self {
        let Shape { mut channels, mut height, mut width } = architecture.shape;
        let mut convolutions = Vec::new();
        for (index, layer) in architecture.convolutions.iter().enumerate() {
            let seed = seed.derive(&format!("convolution {index}"));
            let convolution = Conv2d::new(channels, layer.channels, 3, seed, device);
            let convolution = convolution.with_stride(layer.stride).with_padding(1);
            channels = layer.channels;
            (height, width) = (convolution.output_size(height), convolution.output_size(width));
            convolutions.push(convolution);
        }
        let hidden = architecture.hidden;
        Self {
            convolutions,
            hidden: Linear::new(channels * height * width, hidden, seed.derive("hidden"), device),
            out: Linear::new(hidden, architecture.classes.len(), seed.derive("out"), device),
        }
    }

    /// Standardised images to the values of the hidden layer after ReLU, `n × hidden`.
    fn features(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.convolutions.iter().fold(x, |x, convolution| relu(convolution.forward(x)));
        let [n, channels, height, width] = x.dims();
        relu(self.hidden.forward(x.reshape([n, channels * height * width])))
    }

    /// Standardised images to logits, `n × classes`.
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        self.out.forward(self.features(x))
    }
}

/// A fitted [`Cnn`].
#[derive(Clone, Debug)]
pub struct TrainedCnn {
    network: Network,
    architecture: Architecture,
}

impl TrainedCnn {
    /// The name of the file of weights in the folder.
    const FILE: &str = "cnn.safetensors";

    /// Reads what [`TrainedClassifier::save`] wrote.
    ///
    /// # Errors
    /// If a file is missing, damaged, or does not fit the others.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(Self::FILE);
        let architecture: Architecture = read_architecture(&path)?;
        let network = Network::new(&architecture, Seed::new(0), &DeviceChoice::Cpu.inference());
        Ok(Self { network: load_weights(&path, network)?, architecture })
    }

    /// What the last layer sees of each image: the hidden layer after ReLU, one row of [`Cnn::hidden`] values of at least
    /// 0 per image, row-major.
    ///
    /// # Errors
    /// If the images are not of the shape of training.
    pub fn features(&self, images: &ImageSet) -> Result<Vec<f32>> {
        self.rows(images, Network::features)
    }

    /// Values per image of [`TrainedCnn::features`].
    pub fn dimension(&self) -> usize {
        self.architecture.hidden
    }

    /// Shape of the images it was trained on.
    pub fn shape(&self) -> Shape {
        self.architecture.shape
    }

    /// The BLAKE3 digest of its weights, in hexadecimal.
    pub fn digest(&self) -> String {
        digest(&self.network)
    }

    /// What one of the network's functions gives for each image, row-major.
    fn rows(&self, images: &ImageSet, function: fn(&Network, Tensor<4>) -> Tensor<2>) -> Result<Vec<f32>> {
        require_shape(images, self.architecture.shape)?;
        let device = DeviceChoice::Cpu.inference();
        let starts: Vec<usize> = (0..images.len()).step_by(ROWS).collect();
        let rows: Vec<Vec<f32>> = starts
            .into_par_iter()
            .map(|start| {
                let indices: Vec<usize> = (start..(start + ROWS).min(images.len())).collect();
                let x = pixels(images, &indices, PixelRange::Unit, &device);
                function(&self.network, self.architecture.standardised(x)).into_data().iter::<f32>().collect()
            })
            .collect();
        Ok(rows.concat())
    }
}

impl TrainedClassifier for TrainedCnn {
    fn logits(&self, images: &ImageSet) -> Result<Logits> {
        Ok(Logits::new(self.rows(images, Network::forward)?, self.architecture.classes.len()))
    }

    fn classes(&self) -> &[String] {
        &self.architecture.classes
    }

    fn save(&self, folder: &Path) -> Result<()> {
        save_weights(&folder.join(Self::FILE), &self.network, &self.architecture)?;
        save_family(folder, "cnn")
    }
}

#[cfg(test)]
mod tests {
    use standin_data::{Labels, Silent};
    use standin_nn::values;

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
        let pixels: Vec<u8> = (0..6 * shape.volume()).map(|at| (at * at % 251) as u8).collect();
        let labels = Labels { values: vec![0, 1, 0, 1, 0, 1], classes: vec!["a".into(), "b".into()] };
        let images = ImageSet::new(shape, pixels).unwrap().with_labels(labels).unwrap();
        let cnn = Cnn { channels: 3, hidden: 5, fewest_steps: 5, epochs: 1.0, ..Cnn::default() };
        let trained = cnn.train(&images, Seed::new(4), &Silent).unwrap();
        let (features, logits) = (trained.features(&images).unwrap(), trained.logits(&images).unwrap());

        let Standardisation { mean, deviation } = &trained.architecture.standardisation;
        let weights = values(&trained.network);
        for image in 0..images.len() {
            let planes = images.image(image).chunks_exact(99).enumerate().map(|(channel, plane)| {
                let standardised = plane.iter().map(|&pixel| (f64::from(pixel) - mean[channel]) / deviation[channel]);
                standardised.collect::<Vec<f64>>().chunks_exact(11).map(<[f64]>::to_vec).collect()
            });
            let mut rest = weights.as_slice();
            let layers = trained.architecture.convolutions.iter();
            let planes = layers.fold(planes.collect(), |planes: Vec<_>, &layer| convolved(&planes, &mut rest, layer));
            let hidden = linear(&planes.concat().concat(), &mut rest, 5);
            let hidden: Vec<f64> = hidden.into_iter().map(|value| value.max(0.0)).collect();
            let out = linear(&hidden, &mut rest, 2);
            assert!(rest.is_empty());
            let found = features[image * 5..][..5].iter().chain(logits.row(image));
            for (&found, expected) in found.zip(hidden.iter().chain(&out)) {
                assert!((f64::from(found) - expected).abs() < 1e-4, "image {image}: {found} for {expected}");
            }
        }
    }
}
