use std::path::Path;

use serde_json::{Value, json};
use standin_data::{ImageSet, Progress, Seed};

use super::SIDE;
use crate::augmentation::arms::Arm;
use crate::stage::{Inputs, Stage, StageId, StageResult, Workload};
use crate::study::Classifier;
use crate::study::stages::{Predictions, on_device, write_json};

/// The file that says why there is no classifier.
pub(super) const UNTRAINED: &str = "untrained.json";

/// Trains a classifier in one arm and asks it about the test images. Outputs: the model, `test.npy`; or, where there is nothing to tell apart
/// because too few synthetic images were accepted, `untrained.json` with the reason.
pub struct TrainArm {
    /// The arm.
    pub arm: Arm,
    /// The backbone, with the arm's settings.
    pub backbone: Classifier,
    /// The real training images.
    pub scarce: StageId,
    /// The synthetic ones, for an arm that has some.
    pub accept: Option<StageId>,
    /// Whose test images are asked about.
    pub prepare: StageId,
    /// Seed of initialisation and order.
    pub seed: Seed,
    /// Which repetition of which scenario, for people.
    pub label: String,
    /// How much there is to do.
    pub workload: Workload,
}

impl Stage for TrainArm {
    fn kind(&self) -> &'static str {
        "train-arm"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        on_device(json!({
            "arm": self.arm,
            "family": self.backbone.family(),
            "settings": self.backbone.settings,
            "seed": self.seed.value(),
        }))
    }

    fn inputs(&self) -> Vec<StageId> {
        [self.scarce, self.prepare].into_iter().chain(self.accept).collect()
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let train = ImageSet::open(&inputs.folder(self.scarce)?.join("train"))?;
        let synthetic = match self.accept {
            Some(stage) => Some(ImageSet::open(&inputs.folder(stage)?.join("images"))?),
            None => None,
        };
        let images = self.arm.images(&train, synthetic.as_ref())?;
        let present =
            images.labels().map_or(0, |labels| labels.counts().into_iter().filter(|&count| count > 0).count());
        if present < 2 && self.arm.is_generative() {
            let reason = format!("with one seed {} synthetic images of {present} classes were accepted", images.len());
            return write_json(&out.join(UNTRAINED), &reason);
        }
        let classifier = (standin_classify::family(self.backbone.family())?.build)(&self.backbone.settings)?;
        let trained = classifier.fit(&images, self.seed, progress)?;
        trained.save(out)?;
        let test = ImageSet::open(&inputs.folder(self.prepare)?.join("test"))?;
        Predictions::write(&out.join("test.npy"), &trained.logits(&test)?)
    }

    fn name(&self) -> String {
        format!("{} on {}, {}", self.backbone.name, self.arm, self.label)
    }

    fn weight(&self) -> u64 {
        15
    }

    fn workload(&self) -> Workload {
        self.workload.clone()
    }
}

/// What a judge is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Of which class an image is.
    Class,
    /// Of which side.
    Side,
}

/// What a classifier that is asked about synthetic images has learnt from.
#[derive(Clone, Copy, Debug)]
pub enum Knowledge {
    /// All real images of the pool, more than any arm has: it judges, and nothing is chosen by it.
    Pool(StageId),
    /// The real training images of a repetition, the minority's repeated: it may choose.
    Train(StageId),
}

/// Trains a classifier to say what synthetic images show. Output: the model.
pub struct Judge {
    /// What it is asked.
    pub question: Question,
    /// The classifier.
    pub backbone: Classifier,
    /// What it learns from.
    pub knowledge: Knowledge,
    /// Seed of initialisation and order.
    pub seed: Seed,
    /// How much there is to do.
    pub workload: Workload,
}

impl Stage for Judge {
    fn kind(&self) -> &'static str {
        "judge"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        on_device(json!({
            "train": matches!(self.knowledge, Knowledge::Train(_)),
            "side": self.question == Question::Side,
            "family": self.backbone.family(),
            "settings": self.backbone.settings,
            "seed": self.seed.value(),
        }))
    }

    fn inputs(&self) -> Vec<StageId> {
        let (Knowledge::Pool(stage) | Knowledge::Train(stage)) = self.knowledge;
        vec![stage]
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let known = match self.knowledge {
            Knowledge::Pool(stage) => ImageSet::open(&inputs.folder(stage)?.join("pool"))?,
            Knowledge::Train(stage) => {
                Arm::Oversampled.images(&ImageSet::open(&inputs.folder(stage)?.join("train"))?, None)?
            }
        };
        let images = match self.question {
            Question::Class => known,
            Question::Side => known.without_labels().labelled_by(SIDE)?,
        };
        let classifier = (standin_classify::family(self.backbone.family())?.build)(&self.backbone.settings)?;
        Ok(classifier.fit(&images, self.seed, progress)?.save(out)?)
    }

    fn name(&self) -> String {
        let question = match self.question {
            Question::Class => "classes",
            Question::Side => "sides",
        };
        match self.knowledge {
            Knowledge::Pool(_) => format!("judge of {question}"),
            Knowledge::Train(_) => format!("chooser by {question}"),
        }
    }

    fn weight(&self) -> u64 {
        15
    }

    fn workload(&self) -> Workload {
        self.workload.clone()
    }
}
