//! Volumes of a folder by name, and lists of names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use standin_data::{Error, Progress, Result};

/// How many names a message lists before it says how many more there are.
const NAMES_SHOWN: usize = 5;

/// What the volumes of a folder are. One folder may hold both, told apart by the end of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Intensities: `NAME`, `NAME-image`, `NAME_image` or `NAME_0000`.
    Image,
    /// Labels: `NAME`, `NAME-label`, `NAME_label`, `NAME-seg` or `NAME_seg`.
    Label,
}

const IMAGE_ENDINGS: [&str; 3] = ["-image", "_image", "_0000"];
const LABEL_ENDINGS: [&str; 4] = ["-label", "_label", "-seg", "_seg"];

impl Role {
    /// The name a volume has among volumes of this role, from its file's name without `.nii.gz`; none if it is of the other.
    fn name(self, stem: &str) -> Option<&str> {
        let without = |endings: &[&str]| endings.iter().find_map(|ending| stem.strip_suffix(ending));
        let (own, other) = (without(&IMAGE_ENDINGS), without(&LABEL_ENDINGS));
        match self {
            Self::Image if other.is_some() => None,
            Self::Image => Some(own.unwrap_or(stem)),
            Self::Label if own.is_some() => None,
            Self::Label => Some(other.unwrap_or(stem)),
        }
    }
}

/// The name of a file without the endings of NIfTI files; none for other files.
fn stem(file: &str) -> Option<&str> {
    file.strip_suffix(".nii.gz").or_else(|| file.strip_suffix(".nii"))
}

/// The NIfTI files of a folder of one role, by name. Files that are no NIfTI volumes are left aside with a warning.
///
/// # Errors
/// If the folder cannot be read, holds no volume of the role or two of one name.
pub fn volumes(folder: &Path, role: Role, progress: &dyn Progress) -> Result<BTreeMap<String, PathBuf>> {
    let mut volumes: BTreeMap<String, PathBuf> = BTreeMap::new();
    let (mut others, mut of_other_role) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(Error::io("reading the folder", folder))? {
        let path = entry.map_err(Error::io("reading the folder", folder))?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(stem) = stem(&file).filter(|_| path.is_file()) else {
            others.push(file);
            continue;
        };
        let Some(name) = role.name(stem) else {
            of_other_role.push(file);
            continue;
        };
        if let Some(first) = volumes.insert(name.to_owned(), path.clone()) {
            let found = format!("and {} have one name", first.display());
            return Err(Error::invalid(&path, found, "keep one of the two"));
        }
    }
    others.sort_unstable();
    of_other_role.sort_unstable();
    if volumes.is_empty() {
        let kind = if role == Role::Image { "labels" } else { "images" };
        let found = match (others.as_slice(), of_other_role.as_slice()) {
            ([], []) => "is empty".to_owned(),
            (_, [_, ..]) => format!("holds only what by its name is {kind}: {}", listed(&of_other_role)),
            (others, []) => format!("holds no volume, only {}", listed(others)),
        };
        return Err(Error::invalid(folder, found, "expected .nii or .nii.gz files directly in the folder"));
    }
    if !others.is_empty() {
        progress.warn(&format!("{}: left aside, not .nii or .nii.gz: {}", folder.display(), listed(&others)));
    }
    Ok(volumes)
}

/// The names in a text file, one a line; lines that are empty or begin with # are left out, and so are the endings of files.
///
/// # Errors
/// If the file cannot be read, names nothing, or names something twice.
pub fn read_list(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path).map_err(Error::io("reading the list", path))?;
    let mut names: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let file = line.rsplit('/').next().unwrap_or(line);
        let stem = stem(file).unwrap_or(file);
        let name = Role::Image.name(stem).or_else(|| Role::Label.name(stem)).unwrap_or(stem);
        if names.iter().any(|known| known == name) {
            return Err(Error::invalid(path, format!("names {name} twice"), "name each volume once"));
        }
        names.push(name.to_owned());
    }
    if names.is_empty() {
        return Err(Error::invalid(
            path,
            "names no volume",
            "write one name a line, as the files are called without .nii.gz",
        ));
    }
    Ok(names)
}

/// The first names, and how many more there are.
pub(crate) fn listed(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_labels_of_one_folder_are_told_apart() {
        assert_eq!(Role::Image.name("train-07-image"), Some("train-07"));
        assert_eq!(Role::Image.name("train-07-label"), None);
        assert_eq!(Role::Label.name("train-07-label"), Some("train-07"));
        assert_eq!(Role::Label.name("case_0000"), None);
        assert_eq!((Role::Image.name("case"), Role::Label.name("case")), (Some("case"), Some("case")));
    }

    #[test]
    fn a_list_is_names_however_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.txt");
        fs::write(&path, "# those with labels\nimages/a-image.nii.gz\n\nb\n").unwrap();
        assert_eq!(read_list(&path).unwrap(), ["a", "b"]);
        for (text, says) in [("a\na.nii\n", "names a twice"), ("# nothing\n", "names no volume")] {
            fs::write(&path, text).unwrap();
            assert!(read_list(&path).unwrap_err().to_string().contains(says));
        }
    }
}
