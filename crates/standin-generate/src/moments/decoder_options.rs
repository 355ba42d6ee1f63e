use serde::{Deserialize, Serialize};
use standin_data::Shape;
use standin_nn::initial::normal;
use standin_nn::tensor::Tensor;
use standin_nn::tensor::activation::sigmoid;
use standin_nn::{Batch, DeviceChoice, Optimization, Plan, Schedule, Watch, fit_watched};

use crate::decoder::{Architecture, Decoder, one_hot};
use crate::matching::mismatch;
use crate::mean_embedding::Release;
use crate::moments::features::Features;
use crate::options::{above_zero, at_least};
use crate::surrogate::with_gradient;
use crate::{Fit, Result};

/// The decoder that is fitted to a release, and its training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecoderOptions {
    /// Latent values per image.
    pub latent: usize,
    /// Units of each hidden layer; empty for two layers chosen by the image size.
    pub hidden: Vec<usize>,
    /// Training steps.
    pub steps: usize,
    /// Generated images per step, divided evenly among the classes (at least two of each).
    pub batch_size: usize,
    /// Base learning rate of Adam, after a short rise; it falls to 0 along a cosine.
    pub learning_rate: f64,
}

impl Default for DecoderOptions {
    fn default() -> Self {
        Self { latent: 10, hidden: Vec::new(), steps: 2000, batch_size: 200, learning_rate: 3e-3 }
    }
}

impl DecoderOptions {
    /// Checks that every number is in its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub(crate) fn check(&self, family: &'static str) -> Result<()> {
        at_least(family, "latent", self.latent, 1)?;
        at_least(family, "steps", self.steps, 1)?;
        self.hidden.iter().try_for_each(|&units| at_least(family, "a layer in hidden", units, 1))?;
        above_zero(family, "learning_rate", self.learning_rate)
    }

    /// The sizes of the decoder.
    pub(crate) fn architecture(&self, classes: usize, shape: Shape) -> Architecture {
        Architecture::new(self.latent, &self.hidden, classes, shape)
    }

    /// The class of each image of a step, class by class.
    pub(crate) fn labels(&self, classes: usize) -> Vec<u32> {
        let each = (self.batch_size / classes).max(2);
        (0..classes as u32).flat_map(|class| vec![class; each]).collect()
    }

    /// The optimiser.
    pub(crate) fn optimization(&self) -> Optimization {
        Optimization { learning_rate: self.learning_rate, schedule: Schedule::cosine(0.02), ..Optimization::default() }
    }

    /// Trains a decoder until its images have the released embedding. Private images are not needed for it.
    ///
    /// # Errors
    /// If training diverges or a checkpoint is of another training.
    pub(crate) fn fit(
        &self,
        run: &Fit<'_>,
        phase: &str,
        architecture: &Architecture,
        features: &dyn Features,
        release: &Release,
    ) -> Result<Decoder> {
        let device = DeviceChoice::chosen().training();
        let decoder = Decoder::new(architecture, run.seed.derive("weights"), &device);
        let labels = self.labels(architecture.classes);
        let plan = Plan::steps(labels.len(), labels.len(), self.steps, run.seed.derive("training"));
        let classes = one_hot(&labels, architecture.classes, &device);
        let mut samples = run.watch(phase, architecture, |decoder: Decoder| decoder)?;
        let watch = samples.as_mut().map(|samples| samples as &mut dyn Watch<Decoder>);
        let objective = |decoder: &Decoder, batch: &Batch<'_>| {
            let latents = normal([labels.len(), self.latent], 1.0, batch.seed, &device);
            let images = sigmoid(decoder.logits(latents, classes.clone()));
            let found = mismatch(release, features, &values(&images), batch.step);
            Ok(with_gradient(images, found.gradient, found.loss, &device))
        };
        let checkpoints = run.checkpoints(phase)?;
        let optimization = self.optimization();
        let fitted = fit_watched(decoder, &optimization, &plan, checkpoints.as_ref(), watch, run.progress, objective)?;
        Ok(fitted.model)
    }
}

/// The values of a tensor.
pub(crate) fn values(tensor: &Tensor<2>) -> Vec<f32> {
    tensor.clone().into_data().iter::<f32>().collect()
}
