//! The study file: every setting with its default, checked before anything runs.

mod canaries;
mod data;
mod entry;
mod file;
mod generators;
mod matrix;
mod releases;
mod slurm;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use standin_data::{ImportOptions, Source};

use super::check::check;
use super::refusal::{Refusal, explain};
use crate::summary::Thresholds;
pub use canaries::{CanaryKind, PlantedCanaries};
pub use data::{Data, Privacy, Side};
pub use file::{PRESETS, Preset, StudyFile};
pub use generators::{Confidence, Generator, GeneratorSampling, Likeness, NoCopies};
pub use matrix::{Matrix, Rule};
pub use releases::{Classifier, ReleasedClassifier, ReleasedGenerator};
pub use slurm::{Gpus, Resources, Slurm};

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
    #[serde(default, rename = "generator", deserialize_with = "generators::generators")]
    pub generators: Vec<Generator>,
    /// Sets of synthetic images made by any other tool; each is a release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<GivenImages>,
    /// How many images are sampled, and of which classes.
    #[serde(default)]
    pub sampling: Sampling,
    /// The classifiers that measure utility. The first is the one the verdict rests on.
    #[serde(default = "default_classifiers", rename = "classifier", deserialize_with = "releases::classifiers")]
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
    /// What is crossed with the generators and classifiers above; none once it has been read into them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix: Option<Matrix>,
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
    /// The same on the weights of released generators, in which each image is searched for in hundreds of steps.
    pub generator_limit: usize,
}

impl Default for Attacks {
    fn default() -> Self {
        Self { names: Vec::new(), encoders: vec!["pixels".into()], shadows: 0, limit: 5_000, generator_limit: 1_000 }
    }
}

fn default_seeds() -> Vec<u64> {
    vec![1, 2, 3]
}

fn default_classifiers() -> Vec<Classifier> {
    vec![Classifier::from("cnn".to_owned())]
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
        let preset = PRESETS.first().expect("there are presets");
        Self::parse(preset.text, Path::new(preset.name)).expect("the presets are valid, as the tests show")
    }

    /// Reads a study file. A relative data source is looked up beside the file.
    ///
    /// # Errors
    /// If the file cannot be read, is no TOML, has an unknown key, or holds values that cannot work together; or if it is
    /// several studies, one for each of several data sets.
    pub fn read(path: &Path) -> Result<Self, StudyError> {
        StudyFile::open(path)?.study()
    }

    /// Looks relative sources up in a folder.
    fn beside(mut self, folder: &Path, origin: &Path) -> Result<Self, StudyError> {
        let refused = |error: standin_data::Error| StudyError {
            origin: origin.to_path_buf(),
            found: error.to_string(),
            remedy: "correct the source".into(),
        };
        for source in self.sources() {
            *source = Source::parse(source).map_err(refused)?.beside(folder).to_string();
        }
        self.data.from = self.data.from.map(|from| folder.join(from));
        Ok(self)
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
        let mut study: Self = toml::from_str(text).map_err(|error| explain(&error, text, origin))?;
        if let Some(matrix) = study.matrix.take() {
            let refused = |Refusal { found, remedy }| StudyError { origin: origin.to_path_buf(), found, remedy };
            matrix.cross(&mut study).map_err(refused)?;
        }
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

    /// The classifiers that are trained on every set of images to measure what these are worth.
    pub fn utility_classifiers(&self) -> Vec<&Classifier> {
        self.classifiers.iter().filter(|classifier| classifier.utility).collect()
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
        assert_eq!(Privacy::default().noise, standin_privacy::NoiseOrigin::Secret);
    }
}
