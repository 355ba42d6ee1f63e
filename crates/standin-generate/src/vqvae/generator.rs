use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::{Batch, DeviceChoice, Plan, Watch, fit_watched, values, with_values};

use super::VqVae;
use super::code_images::{CodeImages, CodeImagesArchitecture};
use super::convolutional::{QuantisedAutoencoder, QuantisedOptions};
use super::prior::{PriorOptions, PriorSizes};
use crate::diffusion::canvas::Canvas;
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, Network, TrainedNetwork};
use crate::{Fit, Generator, Result, Trained};

/// The options of [`VqVaeGenerator`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VqVaeGeneratorOptions {
    /// From images to grids of codes and back.
    pub autoencoder: QuantisedOptions,
    /// What draws grids of codes.
    pub prior: PriorOptions,
}

/// A vector-quantised autoencoder (van den Oord, Vinyals & Kavukcuoglu 2017) with a prior of its codes (van den Oord et
/// al. 2016).
///
/// An image becomes a grid of codes of a quarter of its sides, and a gated PixelCNN learns to predict each code from those
/// before it and the class. Samples decode grids that are drawn code by code. The decoder does not see the class.
#[derive(Clone, Debug)]
pub struct VqVaeGenerator {
    options: VqVaeGeneratorOptions,
}

impl VqVaeGenerator {
    /// The registered name, that of the encoder.
    pub const NAME: &'static str = VqVae::NAME;

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: VqVaeGeneratorOptions) -> Result<Self> {
        options.autoencoder.check(Self::NAME)?;
        options.prior.check(Self::NAME)?;
        Ok(Self { options })
    }
}

impl Generator for VqVaeGenerator {
    fn fit(&self, train: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        run.refuse_protection(Self::NAME)?;
        run.refuse_public(Self::NAME)?;
        let VqVaeGeneratorOptions { autoencoder, prior } = &self.options;
        let labels = training_labels(Self::NAME, train)?;
        let canvas = Canvas::new(train.shape(), autoencoder.patch, 2);
        let (codes, classes) = (autoencoder.codes, labels.classes.len());
        let sizes = PriorSizes { codes, classes, width: prior.width, blocks: prior.blocks };
        let architecture = CodeImagesArchitecture { canvas, autoencoder: autoencoder.sizes(canvas), prior: sizes };
        let quantised = QuantisedAutoencoder::train(&run, train, canvas, autoencoder)?;
        let codes = quantised.encode(&run, train);

        let device = DeviceChoice::chosen().training();
        let seed = run.seed.derive("prior");
        let mut model = CodeImages::new(&architecture, seed.derive("weights"), &device);
        model.codebook = with_values(model.codebook, &quantised.codebook);
        model.decoder = with_values(model.decoder, &values(&quantised.decoder));
        let training = &prior.training;
        let mut plan = Plan::epochs(train.len(), training.batch_size, training.epochs, seed.derive("order"));
        plan.steps = plan.steps.max(training.least_steps);
        let checkpoints = run.checkpoints("prior")?;
        let mut samples = run.watch("prior", &architecture, |model: CodeImages| model)?;
        let watch = samples.as_mut().map(|samples| samples as &mut dyn Watch<CodeImages>);
        let grid = architecture.grid();
        let area = grid[0] * grid[1];
        let objective = |model: &CodeImages, batch: &Batch<'_>| {
            let labels: Vec<u32> = batch.indices.iter().map(|&index| labels.values[index]).collect();
            let grids = batch.indices.iter().flat_map(|&index| &codes[index * area..(index + 1) * area]);
            let grids: Vec<u32> = grids.copied().collect();
            Ok(model.prior.negative_likelihood(&sizes, &grids, grid, &labels, &device))
        };
        let optimization = training.optimization();
        let fitted = fit_watched(model, &optimization, &plan, checkpoints.as_ref(), watch, run.progress, objective)?;
        let card = Card::new(Self::NAME, train, labels, run.seed, self.options(), architecture);
        Ok(Box::new(TrainedNetwork::new(fitted.model, card)))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
