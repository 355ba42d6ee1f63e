use std::path::Path;

use rand::seq::SliceRandom;
use serde_json::{Value, json};
use standin_data::{ImageSet, Progress, Seed};
use standin_generate::{Balance, SampleRequest, TranslationRequest};

use super::{MAJORITY, MINORITY, SIDE};
use crate::stage::{Inputs, Stage, StageId, StageResult, Workload};
use crate::study::stages::on_device;

/// Makes images of the minority: from the majority's training images, or from noise. Output: `images`.
pub struct Translate {
    /// The trained generator.
    pub generate: StageId,
    /// Whose training images are the sources.
    pub scarce: StageId,
    /// How they are made.
    pub request: TranslationRequest,
    /// Whether they are drawn from noise.
    pub from_noise: bool,
    /// Images of each class that the majority has; as many as it has in its largest class, if absent.
    pub per_class: Option<usize>,
    /// Seed of the choice of sources and of the noise.
    pub seed: Seed,
    /// Which repetition of which scenario, for people.
    pub label: String,
    /// How much there is to do.
    pub workload: Workload,
}

/// For each class that the majority has, `per_class` of its images in random order, again from the start where they are fewer.
pub(super) fn sources(train: &ImageSet, per_class: Option<usize>, seed: Seed) -> standin_data::Result<Vec<usize>> {
    let labels = train.require_labels("augmentation")?;
    let sides = train.column(SIDE).map_or(&[][..], |column| &column.values);
    let mut members = vec![Vec::new(); labels.classes.len()];
    for (image, &label) in labels.values.iter().enumerate() {
        if sides.get(image).is_some_and(|side| side == MAJORITY) {
            members[label as usize].push(image);
        }
    }
    let wanted = per_class.unwrap_or_else(|| members.iter().map(Vec::len).max().unwrap_or(0));
    let of_class = |(class, mut images): (usize, Vec<usize>)| {
        images.shuffle(&mut seed.derive(&format!("sources of class {class}")).rng());
        images.into_iter().cycle().take(wanted).collect::<Vec<_>>()
    };
    Ok(members.into_iter().enumerate().filter(|(_, images)| !images.is_empty()).flat_map(of_class).collect())
}

impl Stage for Translate {
    fn kind(&self) -> &'static str {
        "translate"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        on_device(json!({
            "request": self.request,
            "from_noise": self.from_noise,
            "per_class": self.per_class,
            "seed": self.seed.value(),
        }))
    }

    fn inputs(&self) -> Vec<StageId> {
        vec![self.generate, self.scarce]
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let trained = standin_generate::load(inputs.folder(self.generate)?)?;
        let train = ImageSet::open(&inputs.folder(self.scarce)?.join("train"))?;
        let chosen = sources(&train, self.per_class, self.seed)?;
        let seed = self.seed.derive("translate");
        let images = if self.from_noise {
            // How many are drawn says nothing of the training images where the study gives the number.
            let classes = trained.description().classes.len();
            let count = self.per_class.map_or(chosen.len(), |each| each * classes);
            let request = SampleRequest {
                balance: Balance::Uniform,
                guidance: Some(self.request.guidance),
                group: Some(MINORITY.into()),
                group_guidance: Some(self.request.group_guidance),
                steps: self.request.steps,
                ..SampleRequest::new(count)
            };
            trained.sample(&request, seed, progress)?
        } else {
            trained.translate(&train.select(&chosen), &self.request, seed, progress)?
        };
        Ok(images.save(&out.join("images"))?)
    }

    fn name(&self) -> String {
        self.label.clone()
    }

    fn weight(&self) -> u64 {
        20
    }

    fn workload(&self) -> Workload {
        self.workload.clone()
    }
}
