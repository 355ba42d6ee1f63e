use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_data::{Amount, ImageSet, Progress, Seed, SplitOptions};

use super::{BoxedError, Division, read_json, write_json};
use crate::stage::{Inputs, Stage, StageId, StageResult};

/// Which random division of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Draw {
    /// Train and holdout of one repetition.
    Repetition {
        /// The repetition's seed.
        seed: u64,
        /// Training images; the others of the pool are the holdout.
        train: usize,
    },
    /// One half of the pool for a shadow. Shadows 2i and 2i + 1 get complementary halves, so every image is in exactly
    /// half of the shadows.
    Shadow {
        /// Number of the shadow.
        index: usize,
        /// Seed of all shadows.
        seed: u64,
    },
}

/// Draws the images of one training run from the pool. Outputs: `train`, `holdout`, `members.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The pool.
    pub division: StageId,
    /// Which draw.
    pub draw: Draw,
    /// Attribute column whose values are never on two sides.
    pub group: Option<String>,
}

/// Which images of the pool were trained on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// Indices of the members, ascending.
    pub train: Vec<usize>,
    /// Indices of the others, ascending.
    pub holdout: Vec<usize>,
}

impl Members {
    /// Reads what a [`Split`] wrote.
    ///
    /// # Errors
    /// If the file is missing or damaged.
    pub fn read(folder: &Path) -> Result<Self, BoxedError> {
        read_json(&folder.join("members.json"))
    }

    /// For each image of the pool, whether it is a member.
    pub fn flags(&self) -> Vec<bool> {
        let mut flags = vec![false; self.train.len() + self.holdout.len()];
        for &index in &self.train {
            flags[index] = true;
        }
        flags
    }
}

impl Split {
    fn members(&self, pool: &ImageSet, division: &Division) -> Result<Members, standin_data::Error> {
        let divide = |set: &ImageSet, train: usize, seed: Seed| {
            let options = SplitOptions {
                train: Some(Amount::Count(train)),
                holdout: Some(Amount::Count(set.len() - train)),
                test: Some(Amount::Count(0)),
                group: self.group.clone(),
                stratify: true,
            };
            standin_data::Split::new(set, &options, seed)
        };
        match self.draw {
            Draw::Repetition { seed, train } => match division.holdout_from {
                // The makers published the holdout: every repetition has it, and only its training differs.
                Some(first) => Ok(Members { train: (0..first).collect(), holdout: (first..pool.len()).collect() }),
                None => {
                    let split = divide(pool, train, Seed::new(seed).derive("repetition"))?;
                    Ok(Members { train: split.train, holdout: split.holdout })
                }
            },
            Draw::Shadow { index, seed } => {
                let seed = Seed::new(seed).derive(&format!("shadow pair {}", index / 2));
                let split = divide(pool, pool.len() / 2, seed)?;
                Ok(if index.is_multiple_of(2) {
                    Members { train: split.train, holdout: split.holdout }
                } else {
                    Members { train: split.holdout, holdout: split.train }
                })
            }
        }
    }
}

impl Stage for Split {
    fn kind(&self) -> &'static str {
        "split"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        match self.draw {
            Draw::Repetition { seed, train } => json!({ "seed": seed, "train": train, "group": self.group }),
            Draw::Shadow { index, seed } => json!({ "shadow": index, "seed": seed, "group": self.group }),
        }
    }

    fn inputs(&self) -> Vec<StageId> {
        vec![self.division]
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn run(&self, inputs: &Inputs, out: &Path, _: &dyn Progress) -> StageResult {
        let division = inputs.folder(self.division)?;
        let pool = ImageSet::open(&division.join("pool"))?;
        let members = self.members(&pool, &read_json(&division.join("division.json"))?)?;
        pool.select(&members.train).save(&out.join("train"))?;
        // A shadow's holdout is never looked at.
        if matches!(self.draw, Draw::Repetition { .. }) && !members.holdout.is_empty() {
            pool.select(&members.holdout).save(&out.join("holdout"))?;
        }
        write_json(&out.join("members.json"), &members)
    }

    fn name(&self) -> String {
        match self.draw {
            Draw::Repetition { seed, .. } => format!("split, seed {seed}"),
            Draw::Shadow { index, .. } => format!("split, shadow {index}"),
        }
    }
}
