//! Whether images of a minority help its diagnosis, as a page, as Markdown and as JSON.

mod page;
mod text;

use std::path::Path;

use standin_bench::augmentation::{AugmentationSummary, Comparison, SCHEMA, ScenarioSummary};

use crate::document::{Document, json_line};
use crate::error::{Error, Result};
use crate::number::{Style, probability};

/// The report of an augmentation study.
#[derive(Clone, Debug, PartialEq)]
pub struct Augmentation {
    summary: AugmentationSummary,
    /// The pictures of the trials of strengths, as PNG, by scenario.
    pictures: Vec<(String, Vec<u8>)>,
}

const REMEDY: &str = "`standin runs verify` finds damaged stages; remove them and run the study again";

/// Below this p-value a difference is called one.
const SIGNIFICANT: f64 = 0.05;

impl Augmentation {
    /// Reads the folder of a finished study.
    ///
    /// # Errors
    /// If a file is missing or damaged, or of another version.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join("augmentation.json");
        let text = std::fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
        let summary: AugmentationSummary =
            serde_json::from_str(&text).map_err(|error| Error::invalid(&path, error.to_string(), REMEDY))?;
        if summary.schema != SCHEMA {
            let found = format!("its form is \"{}\" where \"{SCHEMA}\" belongs", summary.schema);
            return Err(Error::invalid(&path, found, REMEDY));
        }
        let mut pictures = Vec::new();
        for scenario in &summary.scenarios {
            let Some(picture) = &scenario.picture else { continue };
            let path = folder.join(picture);
            pictures.push((scenario.name.clone(), std::fs::read(&path).map_err(Error::io("reading", &path))?));
        }
        Ok(Self { summary, pictures })
    }

    /// What was found.
    pub fn summary(&self) -> &AugmentationSummary {
        &self.summary
    }

    /// What a scenario comes to, in a sentence: whether, with the backbone that does best for the minority, an arm with synthetic images is better
    /// for it than the best without.
    pub fn headline(scenario: &ScenarioSummary) -> String {
        let ahead = scenario.arms.iter().max_by(|a, b| a.minority_balanced.value.total_cmp(&b.minority_balanced.value));
        let best = |backbone: &str| {
            let of_backbone = scenario.comparisons.iter().filter(|found| found.best && found.backbone == backbone);
            of_backbone.max_by(|a, b| a.difference.value.total_cmp(&b.difference.value))
        };
        let Some(first) = ahead.and_then(|ahead| best(&ahead.backbone)) else {
            return format!("{}: no arm with synthetic images was compared", scenario.name);
        };
        let said = format!(
            "with {}, \"{}\" differs from the best arm without synthetic images, \"{}\", by {} points of balanced accuracy on the minority{}",
            first.backbone,
            first.arm,
            first.against,
            Style::Points.full(&first.difference),
            p_value(first),
        );
        let clear = first.corrected_p_value.is_some_and(|p| p < SIGNIFICANT) && first.difference.value > 0.0;
        let worse = first.difference.high < 0.0;
        let verdict = match (clear, worse) {
            (true, _) => "synthetic images help",
            (_, true) => "synthetic images do not help",
            _ => "it is not shown that synthetic images help",
        };
        format!("{}: {verdict}; {said}", scenario.name)
    }
}

impl Document for Augmentation {
    fn html(&self) -> String {
        page::page(self)
    }

    fn markdown(&self) -> String {
        text::document(&self.summary)
    }

    fn json(&self) -> String {
        json_line(&self.summary)
    }
}

/// The p-values of a comparison, for people.
fn p_value(comparison: &Comparison) -> String {
    match (comparison.p_value, comparison.corrected_p_value) {
        (Some(p), Some(corrected)) => format!(" (p = {}, corrected {})", probability(p), probability(corrected)),
        _ => " (no test)".to_owned(),
    }
}
