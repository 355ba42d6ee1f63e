//! What the numbers come to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A condition on the figures that the user set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// As the user wrote it.
    pub expression: String,
    /// Whether it holds, at the bad end of every interval, for every release it concerns.
    pub passed: bool,
    /// The figures it was tested on, one line each, those that fail first.
    pub figures: Vec<String>,
}

/// One of the four questions with its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The conclusion in one sentence a steward reads.
    pub headline: String,
    /// For each release in order: whether it passes every threshold, and why or why not.
    pub releases: Vec<ReleaseVerdict>,
}

/// Whether one release passes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseVerdict {
    /// The release's name.
    pub name: String,
    /// Useful enough at the threshold.
    pub useful: bool,
    /// No attack above the thresholds.
    pub resists_attacks: bool,
    /// On the Pareto front of utility against the strongest attack, by the values alone.
    pub pareto: bool,
    /// The chance of being on that front, given the intervals of accuracy and AUC; none where one of them was not measured.
    #[serde(default)]
    pub pareto_probability: Option<f64>,
    /// Reasons, one sentence each.
    pub reasons: Vec<String>,
}

/// How sure it is that a release is on the Pareto front.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Front {
    /// In at least 95 % of the draws.
    Certain,
    /// In some of the draws.
    Possible,
    /// In at most 5 % of the draws.
    Unlikely,
}

impl ReleaseVerdict {
    /// How sure it is that the release is on the front; none where it has no place in it.
    pub fn front(&self) -> Option<Front> {
        Some(match self.pareto_probability? {
            0.95.. => Front::Certain,
            ..=0.05 => Front::Unlikely,
            _ => Front::Possible,
        })
    }
}
