use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_classify::Logits;
use standin_data::{ImageSet, Progress, Seed};

use super::workload::training;
use super::{BoxedError, damaged, on_device};
use crate::stage::{Inputs, Stage, StageId, StageResult, Workload};
use crate::study::configuration::Classifier;

/// The images a classifier is trained on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum TrainingSet {
    /// The `train` side of a split.
    Real(StageId),
    /// A synthetic sample.
    Synthetic(StageId),
    /// The `train` side of a split and a synthetic sample together.
    Augmented {
        /// The split.
        split: StageId,
        /// The sample.
        sample: StageId,
    },
}

impl TrainingSet {
    fn stages(self) -> Vec<StageId> {
        match self {
            Self::Real(id) | Self::Synthetic(id) => vec![id],
            Self::Augmented { split, sample } => vec![split, sample],
        }
    }

    fn open(self, inputs: &Inputs) -> Result<ImageSet, BoxedError> {
        let real = |split| -> Result<_, BoxedError> { Ok(ImageSet::open(&inputs.folder(split)?.join("train"))?) };
        let synthetic =
            |sample| -> Result<_, BoxedError> { Ok(ImageSet::open(&inputs.folder(sample)?.join("images"))?) };
        match self {
            Self::Real(split) => real(split),
            Self::Synthetic(sample) => synthetic(sample),
            Self::Augmented { split, sample } => Ok(real(split)?.concat(&synthetic(sample)?)?),
        }
    }
}

/// Trains a classifier and keeps its logits on the real images. Outputs: the model, `test.npy` and, where the
/// classifier will be attacked, `pool.npy`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classify {
    /// What to train.
    pub classifier: Classifier,
    /// What to train it on.
    pub training_set: TrainingSet,
    /// The division, for the test images and the pool of candidates.
    pub division: StageId,
    /// Whether the logits on train and holdout are wanted, because the classifier will be attacked.
    pub attacked: bool,
    /// Seed of initialisation and order.
    pub seed: Seed,
    /// Which training set, repetition or shadow this is, for people.
    pub label: String,
    /// Training images, and values of each.
    pub images: (usize, usize),
}

impl Stage for Classify {
    fn kind(&self) -> &'static str {
        "classify"
    }

    fn code_version(&self) -> u32 {
        2
    }

    fn configuration(&self) -> Value {
        on_device(json!({
            "family": self.classifier.family(),
            "settings": self.classifier.settings,
            "attacked": self.attacked,
            "seed": self.seed.value(),
        }))
    }

    fn inputs(&self) -> Vec<StageId> {
        let mut inputs = self.training_set.stages();
        inputs.push(self.division);
        inputs
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let train = self.training_set.open(inputs)?;
        let division = inputs.folder(self.division)?;
        let classifier = (standin_classify::family(self.classifier.family())?.build)(&self.classifier.settings)?;
        let trained = classifier.fit(&train, self.seed, progress)?;
        trained.save(out)?;
        Predictions::write(&out.join("test.npy"), &trained.logits(&ImageSet::open(&division.join("test"))?)?)?;
        if self.attacked {
            Predictions::write(&out.join("pool.npy"), &trained.logits(&ImageSet::open(&division.join("pool"))?)?)?;
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("{} on {}", self.classifier.name, self.label)
    }

    fn weight(&self) -> u64 {
        15
    }

    fn workload(&self) -> Workload {
        let (images, values) = self.images;
        let settings = standin_classify::family(self.classifier.family())
            .and_then(|family| (family.build)(&self.classifier.settings))
            .map_or_else(|_| self.classifier.settings.clone(), |classifier| classifier.options());
        Workload {
            method: self.classifier.family().to_owned(),
            size: training(&settings, images, values),
            held: (images * values) as f64,
        }
    }
}

/// Asks a classifier that was trained on private images about a synthetic sample. Output: `sample.npy`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerOnSample {
    /// The classifier.
    pub classify: StageId,
    /// The sample.
    pub sample: StageId,
    /// Which classifier and sample these are, for people.
    pub label: String,
}

impl Stage for AnswerOnSample {
    fn kind(&self) -> &'static str {
        "answer"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        json!({})
    }

    fn inputs(&self) -> Vec<StageId> {
        vec![self.classify, self.sample]
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn run(&self, inputs: &Inputs, out: &Path, _: &dyn Progress) -> StageResult {
        let classifier = standin_classify::load(inputs.folder(self.classify)?)?;
        let sample = ImageSet::open(&inputs.folder(self.sample)?.join("images"))?;
        Predictions::write(&out.join("sample.npy"), &classifier.logits(&sample)?)
    }

    fn name(&self) -> String {
        self.label.clone()
    }
}

/// Logits on disk: an `.npy` file of n × classes.
#[derive(Clone, Copy, Debug)]
pub struct Predictions;

impl Predictions {
    /// Writes logits.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(path: &Path, logits: &Logits) -> Result<(), BoxedError> {
        Ok(standin_encode::write_npy(path, logits.values(), logits.classes())?)
    }

    /// Reads logits.
    ///
    /// # Errors
    /// If the file is missing or damaged.
    pub fn read(path: &Path) -> Result<Logits, BoxedError> {
        let (values, classes) = standin_encode::read_npy(path)?;
        if classes == 0 || !values.len().is_multiple_of(classes) {
            return Err(damaged(path, "no matrix of logits"));
        }
        Ok(Logits::new(values, classes))
    }
}
