//! Which volume plays which part in a training, and that none plays two.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use standin_data::{Error as DataError, Progress, Seed};

use crate::names::{Role, listed, volumes};
use crate::{Error, Fold, Result};

/// Share of the volumes with labels that is set aside for validation.
const VALIDATION: f64 = 0.25;

/// A volume on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its name in its folder.
    pub name: String,
    /// Its intensities.
    pub image: PathBuf,
    /// Its labels, where they are used.
    pub labels: Option<PathBuf>,
}

/// Volumes with labels to learn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labelled {
    /// The first so many by name that are held out from nothing.
    First(usize),
    /// Those of these names.
    Named(Vec<String>),
}

/// Volumes to learn from without labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlabelled {
    /// All others that are held out from nothing.
    Rest,
    /// None.
    Without,
    /// Those of these names.
    Named(Vec<String>),
}

/// How the volumes of a folder are to be divided.
#[derive(Clone, Debug)]
pub struct Division {
    /// With labels.
    pub labelled: Labelled,
    /// Without.
    pub unlabelled: Unlabelled,
    /// Never looked at.
    pub test: Vec<String>,
    /// Holds out a part of the volumes with labels in addition, as `test` is.
    pub fold: Option<Fold>,
    /// Whether some of the volumes with labels are set aside to choose the network by.
    pub validation: bool,
    /// Decides folds and which volumes are set aside.
    pub seed: Seed,
}

/// The parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cohort {
    /// To learn from, with labels.
    pub labelled: Vec<Case>,
    /// To choose the network by, with labels.
    pub validation: Vec<Case>,
    /// To learn from without labels, whether or not there are any.
    pub unlabelled: Vec<Case>,
    /// Held out.
    pub test: Vec<String>,
}

/// The names of a [`Cohort`], as a model keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CohortNames {
    /// Learnt from with labels.
    pub labelled: Vec<String>,
    /// Chosen by.
    pub validation: Vec<String>,
    /// Learnt from without labels.
    pub unlabelled: Vec<String>,
    /// Held out.
    pub test: Vec<String>,
}

impl Cohort {
    /// Divides the volumes of a folder of images, of which those in a folder of labels have some.
    ///
    /// # Errors
    /// If a folder cannot be read; a name is not there; a volume that is held out is to be learnt from, by name or because a
    /// file of the same content is; one is in two lists; or too few have labels.
    pub fn divide(images: &Path, labels: &Path, division: &Division, progress: &dyn Progress) -> Result<Self> {
        let found = volumes(images, Role::Image, progress)?;
        let with_labels = volumes(labels, Role::Label, progress)?;
        let case = |name: &String, labelled: bool| -> Result<Case> {
            let image = found.get(name).ok_or_else(|| absent(images, "image", name, found.keys()))?;
            let own = with_labels.get(name);
            if labelled && own.is_none() {
                return Err(absent(labels, "label volume", name, with_labels.keys()));
            }
            Ok(Case { name: name.clone(), image: image.clone(), labels: own.filter(|_| labelled).cloned() })
        };
        let mut test = division.test.clone();
        let candidates: Vec<String> =
            found.keys().filter(|name| with_labels.contains_key(*name) && !test.contains(name)).cloned().collect();
        let mut may_train = candidates.clone();
        if let Some(fold) = division.fold {
            let (train, held) = fold.divide(&candidates, division.seed)?;
            may_train = train;
            test.extend(held);
        }
        let labelled = match &division.labelled {
            Labelled::Named(names) => names.clone(),
            Labelled::First(count) if (1..=may_train.len()).contains(count) => may_train[..*count].to_vec(),
            Labelled::First(count) => {
                let expected = format!("give 1 to {}, the volumes with labels that are not held out", may_train.len());
                return Err(Error::setting("labelled", count, expected));
            }
        };
        let unlabelled = match &division.unlabelled {
            Unlabelled::Named(names) => names.clone(),
            Unlabelled::Without => Vec::new(),
            Unlabelled::Rest => {
                found.keys().filter(|name| !labelled.contains(name) && !test.contains(name)).cloned().collect()
            }
        };
        for (role, names) in [("to be learnt from with labels", &labelled), ("to be learnt from without", &unlabelled)]
        {
            if let Some(name) = names.iter().find(|name| test.contains(name)) {
                let remedy = "figures on volumes that were learnt from, even without labels, say nothing about new ones; \
                              take it out of one of the lists";
                return Err(Error::Overlap {
                    name: name.clone(),
                    first: "held out".into(),
                    second: role.into(),
                    remedy,
                });
            }
        }
        if let Some(name) = labelled.iter().find(|name| unlabelled.contains(name)) {
            let [first, second] = ["in the list of labelled volumes", "in that of unlabelled ones"].map(str::to_owned);
            return Err(Error::Overlap { name: name.clone(), first, second, remedy: "take it out of one of the two" });
        }
        let mut cohort = Self {
            labelled: labelled.iter().map(|name| case(name, true)).collect::<Result<_>>()?,
            validation: Vec::new(),
            unlabelled: unlabelled.iter().map(|name| case(name, false)).collect::<Result<_>>()?,
            test,
        };
        cohort.refuse_copies(&found)?;
        if division.validation {
            cohort.set_aside()?;
        }
        Ok(cohort)
    }

    /// Refuses a volume that is held out under one name and learnt from under another.
    fn refuse_copies(&self, found: &BTreeMap<String, PathBuf>) -> Result<()> {
        let mut held: HashMap<blake3::Hash, &String> = HashMap::new();
        for name in &self.test {
            if let Some(path) = found.get(name) {
                held.insert(digest(path)?, name);
            }
        }
        if held.is_empty() {
            return Ok(());
        }
        for case in self.labelled.iter().chain(&self.unlabelled) {
            if let Some(name) = held.get(&digest(&case.image)?) {
                return Err(Error::Overlap {
                    name: case.name.clone(),
                    first: "to be learnt from".into(),
                    second: format!("the same file as {name}, which is held out"),
                    remedy: "remove one of the two",
                });
            }
        }
        Ok(())
    }

    /// Takes the last of the volumes with labels for validation.
    fn set_aside(&mut self) -> Result<()> {
        let count = ((self.labelled.len() as f64 * VALIDATION).round() as usize).max(1);
        if self.labelled.len() < 2 {
            let expected =
                "give at least 2 volumes with labels to set one aside for validation, or select the last step";
            return Err(Error::setting("labelled", self.labelled.len(), expected));
        }
        self.validation = self.labelled.split_off(self.labelled.len() - count);
        Ok(())
    }

    /// Adds volumes with labels that are learnt from in addition, such as synthetic ones: all of a folder.
    ///
    /// # Errors
    /// If a folder cannot be read or an image has no labels.
    pub fn add_labelled(&mut self, images: &Path, labels: &Path, progress: &dyn Progress) -> Result<()> {
        let (found, with_labels) = (volumes(images, Role::Image, progress)?, volumes(labels, Role::Label, progress)?);
        for (name, image) in found {
            let own =
                with_labels.get(&name).ok_or_else(|| absent(labels, "label volume", &name, with_labels.keys()))?;
            self.labelled.push(Case { name: extra(images, &name), image, labels: Some(own.clone()) });
        }
        Ok(())
    }

    /// Adds volumes that are learnt from without labels: all of a folder.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn add_unlabelled(&mut self, images: &Path, progress: &dyn Progress) -> Result<()> {
        let found = volumes(images, Role::Image, progress)?;
        self.unlabelled.extend(found.into_iter().map(|(name, image)| Case {
            name: extra(images, &name),
            image,
            labels: None,
        }));
        Ok(())
    }

    /// The names of the parts.
    pub fn names(&self) -> CohortNames {
        let names = |cases: &[Case]| cases.iter().map(|case| case.name.clone()).collect();
        CohortNames {
            labelled: names(&self.labelled),
            validation: names(&self.validation),
            unlabelled: names(&self.unlabelled),
            test: self.test.clone(),
        }
    }
}

/// How a volume of an additional folder is called.
fn extra(folder: &Path, name: &str) -> String {
    folder.file_name().map_or_else(|| name.to_owned(), |folder| format!("{}/{name}", folder.to_string_lossy()))
}

fn absent<'a>(folder: &Path, kind: &str, name: &str, known: impl Iterator<Item = &'a String>) -> Error {
    let known: Vec<String> = known.cloned().collect();
    let found = format!("has no {kind} of the name {name}");
    DataError::invalid(folder, found, format!("correct the list; the folder has {}", listed(&known))).into()
}

fn digest(path: &Path) -> Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let file = File::open(path).map_err(DataError::io("reading", path))?;
    hasher.update_reader(file).map_err(DataError::io("reading", path))?;
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use standin_data::Silent;

    use super::*;

    /// Six images of different content, five of them with labels.
    fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let [images, labels] = ["images", "labels"].map(|name| folder.path().join(name));
        for folder in [&images, &labels] {
            fs::create_dir(folder).unwrap();
        }
        for name in ["a", "b", "c", "d", "e", "f"] {
            fs::write(images.join(format!("{name}.nii.gz")), name).unwrap();
            if name != "f" {
                fs::write(labels.join(format!("{name}.nii")), name).unwrap();
            }
        }
        (folder, images, labels)
    }

    fn division() -> Division {
        Division {
            labelled: Labelled::First(2),
            unlabelled: Unlabelled::Rest,
            test: vec!["e".into()],
            fold: None,
            validation: false,
            seed: Seed::new(1),
        }
    }

    fn divide(change: impl FnOnce(&mut Division)) -> Result<CohortNames> {
        let (_folder, images, labels) = folders();
        let mut division = division();
        change(&mut division);
        Cohort::divide(&images, &labels, &division, &Silent).map(|cohort| cohort.names())
    }

    #[test]
    fn what_is_held_out_is_learnt_from_in_no_way() {
        let names = divide(|_| {}).unwrap();
        assert_eq!(
            (names.labelled, names.unlabelled),
            (vec!["a".into(), "b".into()], ["c", "d", "f"].map(String::from).to_vec())
        );
        let refused = divide(|division| division.unlabelled = Unlabelled::Named(vec!["c".into(), "e".into()]));
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("e is held out and to be learnt from without"), "{message}");
        let refused = divide(|division| division.labelled = Labelled::Named(vec!["e".into()]));
        assert!(refused.unwrap_err().to_string().contains("held out"));
    }

    #[test]
    fn a_copy_under_another_name_is_found() {
        let (_folder, images, labels) = folders();
        fs::write(images.join("g.nii"), "e").unwrap();
        let message = Cohort::divide(&images, &labels, &division(), &Silent).unwrap_err().to_string();
        assert!(message.contains("g is to be learnt from and the same file as e"), "{message}");
    }

    #[test]
    fn validation_comes_out_of_what_has_labels() {
        let names = divide(|division| {
            (division.labelled, division.validation) = (Labelled::First(4), true);
        })
        .unwrap();
        assert_eq!((names.labelled.len(), names.validation), (3, vec!["d".into()]));
        assert!(divide(|division| (division.labelled, division.validation) = (Labelled::First(1), true)).is_err());
    }

    #[test]
    fn a_fold_is_held_out() {
        let mut held = Vec::new();
        for index in 0..2 {
            let names = divide(|division| {
                (division.test, division.fold) = (Vec::new(), Some(Fold { count: 2, index }));
            })
            .unwrap();
            assert!(names.test.iter().all(|name| !names.labelled.contains(name) && !names.unlabelled.contains(name)));
            held.extend(names.test);
        }
        held.sort_unstable();
        assert_eq!(held, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn names_that_are_not_there_are_told() {
        for (change, says) in [
            (Labelled::Named(vec!["x".into()]), "no image of the name x"),
            (Labelled::Named(vec!["f".into()]), "no label volume of the name f"),
            (Labelled::First(5), "give 1 to 4"),
        ] {
            let message = divide(|division| division.labelled = change).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
