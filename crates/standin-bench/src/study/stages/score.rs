use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_data::Progress;
use standin_encode::Embedding;
use standin_measure::{image_scores, near_copies};

use super::embed::read_embedding;
use super::{BoxedError, write_json};
use crate::stage::{Inputs, Stage, StageId, StageResult, Workload};
use crate::summary::ImageScores;

/// Scores every synthetic image by itself. Outputs: `scores.csv` and `scores.parquet` with one row an image, `scores.json`
/// with what sums them up, `copies.json` with the images taken for copies.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreImages {
    /// Embedded training images, all of them.
    pub train: StageId,
    /// Embedded holdout images, if there are any.
    pub holdout: Option<StageId>,
    /// Embedded synthetic images, all of them.
    pub synthetic: StageId,
    /// Share of holdout images that may be taken for copies.
    pub false_match_rate: f64,
    /// Which release this is, for people.
    pub label: String,
    /// How much there is to do.
    pub workload: Workload,
}

/// A synthetic image that is nearer to a training image than the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// Index of the synthetic image.
    pub synthetic: usize,
    /// Index of the nearest training image.
    pub train: usize,
    /// Their distance.
    pub distance: f64,
    /// Conformal p-value of the distance.
    pub p_value: f64,
}

/// The same count with train and holdout in each other's place.
fn near_holdout(
    train: &Embedding,
    holdout: &Embedding,
    synthetic: &Embedding,
    rate: f64,
) -> standin_measure::Result<usize> {
    let nearest = near_copies(holdout, train, synthetic, synthetic.rows())?;
    Ok(nearest.iter().filter(|copy| copy.p_value <= rate).count())
}

impl Stage for ScoreImages {
    fn kind(&self) -> &'static str {
        "score"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        json!({ "false_match_rate": self.false_match_rate })
    }

    fn inputs(&self) -> Vec<StageId> {
        [self.train, self.synthetic].into_iter().chain(self.holdout).collect()
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let read = |stage| -> Result<_, BoxedError> { Ok(read_embedding(inputs.folder(stage)?)?.0) };
        let (train, synthetic) = (read(self.train)?, read(self.synthetic)?);
        let holdout = self.holdout.map(read).transpose()?;
        let found = image_scores(&train, holdout.as_ref(), &synthetic, self.false_match_rate, progress)?;
        found.write_csv(&out.join("scores.csv"))?;
        found.write_parquet(&out.join("scores.parquet"))?;
        let copies: Vec<Copy> = found
            .scores
            .iter()
            .filter(|score| score.copy == Some(true))
            .map(|score| Copy {
                synthetic: score.synthetic,
                train: score.nearest_train,
                distance: score.distance,
                p_value: score.p_value.unwrap_or(1.0),
            })
            .collect();
        write_json(&out.join("copies.json"), &copies)?;
        let scores = ImageScores {
            table: "scores.csv".into(),
            stamp: found.stamp,
            images: found.scores.len(),
            false_match_rate: found.false_match_rate,
            threshold: found.threshold,
            copies: found.copies,
            expected_copies: found.expected_copies,
            near_holdout: match &holdout {
                Some(holdout) => Some(near_holdout(&train, holdout, &synthetic, self.false_match_rate)?),
                None => None,
            },
            synthetic_quantiles: found.synthetic_quantiles,
            holdout_quantiles: found.holdout_quantiles,
        };
        write_json(&out.join("scores.json"), &scores)
    }

    fn name(&self) -> String {
        self.label.clone()
    }

    fn weight(&self) -> u64 {
        4
    }

    fn workload(&self) -> Workload {
        self.workload.clone()
    }
}
