//! Encoders that are networks in ONNX files.

mod network;
mod preparation;
mod settings;

use std::path::Path;
use std::sync::Mutex;

use rten::NodeId;
use standin_data::{ImageSet, Progress};

use self::preparation::Preparation;
use self::settings::{Layout, Pooling, Settings};
use crate::resize::Resizer;
use crate::{Embedding, Encoder, Result, Stamp};

pub(crate) use self::network::{Network, Runner, run_each};
pub use self::settings::{PRESETS, Preset};

/// A network from an ONNX file, its input prepared as the settings beside it or a preset say.
///
/// An image at a time runs on one thread, many at once, so features depend neither on batches nor on threads. Cost: that
/// of the network, n times; memory: its activations for one image, for each thread.
pub(crate) struct Onnx {
    name: String,
    network: Network,
    input: NodeId,
    preparation: Preparation,
    output: NodeId,
    output_name: String,
    pooling: Option<Pooling>,
    normalise: bool,
}

impl Onnx {
    /// Opens `FILE` with the settings of `FILE`'s TOML, or `FILE#PRESET` with those of a preset alone.
    pub(crate) fn open(argument: &str) -> Result<Self> {
        match argument.rsplit_once('#') {
            Some((file, preset)) if settings::is_preset(preset) => {
                Self::new(Network::open(Path::new(file))?, &Settings::preset(preset))
            }
            Some((file, preset)) if !Path::new(argument).exists() => {
                let found = format!("there is no preset `{preset}`");
                Err(crate::Error::file(Path::new(file), found, format!("known are {}", settings::preset_names())))
            }
            _ => Self::new(Network::open(Path::new(argument))?, &Settings::beside(Path::new(argument))?),
        }
    }

    fn new(network: Network, settings: &Settings) -> Result<Self> {
        let inputs = network.inputs()?;
        let [input] = inputs.as_slice() else {
            let names = inputs.iter().map(|input| format!("`{}`", input.name)).collect::<Vec<_>>().join(", ");
            return Err(network.error(
                format!("the network has {} inputs: {names}", inputs.len()),
                "one input for images was expected: export the image part alone",
            ));
        };
        let preparation = Preparation::new(&network, input, settings)?;
        let (output_name, output) = network.output(settings.output.as_deref())?;
        let file = network.path().file_name().unwrap_or_default().to_string_lossy();
        Ok(Self {
            name: format!("onnx:{file}"),
            input: input.node,
            preparation,
            output,
            output_name,
            pooling: settings.pooling,
            normalise: settings.normalise.unwrap_or(false),
            network,
        })
    }

    /// All that happens to images of any size, before and after the network.
    fn protocol(&self) -> String {
        let pooling = match self.pooling {
            None | Some(Pooling::Flatten) => "",
            Some(Pooling::Mean) => ", mean over positions",
            Some(Pooling::FirstToken) => ", first token",
        };
        let length = if self.normalise { ", length 1" } else { "" };
        format!("{}, output `{}`{pooling}{length}", self.preparation.describe(), self.output_name)
    }

    /// The features of one image.
    fn features(&self, images: &ImageSet, index: usize, resizer: &Resizer, runner: &Runner) -> Result<Vec<f32>> {
        let input = self.preparation.apply(images.image(index), images.shape(), resizer);
        let inputs = [(self.input, &self.preparation.tensor()[..], &input[..])];
        let (shape, values) = self.network.run(&inputs, self.output, runner)?;
        let mut features = self.pool(&shape, values)?;
        if self.normalise {
            let length = features.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            features.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
        }
        Ok(features)
    }

    /// One row of features from the output for one image, whose first axis is the batch.
    fn pool(&self, shape: &[usize], values: Vec<f32>) -> Result<Vec<f32>> {
        let vector = shape.iter().filter(|&&size| size != 1).count() <= 1;
        let refused = |remedy: &str| {
            let sizes = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
            let settings = settings::beside(self.network.path());
            let found = format!("the output `{}` is {sizes} for one image", self.output_name);
            Err(self
                .network
                .error(found, format!("{remedy} in {}, or choose another output there", settings.display())))
        };
        if shape.first() != Some(&1) || values.is_empty() {
            return refused("a first axis for the images was expected; export the network so, name its settings");
        }
        match (self.pooling, shape) {
            (Some(Pooling::Flatten), _) => Ok(values),
            _ if vector => Ok(values),
            (Some(Pooling::FirstToken), &[_, _, width]) => Ok(values[..width].to_vec()),
            (Some(Pooling::Mean), &[_, _, width]) => Ok(mean_over_rows(&values, width)),
            (Some(Pooling::Mean), &[_, _, _, width]) if self.preparation.layout() == Layout::ChannelsLast => {
                Ok(mean_over_rows(&values, width))
            }
            (Some(Pooling::Mean), &[_, _, height, width]) => {
                let mean =
                    |plane: &[f32]| plane.iter().map(|&value| f64::from(value)).sum::<f64>() / plane.len() as f64;
                Ok(values.chunks_exact(height * width).map(|plane| mean(plane) as f32).collect())
            }
            _ => refused("write `pooling = \"flatten\"`, `\"mean\"` (over positions or tokens) or `\"first-token\"`"),
        }
    }
}

fn mean_over_rows(values: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    for row in values.chunks_exact(width) {
        sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    let rows = (values.len() / width) as f64;
    sums.into_iter().map(|sum| (sum / rows) as f32).collect()
}

impl Encoder for Onnx {
    fn stamp(&self, images: &ImageSet) -> Result<Stamp> {
        let channels = self.preparation.describe_channels(&self.network, images.shape())?;
        let preprocessing = channels.into_iter().map(str::to_owned).chain([self.protocol()]).collect::<Vec<_>>();
        Ok(Stamp {
            weights: Some(self.network.digest().to_owned()),
            ..Stamp::new(&self.name, preprocessing.join(", "))
        })
    }

    fn encode(&self, images: &ImageSet, progress: &dyn Progress) -> Result<Embedding> {
        let stamp = self.stamp(images)?;
        let resizer = self.preparation.resizer(images.shape());
        let features = Mutex::new((Vec::new(), 0));
        progress.begin(&self.name, images.len() as u64);
        let outcome = run_each(images.len(), |index, runner| {
            let row = self.features(images, index, &resizer, runner)?;
            let mut features = features.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let (values, dimension) = &mut *features;
            if values.is_empty() {
                *dimension = row.len();
                values.resize(images.len() * row.len(), 0.0);
            }
            if row.len() != *dimension {
                let found = format!("image {index} has {} features, another has {dimension}", row.len());
                return Err(self.network.error(found, "an output of one size was expected: choose another output"));
            }
            values[index * row.len()..][..row.len()].copy_from_slice(&row);
            progress.advance(1);
            Ok(())
        });
        progress.end();
        outcome?;
        let (values, dimension) = features.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        Embedding::new(values, dimension.max(1), stamp)
    }

    fn weights(&self) -> Option<String> {
        let parts = format!("{}\n{}", self.network.digest(), self.protocol());
        Some(blake3::hash(parts.as_bytes()).to_hex().to_string())
    }
}
