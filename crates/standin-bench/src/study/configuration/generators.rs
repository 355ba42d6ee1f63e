use serde::{Deserialize, Deserializer, Serialize};
use standin_generate::{Balance, SampleRequest, Solver};

use super::entry::Entry;

/// One generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generator {
    /// Name in the report.
    pub name: String,
    /// Registered family.
    pub family: String,
    /// ε of a private generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// Images that need no protection, for families that learn from public images first: as `data.source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<String>,
    /// The family's settings that differ from its defaults.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub settings: toml::Table,
    /// How its images are drawn. Generators that differ in this alone share their training.
    #[serde(default, skip_serializing_if = "GeneratorSampling::is_default")]
    pub sampling: GeneratorSampling,
    /// Whether its images are a release; if not, they are there for the classifiers and generators that are.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub released: bool,
}

fn yes() -> bool {
    true
}

/// A generator as a study file may write it: the name follows from the family, and several ε are as many generators.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GeneratorEntry {
    name: Option<String>,
    family: String,
    epsilon: Option<Epsilon>,
    public: Option<String>,
    #[serde(default)]
    settings: toml::Table,
    #[serde(default)]
    sampling: GeneratorSampling,
    #[serde(default = "yes")]
    released: bool,
}

/// One ε, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Epsilon {
    One(f64),
    Several(Vec<f64>),
}

impl From<String> for GeneratorEntry {
    fn from(family: String) -> Self {
        Self {
            name: None,
            family,
            epsilon: None,
            public: None,
            settings: toml::Table::new(),
            sampling: GeneratorSampling::default(),
            released: true,
        }
    }
}

impl GeneratorEntry {
    fn generators(self) -> Vec<Generator> {
        let Self { name, family, epsilon, public, settings, sampling, released } = self;
        let (epsilons, several) = match epsilon {
            None => (vec![None], false),
            Some(Epsilon::One(epsilon)) => (vec![Some(epsilon)], false),
            Some(Epsilon::Several(epsilons)) => (epsilons.into_iter().map(Some).collect(), true),
        };
        let named = |epsilon: Option<f64>| match (&name, epsilon) {
            (Some(name), Some(epsilon)) if several => format!("{name}-{epsilon}"),
            (Some(name), _) => name.clone(),
            (None, Some(epsilon)) => format!("{family}-{epsilon}"),
            (None, None) => family.clone(),
        };
        let generator = |epsilon| Generator {
            name: named(epsilon),
            family: family.clone(),
            epsilon,
            public: public.clone(),
            settings: settings.clone(),
            sampling: sampling.clone(),
            released,
        };
        epsilons.into_iter().map(generator).collect()
    }
}

/// The generators of a study file: tables, or the names of families alone.
pub(super) fn generators<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Generator>, D::Error> {
    let entries = Vec::<Entry<GeneratorEntry>>::deserialize(deserializer)?;
    Ok(entries.into_iter().flat_map(|Entry(entry)| entry.generators()).collect())
}

/// How the images of one generator are drawn, and which of them are released.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GeneratorSampling {
    /// Images released; as many as `sampling.count` says if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// How they are divided among the classes.
    pub balance: Balance,
    /// See [`SampleRequest::temperature`].
    pub temperature: f64,
    /// See [`SampleRequest::guidance`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance: Option<f64>,
    /// See [`SampleRequest::group`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// See [`SampleRequest::group_guidance`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_guidance: Option<f64>,
    /// See [`SampleRequest::truncation`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncation: Option<f64>,
    /// See [`SampleRequest::solver`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solver: Option<Solver>,
    /// See [`SampleRequest::steps`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Images drawn for each image released, where filters choose among them.
    pub surplus: f64,
    /// Keep images of which a classifier trained on the private images is sure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// Keep images that look like the private ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likeness: Option<Likeness>,
    /// Keep images that are not nearer to a private image than chance allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_copies: Option<NoCopies>,
    /// Standard deviation of the Gaussian noise added to every pixel value, of 0 to 255; 0 for none.
    pub perturbation: f64,
}

/// The filter by a classifier's confidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confidence {
    /// Name of one of the study's classifiers; the first if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<String>,
    /// Least probability of the image's own label.
    pub at_least: f64,
}

/// The filter by likeness to the private images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Likeness {
    /// The encoder that looks; the first of `measures.encoders` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// Least realism (see [`standin_measure::realism`]): 1 is the edge of the real images' manifold.
    pub at_least: f64,
}

/// The filter of near copies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoCopies {
    /// The encoder that looks; the first of `measures.encoders` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// Share of holdout images that would be left out by mistake.
    pub false_match_rate: f64,
}

impl Default for GeneratorSampling {
    fn default() -> Self {
        Self {
            count: None,
            balance: Balance::Uniform,
            temperature: 1.0,
            guidance: None,
            group: None,
            group_guidance: None,
            truncation: None,
            solver: None,
            steps: None,
            surplus: 2.0,
            confidence: None,
            likeness: None,
            no_copies: None,
            perturbation: 0.0,
        }
    }
}

impl GeneratorSampling {
    /// Whether every image is released as the generator draws it by default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether private images decide which images are released: no guarantee covers that.
    pub fn looks_at_private_images(&self) -> bool {
        self.confidence.is_some() || self.likeness.is_some() || self.no_copies.is_some()
    }

    /// The request for `count` images.
    pub fn request(&self, count: usize) -> SampleRequest {
        SampleRequest {
            count,
            balance: self.balance.clone(),
            temperature: self.temperature,
            guidance: self.guidance,
            group: self.group.clone(),
            group_guidance: self.group_guidance,
            truncation: self.truncation,
            solver: self.solver,
            steps: self.steps,
        }
    }
}
