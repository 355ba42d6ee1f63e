use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};

use super::folder::is_picture;
use super::gather::{BATCH_BYTES, Encoded, Gathering, Place};
use super::metadata::LABEL;
use super::{Context, Format, Task, provenance, shards};
use crate::{Column, Error, ImageSet, Labels, Parts, Result, Skipped};

/// The file of class names, one a line in the order of the indices, beside the shards or in the folder above them.
pub(crate) const CLASS_NAMES: &str = "classnames.txt";

/// Reads tar shards in the layout of WebDataset: files with the same name up to the first dot are one sample, such as
/// `000000.jpg`, `000000.cls` (a class index or name), `000000.json` (attributes) and `000000.txt` (a caption, which
/// becomes the attribute `txt`).
///
/// Nothing is unpacked: an entry's name is an identifier and never a path. Shards are read from their beginning to their
/// end, once, so a gzipped one costs no more memory than a plain one.
pub(super) fn read(root: &Path, files: &[PathBuf], context: &Context<'_>) -> Result<Parts> {
    let _task = Task::begin(context.progress, "reading shards", files.len() as u64);
    let mut sets = Vec::new();
    for (part, shards) in shards::by_part(root, files)? {
        sets.push((part, read_part(root, &shards, context)?));
    }
    match sets.as_slice() {
        [(part, _)] if part.is_empty() => Ok(Parts::undivided(sets.remove(0).1)),
        _ => Parts::divided(sets),
    }
}

/// What a shard says of a sample.
#[derive(Default)]
struct Sample {
    /// Position among the pictures, and the entry's name.
    picture: Option<(usize, String)>,
    class: Option<String>,
    caption: Option<String>,
    attributes: Option<Map<String, Value>>,
}

fn read_part(root: &Path, files: &[PathBuf], context: &Context<'_>) -> Result<ImageSet> {
    let mut gathering = Gathering::new(context, root, 0);
    let mut reading = Reading {
        several: files.len() > 1,
        samples: Vec::new(),
        pictures: 0,
        batch: Vec::new(),
        bytes: 0,
        endings: HashMap::new(),
        skipped: Vec::new(),
    };
    for file in files {
        reading.shard(file, &mut gathering, context)?;
        context.progress.advance(1);
    }
    gathering.add(&reading.batch)?;
    let gathered = gathering.finish()?;

    let mut skipped = reading.skipped;
    let mut endings: Vec<_> = reading.endings.into_iter().collect();
    endings.sort();
    skipped.extend(endings.into_iter().map(|(ending, count)| Skipped {
        item: format!("{count} entries .{ending}"),
        reason: "no picture, class, attributes or caption".to_owned(),
    }));
    skipped.extend(gathered.skipped);
    let mut samples: Vec<Option<Sample>> = Vec::new();
    samples.resize_with(reading.pictures, || None);
    for sample in reading.samples {
        if let Some((position, _)) = sample.picture {
            samples[position] = Some(sample);
        }
    }
    let kept: Vec<Sample> = gathered.kept.iter().filter_map(|&position| samples[position].take()).collect();
    let origin = provenance(root, Format::WebDataset, context.options, &gathered.tally, skipped);
    describe(gathered.set.with_provenance(origin), &kept, root, &files[0], context)
}

/// A part on its way from shards to samples.
struct Reading {
    /// Whether names need the shard's, since several may count from 0.
    several: bool,
    samples: Vec<Sample>,
    pictures: usize,
    batch: Vec<Encoded>,
    bytes: usize,
    /// Entries left out, by their ending.
    endings: HashMap<String, usize>,
    skipped: Vec<Skipped>,
}

impl Reading {
    fn shard(&mut self, file: &Path, gathering: &mut Gathering<'_>, context: &Context<'_>) -> Result<()> {
        let damaged = |error: std::io::Error| {
            Error::invalid(
                file,
                format!("the archive cannot be read: {error}"),
                "it is damaged, cut off or no tar archive: get it again",
            )
        };
        let shard = Arc::new(file.to_path_buf());
        let mut keys: HashMap<String, usize> = HashMap::new();
        let mut archive = tar::Archive::new(open(file)?);
        for entry in archive.entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
            let kind = entry.header().entry_type();
            if !kind.is_file() {
                if !kind.is_dir() {
                    self.skipped.push(Skipped { item: name, reason: "a link or device, no file".to_owned() });
                }
                continue;
            }
            let Some((key, ending)) = split(&name) else {
                self.skipped.push(Skipped { item: name, reason: "a name without key and ending".to_owned() });
                continue;
            };
            let picture = !ending.contains('.') && is_picture(Path::new(&name));
            if !picture && !matches!(ending.as_str(), "cls" | "json" | "txt") {
                *self.endings.entry(ending).or_default() += 1;
                continue;
            }
            let mut content = Vec::new();
            let size = entry.size();
            entry.read_to_end(&mut content).map_err(damaged)?;
            if content.len() as u64 != size {
                return Err(damaged(std::io::Error::other(format!(
                    "{name} has {} of {size} bytes, then the file ends",
                    content.len()
                ))));
            }
            let index = *keys.entry(key.to_owned()).or_insert_with(|| {
                self.samples.push(Sample::default());
                self.samples.len() - 1
            });
            let sample = &mut self.samples[index];
            let twice = |earlier: &str| {
                Error::invalid(
                    file,
                    format!("sample \"{key}\" has {earlier} and {name}"),
                    "each key needs one picture and at most one .cls, .json and .txt: give every sample its own key",
                )
            };
            if picture {
                if let Some((_, earlier)) = &sample.picture {
                    return Err(twice(earlier));
                }
                sample.picture = Some((self.pictures, name.clone()));
                self.pictures += 1;
                self.bytes += content.len();
                let listed = if self.several { format!("{}/{name}", shard_name(file)) } else { name.clone() };
                let place = Place::Within { shard: shard.clone(), entry: name, bytes: content };
                self.batch.push(Encoded { name: listed, place });
                if self.batch.len() >= gathering.batch() || self.bytes >= BATCH_BYTES {
                    gathering.add(&std::mem::take(&mut self.batch))?;
                    self.bytes = 0;
                }
                continue;
            }
            let text = String::from_utf8(content).map_err(|_| {
                Error::invalid(file, format!("{name} is no UTF-8 text"), "write it again as UTF-8, or leave it out")
            })?;
            let replaced = match ending.as_str() {
                "cls" => sample.class.replace(text.trim().to_owned()).is_some(),
                "txt" => sample.caption.replace(text.trim_end().to_owned()).is_some(),
                _ => sample.attributes.replace(attributes(file, &name, &text)?).is_some(),
            };
            if replaced {
                return Err(twice(&format!("a .{ending} already")));
            }
        }
        let mut rest = archive.into_inner();
        std::io::copy(&mut rest, &mut std::io::sink()).map_err(damaged)?;
        self.without_picture(file, &keys);
        if !ends_marked(file).map_err(Error::io("reading", file))? {
            context.progress.warn(&format!(
                "{}: the archive has no end mark, so it may have been cut off between two entries",
                file.display()
            ));
        }
        Ok(())
    }

    /// Lists the samples of a shard that have no picture.
    fn without_picture(&mut self, file: &Path, keys: &HashMap<String, usize>) {
        let mut bare: Vec<&String> =
            keys.iter().filter(|(_, index)| self.samples[**index].picture.is_none()).map(|(key, _)| key).collect();
        bare.sort();
        self.skipped.extend(bare.into_iter().map(|key| Skipped {
            item: format!("{}/{key}", shard_name(file)),
            reason: "a sample without a picture".to_owned(),
        }));
    }
}

fn shard_name(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn open(file: &Path) -> Result<Box<dyn Read>> {
    let open = || File::open(file).map_err(Error::io("opening", file));
    let mut magic = [0; 2];
    let gzipped = open()?.read_exact(&mut magic).is_ok() && magic == [0x1F, 0x8B];
    let reader = BufReader::with_capacity(1 << 18, open()?);
    Ok(if gzipped { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) })
}

/// Whether a plain archive ends with a block of zeros. One that was cut off between two entries reads well otherwise. A
/// gzipped one carries its length and checksum.
fn ends_marked(file: &Path) -> std::io::Result<bool> {
    const BLOCK: usize = 512;
    let mut archive = File::open(file)?;
    let mut magic = [0; 2];
    if archive.read_exact(&mut magic).is_ok() && magic == [0x1F, 0x8B] {
        return Ok(true);
    }
    let mut last = [1; BLOCK];
    let length = archive.seek(SeekFrom::End(0))?;
    archive.seek(SeekFrom::Start(length.saturating_sub(BLOCK as u64)))?;
    Ok(archive.read_exact(&mut last).is_ok() && last.iter().all(|&byte| byte == 0))
}

/// A sample's key, folders included, and an entry's ending: what stands before and after the file name's first dot.
fn split(name: &str) -> Option<(&str, String)> {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = file + name[file..].find('.')?;
    (dot > file && dot + 1 < name.len()).then(|| (&name[..dot], name[dot + 1..].to_ascii_lowercase()))
}

fn attributes(file: &Path, name: &str, text: &str) -> Result<Map<String, Value>> {
    let wrong = |found: String| Error::invalid(file, format!("{name}: {found}"), "one JSON object was expected");
    match serde_json::from_str(text).map_err(|error| wrong(format!("no JSON: {error}")))? {
        Value::Object(object) => Ok(object),
        other => Err(wrong(format!("{other} is no object"))),
    }
}

/// The set with the labels and attributes of its samples.
fn describe(
    mut set: ImageSet,
    samples: &[Sample],
    root: &Path,
    first_shard: &Path,
    context: &Context<'_>,
) -> Result<ImageSet> {
    let mut names: Vec<&String> = Vec::new();
    let mut seen = HashSet::new();
    for key in samples.iter().filter_map(|sample| sample.attributes.as_ref()).flat_map(Map::keys) {
        if seen.insert(key) {
            names.push(key);
        }
    }
    for name in names {
        let values = samples
            .iter()
            .map(|sample| match sample.attributes.as_ref().and_then(|attributes| attributes.get(name)) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            })
            .collect();
        set = set.with_column(Column { name: name.clone(), values })?;
    }
    if samples.iter().any(|sample| sample.caption.is_some()) {
        let values = samples.iter().map(|sample| sample.caption.clone().unwrap_or_default()).collect();
        set = set.with_column(Column { name: "txt".to_owned(), values })?;
    }
    let classes: Vec<&str> = samples.iter().filter_map(|sample| sample.class.as_deref()).collect();
    if classes.len() == samples.len() {
        return set.with_labels(labels(root, first_shard, samples, &classes)?);
    }
    if let Some(bare) = samples.iter().find(|sample| sample.class.is_none()).filter(|_| !classes.is_empty()) {
        let name = bare.picture.as_ref().map(|(_, name)| name.as_str()).unwrap_or_default();
        return Err(Error::invalid(
            root,
            format!("{} of {} samples have no .cls, the first {name}", samples.len() - classes.len(), samples.len()),
            "a class for every sample or for none was expected: add the files, or remove those samples",
        ));
    }
    if context.options.label.is_none() && set.column(LABEL).is_some() {
        return set.labelled_by(LABEL);
    }
    Ok(set)
}

/// Labels by class index where there is a list of class names, else by the text of the `.cls` entries.
fn labels(root: &Path, shard: &Path, samples: &[Sample], classes: &[&str]) -> Result<Labels> {
    let beside = shard.ancestors().skip(1).take(2).map(|folder| folder.join(CLASS_NAMES)).find(|path| path.is_file());
    let Some(list) = beside.filter(|_| classes.iter().all(|class| class.parse::<u32>().is_ok())) else {
        return Ok(Labels::from_names(classes));
    };
    let text = std::fs::read_to_string(&list).map_err(Error::io("reading", &list))?;
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    let values: Vec<u32> = classes.iter().filter_map(|class| class.parse().ok()).collect();
    if let Some(at) = values.iter().position(|&value| value as usize >= names.len()) {
        let sample = samples[at].picture.as_ref().map(|(_, name)| name.as_str()).unwrap_or_default();
        return Err(Error::invalid(
            root,
            format!("the class of {sample} is {}", values[at]),
            format!("{} has {} names, so an index below that was expected", list.display(), names.len()),
        ));
    }
    Ok(Labels { values, classes: names })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_at_the_first_dot_of_the_file_name() {
        assert_eq!(split("a.b/000.seg.png"), Some(("a.b/000", "seg.png".to_owned())));
        assert_eq!(split("000.JPG"), Some(("000", "jpg".to_owned())));
        assert_eq!((split("noending"), split("a/.hidden"), split("x.")), (None, None, None));
    }
}
