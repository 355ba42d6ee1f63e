use std::path::Path;

use standin_data::{ImageSet, Progress, Seed};

use crate::Encoder;

/// An error of the crate that trains, with its own words.
pub type TrainingError = Box<dyn std::error::Error + Send + Sync>;

/// An encoder that has to learn from images before it can encode any.
///
/// Features that were learnt from one side of a comparison see that side more sharply than the other. Where training
/// images are compared with a holdout, fit on both together, so that neither is favoured; the synthetic images to be
/// judged never belong to what it learns from.
pub trait TrainableEncoder: Send + Sync {
    /// Learns from a set.
    ///
    /// Equal options, sets and seeds give equal encoders, whatever the number of threads.
    ///
    /// # Errors
    /// If the set is too small, of a shape the encoder cannot take or without labels it needs, or if training diverges.
    fn fit(
        &self,
        images: &ImageSet,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Box<dyn FittedEncoder>, TrainingError>;

    /// Every option with its value, defaults included, as accepted by [`TrainableFamily::build`].
    fn options(&self) -> toml::Table;
}

/// An encoder that has learnt. [`Stamp::weights`](crate::Stamp::weights) of its features is the BLAKE3 digest of its
/// weights, so features of two trainings never enter one computation.
pub trait FittedEncoder: Encoder {
    /// Writes everything [`TrainableFamily::load`] needs into an existing folder.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn save(&self, folder: &Path) -> Result<(), TrainingError>;
}

/// A registered encoder that has to be trained.
#[derive(Clone, Copy, Debug)]
pub struct TrainableFamily {
    /// The name in configurations and on the command line.
    pub name: &'static str,
    /// The name of the training. Families that share it are views of one trained network: fitted on one set with one
    /// seed they save the same files, and each loads what another saved.
    pub training: &'static str,
    /// What it computes, in one line.
    pub summary: &'static str,
    /// Whether it learns from labels.
    pub needs_labels: bool,
    /// Time and memory, and how they grow.
    pub cost: &'static str,
    /// Paper.
    pub source: &'static str,
    /// Makes one from its options; options left out have their defaults.
    ///
    /// # Errors
    /// If an option is unknown, of another type or outside its range.
    pub build: fn(&toml::Table) -> Result<Box<dyn TrainableEncoder>, TrainingError>,
    /// Reads one that was fitted and saved.
    ///
    /// # Errors
    /// If a file is missing, damaged or of another family.
    pub load: fn(&Path) -> Result<Box<dyn FittedEncoder>, TrainingError>,
}
