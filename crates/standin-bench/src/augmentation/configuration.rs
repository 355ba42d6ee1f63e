//! The file of an augmentation study: every setting with its default.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use standin_data::{ImportOptions, Source};
use standin_generate::{Passage, TranslationRequest};

use super::arms::Arm;
use super::check::check;
use crate::study::{Classifier, Measures, Privacy, Refusal, StudyError, explain};

/// A study of augmentation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentationStudy {
    /// Name of the study, and of the folder its report goes to.
    pub name: String,
    /// One repetition per seed: other images of the minority, another training of everything.
    #[serde(default = "default_seeds")]
    pub seeds: Vec<u64>,
    /// The real images.
    pub data: AugmentationData,
    /// How many real images of the minority there are to train on.
    #[serde(default = "default_scenarios", rename = "scenario")]
    pub scenarios: Vec<Scenario>,
    /// What makes images.
    #[serde(default)]
    pub generator: MinorityGenerator,
    /// Noise and δ of a private generator.
    #[serde(default)]
    pub privacy: Privacy,
    /// How images of the minority are made.
    #[serde(default)]
    pub translation: Translation,
    /// The arms that are compared; all by default.
    #[serde(default = "default_arms")]
    pub arms: Vec<Arm>,
    /// What the arms without a generator do to images.
    #[serde(default)]
    pub classical: Classical,
    /// The classifiers that are trained in every arm. The first also accepts synthetic images, trained on real ones.
    #[serde(default = "default_backbones", rename = "backbone")]
    pub backbones: Vec<Classifier>,
    /// Measures of the synthetic images, and the features in which memorisation is looked for.
    #[serde(default = "default_measures")]
    pub measures: Measures,
}

/// The real images, and who is who.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentationData {
    /// A built-in data set's name, or a file or folder (relative to the study file); see [`standin_data::Source`].
    pub source: String,
    /// Attribute column of the groups; [`standin_data::SKIN_TONE`] is measured where there is no column of that name.
    pub group: String,
    /// Values of that column that are the majority.
    pub majority: Vec<String>,
    /// Values of that column that are the minority. Images of neither side are left out.
    pub minority: Vec<String>,
    /// Attribute column whose values (patients, lesions) are never both trained on and tested on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
    /// Share of each side that is tested on, or the name of the part that is.
    #[serde(default)]
    pub test: Sides,
    /// Seed of the division.
    #[serde(default)]
    pub split_seed: u64,
    /// Most training images of the majority, drawn at random; all by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub majority_limit: Option<usize>,
    /// How files are read.
    #[serde(default)]
    pub import: ImportOptions,
    /// For a public data set: a folder that holds its files already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
}

/// Where test images come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sides {
    /// This share of the images, drawn by class and side.
    Share(f64),
    /// The part of this name.
    Part(String),
}

impl Default for Sides {
    fn default() -> Self {
        Self::Share(0.3)
    }
}

/// A degree of scarcity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Name in the report.
    pub name: String,
    /// Real training images of the minority in each class, as far as there are so many; all of them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_class: Option<usize>,
}

/// What makes images of the minority.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MinorityGenerator {
    /// Registered family, one that is told groups.
    pub family: String,
    /// ε of a private one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// Images that need no protection to learn first, as `data.source`, with the same classes and column of groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<String>,
    /// The family's settings that differ from its defaults. The groups are the study's.
    pub settings: toml::Table,
}

impl Default for MinorityGenerator {
    fn default() -> Self {
        Self { family: "dual-edm".into(), epsilon: None, public: None, settings: toml::Table::new() }
    }
}

/// How images of the minority are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Translation {
    /// Whether they are drawn from noise, and not made from images of the majority: what a private generator has to do.
    pub from_noise: bool,
    /// How far the majority's images are taken towards noise; see [`TranslationRequest::strength`].
    pub strength: f64,
    /// How they are taken there.
    pub passage: Passage,
    /// Weight of the class.
    pub guidance: f64,
    /// Weight of the group beside the class.
    pub group_guidance: f64,
    /// Noise levels of a whole way; the generator's own default if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Images made of each class; as many as the majority has in its largest class, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_class: Option<usize>,
    /// Whether only those are used that classifiers trained on the real training images take for the class and the side they should be of.
    pub accept: bool,
    /// Strengths that a trial compares, with the first seed.
    pub strengths: Vec<f64>,
    /// Images of each class in that trial.
    pub trial: Trial,
}

/// How much the trial of strengths looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trial {
    /// Images of each class at each strength.
    pub per_class: usize,
    /// Sources shown in the picture.
    pub shown: usize,
}

impl Default for Trial {
    fn default() -> Self {
        Self { per_class: 40, shown: 20 }
    }
}

impl Default for Translation {
    fn default() -> Self {
        Self {
            from_noise: false,
            strength: 0.5,
            passage: Passage::Noise,
            guidance: 1.0,
            group_guidance: 1.0,
            steps: None,
            per_class: None,
            accept: true,
            strengths: vec![0.3, 0.5, 0.7, 0.9],
            trial: Trial::default(),
        }
    }
}

impl Translation {
    /// What a generator is asked for at some strength.
    pub(super) fn request(&self, to: &str, strength: f64) -> TranslationRequest {
        TranslationRequest {
            strength,
            passage: self.passage,
            guidance: self.guidance,
            group_guidance: self.group_guidance,
            steps: self.steps,
            ..TranslationRequest::new(to)
        }
    }
}

/// What the arms without a generator do to images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Classical {
    /// Shifts by up to so many pixels.
    pub shift: usize,
    /// Whether every other image is mirrored.
    pub flip: bool,
    /// α of MixUp's Beta(α, α) (Zhang et al. 2018).
    pub mixup: f64,
}

impl Default for Classical {
    fn default() -> Self {
        Self { shift: 2, flip: true, mixup: 0.2 }
    }
}

fn default_seeds() -> Vec<u64> {
    vec![1, 2, 3, 4, 5]
}

fn default_scenarios() -> Vec<Scenario> {
    [("no", 0), ("few", 5), ("some", 25)]
        .map(|(name, per_class)| Scenario { name: name.into(), per_class: Some(per_class) })
        .to_vec()
}

fn default_arms() -> Vec<Arm> {
    Arm::ALL.to_vec()
}

fn default_backbones() -> Vec<Classifier> {
    ["cnn", "scattering-logistic"].map(|name| Classifier::from(name.to_owned())).to_vec()
}

fn default_measures() -> Measures {
    let names = ["frechet-distance", "precision", "recall", "density", "coverage"];
    Measures {
        encoders: vec!["scattering".into()],
        names: names.map(str::to_owned).to_vec(),
        limit: 2_000,
        ..Measures::default()
    }
}

impl AugmentationStudy {
    /// Reads a study file. A relative source is looked up beside the file.
    ///
    /// # Errors
    /// If the file cannot be read, is no TOML, has an unknown key, or holds values that cannot work together.
    pub fn read(path: &Path) -> Result<Self, StudyError> {
        let text = Self::text(path)?;
        Self::parse(&text, path)
    }

    /// The text of a study file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn text(path: &Path) -> Result<String, StudyError> {
        std::fs::read_to_string(path).map_err(|error| StudyError {
            origin: path.to_path_buf(),
            found: format!("the study file cannot be read ({error})"),
            remedy: "give the path of a .toml file; docs/augmentation.md has one to start from".into(),
        })
    }

    /// Parses and checks a study; `origin` names it in messages, and relative sources lie beside it.
    ///
    /// # Errors
    /// As [`AugmentationStudy::read`].
    pub fn parse(text: &str, origin: &Path) -> Result<Self, StudyError> {
        let mut study: Self = toml::from_str(text).map_err(|error| explain(&error, text, origin))?;
        let refused = |Refusal { found, remedy }| StudyError { origin: origin.to_path_buf(), found, remedy };
        check(&study).map_err(refused)?;
        let folder = origin.parent().unwrap_or(Path::new(""));
        for source in [Some(&mut study.data.source), study.generator.public.as_mut()].into_iter().flatten() {
            *source = Source::parse(source)
                .map_err(|error| refused(Refusal { found: error.to_string(), remedy: "correct the source".into() }))?
                .beside(folder)
                .to_string();
        }
        study.data.from = study.data.from.map(|from| folder.join(from));
        Ok(study)
    }

    /// Whether nothing keeps the images of one patient together.
    pub(super) fn patient_is_unknown(&self) -> bool {
        self.data.patient.is_none() && matches!(self.data.test, Sides::Share(_))
    }

    /// The full configuration as TOML, defaults included.
    ///
    /// # Panics
    /// Never: the types hold nothing TOML cannot.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a study holds only what TOML can hold")
    }
}
