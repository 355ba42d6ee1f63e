use serde::{Deserialize, Deserializer, Serialize};
use standin_classify::Outputs;

use super::entry::Entry;

/// One classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    /// Name in the report.
    pub name: String,
    /// Registered family; the name if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// The family's settings that differ from its defaults.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub settings: toml::Table,
    /// Whether it is trained on every set of images to measure what these are worth; if not, it is there to be released.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub utility: bool,
}

fn yes() -> bool {
    true
}

impl From<String> for Classifier {
    fn from(name: String) -> Self {
        Self { name, family: None, settings: toml::Table::new(), utility: true }
    }
}

/// The classifiers of a study file: tables, or the names of families alone.
pub(super) fn classifiers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Classifier>, D::Error> {
    let entries = Vec::<Entry<Classifier>>::deserialize(deserializer)?;
    Ok(entries.into_iter().map(|Entry(classifier)| classifier).collect())
}

impl Classifier {
    /// The registered family.
    pub fn family(&self) -> &str {
        self.family.as_deref().unwrap_or(&self.name)
    }
}

/// A classifier that is itself released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleasedClassifier {
    /// Name in the report.
    pub name: String,
    /// Name of one of the study's classifiers.
    pub classifier: String,
    /// Name of the generator whose images it is trained on; the private images if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<String>,
    /// What it answers with.
    #[serde(default, skip_serializing_if = "is_everything")]
    pub outputs: Outputs,
}

fn is_everything(outputs: &Outputs) -> bool {
    *outputs == Outputs::Logits
}

/// A generator that is itself released: whoever has it can draw any number of images, and look inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleasedGenerator {
    /// Name in the report.
    pub name: String,
    /// Name of one of the study's generators.
    pub generator: String,
}
