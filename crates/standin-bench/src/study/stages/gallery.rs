use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_data::{ImageSet, Progress, first_of_each_class, write_grid};

use super::embed::read_embedding;
use super::{BoxedError, write_json};
use crate::stage::{Inputs, Stage, StageId, StageResult};
use crate::summary::{Gallery, NearCopy};

/// Samples of each class in the grid.
const COLUMNS: usize = 12;
/// Rows of the grid for a set without labels, and the most classes shown.
const ROWS: usize = 10;

/// Draws a grid of samples, and the synthetic images nearest to training images beside these. Outputs: PNG files and
/// `gallery.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawGallery {
    /// The synthetic sample.
    pub sample: StageId,
    /// The split whose `train` side the generator saw.
    pub split: StageId,
    /// Embedded training images.
    pub train: StageId,
    /// Embedded holdout images, if there are any.
    pub holdout: Option<StageId>,
    /// Embedded synthetic images.
    pub synthetic: StageId,
    /// Pairs to show.
    pub near_copies: usize,
    /// Which release this is, for people.
    pub label: String,
}

impl Stage for DrawGallery {
    fn kind(&self) -> &'static str {
        "gallery"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        json!({ "near_copies": self.near_copies })
    }

    fn inputs(&self) -> Vec<StageId> {
        [self.sample, self.split, self.train, self.synthetic].into_iter().chain(self.holdout).collect()
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn run(&self, inputs: &Inputs, out: &Path, _: &dyn Progress) -> StageResult {
        let images = ImageSet::open(&inputs.folder(self.sample)?.join("images"))?;
        let train_images = ImageSet::open(&inputs.folder(self.split)?.join("train"))?;
        write_grid(&images, &first_of_each_class(&images, ROWS, COLUMNS), COLUMNS, &out.join("grid.png"))?;

        let read = |stage| -> Result<_, BoxedError> { read_embedding(inputs.folder(stage)?) };
        let ((train, train_rows), (synthetic, synthetic_rows)) = (read(self.train)?, read(self.synthetic)?);
        let holdout = match self.holdout {
            Some(holdout) => read(holdout)?.0,
            None => train.select(&[]),
        };
        let mut near_copies = Vec::new();
        for (rank, copy) in
            standin_measure::near_copies(&train, &holdout, &synthetic, self.near_copies)?.into_iter().enumerate()
        {
            let (in_synthetic, in_train) = (synthetic_rows[copy.synthetic], train_rows[copy.train]);
            let picture = |side: &str| format!("near-copy-{:02}-{side}.png", rank + 1);
            let near_copy = NearCopy {
                synthetic: in_synthetic,
                train: in_train,
                distance: copy.distance,
                p_value: copy.p_value,
                synthetic_picture: picture("synthetic"),
                train_picture: picture("train"),
            };
            write_grid(&images, &[in_synthetic], 1, &out.join(&near_copy.synthetic_picture))?;
            write_grid(&train_images, &[in_train], 1, &out.join(&near_copy.train_picture))?;
            near_copies.push(near_copy);
        }
        let gallery = Gallery { grid: "grid.png".into(), near_copies, stamp: synthetic.stamp().to_string() };
        write_json(&out.join("gallery.json"), &gallery)
    }

    fn name(&self) -> String {
        self.label.clone()
    }

    fn weight(&self) -> u64 {
        2
    }
}
