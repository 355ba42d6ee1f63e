use std::path::Path;

use serde_json::{Value, json};
use standin_data::{Progress, Seed};
use standin_measure::Sets;

use super::embed::read_embedding;
use super::write_json;
use crate::stage::{Inputs, Stage, StageId, StageResult};
use crate::summary::MeasureRow;

/// Measures fidelity, variety and copying of one synthetic set. Output: `measures.json`.
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
}

impl Stage for Measure {
    fn kind(&self) -> &'static str {
        "measure"
    }

    fn code_version(&self) -> u32 {
        2
    }

    fn configuration(&self) -> Value {
        json!({ "names": self.names, "seed": self.seed.value() })
    }

    fn inputs(&self) -> Vec<StageId> {
        [self.train, self.synthetic].into_iter().chain(self.holdout).collect()
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
}
