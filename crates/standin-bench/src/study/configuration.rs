//! The study file: every setting with its default, checked before anything runs.

mod canaries;
mod slurm;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use standin_classify::Outputs;
use standin_data::{ImportOptions, Source};
use standin_generate::{Balance, SampleRequest, Solver};
use standin_privacy::{Delta, NoiseOrigin, PrivacyTarget, Unit};

use super::check::{Refusal, check, explain};
use crate::summary::Thresholds;
pub use canaries::{CanaryKind, PlantedCanaries};
pub use slurm::{Gpus, Resources, Slurm};

/// The built-in study: handwritten digits, seven releases, three seeds.
pub const BUILT_IN: &str = include_str!("digits.toml");

/// A study: data, generators, classifiers, measures and attacks to compare, over several seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// Name of the study, and of the folder its report goes to.
    pub name: String,
    /// One repetition per seed: another division into train and holdout, another training, another sample.
    #[serde(default = "default_seeds")]
    pub seeds: Vec<u64>,
    /// The real images.
    pub data: Data,
    /// How the private generators get their noise, and δ.
    #[serde(default)]
    pub privacy: Privacy,
    /// The generators; each one's images are a release.
    #[serde(default, rename = "generator")]
    pub generators: Vec<Generator>,
    /// Sets of synthetic images made by any other tool; each is a release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<GivenImages>,
    /// How many images are sampled, and of which classes.
    #[serde(default)]
    pub sampling: Sampling,
    /// The classifiers that measure utility. The first is the one the verdict rests on.
    #[serde(default = "default_classifiers", rename = "classifier")]
    pub classifiers: Vec<Classifier>,
    /// Classifiers that are releases themselves.
    #[serde(default, rename = "released_classifier")]
    pub released_classifiers: Vec<ReleasedClassifier>,
    /// Generators that are releases themselves, with their weights.
    #[serde(default, rename = "released_generator", skip_serializing_if = "Vec::is_empty")]
    pub released_generators: Vec<ReleasedGenerator>,
    /// What else is trained and tested to measure utility.
    #[serde(default)]
    pub utility: Protocols,
    /// Fidelity, variety and copying.
    #[serde(default)]
    pub measures: Measures,
    /// Membership inference.
    #[serde(default)]
    pub attacks: Attacks,
    /// Canaries that every release is audited with, in trainings of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canaries: Vec<PlantedCanaries>,
    /// What counts as good enough.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// Conditions on the figures, such as `"fd_holdout < 20"`: the exit status is 1 if one fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<String>,
    /// How the stages are carried out on a Slurm cluster; no part of any stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slurm: Option<Slurm>,
}

/// The real images and their division.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// A built-in data set's name, or a file or folder (relative to the study file); see [`standin_data::Source`].
    pub source: String,
    /// Images each generator and classifier is trained on; all that holdout and test leave if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<usize>,
    /// Images of the same population that nothing is trained on: a number, the name of a part, or a source of their own.
    /// 0 only where all releases are given images: nothing can be said about what they leak then.
    pub holdout: Side,
    /// Images on which utility is measured: a number, the name of a part, a source of their own, or what train and
    /// holdout leave if absent. It may be the holdout's part.
    #[serde(default, skip_serializing_if = "Side::is_rest")]
    pub test: Side,
    /// Seed of the division into test and the rest; the study's seeds divide the rest into train and holdout.
    #[serde(default)]
    pub split_seed: u64,
    /// Attribute column whose values (patients, identities) are never on two sides.
    #[serde(default)]
    pub group: Option<String>,
    /// Leave out training and holdout images that equal another one pixel by pixel: what is there several times is remembered first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deduplicate: bool,
    /// How files are read: label column, size, channels; the defaults change nothing.
    #[serde(default)]
    pub import: ImportOptions,
    /// For a public data set: a folder that holds its files already, so that nothing is downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
}

/// Where the images of a side come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Side {
    /// So many, drawn by stratified sampling.
    Count(usize),
    /// The part of the data set with this name: the division its makers published.
    Part(String),
    /// Other files.
    Source {
        /// As `data.source`.
        source: String,
    },
    /// What train and holdout leave.
    #[default]
    Rest,
}

impl Side {
    fn is_rest(&self) -> bool {
        *self == Self::Rest
    }
}

/// How the private generators get their noise, and δ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    /// `secret`: from the operating system, the guarantee holds, repetitions differ. `reproducible`: from the study's
    /// seeds, for benchmarks on public data; everything made with it is stamped "not private".
    pub noise: NoiseOrigin,
    /// δ of every private generator: a number, or `"auto"` for 1/(N ln N).
    pub delta: Delta,
    /// Whose presence is protected: `"image"`, or `{ group = "patient" }` for all images that share a value in that column,
    /// which generators trained by clipped gradients can protect.
    pub unit: Unit,
    /// Accept a δ of 1/N or more, which allows a whole record to be published.
    pub allow_large_delta: bool,
}

impl Default for Privacy {
    fn default() -> Self {
        Self { noise: NoiseOrigin::Secret, delta: Delta::Auto, unit: Unit::Image, allow_large_delta: false }
    }
}

impl Privacy {
    /// What a private generator with this ε is asked for.
    pub fn target(&self, epsilon: f64) -> PrivacyTarget {
        PrivacyTarget { epsilon, delta: self.delta, allow_large_delta: self.allow_large_delta }
    }
}

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
    fn is_default(&self) -> bool {
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
            truncation: self.truncation,
            solver: self.solver,
            steps: self.steps,
        }
    }
}

/// Synthetic images that another tool made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenImages {
    /// Name in the report.
    pub name: String,
    /// A file or folder (relative to the study file); see [`standin_data::Source`]. Classes, if there are any, are among
    /// those of the real images.
    pub source: String,
    /// How files are read; like the real images if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportOptions>,
}

/// What is trained and tested besides training on the release and testing on real images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Protocols {
    /// Test the classifiers trained on the private images on the synthetic ones too (TRTS).
    pub real_on_synthetic: bool,
    /// Train the classifiers on private and synthetic images together too (T+S): one more training each.
    pub augmented: bool,
    /// Attribute columns of the test images by whose values accuracy is told apart.
    pub groups: Vec<String>,
}

impl Default for Protocols {
    fn default() -> Self {
        Self { real_on_synthetic: true, augmented: false, groups: Vec::new() }
    }
}

/// How many images are sampled, and of which classes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Images per generator; as many as it was trained on if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
}

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

/// Fidelity, variety and copying.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Measures {
    /// Encoders whose features are compared.
    pub encoders: Vec<String>,
    /// Registered measures.
    pub names: Vec<String>,
    /// At most so many images per side enter, drawn at random: cost grows with its square.
    pub limit: usize,
    /// Pairs in the near-copy gallery.
    pub near_copies: usize,
    /// A synthetic image counts as a copy if it is nearer to a training image than this share of the holdout images is.
    pub false_match_rate: f64,
}

impl Default for Measures {
    fn default() -> Self {
        // One convention of each: the others say the same with other numbers.
        let names = [
            "frechet-distance",
            "kernel-distance",
            "precision",
            "density",
            "recall",
            "coverage",
            "vendi-score",
            "dcr-share",
            "authenticity",
        ];
        Self {
            encoders: vec!["pixels".into(), "scattering".into()],
            names: names.map(str::to_owned).to_vec(),
            limit: 5_000,
            near_copies: 12,
            false_match_rate: 0.01,
        }
    }
}

/// Membership inference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attacks {
    /// Registered attacks to run; every one whose access and needs are met if empty.
    pub names: Vec<String>,
    /// Encoders whose features the attacks on images use.
    pub encoders: Vec<String>,
    /// Shadow pipelines per released classifier, an even number: each trains on a random half of train and holdout
    /// together, every second one on the complement of the one before. 0 leaves out the attacks that need shadows.
    pub shadows: usize,
    /// At most so many members and so many non-members are attacked, drawn at random.
    pub limit: usize,
}

impl Default for Attacks {
    fn default() -> Self {
        Self { names: Vec::new(), encoders: vec!["pixels".into()], shadows: 0, limit: 5_000 }
    }
}

fn default_seeds() -> Vec<u64> {
    vec![1, 2, 3]
}

fn default_classifiers() -> Vec<Classifier> {
    vec![Classifier { name: "cnn".into(), family: None, settings: toml::Table::new() }]
}

/// What is wrong with a study.
#[derive(Debug, thiserror::Error)]
#[error("{}: {found}; {remedy}", origin.display())]
pub struct StudyError {
    /// The study file.
    pub origin: PathBuf,
    /// What was found.
    pub found: String,
    /// What was expected and what to do.
    pub remedy: String,
}

impl Study {
    /// The built-in study.
    ///
    /// # Panics
    /// Never: the tests parse it.
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN, Path::new("built-in study")).expect("the built-in study is valid, as the tests show")
    }

    /// Reads a study file. A relative data source is looked up beside the file.
    ///
    /// # Errors
    /// If the file cannot be read, is no TOML, has an unknown key, or holds values that cannot work together.
    pub fn read(path: &Path) -> Result<Self, StudyError> {
        let text = std::fs::read_to_string(path).map_err(|error| StudyError {
            origin: path.to_path_buf(),
            found: format!("the study file cannot be read ({error})"),
            remedy: "give the path of a .toml file, or none for the built-in study".into(),
        })?;
        let mut study = Self::parse(&text, path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let refused = |error: standin_data::Error| StudyError {
            origin: path.to_path_buf(),
            found: error.to_string(),
            remedy: "correct the source".into(),
        };
        for source in study.sources() {
            *source = Source::parse(source).map_err(refused)?.beside(folder).to_string();
        }
        study.data.from = study.data.from.map(|from| folder.join(from));
        Ok(study)
    }

    /// Every name of images in the study.
    fn sources(&mut self) -> impl Iterator<Item = &mut String> {
        let Data { source, holdout, test, .. } = &mut self.data;
        let sides = [holdout, test].into_iter().filter_map(|side| match side {
            Side::Source { source } => Some(source),
            _ => None,
        });
        let given = self.images.iter_mut().map(|images| &mut images.source);
        let foreign = self.canaries.iter_mut().filter_map(|canaries| canaries.source.as_mut());
        [source].into_iter().chain(sides).chain(given).chain(foreign)
    }

    /// Parses and checks a study; `origin` names it in messages.
    ///
    /// # Errors
    /// As [`Study::read`].
    pub fn parse(text: &str, origin: &Path) -> Result<Self, StudyError> {
        let study: Self = toml::from_str(text).map_err(|error| explain(&error, text, origin))?;
        study.check(origin)?;
        Ok(study)
    }

    /// Checks that everything in the study can work together, before anything is read; `origin` names it in messages.
    ///
    /// # Errors
    /// If a name is unknown, a value is out of range, or two settings contradict each other.
    pub fn check(&self, origin: &Path) -> Result<(), StudyError> {
        check(self).map_err(|Refusal { found, remedy }| StudyError { origin: origin.to_path_buf(), found, remedy })
    }

    /// The full configuration as TOML, defaults included.
    ///
    /// # Panics
    /// Never: the types hold nothing TOML cannot.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a study holds only what TOML can hold")
    }

    /// The generator of that name.
    pub fn generator(&self, name: &str) -> Option<&Generator> {
        self.generators.iter().find(|generator| generator.name == name)
    }

    /// Number of images that a generator releases which was trained on `train` images.
    pub fn released_by(&self, generator: &Generator, train: usize) -> usize {
        generator.sampling.count.or(self.sampling.count).unwrap_or(train)
    }

    /// The classifier of that name.
    pub fn classifier(&self, name: &str) -> Option<&Classifier> {
        self.classifiers.iter().find(|classifier| classifier.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_study_is_valid_and_survives_its_own_printing() {
        let study = Study::built_in();
        let again = Study::parse(&study.to_toml(), Path::new("printed")).unwrap();
        assert_eq!(again, study);
        assert_eq!(study.generators.len() + study.released_classifiers.len() + study.released_generators.len(), 7);
    }

    #[test]
    fn the_example_studies_are_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        for name in [
            "canaries.toml",
            "fashion-mnist.toml",
            "generators.toml",
            "mitigations.toml",
            "own-images.toml",
            "sweep.toml",
        ] {
            Study::read(&folder.join(name)).unwrap();
        }
    }

    #[test]
    fn noise_is_secret_unless_a_study_says_otherwise() {
        assert_eq!(Privacy::default().noise, NoiseOrigin::Secret);
    }
}
