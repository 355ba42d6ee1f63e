//! What an augmentation study found.

use serde::{Deserialize, Serialize};
use standin_measure::{Estimate, Outcome};

use super::arms::Arm;
use crate::summary::MeasureRow;

/// The name and version of the document.
pub const SCHEMA: &str = "standin.augmentation/1";

/// Everything an augmentation study found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentationSummary {
    /// Name and version of this document's form.
    pub schema: String,
    /// Version of the program.
    pub version: String,
    /// Name of the study.
    pub name: String,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// The study with all defaults, as TOML.
    pub configuration: String,
    /// Where the images come from.
    pub source: String,
    /// The column of groups, and which of its values are the majority and the minority.
    pub group: String,
    /// Values that are the majority.
    pub majority: Vec<String>,
    /// Values that are the minority.
    pub minority: Vec<String>,
    /// Class names.
    pub classes: Vec<String>,
    /// Test images of each class.
    pub test: Vec<ClassCounts>,
    /// What a reader must know before the figures.
    pub warnings: Vec<String>,
    /// The scenarios, in the order of the study.
    pub scenarios: Vec<ScenarioSummary>,
}

/// Images of a class on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassCounts {
    /// Of the majority.
    pub majority: usize,
    /// Of the minority.
    pub minority: usize,
}

/// One degree of scarcity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioSummary {
    /// Its name.
    pub name: String,
    /// Real training images of each class, with the first seed.
    pub train: Vec<ClassCounts>,
    /// What was made and accepted, all seeds together; none without synthetic images.
    pub acceptance: Option<AcceptanceSummary>,
    /// The arms, backbone by backbone.
    pub arms: Vec<ArmResult>,
    /// Paired tests of arms with synthetic images against those without.
    pub comparisons: Vec<Comparison>,
    /// Arms that were not run, and why.
    pub skipped: Vec<Skipped>,
    /// What the judges say at several strengths; empty without a trial.
    pub strengths: Vec<StrengthSummary>,
    /// The file with a picture of them, beside the summary.
    pub picture: Option<String>,
    /// What was found about the synthetic images, by encoder and side.
    pub memorised: Vec<GroupFinding>,
    /// Measures of the synthetic images against the minority's, pooled over seeds.
    pub measures: Vec<MeasureRow>,
}

/// What was made and accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptanceSummary {
    /// Images made.
    pub made: usize,
    /// Images accepted.
    pub accepted: usize,
    /// Images accepted of each class, with the first seed.
    pub by_class: Vec<usize>,
    /// Share of the images made that a judge of classes takes for what they should be.
    pub made_of_class: Estimate,
    /// Share of them that a judge of sides takes for the minority's.
    pub made_of_minority: Estimate,
    /// The same share of the accepted ones; none where none was accepted.
    pub accepted_of_class: Option<Estimate>,
    /// The same share of the accepted ones.
    pub accepted_of_minority: Option<Estimate>,
}

/// How classifiers of one arm and backbone do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmResult {
    /// Name of the backbone.
    pub backbone: String,
    /// The arm.
    pub arm: Arm,
    /// Mean of the classes' accuracies on the minority, for each seed.
    pub by_seed: Vec<f64>,
    /// Its mean over the seeds, with Student's interval.
    pub minority_balanced: Estimate,
    /// Accuracy on the minority.
    pub minority: Estimate,
    /// Mean of the classes' accuracies on the majority.
    pub majority_balanced: Estimate,
    /// Accuracy on the majority.
    pub majority: Estimate,
    /// The lower of the two balanced accuracies.
    pub worst: Estimate,
    /// Balanced accuracy on the majority minus that on the minority.
    pub gap: Estimate,
    /// Expected calibration error on the minority.
    pub minority_calibration: Estimate,
    /// Expected calibration error on the majority.
    pub majority_calibration: Estimate,
}

/// A paired test over the seeds of the balanced accuracy on the minority.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Name of the backbone.
    pub backbone: String,
    /// An arm with synthetic images.
    pub arm: Arm,
    /// One without.
    pub against: Arm,
    /// Whether that is the one which does best of those without, by the same figures: a harder comparison than one chosen before.
    pub best: bool,
    /// What the arm is better by.
    pub difference: Estimate,
    /// Two-sided p-value of Student's paired test; none where it cannot be computed.
    pub p_value: Option<f64>,
    /// The same, corrected for the scenario's tests (Holm 1979).
    pub corrected_p_value: Option<f64>,
}

/// An arm that was not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// Name of the backbone; all if absent.
    pub backbone: Option<String>,
    /// The arm.
    pub arm: Arm,
    /// Why.
    pub reason: String,
}

/// What the judges say at one strength.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrengthSummary {
    /// The strength.
    pub strength: f64,
    /// Share of images that a judge of classes takes for what they should be.
    pub of_class: Estimate,
    /// Share of images that a judge of sides takes for the minority's.
    pub of_minority: Estimate,
}

/// Whether training images of a side can be told from test images by how near a synthetic one is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupFinding {
    /// The encoder whose features were compared.
    pub encoder: String,
    /// "majority" or "minority".
    pub side: String,
    /// Training images of one seed.
    pub members: usize,
    /// Test images of one seed.
    pub non_members: usize,
    /// Area under the curve, pooled over the seeds; 0.5 is no leak.
    pub auc: Outcome,
}
