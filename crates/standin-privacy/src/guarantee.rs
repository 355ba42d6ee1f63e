use serde::{Deserialize, Serialize};

/// Whose presence is protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// One image.
    Image,
    /// All images that share a value of this attribute column: a patient, an identity.
    Group(String),
}

/// What makes two data sets neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adjacency {
    /// One unit is added or removed; the project's default.
    AddRemove,
    /// One unit is replaced by another; sensitivities double.
    ReplaceOne,
}

/// Where the noise of a mechanism came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseOrigin {
    /// A cryptographic generator seeded by the operating system: the guarantee holds.
    Secret,
    /// A reproducible seed, for experiments on public data: whoever knows the seed can remove the noise, so the output
    /// is **not private** whatever ε says.
    Reproducible,
}

/// What a trained object promises about the data it was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guarantee {
    /// Privacy loss.
    pub epsilon: f64,
    /// Failure probability.
    pub delta: f64,
    /// Whose presence is protected.
    pub unit: Unit,
    /// What makes two data sets neighbours.
    pub adjacency: Adjacency,
    /// How records were sampled: "full batch" or "Poisson, rate q".
    pub sampler: String,
    /// The mechanism in words, with its sensitivity and noise as they ran.
    pub mechanism: String,
    /// How ε was computed from the mechanism.
    pub accountant: String,
    /// Where the noise came from.
    pub noise: NoiseOrigin,
    /// What the guarantee does not cover, in words.
    pub not_covered: Vec<String>,
}

impl Guarantee {
    /// Whether the output may be treated as private: only with secret noise.
    pub fn holds(&self) -> bool {
        self.noise == NoiseOrigin::Secret
    }
}
