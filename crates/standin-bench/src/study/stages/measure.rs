use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_data::{ImageSet, Progress, Seed};
use standin_measure::{Outcome, Sets, mean_image_size};

use super::embed::read_embedding;
use super::write_json;
use crate::stage::{Inputs, Stage, StageId, StageResult, Workload};
use crate::summary::MeasureRow;

/// Measures fidelity, variety and copying of one synthetic set. Output: `measures.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// Embedded training images.
    pub train: StageId,
    /// Embedded holdout images, if there are any.
    pub holdout: Option<StageId>,
    /// Embedded synthetic images.
    pub synthetic: StageId,
    /// Registered measures.
    pub names: Vec<String>,
    /// Seed of everything that draws at random.
    pub seed: Seed,
    /// Which release and repetition this is, for people.
    pub label: String,
    /// How much there is to do.
    pub workload: Workload,
}

impl Stage for Measure {
    fn kind(&self) -> &'static str {
        "measure"
    }

    fn code_version(&self) -> u32 {
        3
    }

    fn configuration(&self) -> Value {
        json!({ "names": self.names, "seed": self.seed.value() })
    }

    fn inputs(&self) -> Vec<StageId> {
        [self.train, self.synthetic].into_iter().chain(self.holdout).collect()
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let read = |stage| -> Result<_, super::BoxedError> { Ok(read_embedding(inputs.folder(stage)?)?.0) };
        let (train, synthetic) = (read(self.train)?, read(self.synthetic)?);
        let holdout = self.holdout.map(read).transpose()?;
        let sets = Sets { train: &train, holdout: holdout.as_ref(), synthetic: &synthetic };
        let findings = standin_measure::evaluate(&self.names, sets, self.seed, progress)?;
        let rows: Vec<MeasureRow> = findings
            .into_iter()
            .map(|finding| MeasureRow {
                measure: finding.measure,
                aspect: finding.aspect.to_string(),
                against: finding.against.to_string(),
                outcome: finding.outcome,
                reference: finding.reference,
                better: finding.better,
                stamp: format!("{}; {}", synthetic.stamp(), finding.parameters),
            })
            .collect();
        write_json(&out.join("measures.json"), &rows)
    }

    fn name(&self) -> String {
        self.label.clone()
    }

    fn weight(&self) -> u64 {
        5
    }

    fn workload(&self) -> Workload {
        self.workload.clone()
    }
}

/// Measures that look at the pictures themselves: MedSynAnalyzer's size of the mean image. Output: `measures.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureImages {
    /// The synthetic sample.
    pub sample: StageId,
    /// The split, whose holdout side is the reference if it has one.
    pub split: StageId,
    /// Seed of everything that draws at random.
    pub seed: Seed,
    /// Which release and repetition this is, for people.
    pub label: String,
}

/// The registered name of [`mean_image_size`] in summaries; it is no measure of embeddings.
pub const MEAN_IMAGE_SIZE: &str = "mean-image-size";

impl Stage for MeasureImages {
    fn kind(&self) -> &'static str {
        "measure-images"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        json!({ "seed": self.seed.value() })
    }

    fn inputs(&self) -> Vec<StageId> {
        vec![self.sample, self.split]
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn run(&self, inputs: &Inputs, out: &Path, _: &dyn Progress) -> StageResult {
        let size = |set: &ImageSet| match mean_image_size(set, self.seed) {
            Ok(estimate) => Outcome::Measured(estimate),
            Err(error) => Outcome::NotMeasurable(error.to_string()),
        };
        let sample = ImageSet::open(&inputs.folder(self.sample)?.join("images"))?;
        let holdout = inputs.folder(self.split)?.join("holdout");
        let reference = if holdout.exists() { Some(ImageSet::open(&holdout)?) } else { None };
        let row = MeasureRow {
            measure: MEAN_IMAGE_SIZE.into(),
            aspect: "variety".into(),
            against: String::new(),
            outcome: size(&sample),
            reference: reference.as_ref().map(size),
            better: "lower".into(),
            stamp: format!("bytes of the mean image of a class as PNG; {} synthetic", sample.len()),
        };
        write_json(&out.join("measures.json"), &[row])
    }

    fn name(&self) -> String {
        self.label.clone()
    }
}
