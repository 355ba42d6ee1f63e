use std::fmt;
use std::path::{Path, PathBuf};

use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use standin_data::{Column, ImageSet, Labels, Progress, Provenance, Seed, Shape, Silent};
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{
    DeviceChoice, Module, PixelRange, load_weights, quantise, read_architecture, save_weights, values, with_values,
};
use standin_privacy::Guarantee;

use crate::adversarial::KeptDiscriminator;
use crate::diffusion::groups::Groups;
use crate::generator::cannot_translate;
use crate::opened::same_shape;
use crate::{
    Control, Decode, Denoise, Description, Discriminate, Error, Lineage, Result, SampleRequest, Trained,
    TranslationRequest, trained_images,
};

/// What is said of images from a generator without a guarantee.
pub(crate) const NO_GUARANTEE: &str = "no privacy guarantee";

/// The file of weights; its description lies beside it.
const WEIGHTS: &str = "generator.safetensors";

/// A network that draws images of a class from noise. Whatever method trained it, it is saved, loaded and sampled from
/// in the same way.
pub(crate) trait Network: Module + fmt::Debug + Sync {
    /// The sizes of the network and all else it needs beside its weights.
    type Architecture: Clone + fmt::Debug + Send + Sync + Serialize + DeserializeOwned;

    /// What of a request it can follow.
    const CONTROLS: &'static [Control];

    /// Images drawn together. Each chunk is filled up to this size, so that an image comes out the same in a small
    /// request as in a large one.
    const CHUNK: usize;

    /// A network with initial weights.
    fn new(architecture: &Self::Architecture, seed: Seed, device: &Device) -> Self;

    /// Checks that the parts of an architecture fit each other, as they do in every one this crate writes.
    fn check(architecture: &Self::Architecture) -> Result<(), &'static str>;

    /// The shape of an image.
    fn shape(architecture: &Self::Architecture) -> Shape;

    /// The number of classes.
    fn classes(architecture: &Self::Architecture) -> usize;

    /// As [`Network::CONTROLS`], of one network.
    fn controls(_architecture: &Self::Architecture) -> &'static [Control] {
        Self::CONTROLS
    }

    /// The groups it is told beside the class; none where it is not.
    fn groups(_architecture: &Self::Architecture) -> Option<&Groups> {
        None
    }

    /// Images of another group made of each source, `copies` each; none where it is not told groups.
    fn translate(
        &self,
        _architecture: &Self::Architecture,
        _sources: &Sources<'_>,
        _request: &TranslationRequest,
        _seed: Seed,
        _progress: &dyn Progress,
    ) -> Option<Result<ImageSet>> {
        None
    }

    /// The pixels of a chunk of images, `CHUNK × channels × height × width`, and their range.
    fn draw(&self, architecture: &Self::Architecture, chunk: &Chunk<'_>) -> (Tensor<4>, PixelRange);

    /// As [`Trained::denoiser`].
    fn denoiser<'a>(&'a self, _architecture: &'a Self::Architecture) -> Option<Box<dyn Denoise + 'a>> {
        None
    }

    /// As [`Trained::decoder`].
    fn decoder<'a>(&'a self, _architecture: &'a Self::Architecture) -> Option<Box<dyn Decode + 'a>> {
        None
    }
}

/// The same network where slopes along its inputs can be computed, its weights being constants.
pub(crate) fn differentiable<N: Network>(network: &N, architecture: &N::Architecture) -> N {
    // The initial weights are replaced, so their seed does not matter.
    let empty = N::new(architecture, Seed::new(0), &DeviceChoice::chosen().training());
    with_values(empty, &values(network)).no_grad()
}

/// Images to make others of.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    /// Of the shape of training.
    pub images: &'a ImageSet,
    /// The class of each, as the generator numbers them.
    pub labels: &'a [u32],
}

/// What a chunk of images is drawn from.
#[derive(Debug)]
pub(crate) struct Chunk<'a> {
    /// The class of each image; as many as are drawn together.
    pub labels: &'a [u32],
    /// How to draw.
    pub request: &'a SampleRequest,
    source: Source<'a>,
    seed: Seed,
}

/// Where the noise of each image of a chunk comes from.
#[derive(Debug)]
enum Source<'a> {
    /// From its place among all images; this is the first one's.
    Place(usize),
    /// From its lineage. Images beyond these are not asked for.
    Lineages(&'a [Lineage]),
}

impl Chunk<'_> {
    /// The device to draw on.
    pub(crate) fn device(&self) -> Device {
        DeviceChoice::chosen().inference()
    }

    /// Standard normal values, `labels.len() × width` one row after the other. Those of an image depend on the seed, its place and
    /// the purpose alone.
    pub(crate) fn values(&self, purpose: &str, width: usize) -> Vec<f32> {
        let seed = self.seed.derive(purpose);
        let draw = |stream: u64| {
            let mut rng = seed.rng();
            rng.set_stream(stream);
            (0..width).map(move |_| rng.sample::<f32, _>(StandardNormal))
        };
        let mut values = Vec::with_capacity(self.labels.len() * width);
        match self.source {
            Source::Place(first) => {
                (first..first + self.labels.len()).for_each(|place| values.extend(draw(place as u64)));
            }
            Source::Lineages(lineages) => {
                for lineage in lineages {
                    let mut mixed = vec![0.0; width];
                    for &(stream, share) in &lineage.draws {
                        let (kept, share) = ((1.0 - share * share).sqrt() as f32, share as f32);
                        mixed
                            .iter_mut()
                            .zip(draw(stream))
                            .for_each(|(value, new)| *value = kept * *value + share * new);
                    }
                    values.extend(mixed);
                }
                values.resize(self.labels.len() * width, 0.0);
            }
        }
        values
    }

    /// [`Chunk::values`] as a tensor, `labels.len() × width`.
    pub(crate) fn normal(&self, purpose: &str, width: usize) -> Tensor<2> {
        let shape = [self.labels.len(), width];
        Tensor::from_data(TensorData::new(self.values(purpose, width), shape), &self.device())
    }
}

/// Draws an image for each label, in order and without labels.
pub(crate) fn draw<N: Network>(
    network: &N,
    architecture: &N::Architecture,
    request: &SampleRequest,
    labels: &[u32],
    seed: Seed,
) -> Result<ImageSet> {
    draw_with(network, architecture, request, labels, None, seed, &Silent)
}

fn draw_with<N: Network>(
    network: &N,
    architecture: &N::Architecture,
    request: &SampleRequest,
    labels: &[u32],
    lineages: Option<&[Lineage]>,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<ImageSet> {
    let draw = |(chunk, labels): (usize, &[u32])| -> Result<ImageSet> {
        let first = chunk * N::CHUNK;
        let source = match lineages {
            None => Source::Place(first),
            Some(lineages) => Source::Lineages(&lineages[first..first + labels.len()]),
        };
        let mut padded = labels.to_vec();
        padded.resize(N::CHUNK, 0);
        let (pixels, range) = network.draw(architecture, &Chunk { labels: &padded, request, source, seed });
        progress.advance(labels.len() as u64);
        Ok(quantise(pixels, range)?)
    };
    let chunks: Vec<ImageSet> = labels.par_chunks(N::CHUNK).enumerate().map(draw).collect::<Result<_>>()?;
    let shape = N::shape(architecture);
    let mut pixels = Vec::with_capacity(chunks.len() * N::CHUNK * shape.volume());
    chunks.iter().for_each(|chunk| pixels.extend_from_slice(chunk.pixels()));
    pixels.truncate(labels.len() * shape.volume());
    Ok(ImageSet::new(shape, pixels)?)
}

/// Everything about a trained network except its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Card<A> {
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
    pub architecture: A,
    /// What the method promises.
    pub guarantee: Option<Guarantee>,
}

impl<A> Card<A> {
    /// The card of a method without a guarantee, which may know the shares of the classes.
    pub(crate) fn new(
        family: &str,
        train: &ImageSet,
        labels: &Labels,
        seed: Seed,
        options: toml::Table,
        architecture: A,
    ) -> Self {
        let share = |count: usize| count as f64 / train.len() as f64;
        Self {
            family: family.to_owned(),
            trained_on: train.describe(),
            licence: train.provenance().licence.clone(),
            seed: seed.value().to_string(),
            class_names: labels.classes.clone(),
            shares: labels.counts().into_iter().map(share).collect(),
            options,
            architecture,
            guarantee: None,
        }
    }

    /// The card of a private method, which may not know the shares of the classes: they are taken as equal.
    pub(crate) fn private(
        family: &str,
        train: &ImageSet,
        labels: &Labels,
        seed: Seed,
        options: toml::Table,
        architecture: A,
        guarantee: Guarantee,
    ) -> Self {
        let classes = labels.classes.len();
        let shares = vec![1.0 / classes as f64; classes];
        let card = Self::new(family, train, labels, seed, options, architecture);
        Self { shares, guarantee: Some(guarantee), ..card }
    }

    /// The same with shares that were released with noise.
    #[must_use]
    pub(crate) fn with_shares(self, shares: Vec<f64>) -> Self {
        Self { shares, ..self }
    }

    /// Checks the parts that every card has.
    pub(crate) fn check(&self, shape: Shape, classes: usize) -> Result<(), &'static str> {
        if classes == 0 || self.class_names.len() != classes || self.shares.len() != classes {
            return Err("class names, shares and architecture differ in the number of classes");
        }
        if !self.shares.iter().all(|share| (0.0..=1.0).contains(share)) || self.shares.iter().sum::<f64>() < 0.5 {
            return Err("the shares of the classes do not add up to 1");
        }
        if shape.volume() == 0 || !matches!(shape.channels, 1 | 3) {
            return Err("the image shape has size 0, or the images have other than 1 or 3 channels");
        }
        Ok(())
    }

    /// Where images come from that were drawn as the words say.
    pub(crate) fn provenance(&self, drawn: &str, seed: Seed) -> Provenance {
        let guarantee = match &self.guarantee {
            Some(guarantee) => guarantee.to_string(),
            None => NO_GUARANTEE.to_owned(),
        };
        Provenance {
            source: format!(
                "generator {} (seed {}) trained on {}, sampled with seed {}{}; {guarantee}",
                self.family,
                self.seed,
                self.trained_on,
                seed.value(),
                drawn,
            ),
            format: "generated".to_owned(),
            licence: self.licence.clone(),
            guarantee: Some(guarantee),
            skipped: Vec::new(),
        }
    }

    /// How the generator came to be.
    pub(crate) fn description(&self, shape: Shape) -> Description<'_> {
        Description {
            family: &self.family,
            trained_on: &self.trained_on,
            shape,
            classes: &self.class_names,
            options: &self.options,
            seed: &self.seed,
        }
    }
}

/// The registered name of the method whose generator was saved in `folder`.
pub(crate) fn family_of(folder: &Path) -> Result<String> {
    if let Some(family) = trained_images::family_of(folder) {
        return family;
    }
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

/// Whether the architecture of the network saved in `folder` has an entry of this name: what tells two kinds of one family
/// apart.
pub(crate) fn architecture_has(folder: &Path, entry: &str) -> Result<bool> {
    let card: toml::Table = read_architecture(&weights_path(folder))?;
    Ok(card.get("architecture").and_then(|architecture| architecture.get(entry)).is_some())
}

fn weights_path(folder: &Path) -> PathBuf {
    folder.join(WEIGHTS)
}

/// A trained network, whatever method trained it.
#[derive(Debug)]
pub(crate) struct TrainedNetwork<N: Network> {
    network: N,
    card: Card<N::Architecture>,
    discriminator: Option<KeptDiscriminator>,
}

impl<N: Network + 'static> TrainedNetwork<N> {
    /// `network` lives on the inference device.
    pub(crate) fn new(network: N, card: Card<N::Architecture>) -> Self {
        Self { network, card, discriminator: None }
    }

    /// The same with the discriminator that it was trained against.
    pub(crate) fn with_discriminator(self, discriminator: Option<KeptDiscriminator>) -> Self {
        Self { discriminator, ..self }
    }

    /// Reads what [`Trained::save`] wrote.
    pub(crate) fn load(folder: &Path) -> Result<Box<dyn Trained>> {
        let path = weights_path(folder);
        let card: Card<N::Architecture> = read_architecture(&path)?;
        let fits = N::check(&card.architecture)
            .and_then(|()| card.check(N::shape(&card.architecture), N::classes(&card.architecture)));
        fits.map_err(|found| {
            Error::invalid(
                &path.with_extension("toml"),
                found,
                "it must be as this program saved it; train again or restore the file",
            )
        })?;
        // The initial weights are replaced, so their seed does not matter.
        let empty = N::new(&card.architecture, Seed::new(0), &DeviceChoice::chosen().inference());
        let network = load_weights(&path, empty)?;
        let shape = N::shape(&card.architecture);
        let discriminator = KeptDiscriminator::load(folder, shape, card.class_names.len())?;
        Ok(Box::new(Self { network, card, discriminator }))
    }
}

impl<N: Network + 'static> Trained for TrainedNetwork<N> {
    fn sample(&self, request: &SampleRequest, seed: Seed, progress: &dyn Progress) -> Result<ImageSet> {
        let Card { family, class_names, shares, architecture, .. } = &self.card;
        request.check_for(family, N::controls(architecture))?;
        let labels = request.labels(class_names, shares)?;
        let groups = N::groups(architecture).zip(request.group.as_deref());
        groups.map(|(groups, name)| groups.number(name)).transpose()?;
        progress.begin("sampling", labels.len() as u64);
        let images = draw_with(&self.network, architecture, request, &labels, None, seed, progress);
        progress.end();
        let count = labels.len();
        let labels = Labels { values: labels, classes: class_names.clone() };
        let images = images?.with_labels(labels)?.with_provenance(self.card.provenance(&request.words(), seed));
        match groups {
            None => Ok(images),
            Some((groups, name)) => Ok(images.with_column(groups.column_of(name, count))?),
        }
    }

    fn translate(
        &self,
        sources: &ImageSet,
        request: &TranslationRequest,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<ImageSet> {
        let Card { family, class_names, architecture, .. } = &self.card;
        request.check()?;
        let Some(groups) = N::groups(architecture) else { return Err(cannot_translate(family)) };
        groups.number(&request.to)?;
        same_shape(sources, N::shape(architecture))?;
        let labels = sources.require_labels("bringing images into another group")?.among(class_names)?;
        progress.begin("translating", (sources.len() * request.copies) as u64);
        let given = Sources { images: sources, labels: &labels.values };
        let made = self.network.translate(architecture, &given, request, seed, progress);
        progress.end();
        let made = made.ok_or_else(|| cannot_translate(family))??;
        let rows: Vec<usize> = (0..sources.len()).flat_map(|source| vec![source; request.copies]).collect();
        let labels = Labels { values: rows.iter().map(|&row| labels.values[row]).collect(), classes: labels.classes };
        let mut made = made.with_labels(labels)?;
        for column in sources.columns().iter().filter(|column| column.name != groups.column) {
            let values = rows.iter().map(|&row| column.values[row].clone()).collect();
            made = made.with_column(Column { name: column.name.clone(), values })?;
        }
        let (of_group, words) = (groups.column_of(&request.to, rows.len()), request.words());
        let words = format!(" from {}, {words}", sources.describe());
        // What an image shows of its source is covered by no guarantee of the generator.
        let provenance = Provenance { guarantee: Some(NO_GUARANTEE.to_owned()), ..self.card.provenance(&words, seed) };
        Ok(made.with_column(of_group)?.with_provenance(provenance))
    }

    fn descend(&self, lineages: &[Lineage], seed: Seed, progress: &dyn Progress) -> Result<ImageSet> {
        let classes = self.card.class_names.len();
        if let Some(lineage) = lineages.iter().find(|lineage| lineage.class as usize >= classes) {
            let found = format!("a lineage is of class {}", lineage.class);
            return Err(Error::request(found, format!("the generator knows {classes} classes")));
        }
        let labels: Vec<u32> = lineages.iter().map(|lineage| lineage.class).collect();
        let request = SampleRequest::new(lineages.len());
        progress.begin("sampling", labels.len() as u64);
        let architecture = &self.card.architecture;
        let images = draw_with(&self.network, architecture, &request, &labels, Some(lineages), seed, progress);
        progress.end();
        images
    }

    fn save(&self, folder: &Path) -> Result<()> {
        save_weights(&weights_path(folder), &self.network, &self.card)?;
        self.discriminator.as_ref().map_or(Ok(()), |discriminator| discriminator.save(folder))
    }

    fn guarantee(&self) -> Option<&Guarantee> {
        self.card.guarantee.as_ref()
    }

    fn description(&self) -> Description<'_> {
        self.card.description(N::shape(&self.card.architecture))
    }

    fn controls(&self) -> &'static [Control] {
        N::controls(&self.card.architecture)
    }

    fn groups(&self) -> &[String] {
        N::groups(&self.card.architecture).map_or(&[], |groups| &groups.names)
    }

    fn denoiser(&self) -> Option<Box<dyn Denoise + '_>> {
        self.network.denoiser(&self.card.architecture)
    }

    fn decoder(&self) -> Option<Box<dyn Decode + '_>> {
        self.network.decoder(&self.card.architecture)
    }

    fn discriminator(&self) -> Option<Box<dyn Discriminate + '_>> {
        self.discriminator.as_ref().map(|kept| Box::new(kept) as Box<dyn Discriminate>)
    }
}
