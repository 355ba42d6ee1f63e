use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use standin_data::{Error, Progress, Result};

/// How many names a message lists before it says how many more there are.
const NAMES_SHOWN: usize = 5;

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

/// The volumes of two folders, matched by name and in the order of their names; `.nii` and `.nii.gz` are one name.
///
/// # Errors
/// If a folder cannot be read, holds no volume or two of one name, or a volume has no counterpart.
pub fn matched(predictions: &Path, references: &Path, progress: &dyn Progress) -> Result<Vec<Pair>> {
    let predicted = volumes(predictions, progress)?;
    let mut referred = volumes(references, progress)?;
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

/// The NIfTI files of a folder by name.
fn volumes(folder: &Path, progress: &dyn Progress) -> Result<BTreeMap<String, PathBuf>> {
    let mut volumes: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut others = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("reading the folder", folder))? {
        let path = entry.map_err(Error::io("reading the folder", folder))?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = file.strip_suffix(".nii.gz").or_else(|| file.strip_suffix(".nii"));
        let Some(stem) = stem.filter(|_| path.is_file()) else {
            others.push(file);
            continue;
        };
        if let Some(first) = volumes.insert(stem.to_owned(), path.clone()) {
            let found = format!("and {} have one name", first.display());
            return Err(Error::invalid(&path, found, "keep one of the two"));
        }
    }
    others.sort_unstable();
    if volumes.is_empty() {
        let found = match others.as_slice() {
            [] => "is empty".to_owned(),
            others => format!("holds no volume, only {}", listed(others)),
        };
        return Err(Error::invalid(folder, found, "expected .nii or .nii.gz files directly in the folder"));
    }
    if !others.is_empty() {
        progress.warn(&format!("{}: left aside, not .nii or .nii.gz: {}", folder.display(), listed(&others)));
    }
    Ok(volumes)
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
