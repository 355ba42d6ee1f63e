use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_data::{ImageSet, Progress, Seed, write_grid};
use standin_generate::TranslationRequest;

use super::accept::judged;
use super::translate::sources;
use crate::stage::{Inputs, Stage, StageId, StageResult, Workload};
use crate::study::stages::{on_device, write_json};

/// Brings the same images of the majority into the minority at several strengths. Outputs: `trial.json`, `trial.png`.
pub struct TryStrengths {
    /// The trained generator.
    pub generate: StageId,
    /// Whose training images are the sources.
    pub scarce: StageId,
    /// The judge of classes, and that of sides.
    pub judges: [StageId; 2],
    /// How they are made, but for the strength.
    pub request: TranslationRequest,
    /// The strengths.
    pub strengths: Vec<f64>,
    /// Images of each class at each strength.
    pub per_class: usize,
    /// Sources in the picture.
    pub shown: usize,
    /// Seed of the choice of sources and of the noise.
    pub seed: Seed,
    /// Which scenario, for people.
    pub label: String,
    /// How much there is to do.
    pub workload: Workload,
}

/// What the judges say at one strength.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrengthTried {
    /// The strength.
    pub strength: f64,
    /// Images made.
    pub images: usize,
    /// Images that the judge of classes takes for what they should be.
    pub of_class: usize,
    /// Images that the judge of sides takes for the minority's.
    pub of_minority: usize,
}

impl Stage for TryStrengths {
    fn kind(&self) -> &'static str {
        "trial"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        on_device(json!({
            "request": self.request,
            "strengths": self.strengths,
            "per_class": self.per_class,
            "shown": self.shown,
            "seed": self.seed.value(),
        }))
    }

    fn inputs(&self) -> Vec<StageId> {
        [self.generate, self.scarce].into_iter().chain(self.judges).collect()
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let trained = standin_generate::load(inputs.folder(self.generate)?)?;
        let train = ImageSet::open(&inputs.folder(self.scarce)?.join("train"))?;
        let chosen = sources(&train, Some(self.per_class), self.seed)?;
        let images = train.select(&chosen);
        // One of each class after the other, until so many are shown.
        let classes = chosen.len() / self.per_class;
        let shown: Vec<usize> = (0..self.per_class)
            .flat_map(|at| (0..classes).map(move |class| (class, at)))
            .map(|(class, at)| class * self.per_class + at)
            .take(self.shown)
            .collect();
        let (mut tried, mut rows) = (Vec::new(), vec![images.select(&shown)]);
        for &strength in &self.strengths {
            let request = TranslationRequest { strength, ..self.request.clone() };
            let made = trained.translate(&images, &request, self.seed.derive("trial"), progress)?;
            let [of_class, of_minority] =
                judged(inputs, self.judges, &made)?.map(|right| right.into_iter().filter(|&right| right).count());
            tried.push(StrengthTried { strength, images: made.len(), of_class, of_minority });
            rows.push(made.select(&shown));
        }
        let pixels = rows.iter().flat_map(ImageSet::pixels).copied().collect();
        let picture = ImageSet::new(images.shape(), pixels)?;
        write_grid(&picture, &(0..picture.len()).collect::<Vec<_>>(), shown.len(), &out.join("trial.png"))?;
        write_json(&out.join("trial.json"), &tried)
    }

    fn name(&self) -> String {
        format!("strengths, {}", self.label)
    }

    fn weight(&self) -> u64 {
        10
    }

    fn workload(&self) -> Workload {
        self.workload.clone()
    }
}
