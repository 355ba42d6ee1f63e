//! What a study found: the one document the report, the tables and scripts read.

mod comparison;
mod images;
mod release;
#[cfg(test)]
pub(crate) mod testing;
mod verdict;

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use standin_data::Shape;
use standin_measure::Estimate;

pub use comparison::{Correlations, Effect, Mitigation, Place, PostProcessing, Ranking};
pub use images::{Gallery, ImageScores, NearCopy};
pub use release::{AttackRow, CanaryRow, GroupAccuracy, MeasureRow, RateAt, Release, ReleaseKind, Utility};
pub use verdict::{Answer, Front, Gate, ReleaseVerdict, Verdict};

/// The name and version of the JSON schema.
pub const SCHEMA: &str = "standin.summary/5";

/// The JSON schema (draft 2020-12) that every [`Summary`] follows, as `docs/summary.schema.json` publishes it.
pub fn json_schema() -> serde_json::Value {
    let generator: SchemaGenerator = SchemaSettings::draft2020_12().into();
    let mut schema = generator.into_root_schema_for::<Summary>();
    schema.insert("title".into(), format!("{SCHEMA}: what a study found").into());
    if let Some(name) = schema.pointer_mut("/properties/schema").and_then(serde_json::Value::as_object_mut) {
        name.insert("const".into(), SCHEMA.into());
        name.insert("description".into(), "The name and version of this schema.".into());
    }
    schema.into()
}

/// Everything a study found, without timings: equal configurations on equal data give equal bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of the program.
    pub version: String,
    /// The study's name.
    pub name: String,
    /// Seeds of the repetitions.
    pub seeds: Vec<u64>,
    /// The full configuration, defaults included, as TOML.
    pub configuration: String,
    /// The images the study ran on.
    pub data: DataSummary,
    /// The thresholds behind the verdict.
    pub thresholds: Thresholds,
    /// The releases compared, in the order of the configuration.
    pub releases: Vec<Release>,
    /// Who is better by each measure, with what chance leaves open; where several sets of images are compared.
    #[serde(default)]
    pub rankings: Vec<Ranking>,
    /// How well each measure foretells utility; where enough sets of images with a utility are compared.
    #[serde(default)]
    pub correlations: Option<Correlations>,
    /// Every mitigation beside the same run without it.
    #[serde(default)]
    pub mitigations: Vec<Mitigation>,
    /// Every pair of releases of which one is computed from the other, with the strongest attack on each.
    #[serde(default)]
    pub post_processing: Vec<PostProcessing>,
    /// Conditions that the user set, with what they came to.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// The four questions, answered from the numbers.
    pub questions: Vec<Answer>,
    /// What may be released at the thresholds, and why.
    pub verdict: Verdict,
    /// What the reader must know before believing a number: small samples, duplicates, reproducible noise, ….
    pub warnings: Vec<String>,
}

/// The images of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataSummary {
    /// Source of the images.
    pub source: String,
    /// Licence and attribution.
    pub licence: Option<String>,
    /// Shape of every image.
    pub shape: Shape,
    /// Class names.
    pub classes: Vec<String>,
    /// Images the generators and classifiers were trained on.
    pub train: usize,
    /// Images of the same population that nothing was trained on, the reference of every privacy number.
    pub holdout: usize,
    /// Images on which utility was measured.
    pub test: usize,
    /// Exact duplicates across the sides of the split.
    pub duplicates_across_split: usize,
    /// Share of training and holdout images whose nearest other is of their own side, by pixels: ½ where both are of one population.
    /// None where the program divided one set itself, or there is no holdout.
    pub population: Option<Estimate>,
    /// The column whose values are never on two sides, if any.
    pub grouped_by: Option<String>,
}

/// What counts as good enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// Smallest share of the real-data accuracy that a release must reach.
    pub replacement_ratio: f64,
    /// Largest area under the ROC curve that any attack may reach, at the upper end of its interval.
    pub attack_auc: f64,
    /// Largest true-positive rate at 1 % false positives, at the upper end of its interval where measurable.
    pub attack_tpr_at_1_percent: f64,
    /// Largest area under the ROC curve between canaries that took part and those that did not, at the upper end of its interval.
    pub canary_auc: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { replacement_ratio: 0.9, attack_auc: 0.6, attack_tpr_at_1_percent: 0.05, canary_auc: 0.75 }
    }
}
