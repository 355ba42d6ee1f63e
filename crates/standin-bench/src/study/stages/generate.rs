use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_data::{ImageSet, Progress, Seed};
use standin_generate::{Fit, Protection, SampleRequest};

use super::on_device;
use super::workload::{sampling, training};
use crate::stage::{Inputs, Stage, StageId, StageResult, Workload};
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
    /// Training images, and values of each.
    pub images: (usize, usize),
}

/// All settings of a generator, defaults included; the study's check has built the same one before.
pub fn settings(generator: &Generator) -> toml::Table {
    standin_generate::family(&generator.family)
        .and_then(|family| (family.build)(&generator.settings))
        .map_or_else(|_| generator.settings.clone(), |generator| generator.options())
}

impl Stage for Generate {
    fn kind(&self) -> &'static str {
        "generate"
    }

    fn code_version(&self) -> u32 {
        4
    }

    fn configuration(&self) -> Value {
        // The name is a label: two names for one configuration share the training.
        on_device(json!({
            "family": self.generator.family,
            "epsilon": self.generator.epsilon,
            "settings": settings(&self.generator),
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

    fn workload(&self) -> Workload {
        let (images, values) = self.images;
        Workload {
            method: self.generator.family.clone(),
            size: training(&settings(&self.generator), images, values),
            held: (images * values) as f64,
        }
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
    /// The generator's family and settings, and values of an image: what decides how long it takes.
    pub drawn_by: (String, toml::Table, usize),
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

    fn workload(&self) -> Workload {
        let (family, settings, values) = &self.drawn_by;
        Workload {
            method: family.clone(),
            size: sampling(settings, &self.request, *values),
            held: (self.request.count * values) as f64,
        }
    }
}
