use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_data::{ImageSet, Progress, Seed};
use standin_generate::{Fit, Protection, SampleRequest};

use super::on_device;
use crate::stage::{Inputs, Stage, StageId, StageResult};
use crate::study::configuration::{Generator, Privacy};

/// Trains a generator on the `train` side of a split. Output: the model.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// What to train.
    pub generator: Generator,
    /// Noise and δ.
    pub privacy: Privacy,
    /// Seed of initialisation, order and, where reproducible, noise.
    pub seed: Seed,
    /// The split.
    pub split: StageId,
    /// The stage that took public images in, if there are some.
    pub public: Option<StageId>,
    /// Which repetition or shadow this is, for people.
    pub label: String,
}

impl Stage for Generate {
    fn kind(&self) -> &'static str {
        "generate"
    }

    fn code_version(&self) -> u32 {
        3
    }

    fn configuration(&self) -> Value {
        // All settings, defaults included; the study's check has built the same generator before.
        let settings = standin_generate::family(&self.generator.family)
            .and_then(|family| (family.build)(&self.generator.settings))
            .map_or_else(|_| self.generator.settings.clone(), |generator| generator.options());
        // The name is a label: two names for one configuration share the training.
        on_device(json!({
            "family": self.generator.family,
            "epsilon": self.generator.epsilon,
            "settings": settings,
            "privacy": self.generator.epsilon.map(|_| &self.privacy),
            "seed": self.seed.value(),
        }))
    }

    fn inputs(&self) -> Vec<StageId> {
        [self.split].into_iter().chain(self.public).collect()
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let train = ImageSet::open(&inputs.folder(self.split)?.join("train"))?;
        let generator = (standin_generate::family(&self.generator.family)?.build)(&self.generator.settings)?;
        let protection = self.generator.epsilon.map(|epsilon| Protection {
            target: self.privacy.target(epsilon),
            unit: self.privacy.unit.clone(),
            noise: self.privacy.noise,
        });
        let public = match self.public {
            Some(stage) => Some(ImageSet::open(&inputs.folder(stage)?.join("images"))?),
            None => None,
        };
        let run = Fit { protection, public: public.as_ref(), ..Fit::new(self.seed, progress) };
        let trained = generator.fit(&train, run)?;
        trained.save(out)?;
        Ok(())
    }

    fn name(&self) -> String {
        format!("{}, {}", self.generator.name, self.label)
    }

    fn weight(&self) -> u64 {
        30
    }
}

/// Samples from a trained generator. Output: `images`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The trained generator.
    pub generate: StageId,
    /// What to draw.
    pub request: SampleRequest,
    /// Seed of the sample.
    pub seed: Seed,
    /// Which generator, repetition or shadow this is, for people.
    pub label: String,
}

impl Stage for Sample {
    fn kind(&self) -> &'static str {
        "sample"
    }

    fn code_version(&self) -> u32 {
        2
    }

    fn configuration(&self) -> Value {
        on_device(json!({ "request": self.request, "seed": self.seed.value() }))
    }

    fn inputs(&self) -> Vec<StageId> {
        vec![self.generate]
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let trained = standin_generate::load(inputs.folder(self.generate)?)?;
        trained.sample(&self.request, self.seed, progress)?.save(&out.join("images"))?;
        super::write_json(&out.join("guarantee.json"), &trained.guarantee())
    }

    fn name(&self) -> String {
        self.label.clone()
    }

    fn weight(&self) -> u64 {
        3
    }
}
