//! What a study found: the one document the report, the tables and scripts read.

use serde::{Deserialize, Serialize};
use standin_data::Shape;
use standin_measure::{Estimate, Outcome};
use standin_privacy::Guarantee;
use standin_privacy::lower_bound::LowerBound;

/// The name and version of the JSON schema.
pub const SCHEMA: &str = "standin.summary/4";

/// Everything a study found, without timings: equal configurations on equal data give equal bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// What is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// Scores of single synthetic images, in a table beside the summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageScores {
    /// The table, one row per synthetic image; path relative to the summary.
    pub table: String,
    /// The encoder's stamp.
    pub stamp: String,
    /// Images scored.
    pub images: usize,
    /// Share of holdout images that would be taken for copies, by which the threshold was set.
    pub false_match_rate: f64,
    /// Distance to the nearest training image below which a synthetic image counts as a copy; none without a holdout.
    pub threshold: Option<f64>,
    /// Synthetic images below the threshold.
    pub copies: usize,
    /// Copies expected by chance if synthetic images were like holdout images.
    pub expected_copies: f64,
    /// Synthetic images that are as near to a *holdout* image, judged by the distances of training images to these. Nobody
    /// copied the holdout, so a generator of typical images gets as many here, and only more copies than this point to
    /// copying. None without a holdout.
    #[serde(default)]
    pub near_holdout: Option<usize>,
    /// Nearest distances to training images at the quantiles 0, 1/20, …, 1: of synthetic images.
    pub synthetic_quantiles: Vec<f64>,
    /// The same of holdout images; empty without a holdout.
    pub holdout_quantiles: Vec<f64>,
}

/// Releases in the order of one measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranking {
    /// The measure's or classifier's registered name.
    pub measure: String,
    /// The real images it compares with: "train", "holdout", or empty.
    pub against: String,
    /// The protocol, equal for all that are ranked.
    pub stamp: String,
    /// Which way is better.
    pub better: String,
    /// Best first.
    pub places: Vec<Place>,
}

/// A release's place in a ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The release's name.
    pub release: String,
    /// The value it is ranked by.
    pub estimate: Estimate,
    /// Its rank, 1 for the best; equal values share the mean rank.
    pub rank: f64,
    /// Ranks that chance leaves possible, at 95 %.
    pub rank_interval: (usize, usize),
    /// Share of resamples in which it is the best.
    pub best: f64,
}

/// Rank correlations between measures over the releases compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correlations {
    /// The utility all measures are held against, such as "accuracy of cnn".
    pub utility: String,
    /// Names of rows and columns; the utility comes first.
    pub names: Vec<String>,
    /// Spearman's ρ of each pair; none where a value is missing or constant.
    pub matrix: Vec<Vec<Option<f64>>>,
    /// Of each name the ρ with the utility, with its interval over releases.
    pub with_utility: Vec<Outcome>,
    /// Releases behind every ρ.
    pub releases: usize,
}

/// A condition on the figures that the user set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// As the user wrote it.
    pub expression: String,
    /// Whether it holds, at the bad end of every interval, for every release it concerns.
    pub passed: bool,
    /// The figures it was tested on, one line each, those that fail first.
    pub figures: Vec<String>,
}

/// How well a classifier does on real test images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// Pictures of one set of synthetic images (first seed). Every picture is a PNG file beside the summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gallery {
    /// A grid of samples, one row per class; path relative to the summary.
    pub grid: String,
    /// The synthetic images nearest to training images, nearest first.
    pub near_copies: Vec<NearCopy>,
    /// How the near copies were searched: the encoder's stamp.
    pub stamp: String,
}

/// A synthetic image beside the training image it resembles most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NearCopy {
    /// Index of the synthetic image.
    pub synthetic: usize,
    /// Index of the training image.
    pub train: usize,
    /// Their distance in feature space.
    pub distance: f64,
    /// Conformal p-value (1 + k) / (1 + h): k of the h holdout images compared come at least as near to their nearest
    /// training image. Small means suspicious.
    pub p_value: f64,
    /// The synthetic picture; path relative to the summary.
    pub synthetic_picture: String,
    /// The training picture; path relative to the summary.
    pub train_picture: String,
}

/// One of the four questions with its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The question.
    pub question: String,
    /// The answer in a sentence or two.
    pub answer: String,
    /// The numbers it rests on, one line each.
    pub evidence: Vec<String>,
}

/// What may be released.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The conclusion in one sentence a steward reads.
    pub headline: String,
    /// For each release in order: whether it passes every threshold, and why or why not.
    pub releases: Vec<ReleaseVerdict>,
}

/// Whether one release passes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseVerdict {
    /// The release's name.
    pub name: String,
    /// Useful enough at the threshold.
    pub useful: bool,
    /// No attack above the thresholds.
    pub resists_attacks: bool,
    /// On the Pareto front of utility against the strongest attack.
    pub pareto: bool,
    /// Reasons, one sentence each.
    pub reasons: Vec<String>,
}
