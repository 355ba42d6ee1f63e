use std::fs;
use std::path::{Path, PathBuf};

use super::{Context, Format, decode_files, provenance};
use crate::{Error, Labels, Parts, Result, Skipped};

/// File name endings of the picture formats that are decoded.
const ENDINGS: [&str; 12] = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "pgm", "ppm", "pbm", "pnm", "pam"];

/// Deepest nesting of folders; beyond it, links most likely lead in a circle.
const DEEPEST: usize = 32;

/// Whether a file's name says that it is a picture. Files of the Mac's archiver, `._name`, are none.
pub(super) fn is_picture(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    !hidden && ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// What a folder holds, sorted by name.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>())
        .map_err(Error::io("reading the folder", folder))?;
    entries.sort();
    Ok(entries)
}

/// The pictures in a folder and all below it, sorted by path, and what else lies there.
#[derive(Default)]
pub(super) struct Found {
    pub pictures: Vec<PathBuf>,
    pub others: Vec<PathBuf>,
}

pub(super) fn pictures(folder: &Path) -> Result<Found> {
    let mut found = Found::default();
    walk(folder, 0, &mut found)?;
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut Found) -> Result<()> {
    if depth > DEEPEST {
        return Err(Error::invalid(
            folder,
            format!("folders are nested more than {DEEPEST} deep"),
            "a link probably leads back to a folder above it: remove it",
        ));
    }
    for entry in list(folder)? {
        if entry.is_dir() {
            walk(&entry, depth + 1, found)?;
        } else if is_picture(&entry) {
            found.pictures.push(entry);
        } else {
            found.others.push(entry);
        }
    }
    Ok(())
}

/// The path below `root`, with `/` on every system.
pub(super) fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    below.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Lists what is no picture, except the files an export of this project writes.
pub(super) fn skip_others(root: &Path, others: &[PathBuf]) -> Vec<Skipped> {
    others
        .iter()
        .map(|path| relative(root, path))
        .filter(|item| !crate::export::BESIDE.contains(&item.as_str()))
        .map(|item| Skipped { item, reason: format!("no picture ({})", ENDINGS.join(", ")) })
        .collect()
}

/// The error for a place without pictures.
pub(super) fn nothing(path: &Path, entries: &[PathBuf]) -> Error {
    let found = match entries {
        [] => "the folder is empty".to_owned(),
        [first, ..] => format!(
            "{} other files and folders such as {}",
            entries.len(),
            first.file_name().map(|name| name.to_string_lossy()).unwrap_or_default()
        ),
    };
    // Of a folder that cannot be walked only the first level is known, and the error about pictures stands.
    let others = pictures(path).map(|found| found.others).unwrap_or_default();
    let remedy = others.iter().find_map(|file| elsewhere(file)).unwrap_or_else(|| {
        format!(
            "pictures ({}), class folders of them, Parquet files, tar shards, IDX or CIFAR files were expected; .npz is \
             given as a file",
            ENDINGS.join(", ")
        )
    });
    Error::Empty { path: path.to_path_buf(), found, remedy }
}

/// What to do with a file of images that is no picture.
fn elsewhere(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_string_lossy().to_ascii_lowercase();
    let file = file.display();
    if [".nii", ".nii.gz"].iter().any(|ending| name.ends_with(ending)) {
        return Some(format!("{file} is a NIfTI volume: volumes are for standin segment"));
    }
    if [".dcm", ".dicom"].iter().any(|ending| name.ends_with(ending)) {
        return Some(format!("{file} is DICOM: convert it to 16-bit PNG or TIFF first, and import that with --window"));
    }
    let archive = [".zip", ".7z", ".rar"].iter().any(|ending| name.ends_with(ending));
    archive.then(|| format!("{file} is an archive: unpack it first"))
}

/// All pictures below a folder, without labels.
pub(super) fn read_flat(root: &Path, context: &Context<'_>) -> Result<Parts> {
    let found = pictures(root)?;
    if found.pictures.is_empty() {
        return Err(nothing(root, &list(root)?));
    }
    let named: Vec<_> = found.pictures.into_iter().map(|path| (path.clone(), relative(root, &path))).collect();
    let decoded = decode_files(root, &named, context)?;
    let mut skipped = skip_others(root, &found.others);
    skipped.extend(decoded.skipped);
    Ok(Parts::undivided(decoded.set.with_provenance(provenance(
        root,
        Format::Flat,
        context.options,
        &decoded.tally,
        skipped,
    ))))
}

/// One class per subfolder.
pub(super) fn read_classes(root: &Path, context: &Context<'_>) -> Result<Parts> {
    let mut named = Vec::new();
    let mut classes = Vec::new();
    let mut skipped = Vec::new();
    for entry in list(root)? {
        if !entry.is_dir() {
            if is_picture(&entry) {
                skipped
                    .push(Skipped { item: relative(root, &entry), reason: "outside of every class folder".to_owned() });
            } else {
                skipped.extend(skip_others(root, &[entry]));
            }
            continue;
        }
        let class = relative(root, &entry);
        let found = pictures(&entry)?;
        skipped.extend(skip_others(root, &found.others));
        if found.pictures.is_empty() {
            skipped.push(Skipped { item: class, reason: "a folder without pictures".to_owned() });
            continue;
        }
        for path in found.pictures {
            let name = relative(root, &path);
            named.push((path, name));
            classes.push(class.clone());
        }
    }
    if named.is_empty() {
        return Err(nothing(root, &list(root)?));
    }
    let decoded = decode_files(root, &named, context)?;
    skipped.extend(decoded.skipped);
    let classes: Vec<&String> = decoded.kept.iter().map(|&index| &classes[index]).collect();
    let set = decoded.set.with_labels(Labels::from_names(&classes))?;
    Ok(Parts::undivided(set.with_provenance(provenance(
        root,
        Format::ClassFolders,
        context.options,
        &decoded.tally,
        skipped,
    ))))
}
