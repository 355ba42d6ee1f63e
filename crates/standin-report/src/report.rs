use std::path::Path;

use standin_bench::leakage::contradictions;
use standin_bench::summary::Summary;

use crate::document::{Document, json_line};
use crate::picture::Pictures;
use crate::section::{Content, page};
use crate::timing::Timing;
use crate::{Result, markdown, reading};

/// The name of a study's summary in its folder.
const SUMMARY: &str = "summary.json";

/// A study's summary with its pictures, checked and ready to print.
#[derive(Clone, Debug)]
pub struct Report {
    summary: Summary,
    timings: Vec<Timing>,
    pictures: Pictures,
    training_pictures: bool,
}

impl Report {
    /// Reads `summary.json` and the pictures it names from the folder of a finished study.
    ///
    /// # Errors
    /// If a file cannot be read; if the summary is of another schema, is damaged, or contradicts its own
    /// documentation (a verdict for each release, one accuracy for each seed and class, ROC curves that rise from (0, 0)
    /// to (1, 1), rankings of releases, a square matrix of correlations, as many quantiles on either side); or if a picture is missing, not a PNG file, or outside the folder.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(SUMMARY);
        let summary = reading::summary(&path)?;
        let pictures = Pictures::load(folder, &summary)?;
        Ok(Self { summary, timings: Vec::new(), pictures, training_pictures: true })
    }

    /// Adds what each stage cost, in the order it is to be listed.
    #[must_use]
    pub fn with_timings(self, timings: Vec<Timing>) -> Self {
        Self { timings, ..self }
    }

    /// Leaves the private training images out of the near-copy gallery, for a page that is to be passed on.
    #[must_use]
    pub fn without_training_pictures(self) -> Self {
        Self { training_pictures: false, ..self }
    }

    /// What attacks demonstrate beyond what a guarantee allows, each in a sentence: where there is any, the run has
    /// failed, because the mechanism, the accountant or the attack is wrong.
    pub fn contradictions(&self) -> Vec<String> {
        contradictions(&self.summary.releases).failures
    }

    /// The summary behind the report.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }
}

impl Document for Report {
    fn html(&self) -> String {
        page(&Content {
            summary: &self.summary,
            timings: &self.timings,
            pictures: &self.pictures,
            training_pictures: self.training_pictures,
        })
    }

    fn markdown(&self) -> String {
        markdown::document(&self.summary)
    }

    fn json(&self) -> String {
        json_line(&self.summary)
    }
}
