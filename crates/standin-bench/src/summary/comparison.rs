//! Releases held against each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use standin_measure::{Estimate, Outcome};

/// Releases in the order of one measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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

/// A mitigation beside the same run without it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mitigation {
    /// The release with it.
    pub release: String,
    /// The release without it.
    pub without: String,
    /// What differs, in words, such as "temperature 0.5 instead of 1".
    pub differences: Vec<String>,
    /// Accuracy with it less accuracy without it, of the classifier the verdict rests on.
    pub accuracy: Option<Estimate>,
    /// AUC of the strongest attack with it less that without it.
    pub auc: Option<Estimate>,
    /// What the two differences come to.
    pub effect: Effect,
}

/// What a mitigation does, by the intervals of both differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Something is better, and nothing is shown to be worse.
    Helps,
    /// Something is worse, and nothing is shown to be better.
    Costs,
    /// One of accuracy and resistance to attacks is better and the other worse.
    Trades,
    /// Neither difference is beyond chance.
    NotToldApart,
    /// No difference could be formed.
    NotMeasured,
}

/// Two releases of one pipeline, one computed from the other: the best attack on what is derived cannot find more than the
/// best on what it is derived from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostProcessing {
    /// The release that is computed from the other.
    pub derived: String,
    /// The release it is computed from.
    pub source: String,
    /// AUC of the strongest attack on the first.
    pub derived_auc: Estimate,
    /// AUC of the strongest attack on the second.
    pub source_auc: Estimate,
    /// Whether the first is above the second beyond both intervals, so that the attacks on the second are weak.
    pub reversed: bool,
}
