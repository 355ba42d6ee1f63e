//! Results that are in the way of new ones.

use std::path::{Path, PathBuf};

/// A result is in the way.
#[derive(Debug, thiserror::Error)]
#[error("{}: already exists; choose another name, or --force to replace what an earlier run wrote there", path.display())]
pub struct Exists {
    path: PathBuf,
}

/// Refuses to write over files, or into folders that are not empty, unless forced.
pub fn refuse_to_replace<'a>(paths: impl IntoIterator<Item = &'a PathBuf>, force: bool) -> Result<(), Exists> {
    let occupied = |path: &&PathBuf| path.exists() && !is_empty_folder(path);
    match paths.into_iter().find(occupied) {
        Some(path) if !force => Err(Exists { path: path.clone() }),
        _ => Ok(()),
    }
}

fn is_empty_folder(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}
