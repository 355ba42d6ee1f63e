//! How good segmentations are, as a page, as Markdown and as JSON.

mod page;
mod text;

use serde::Serialize;
use standin_segment::{Evaluation, Overlay, PairedScore};

use crate::document::{Document, json_line};

/// The name and version of the document's schema.
const SCHEMA: &str = "standin.segmentation/1";

/// Predictions of some volumes, scored against references, and compared with other predictions where there are any.
#[derive(Clone, Debug, Serialize)]
pub struct Segmentation {
    /// Name and version of this document's schema.
    schema: &'static str,
    /// Version of the program.
    version: &'static str,
    /// Where the references are.
    pub references: String,
    /// Runs of one way of segmenting.
    pub runs: Vec<SegmentationRun>,
    /// Runs of another one that it is compared with.
    pub against: Vec<SegmentationRun>,
    /// The comparison, empty without other predictions.
    pub comparison: Vec<PairedScore>,
    /// Contours of the first run, for some volumes or none.
    #[serde(skip)]
    pub pictures: Vec<VolumePictures>,
}

/// One folder of predictions.
#[derive(Clone, Debug, Serialize)]
pub struct SegmentationRun {
    /// What it is called: its folder.
    pub name: String,
    /// Its scores.
    #[serde(flatten)]
    pub evaluation: Evaluation,
}

/// One volume in three planes.
#[derive(Clone, Debug)]
pub struct VolumePictures {
    /// The volume's name.
    pub name: String,
    /// Axial, coronal and sagittal.
    pub overlays: Vec<Overlay>,
}

impl Segmentation {
    /// A report of these runs.
    pub fn new(
        references: String,
        runs: Vec<SegmentationRun>,
        against: Vec<SegmentationRun>,
        comparison: Vec<PairedScore>,
        pictures: Vec<VolumePictures>,
    ) -> Self {
        Self { schema: SCHEMA, version: env!("CARGO_PKG_VERSION"), references, runs, against, comparison, pictures }
    }

    /// What the comparison finds about overlap, in a sentence for each label.
    fn headlines(&self) -> Vec<String> {
        let dice = self.comparison.iter().filter(|score| score.score == "Dice");
        dice.map(|score| {
            let Some(difference) = score.difference.estimate() else {
                return format!("Label {}: one volume alone compares nothing", score.label);
            };
            let which = match (difference.low > 0.0, difference.high < 0.0) {
                (true, _) => "the predictions overlap better with the references than those they are compared with",
                (_, true) => "the predictions overlap less with the references than those they are compared with",
                _ => "no difference in overlap is shown",
            };
            format!(
                "Label {}: {which} (Dice {:.3} against {:.3}, difference {:+.3} [{:+.3}, {:+.3}] over {} volumes)",
                score.label, score.first, score.second, difference.value, difference.low, difference.high, difference.n
            )
        })
        .collect()
    }

    /// What a reader has to know before the figures.
    fn warnings(&self) -> Vec<String> {
        let runs = self.runs.iter().chain(&self.against);
        runs.flat_map(|run| {
            run.evaluation.labels.iter().filter(|label| label.without_distance > 0).map(move |label| {
                format!(
                    "{}: in {} volumes only one of prediction and reference has label {}. Their Dice is 0, and they have no \
                     distance, so that mean distances look better than the predictions are.",
                    run.name, label.without_distance, label.label
                )
            })
        })
        .collect()
    }
}

impl Document for Segmentation {
    fn html(&self) -> String {
        page::page(self)
    }

    fn markdown(&self) -> String {
        text::document(self)
    }

    fn json(&self) -> String {
        json_line(self)
    }
}
