//! One thing that could be released: what it is worth and what it leaks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use standin_measure::{Estimate, Outcome};
use standin_privacy::Guarantee;
use standin_privacy::lower_bound::LowerBound;

use super::images::{Gallery, ImageScores};

/// What is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseKind {
    /// Synthetic images, from a generator of the study or made by another tool.
    Images,
    /// A classifier trained on synthetic images.
    ClassifierOnSynthetic,
    /// A classifier trained on the private images.
    ClassifierOnReal,
    /// A generator with its weights.
    Generator,
}

/// One thing that could be released, with what it is worth and what it leaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Name in the configuration.
    pub name: String,
    /// What is released.
    pub kind: ReleaseKind,
    /// Name and family of the generator behind it, if any: `("merf-1", "dp-merf")`.
    pub generator: Option<(String, String)>,
    /// Where the images came from, if another tool made them.
    #[serde(default)]
    pub source: Option<String>,
    /// The guarantee it carries, if any.
    pub guarantee: Option<Guarantee>,
    /// Real test accuracy of each classifier, trained on this release or released itself.
    pub utility: Vec<Utility>,
    /// Fidelity, variety and copying, for images.
    pub measures: Vec<MeasureRow>,
    /// What each attack found.
    pub attacks: Vec<AttackRow>,
    /// Sample pictures and near copies, for images.
    pub gallery: Option<Gallery>,
    /// What can be said of single images, for images.
    #[serde(default)]
    pub scores: Option<ImageScores>,
    /// What audits with canaries found.
    #[serde(default)]
    pub canaries: Vec<CanaryRow>,
}

/// How well a classifier does on real test images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Utility {
    /// The classifier's registered name.
    pub classifier: String,
    /// Share of correct answers, pooled over seeds.
    pub accuracy: Estimate,
    /// Mean of the classes' accuracies, pooled over seeds.
    pub balanced_accuracy: Estimate,
    /// Accuracy divided by that of the same classifier trained on the private images (TSTR / TRTR).
    pub replacement_ratio: Option<Estimate>,
    /// Accuracy of each class, in the order of the class names.
    pub per_class: Vec<Outcome>,
    /// Accuracy per seed, in the order of the seeds.
    pub per_seed: Vec<f64>,
    /// Accuracy of the same classifier trained on the private images (TRTR).
    #[serde(default)]
    pub real: Option<Outcome>,
    /// Trained on the private images, its accuracy on the synthetic ones with their labels (TRTS).
    #[serde(default)]
    pub real_on_synthetic: Option<Outcome>,
    /// Trained on private and synthetic images together, its accuracy on real test images.
    #[serde(default)]
    pub augmented: Option<Outcome>,
    /// Accuracy in each group of test images.
    #[serde(default)]
    pub per_group: Vec<GroupAccuracy>,
}

/// Accuracy on the test images of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupAccuracy {
    /// The attribute column.
    pub column: String,
    /// Its value.
    pub group: String,
    /// Test images of the group.
    pub images: usize,
    /// Trained on the release.
    pub accuracy: Outcome,
    /// Trained on the private images.
    pub real: Option<Outcome>,
}

/// One measure of one set of synthetic images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasureRow {
    /// The measure's registered name.
    pub measure: String,
    /// What it belongs to: "fidelity", "variety" or "copying".
    pub aspect: String,
    /// The real images it compares with: "train", "holdout", or empty.
    pub against: String,
    /// The value, pooled over seeds.
    pub outcome: Outcome,
    /// The same computed for holdout images in the place of the synthetic ones, where that makes sense.
    pub reference: Option<Outcome>,
    /// Which way is better: "higher", "lower", or where the best value is, such as "0.5".
    pub better: String,
    /// The protocol: encoder, preprocessing, parameters.
    pub stamp: String,
}

/// One attack on one release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttackRow {
    /// The attack's registered name.
    pub attack: String,
    /// What it may see: "images", "classifier" or "generator".
    pub access: String,
    /// Protocol: encoder or number of shadows.
    pub stamp: String,
    /// Members and non-members behind each repetition.
    pub members: usize,
    /// Non-members behind each repetition.
    pub non_members: usize,
    /// Area under the ROC curve, pooled over seeds; 0.5 is no leak.
    pub auc: Estimate,
    /// AUC of each repetition, in the order of the seeds; empty where the attack was not run in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_seed: Vec<f64>,
    /// Probability of so large an AUC if membership had no part in it: that of the one repetition, or twice the mean of several, which
    /// holds however they depend on each other (Rüschendorf 1982).
    pub p_value: f64,
    /// The same corrected for the number of attacks on the release (Holm 1979).
    pub corrected_p_value: f64,
    /// Balanced accuracy of a threshold chosen on one half and reported on the other.
    pub balanced_accuracy: Estimate,
    /// True-positive rate at fixed false-positive rates.
    pub true_positive_rates: Vec<RateAt>,
    /// ROC curve of the first seed: (false-positive rate, true-positive rate), from (0, 0) to (1, 1).
    pub roc: Vec<(f64, f64)>,
    /// Lower bound on ε that the attack demonstrates, where it can be stated.
    pub epsilon_lower: Option<Outcome>,
}

/// An audit with canaries: the pipeline that leads to the release was trained again, each time with about half of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryRow {
    /// "mislabelled", "natural", "noise" or "foreign".
    pub kind: String,
    /// Canaries in each run.
    pub canaries: usize,
    /// Trainings.
    pub runs: usize,
    /// Trainings whose coins were guessed; the others showed how each canary looks.
    pub guessed_runs: usize,
    /// How canaries were scored.
    pub score: String,
    /// Canaries that took part, over all guessed runs.
    pub members: usize,
    /// Canaries that did not.
    pub non_members: usize,
    /// Area under the ROC curve between them.
    pub auc: Estimate,
    /// Probability of so large an AUC if taking part made no difference.
    pub p_value: f64,
    /// True-positive rate at fixed false-positive rates.
    pub true_positive_rates: Vec<RateAt>,
    /// Guesses behind the bound.
    pub guesses: u64,
    /// Those that were right.
    pub right_guesses: u64,
    /// ε is at least this, for adding or removing one image.
    pub epsilon_lower: LowerBound,
    /// The largest ε that the audited trainings promise for adding or removing one unit; none where they promise none, or only for an
    /// exchange.
    pub epsilon_claimed: Option<f64>,
}

impl CanaryRow {
    /// Whether more was demonstrated than is promised.
    pub fn refutes(&self) -> bool {
        self.epsilon_claimed.is_some_and(|claimed| self.epsilon_lower.epsilon > claimed)
    }
}

/// True-positive rate at one false-positive rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateAt {
    /// The false-positive rate.
    pub false_positive_rate: f64,
    /// The true-positive rate there, or why it cannot be measured.
    pub outcome: Outcome,
}

impl From<standin_attack::RateAt> for RateAt {
    fn from(rate: standin_attack::RateAt) -> Self {
        Self { false_positive_rate: rate.false_positive_rate, outcome: rate.outcome }
    }
}
