use std::path::{Path, PathBuf};

use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Labels, Progress, Provenance, Seed};
use standin_nn::tensor::activation::sigmoid;
use standin_nn::tensor::{Tensor, TensorData};
use standin_nn::{DeviceChoice, PixelRange, load_weights, quantise, read_architecture, save_weights};
use standin_privacy::Guarantee;

use crate::aggregate::Aggregate;
use crate::decoder::{Architecture, Decoder, one_hot};
use crate::{Error, Result, SampleRequest, Trained};

/// Images decoded together. Each chunk is filled up to this size, so that an image comes out the same in a small
/// request as in a large one.
const CHUNK: usize = 256;

/// The file of weights; its description lies beside it.
const WEIGHTS: &str = "generator.safetensors";

/// Everything about a trained decoder except its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Card {
    /// The registered name of the method.
    pub family: String,
    /// What it was trained on.
    pub trained_on: String,
    /// Licence of the training images, where known.
    pub licence: Option<String>,
    /// The seed of its training, as text because TOML's integers end at 2⁶³.
    pub seed: String,
    /// Names of the classes.
    pub class_names: Vec<String>,
    /// Share of each class in training, as far as the method may know it.
    pub shares: Vec<f64>,
    /// Every option of the method.
    pub options: toml::Table,
    /// The sizes of the network.
    pub architecture: Architecture,
    /// What the method promises.
    pub guarantee: Option<Guarantee>,
    /// Where the latent vectors of each class lie; empty where they are standard normal.
    #[serde(default)]
    pub latents: Vec<Aggregate>,
}

impl Card {
    /// Checks that the parts fit each other, as they do in every card this crate writes.
    fn check(&self) -> std::result::Result<(), &'static str> {
        let Architecture { latent, hidden, classes, shape } = &self.architecture;
        if *classes == 0 || self.class_names.len() != *classes || self.shares.len() != *classes {
            return Err("class names, shares and architecture differ in the number of classes");
        }
        if !self.shares.iter().all(|share| (0.0..=1.0).contains(share)) || self.shares.iter().sum::<f64>() < 0.5 {
            return Err("the shares of the classes do not add up to 1");
        }
        if *latent == 0 || hidden.contains(&0) || shape.volume() == 0 || !matches!(shape.channels, 1 | 3) {
            return Err("a layer or the image shape has size 0, or the images have other than 1 or 3 channels");
        }
        let fits = |part: &Aggregate| part.mean.len() == *latent && part.factor.len() == latent * latent;
        if !self.latents.is_empty() && (self.latents.len() != *classes || !self.latents.iter().all(fits)) {
            return Err("the latent distributions differ from the architecture in size or number");
        }
        Ok(())
    }
}

/// The registered name of the method whose generator was saved in `folder`.
pub(crate) fn family_of(folder: &Path) -> Result<String> {
    let table: toml::Table = read_architecture(&weights_path(folder))?;
    match table.get("family").and_then(toml::Value::as_str) {
        Some(name) => Ok(name.to_owned()),
        None => Err(Error::invalid(
            &weights_path(folder).with_extension("toml"),
            "it names no generator family",
            "give the folder of a generator that this program saved",
        )),
    }
}

fn weights_path(folder: &Path) -> PathBuf {
    folder.join(WEIGHTS)
}

/// A trained network from latent vectors and classes to images, whatever method trained it.
#[derive(Debug)]
pub(crate) struct TrainedDecoder {
    decoder: Decoder,
    card: Card,
}

impl TrainedDecoder {
    /// `decoder` lives on the inference device.
    pub(crate) fn new(decoder: Decoder, card: Card) -> Self {
        Self { decoder, card }
    }

    pub(crate) fn load(folder: &Path) -> Result<Box<dyn Trained>> {
        let path = weights_path(folder);
        let card: Card = read_architecture(&path)?;
        card.check().map_err(|found| {
            Error::invalid(
                &path.with_extension("toml"),
                found,
                "it must be as this program saved it; train again or restore the file",
            )
        })?;
        // The initial weights are replaced, so their seed does not matter.
        let empty = Decoder::new(&card.architecture, Seed::new(0), &DeviceChoice::chosen().inference());
        Ok(Box::new(Self { decoder: load_weights(&path, empty)?, card }))
    }

    /// One chunk of images, `CHUNK × pixels` values, of which the first `labels.len()` are asked for.
    fn decode(&self, first: usize, labels: &[u32], temperature: f64, latents: Seed) -> Result<ImageSet> {
        let Architecture { latent, classes, shape, .. } = self.card.architecture;
        let device = DeviceChoice::chosen().inference();
        let mut values = Vec::with_capacity(CHUNK * latent);
        for (index, &label) in (first..).zip(labels) {
            let mut rng = latents.rng();
            rng.set_stream(index as u64);
            let draw = |_| temperature as f32 * rng.sample::<f32, _>(StandardNormal);
            let noise: Vec<f32> = (0..latent).map(draw).collect();
            match self.card.latents.get(label as usize) {
                Some(aggregate) => values.extend(aggregate.place(&noise)),
                None => values.extend(noise),
            }
        }
        values.resize(CHUNK * latent, 0.0);
        let mut padded = labels.to_vec();
        padded.resize(CHUNK, 0);
        let latents = Tensor::from_data(TensorData::new(values, [CHUNK, latent]), &device);
        let pixels = sigmoid(self.decoder.logits(latents, one_hot(&padded, classes, &device)));
        Ok(quantise(pixels.reshape([CHUNK, shape.channels, shape.height, shape.width]), PixelRange::Unit)?)
    }

    fn provenance(&self, temperature: f64, seed: Seed) -> Provenance {
        let guarantee = match &self.card.guarantee {
            Some(guarantee) => guarantee.to_string(),
            None => "no privacy guarantee".to_owned(),
        };
        let warmth = if temperature == 1.0 { String::new() } else { format!(" at temperature {temperature}") };
        Provenance {
            source: format!(
                "generator {} (seed {}) trained on {}, sampled with seed {}{warmth}; {guarantee}",
                self.card.family,
                self.card.seed,
                self.card.trained_on,
                seed.value()
            ),
            format: "generated".to_owned(),
            licence: self.card.licence.clone(),
            guarantee: Some(guarantee),
            skipped: Vec::new(),
        }
    }
}

impl Trained for TrainedDecoder {
    fn sample(&self, request: &SampleRequest, seed: Seed, progress: &dyn Progress) -> Result<ImageSet> {
        request.check_temperature()?;
        let labels = request.labels(&self.card.class_names, &self.card.shares)?;
        let latents = seed.derive("latent");
        progress.begin("sampling", labels.len() as u64);
        let chunks: Vec<ImageSet> = labels
            .par_chunks(CHUNK)
            .enumerate()
            .map(|(chunk, labels)| {
                let images = self.decode(chunk * CHUNK, labels, request.temperature, latents)?;
                progress.advance(labels.len() as u64);
                Ok(images)
            })
            .collect::<Result<_>>()?;
        progress.end();
        let shape = self.card.architecture.shape;
        let mut pixels = Vec::with_capacity(chunks.len() * CHUNK * shape.volume());
        chunks.iter().for_each(|chunk| pixels.extend_from_slice(chunk.pixels()));
        pixels.truncate(labels.len() * shape.volume());
        let labels = Labels { values: labels, classes: self.card.class_names.clone() };
        Ok(ImageSet::new(shape, pixels)?
            .with_labels(labels)?
            .with_provenance(self.provenance(request.temperature, seed)))
    }

    fn save(&self, folder: &Path) -> Result<()> {
        Ok(save_weights(&weights_path(folder), &self.decoder, &self.card)?)
    }

    fn guarantee(&self) -> Option<&Guarantee> {
        self.card.guarantee.as_ref()
    }
}
