use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{cifar, folder, format};
use crate::{Error, Result};

/// Files that hold many pictures each and that a set may be divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Parquet,
    Tar,
}

/// Most files one name with braces may stand for.
const MOST: u64 = 1_000_000;

/// The kind of shard a file is, by its name. CIFAR's archives are none.
pub(super) fn kind(path: &Path) -> Option<Kind> {
    let name = file_name(path).to_ascii_lowercase();
    if name.starts_with('.') {
        return None;
    }
    if name.ends_with(".parquet") {
        return Some(Kind::Parquet);
    }
    let tar = [".tar", ".tar.gz", ".tgz"].iter().any(|ending| name.ends_with(ending));
    (tar && !matches!(cifar::recognise(path), Ok(Some(_)))).then_some(Kind::Tar)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The kind of the shards in a folder and below it, if there are any.
pub(super) fn recognise(path: &Path) -> Result<Option<Kind>> {
    let others = folder::pictures(path)?.others;
    let first_of = |wanted| others.iter().find(|file| kind(file) == Some(wanted));
    match (first_of(Kind::Parquet), first_of(Kind::Tar)) {
        (Some(table), Some(archive)) => Err(Error::invalid(
            path,
            format!("{} is Parquet, {} a tar archive", table.display(), archive.display()),
            "one form was expected: name the file, or say --format parquet or --format webdataset",
        )),
        (Some(_), None) => Ok(Some(Kind::Parquet)),
        (None, Some(_)) => Ok(Some(Kind::Tar)),
        (None, None) => Ok(None),
    }
}

/// The shards a file or folder stands for, sorted by path.
pub(super) fn find(path: &Path, wanted: Kind) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let shards: Vec<PathBuf> =
        folder::pictures(path)?.others.into_iter().filter(|file| kind(file) == Some(wanted)).collect();
    if shards.is_empty() {
        return Err(folder::nothing(path, &folder::list(path)?));
    }
    Ok(shards)
}

/// Whether a name stands for several files.
pub(super) fn is_pattern(path: &Path) -> bool {
    file_name(path).contains(['*', '?', '{'])
}

/// The files that a name with `*`, `?` or `{000..015}` stands for, sorted; nothing if it is no such name.
///
/// # Errors
/// If no file matches, or one of a range is missing.
pub(super) fn matching(path: &Path) -> Result<Option<Vec<PathBuf>>> {
    if !is_pattern(path) {
        return Ok(None);
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = file_name(path);
    if let Some(names) = expand(&name) {
        let files: Vec<PathBuf> = names.iter().map(|name| parent.join(name)).collect();
        return match files.iter().find(|file| !file.is_file()) {
            Some(missing) => Err(Error::Missing { path: missing.clone() }),
            None => Ok(Some(files)),
        };
    }
    if !parent.is_dir() {
        return Err(Error::Missing { path: parent.to_path_buf() });
    }
    let entries = folder::list(parent)?;
    let files: Vec<PathBuf> = entries
        .iter()
        .filter(|entry| entry.is_file() && fits(name.as_bytes(), file_name(entry).as_bytes()))
        .cloned()
        .collect();
    if files.is_empty() {
        return Err(Error::Empty {
            path: path.to_path_buf(),
            found: format!("none of the {} entries of {} has such a name", entries.len(), parent.display()),
            remedy: "* stands for any characters, ? for one, {000..015} for a range of numbers".to_owned(),
        });
    }
    Ok(Some(files))
}

/// The names a range in braces stands for; numbers keep the width of the first.
fn expand(name: &str) -> Option<Vec<String>> {
    let (before, rest) = name.split_once('{')?;
    let (range, after) = rest.split_once('}')?;
    let (first, last) = range.split_once("..")?;
    let (from, to): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let width = first.len();
    (from <= to && to - from < MOST)
        .then(|| (from..=to).map(|number| format!("{before}{number:0width$}{after}")).collect())
}

/// Whether `name` fits `pattern`, in which `*` stands for any characters and `?` for one. Linear in practice: a failure
/// returns to the last `*` only.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                n = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// The shards of each part, by the names of the files, else of the folders they lie in below `root`. A single file, and
/// shards that name no part, are one set without a division.
///
/// # Errors
/// If only some shards name a part, or `-00000-of-00004` in a name tells that shards are missing.
pub(super) fn by_part(root: &Path, shards: &[PathBuf]) -> Result<Vec<(String, Vec<PathBuf>)>> {
    if root.is_file() {
        return Ok(vec![(String::new(), shards.to_vec())]);
    }
    let named: Vec<Option<&'static str>> = shards.iter().map(|shard| part_of(root, shard)).collect();
    require_complete(shards)?;
    if named.iter().all(Option::is_none) {
        return Ok(vec![(String::new(), shards.to_vec())]);
    }
    let mut parts: BTreeMap<&str, Vec<PathBuf>> = BTreeMap::new();
    for (part, shard) in named.iter().zip(shards) {
        let Some(part) = part else {
            let other = shards.iter().zip(&named).find(|(_, part)| part.is_some()).map(|(shard, _)| shard);
            return Err(Error::invalid(
                shard,
                format!(
                    "the name does not say which part this is, while {} does",
                    other.map(|other| other.display().to_string()).unwrap_or_default()
                ),
                "train, validation, test or holdout was expected in every name or in none: rename or move it",
            ));
        };
        parts.entry(part).or_default().push(shard.clone());
    }
    Ok(parts.into_iter().map(|(part, shards)| (part.to_owned(), shards)).collect())
}

fn part_of(root: &Path, shard: &Path) -> Option<&'static str> {
    let below = shard.strip_prefix(root).unwrap_or(Path::new(shard.file_name()?));
    let names: Vec<String> = below.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    names.iter().rev().find_map(|name| name.split(|c: char| !c.is_alphanumeric()).find_map(format::part_name))
}

/// Refuses a set of which a shard is missing, as told by names such as `train-00000-of-00004.parquet`.
fn require_complete(shards: &[PathBuf]) -> Result<()> {
    let mut families: BTreeMap<(PathBuf, String), (u64, Vec<u64>)> = BTreeMap::new();
    for shard in shards {
        let name = file_name(shard);
        let Some((number, of)) = place_of(&name) else { continue };
        let family = name.split(&format!("-{number}-of-")).next().unwrap_or_default().to_owned();
        let (number, count) = (number.parse().unwrap_or(0), of.parse().unwrap_or(0));
        let folder = shard.parent().map(Path::to_path_buf).unwrap_or_default();
        families.entry((folder, family)).or_insert((count, Vec::new())).1.push(number);
    }
    for ((folder, family), (count, numbers)) in families {
        if let Some(missing) = (0..count).find(|number| !numbers.contains(number)) {
            return Err(Error::invalid(
                &folder,
                format!("{} of {count} shards of \"{family}\" are there; number {missing} is missing", numbers.len()),
                "all of them were expected: get the rest, or import the files one by one",
            ));
        }
    }
    Ok(())
}

/// The digits of `-NUMBER-of-COUNT` in a name.
fn place_of(name: &str) -> Option<(&str, &str)> {
    let (before, after) = name.split_once("-of-")?;
    let number = before.rsplit('-').next()?;
    let count = &after[..after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len())];
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(number) && digits(count)).then_some((number, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(|name| Path::new("root").join(name)).collect()
    }

    #[test]
    fn stars_and_question_marks_fit_names() {
        let fit = |pattern: &str, name: &str| fits(pattern.as_bytes(), name.as_bytes());
        assert!(fit("train-*.tar", "train-0001.tar") && fit("*", "") && fit("a*b*c", "aXbYbZc") && fit("??", "ab"));
        assert!(!fit("train-*.tar", "test-0001.tar") && !fit("a*b", "abc") && !fit("?", ""));
    }

    #[test]
    fn a_range_in_braces_keeps_its_width() {
        assert_eq!(expand("s-{08..10}.tar").unwrap(), ["s-08.tar", "s-09.tar", "s-10.tar"]);
        assert_eq!((expand("s-{3..1}.tar"), expand("s-*.tar"), expand("s-{0..99999999}")), (None, None, None));
    }

    #[test]
    fn parts_are_told_by_files_then_by_folders() {
        let root = Path::new("root");
        let parts = by_part(root, &paths(&["data/test-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"]));
        let names: Vec<String> = parts.unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["test", "train"]);
        let parts = by_part(root, &paths(&["default/train/0000.parquet", "default/train/0001.parquet"])).unwrap();
        assert_eq!((parts[0].0.as_str(), parts[0].1.len()), ("train", 2));
        assert_eq!(by_part(root, &paths(&["0.tar", "1.tar"])).unwrap()[0].0, "");
        let message = by_part(root, &paths(&["0.tar", "train-1.tar"])).unwrap_err().to_string();
        assert!(message.contains("does not say which part"), "{message}");
    }

    #[test]
    fn a_missing_shard_is_named() {
        let some = paths(&["train-00000-of-00003.parquet", "train-00002-of-00003.parquet"]);
        let message = by_part(Path::new("root"), &some).unwrap_err().to_string();
        assert!(message.contains("2 of 3 shards of \"train\"") && message.contains("number 1 is missing"), "{message}");
    }
}
