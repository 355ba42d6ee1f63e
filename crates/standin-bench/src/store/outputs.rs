//! The files a stage leaves: finding, hashing and securing them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{Error, Output, Result};

/// A file below a stage's folder.
pub(super) struct FoundFile {
    /// Path in the stage's folder, with `/` between folders.
    pub name: String,
    /// Path for the system.
    pub path: PathBuf,
    /// Size in bytes.
    pub bytes: u64,
}

/// What lies below a stage's folder.
pub(super) struct Content {
    /// Files, sorted by name.
    pub files: Vec<FoundFile>,
    /// The folder and all below it, each before those it contains.
    pub folders: Vec<PathBuf>,
}

/// Finds every file below `root`.
///
/// # Errors
/// If something there is neither file nor folder, has a name that is not UTF-8, or cannot be read.
pub(super) fn content(root: &Path) -> Result<Content> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    let mut next = 0;
    while let Some(folder) = folders.get(next).cloned() {
        next += 1;
        for entry in fs::read_dir(&folder).map_err(Error::io("reading", &folder))? {
            let entry = entry.map_err(Error::io("reading", &folder))?;
            let path = entry.path();
            let metadata = entry.metadata().map_err(Error::io("reading", &path))?;
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.is_file() {
                files.push(FoundFile { name: name_below(root, &path)?, bytes: metadata.len(), path });
            } else {
                return Err(Error::InvalidOutput { path, found: "it is neither a file nor a folder".to_owned() });
            }
        }
    }
    files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(Content { files, folders })
}

fn name_below(root: &Path, path: &Path) -> Result<String> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Option<Vec<_>> = below.iter().map(|part| part.to_str()).collect();
    parts
        .map(|parts| parts.join("/"))
        .ok_or_else(|| Error::InvalidOutput { path: path.to_path_buf(), found: "its name is not UTF-8".to_owned() })
}

/// The BLAKE3 digest of a file's content, 64 hexadecimal digits, read in blocks.
pub(super) fn digest(path: &Path) -> Result<String> {
    let file = File::open(path).map_err(Error::io("reading", path))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(Error::io("reading", path))?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Puts everything below `root` on the disk and lists the files with their digests.
pub(super) fn secure(root: &Path) -> Result<Vec<Output>> {
    let content = content(root)?;
    let outputs = content
        .files
        .into_par_iter()
        .map(|file| {
            sync_file(&file.path)?;
            Ok(Output { blake3: digest(&file.path)?, path: file.name, bytes: file.bytes })
        })
        .collect::<Result<Vec<_>>>()?;
    content.folders.iter().try_for_each(|folder| sync_folder(folder))?;
    Ok(outputs)
}

fn sync_file(path: &Path) -> Result<()> {
    // Windows syncs only files opened for writing; elsewhere a read-only output must not stand in the way.
    let file = File::options().read(true).write(cfg!(windows)).open(path).map_err(Error::io("reading", path))?;
    file.sync_all().map_err(Error::io("syncing", path))
}

/// Makes new names in a folder survive a power failure. Windows has no such operation and does it itself.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        let file = File::open(folder).map_err(Error::io("opening", folder))?;
        file.sync_all().map_err(Error::io("syncing", folder))?;
    }
    Ok(())
}
