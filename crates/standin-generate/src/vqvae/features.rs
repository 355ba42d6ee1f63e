//! A trained quantiser as an encoder: its codes, or its vectors.

use std::path::Path;

use standin_data::{ImageSet, Progress, Seed};
use standin_encode::{
    Embedding, Encoder, FittedEncoder, Metric, Stamp, TrainableEncoder, TrainableFamily, TrainingError,
};

use super::{TrainedVqVae, VqVae, VqVaeOptions};
use crate::families::{read_options, write_options};

const COST: &str = "training: 1000 steps whatever the number of images, half a minute of one core for images of 28×28; \
                    then thousands of images a second";
const SOURCE: &str = "van den Oord, Vinyals & Kavukcuoglu 2017; as evaluator, arXiv 2305.18337";

/// The encoders of this crate.
pub const ENCODERS: &[TrainableFamily] = &[
    TrainableFamily {
        name: VqVaeView::Vectors.name(),
        training: VqVae::NAME,
        summary: "vectors of a vector-quantised autoencoder trained on the images at hand, before quantisation",
        needs_labels: false,
        cost: COST,
        source: SOURCE,
        build: |options| build(options, VqVaeView::Vectors),
        load: |folder| load(folder, VqVaeView::Vectors),
    },
    TrainableFamily {
        name: VqVaeView::Codes.name(),
        training: VqVae::NAME,
        summary: "code numbers of the same autoencoder, compared by the number of places that differ",
        needs_labels: false,
        cost: COST,
        source: SOURCE,
        build: |options| build(options, VqVaeView::Codes),
        load: |folder| load(folder, VqVaeView::Codes),
    },
];

fn build(options: &toml::Table, view: VqVaeView) -> Result<Box<dyn TrainableEncoder>, TrainingError> {
    let options: VqVaeOptions = read_options(VqVae::NAME, options)?;
    Ok(Box::new(VqVaeEncoder { model: VqVae::new(options)?, view }))
}

fn load(folder: &Path, view: VqVaeView) -> Result<Box<dyn FittedEncoder>, TrainingError> {
    Ok(Box::new(VqVaeFeatures { trained: TrainedVqVae::load(folder)?, view }))
}

/// What of a [`TrainedVqVae`] serves as features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VqVaeView {
    /// The vectors before quantisation, compared by Euclidean distance.
    Vectors,
    /// The code numbers, compared by Hamming distance.
    Codes,
}

impl VqVaeView {
    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vectors => VqVae::NAME,
            Self::Codes => "vqvae-codes",
        }
    }
}

/// A [`VqVae`] to be trained for one of its views.
#[derive(Clone, Debug)]
pub struct VqVaeEncoder {
    /// What to train.
    pub model: VqVae,
    /// What to encode with.
    pub view: VqVaeView,
}

impl TrainableEncoder for VqVaeEncoder {
    fn fit(
        &self,
        images: &ImageSet,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Box<dyn FittedEncoder>, TrainingError> {
        Ok(Box::new(VqVaeFeatures { trained: self.model.train(images, seed, progress)?, view: self.view }))
    }

    fn options(&self) -> toml::Table {
        write_options(self.model.options())
    }
}

/// A view of a trained model.
#[derive(Clone, Debug)]
pub struct VqVaeFeatures {
    /// The model.
    pub trained: TrainedVqVae,
    /// What of it serves as features.
    pub view: VqVaeView,
}

impl Encoder for VqVaeFeatures {
    fn stamp(&self, images: &ImageSet) -> standin_encode::Result<Stamp> {
        let shape = self.trained.shape();
        if images.shape() != shape {
            return Err(standin_encode::Error::Shape {
                encoder: self.view.name(),
                shape: images.shape(),
                remedy: format!("it was trained on images of {shape}; resize these before, or train it on such images"),
            });
        }
        let (rows, columns) = self.trained.grid();
        let (window, factor) = self.trained.windows.sizes();
        let VqVaeOptions { codes, dimension, .. } = self.trained.card.architecture.options;
        let (kept, metric) = match self.view {
            VqVaeView::Vectors => (format!("vectors of {dimension}"), Metric::Euclidean),
            VqVaeView::Codes => (format!("numbers of {codes} codes"), Metric::Hamming),
        };
        let averaged = if factor > 1 { format!(", averaged over {factor}×{factor}") } else { String::new() };
        Ok(Stamp {
            encoder: self.view.name().to_owned(),
            weights: Some(self.trained.digest().to_owned()),
            preprocessing: format!("{shape} pixels{averaged}, {rows}×{columns} windows of {window}×{window}, {kept}"),
            metric,
        })
    }

    fn encode(&self, images: &ImageSet, progress: &dyn Progress) -> standin_encode::Result<Embedding> {
        let stamp = self.stamp(images)?;
        let same_shape = "the stamp has compared the shapes";
        let (rows, columns) = self.trained.grid();
        match self.view {
            VqVaeView::Vectors => {
                let dimension = rows * columns * self.trained.card.architecture.options.dimension;
                Embedding::new(self.trained.vectors(images, progress).expect(same_shape), dimension, stamp)
            }
            VqVaeView::Codes => {
                let codes = self.trained.codes(images, progress).expect(same_shape);
                // Codes are below 2¹⁶, which f32 holds exactly.
                Embedding::new(codes.into_iter().map(|code| code as f32).collect(), rows * columns, stamp)
            }
        }
    }
}

impl FittedEncoder for VqVaeFeatures {
    fn save(&self, folder: &Path) -> Result<(), TrainingError> {
        Ok(self.trained.save(folder)?)
    }
}
