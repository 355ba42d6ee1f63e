use std::path::Path;

use rand::seq::SliceRandom;
use serde_json::{Value, json};
use standin_data::{ImageSet, Progress, Seed};

use super::{MINORITY, SIDE};
use crate::stage::{Inputs, Stage, StageId, StageResult};

/// Draws the training images of one repetition of a scenario from the pool: so many of the minority in each class, and of the majority all
/// or so many. Output: `train`.
pub struct Scarce {
    /// The stage that took the images in.
    pub prepare: StageId,
    /// Images of the minority in each class; all where there are fewer, or if absent.
    pub per_class: Option<usize>,
    /// Most images of the majority.
    pub majority_limit: Option<usize>,
    /// Seed of the draw. A scenario with more images has all those of one with fewer.
    pub seed: Seed,
    /// Which repetition of which scenario, for people.
    pub label: String,
}

impl Scarce {
    fn draw(&self, pool: &ImageSet) -> standin_data::Result<Vec<usize>> {
        let labels = pool.require_labels("augmentation")?;
        let sides = pool.column(SIDE).map_or(&[][..], |column| &column.values);
        let drawn = |images: Vec<usize>, purpose: &str, most: usize| {
            let mut images = images;
            images.shuffle(&mut self.seed.derive(purpose).rng());
            images.truncate(most);
            images
        };
        let (minority, majority): (Vec<usize>, Vec<usize>) =
            (0..pool.len()).partition(|&image| sides.get(image).is_some_and(|side| side == MINORITY));
        let mut train = drawn(majority, "majority", self.majority_limit.unwrap_or(usize::MAX));
        for class in 0..labels.classes.len() {
            let of_class = minority.iter().copied().filter(|&image| labels.values[image] as usize == class).collect();
            train.extend(drawn(of_class, &format!("class {class}"), self.per_class.unwrap_or(usize::MAX)));
        }
        train.sort_unstable();
        Ok(train)
    }
}

impl Stage for Scarce {
    fn kind(&self) -> &'static str {
        "scarce"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        json!({ "per_class": self.per_class, "majority_limit": self.majority_limit, "seed": self.seed.value() })
    }

    fn inputs(&self) -> Vec<StageId> {
        vec![self.prepare]
    }

    fn run(&self, inputs: &Inputs, out: &Path, _: &dyn Progress) -> StageResult {
        let pool = ImageSet::open(&inputs.folder(self.prepare)?.join("pool"))?;
        Ok(pool.select(&self.draw(&pool)?).save(&out.join("train"))?)
    }

    fn name(&self) -> String {
        format!("draw, {}", self.label)
    }
}
