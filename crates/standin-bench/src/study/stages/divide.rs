use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_data::{
    Amount, Error, ImageSet, Parts, Progress, Seed, SplitOptions, duplicates_across, require_disjoint,
    without_duplicates,
};

use super::write_json;
use crate::stage::{Inputs, Stage, StageId, StageResult};
use crate::study::configuration::{Data, Side};

/// Divides the images into the test set and the pool from which train and holdout are drawn. Outputs: `test`, `pool`,
/// `division.json`.
pub struct Divide {
    parts: Arc<Parts>,
    digests: Vec<(String, String)>,
    data: Data,
    tested: bool,
}

/// What [`Divide`] found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Division {
    /// The pool's images from this index on are the holdout part that the study names; none if it is drawn.
    pub holdout_from: Option<usize>,
    /// Pairs of a test image and a pool image with the same pixels.
    pub duplicates_with_test: usize,
    /// Pairs of images in the pool with the same pixels, which a random division may put on two sides.
    pub duplicates_in_pool: usize,
}

impl Divide {
    /// Prepares the division of imported images; hashes their content, which is the stage's identity. `tested` says that
    /// there must be test images.
    pub fn new(parts: Parts, data: Data, tested: bool) -> Self {
        let digests = parts.iter().map(|(name, set)| (name.to_owned(), set.digest().to_string())).collect();
        Self { parts: Arc::new(parts), digests, data, tested }
    }

    /// The pool and the test set, and where a published holdout part begins in the pool.
    ///
    /// # Errors
    /// If a named part does not exist, the sizes do not fit, or the holdout part overlaps what is trained on.
    pub fn divide(&self) -> Result<(ImageSet, ImageSet, Option<usize>), Error> {
        let Data { ref train, ref holdout, ref test, .. } = self.data;
        let named = |side: &Side| match side {
            Side::Part(name) => self.parts.get(name).map(|set| Some((name.clone(), set.clone()))),
            Side::Count(_) | Side::Share(_) | Side::Rest | Side::Source { .. } => Ok(None),
        };
        let (test_part, holdout_part) = (named(test)?, named(holdout)?);
        let mut remaining: Option<ImageSet> = None;
        for (name, set) in self.parts.iter() {
            if [&test_part, &holdout_part].iter().any(|part| part.as_ref().is_some_and(|(named, _)| named == name)) {
                continue;
            }
            remaining = Some(match remaining {
                None => set.clone(),
                Some(before) => before.concat(set)?,
            });
        }
        let mut remaining = remaining.ok_or_else(|| {
            Error::inconsistent("every part is named as holdout or test", "leave at least one part to train on")
        })?;
        if self.data.deduplicate {
            remaining = without_duplicates(&remaining);
        }
        let holdout_count = if let Side::Count(count) = holdout { *count } else { 0 };
        // Shares have become numbers when the images were read.
        let train = train.map(|train| train.of(remaining.len()));
        let (train, test_count) = match (&train, test) {
            (&Some(train), Side::Count(count)) => (train, *count),
            (&Some(train), Side::Rest) => (train, remaining.len().saturating_sub(train + holdout_count)),
            (&Some(train), _) => (train, 0),
            (None, side) => {
                let count = if let Side::Count(count) = side { *count } else { 0 };
                (remaining.len().saturating_sub(holdout_count + count), count)
            }
        };
        let options = SplitOptions {
            train: Some(Amount::Count(train + holdout_count)),
            holdout: Some(Amount::Count(0)),
            test: Some(Amount::Count(test_count)),
            group: self.data.group.clone(),
            stratify: true,
        };
        let split = standin_data::Split::new(&remaining, &options, Seed::new(self.data.split_seed).derive("divide"))?;
        let drawn = remaining.select(&split.train);
        let test = match test_part {
            Some((_, part)) => part,
            None => remaining.select(&split.test),
        };
        if test.is_empty() && self.tested {
            return Err(Error::inconsistent(
                format!("train and holdout take all {} images of {}", remaining.len(), remaining.describe()),
                "lower data.train or data.holdout so that test images remain",
            ));
        }
        let Some((name, part)) = holdout_part else { return Ok((drawn, test, None)) };
        require_disjoint(&[("train", &drawn), (&name, &part)])?;
        Ok((drawn.concat(&part)?, test, Some(drawn.len())))
    }
}

impl Stage for Divide {
    fn kind(&self) -> &'static str {
        "prepare"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        let mut configuration = json!({
            "parts": self.digests,
            "train": self.data.train,
            "holdout": self.data.holdout,
            "test": self.data.test,
            "split_seed": self.data.split_seed,
            "group": self.data.group,
        });
        if self.data.deduplicate {
            configuration["deduplicate"] = true.into();
        }
        configuration
    }

    fn inputs(&self) -> Vec<StageId> {
        Vec::new()
    }

    fn run(&self, _: &Inputs, out: &Path, _: &dyn Progress) -> StageResult {
        let (pool, test, holdout_from) = self.divide()?;
        let division = Division {
            holdout_from,
            // Where the holdout is the test set too, its own images are no duplicates.
            duplicates_with_test: match holdout_from {
                Some(first) if self.data.test == self.data.holdout => {
                    duplicates_across(&[("train", &pool.select(&(0..first).collect::<Vec<_>>())), ("test", &test)])
                        .len()
                }
                _ => duplicates_across(&[("pool", &pool), ("test", &test)]).len(),
            },
            duplicates_in_pool: standin_data::duplicates_within(&pool).len(),
        };
        pool.save(&out.join("pool"))?;
        if !test.is_empty() {
            test.save(&out.join("test"))?;
        }
        write_json(&out.join("division.json"), &division)
    }
}
