use serde::{Deserialize, Serialize};

/// Canaries of one kind. Every release is trained again with them, once a run, and asked which of them took part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlantedCanaries {
    /// What they are.
    pub kind: CanaryKind,
    /// Where foreign ones come from: as `data.source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How many training images they take the place of. Each takes part in a run by a fair coin of its own.
    #[serde(default = "default_canaries")]
    pub count: usize,
    /// Pipelines trained with them: with four or more, the first half shows how each canary looks, and the others are guessed about.
    #[serde(default = "default_runs")]
    pub runs: usize,
    /// Releases that are audited; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<String>,
}

/// What canaries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CanaryKind {
    /// Training images with wrong labels: what can only be fitted by remembering it.
    Mislabelled,
    /// Training images as they are: the average case.
    Natural,
    /// Uniform noise with any label.
    Noise,
    /// Images of another set with any label.
    Foreign,
}

impl std::fmt::Display for CanaryKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Mislabelled => "mislabelled",
            Self::Natural => "natural",
            Self::Noise => "noise",
            Self::Foreign => "foreign",
        })
    }
}

fn default_canaries() -> usize {
    500
}

fn default_runs() -> usize {
    1
}
