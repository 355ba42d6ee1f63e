//! The text of a study before it is read: a file or a preset, changed by what the command line says.

use std::path::{Path, PathBuf};

use super::super::refusal::explain;
use super::{Study, StudyError};

/// A study that the program brings along.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What `standin bench` is told.
    pub usage: &'static str,
    /// What it compares, in a line.
    pub about: &'static str,
    /// What it takes.
    pub cost: &'static str,
    /// The study file.
    pub text: &'static str,
}

/// The studies the program brings along; the first is the one without a name.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "quick",
        usage: "quick",
        about: "built-in handwritten digits, seven releases",
        cost: "a minute on a laptop",
        text: include_str!("../presets/quick.toml"),
    },
    Preset {
        name: "standard",
        usage: "standard",
        about: "10 000 images of Fashion-MNIST, eight families of generators, three ways of drawing, every kind of release",
        cost: "an hour and a half to two on two cores",
        text: include_str!("../presets/standard.toml"),
    },
    Preset {
        name: "medical",
        usage: "medical --data FOLDER",
        about: "labelled images of your own, such as skin lesions or chest X-rays, at 64x64",
        cost: "grows with the images; see --dry-run",
        text: include_str!("../presets/medical.toml"),
    },
    Preset {
        name: "full",
        usage: "full",
        about: "all of Fashion-MNIST, networks of full size, 16 shadows",
        cost: "days of a cluster; see --dry-run",
        text: include_str!("../presets/full.toml"),
    },
];

/// Where several data sets stand in a study file.
const MATRIX: &str = "matrix";

/// The text of one or more studies, and where it came from.
#[derive(Clone, Debug)]
pub struct StudyFile {
    origin: PathBuf,
    text: String,
}

impl StudyFile {
    /// Reads a study file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path) -> Result<Self, StudyError> {
        let text = std::fs::read_to_string(path).map_err(|error| StudyError {
            origin: path.to_path_buf(),
            found: format!("the study file cannot be read ({error})"),
            remedy: format!("give the path of a .toml file, or one of {}", names()),
        })?;
        Ok(Self { origin: path.to_path_buf(), text })
    }

    /// The study that the program brings along under this name, if there is one.
    pub fn preset(name: &str) -> Option<Self> {
        let preset = PRESETS.iter().find(|preset| preset.name == name)?;
        Some(Self { origin: PathBuf::from(preset.name), text: preset.text.to_owned() })
    }

    /// Changes the text as a table, such as by what the command line says.
    ///
    /// # Errors
    /// If the text is no TOML, or the change is refused.
    pub fn amend<E: From<StudyError>>(
        mut self,
        change: impl FnOnce(&mut toml::Table) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut table = self.table()?;
        change(&mut table)?;
        self.text = table.to_string();
        Ok(self)
    }

    fn table(&self) -> Result<toml::Table, StudyError> {
        self.text.parse().map_err(|error| explain(&error, &self.text, &self.origin))
    }

    /// The one study in the text.
    ///
    /// # Errors
    /// As [`Study::parse`], and if there are several.
    pub fn study(&self) -> Result<Study, StudyError> {
        let mut studies = self.studies()?;
        match (studies.pop(), studies.len()) {
            (Some(study), 0) => Ok(study),
            (_, others) => Err(StudyError {
                origin: self.origin.clone(),
                found: format!("matrix.data makes {} studies of it", others + 1),
                remedy: "run them with `standin bench`".into(),
            }),
        }
    }

    /// The studies in the text: one for each data set of `matrix.data`, whose keys take the place of those of `data`; or the one.
    ///
    /// # Errors
    /// As [`Study::parse`].
    pub fn studies(&self) -> Result<Vec<Study>, StudyError> {
        let folder = self.origin.parent().unwrap_or(Path::new(""));
        let mut table = self.table()?;
        let sets = table.get_mut(MATRIX).and_then(toml::Value::as_table_mut).and_then(|matrix| matrix.remove("data"));
        let Some(sets) = sets else {
            return Ok(vec![Study::parse(&self.text, &self.origin)?.beside(folder, &self.origin)?]);
        };
        let refused = |found: &str| StudyError {
            origin: self.origin.clone(),
            found: found.to_owned(),
            remedy: "give each data set a name and its keys of [data]: matrix.data.NAME = { source = \"…\" }".into(),
        };
        let sets = sets
            .as_table()
            .filter(|sets| !sets.is_empty())
            .ok_or_else(|| refused("matrix.data is no table of data sets"))?;
        let studies = sets.iter().map(|(name, set)| {
            let set = set.as_table().ok_or_else(|| refused(&format!("matrix.data.{name} is no table")))?;
            let mut table = table.clone();
            let data = table.entry("data").or_insert_with(|| toml::Table::new().into());
            let data = data.as_table_mut().ok_or_else(|| refused("data is no table"))?;
            data.extend(set.clone());
            let study = table.get("name").and_then(toml::Value::as_str).unwrap_or_default();
            let study = format!("{study}-{name}");
            table.insert("name".into(), study.into());
            Study::parse(&table.to_string(), &self.origin)?.beside(folder, &self.origin)
        });
        studies.collect()
    }
}

fn names() -> String {
    PRESETS.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_are_valid_but_for_the_source_that_is_the_users() {
        for preset in PRESETS {
            let study = StudyFile::preset(preset.name).unwrap().study();
            match preset.name {
                "medical" => {
                    let error = study.unwrap_err().to_string();
                    assert!(error.contains("source"), "{error}");
                    let source = |table: &mut toml::Table| -> Result<(), StudyError> {
                        table["data"].as_table_mut().unwrap().insert("source".into(), "scans".into());
                        Ok(())
                    };
                    StudyFile::preset("medical").unwrap().amend(source).unwrap().study().unwrap();
                }
                name => assert_eq!(study.unwrap().name, name),
            }
        }
    }

    #[test]
    fn data_sets_of_a_matrix_are_studies_of_their_own() {
        let text = r#"name = "two"
generator = ["vae"]
[data]
holdout = 300
[matrix.data]
digits = { source = "digits", train = 700 }
clothes = { source = "fashion-mnist", train = 900, holdout = 500 }"#;
        let file = StudyFile { origin: "two.toml".into(), text: text.into() };
        let studies = file.studies().unwrap();
        let found: Vec<_> = studies.iter().map(|study| (study.name.as_str(), &study.data.holdout)).collect();
        assert_eq!(
            found,
            [("two-clothes", &super::super::Side::Count(500)), ("two-digits", &super::super::Side::Count(300))]
        );
        assert!(file.study().unwrap_err().to_string().contains("2 studies"));
    }
}
