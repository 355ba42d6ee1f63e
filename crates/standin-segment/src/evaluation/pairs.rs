use std::path::{Path, PathBuf};

use standin_data::{Error, Progress, Result};

use crate::names::{Role, listed, volumes};

/// A prediction and its reference.
#[derive(Debug)]
pub struct Pair {
    /// The name of both files without the ending.
    pub name: String,
    /// The predicted volume.
    pub prediction: PathBuf,
    /// The volume it is to agree with.
    pub reference: PathBuf,
}

/// The volumes of two folders, matched by name and in the order of their names; `.nii` and `.nii.gz` are one name, and so
/// are `NAME` and `NAME-label`. With `only`, those of these names alone.
///
/// # Errors
/// If a folder cannot be read, holds no volume or two of one name, or a volume has no counterpart.
pub fn matched(
    predictions: &Path,
    references: &Path,
    only: Option<&[String]>,
    progress: &dyn Progress,
) -> Result<Vec<Pair>> {
    let mut predicted = volumes(predictions, Role::Label, progress)?;
    let mut referred = volumes(references, Role::Label, progress)?;
    if let Some(only) = only {
        for (folder, known) in [(predictions, &predicted), (references, &referred)] {
            let absent: Vec<String> = only.iter().filter(|name| !known.contains_key(*name)).cloned().collect();
            if !absent.is_empty() {
                let found = format!("has no volume of the name {}", listed(&absent));
                return Err(Error::invalid(folder, found, "correct the list, or add what is missing"));
            }
        }
        predicted.retain(|name, _| only.contains(name));
        referred.retain(|name, _| only.contains(name));
    }
    let mut unmatched = Vec::new();
    let mut pairs = Vec::new();
    for (name, prediction) in predicted {
        match referred.remove(&name) {
            Some(reference) => pairs.push(Pair { name, prediction, reference }),
            None => unmatched.push(name),
        }
    }
    let remedy =
        "expected the same file names in both folders, apart from .nii and .nii.gz; rename or move what differs";
    if !unmatched.is_empty() {
        let found = format!("has no reference in {} for {}", references.display(), listed(&unmatched));
        return Err(Error::invalid(predictions, found, remedy));
    }
    if !referred.is_empty() {
        let unmatched: Vec<String> = referred.into_keys().collect();
        let found = format!("has no prediction in {} for {}", predictions.display(), listed(&unmatched));
        return Err(Error::invalid(references, found, remedy));
    }
    Ok(pairs)
}
