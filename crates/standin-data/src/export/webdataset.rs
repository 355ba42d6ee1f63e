use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;
use serde_json::{Map, Value};
use tar::{Builder, EntryType, Header};

use super::png::png_bytes;
use super::shards::{batches, shard_stem, shards};
use crate::import::CLASS_NAMES;
use crate::{Error, ImageSet, Parts, Result};

/// Writes `PART-000000.tar` and so on, and the class names.
pub(super) fn write(parts: &Parts, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::io("making the folder", folder))?;
    for (part, set) in parts.iter() {
        for (number, shard) in shards(set).into_iter().enumerate() {
            let path = folder.join(format!("{}-{number:06}.tar", shard_stem(part)));
            write_shard(set, shard, &path)?;
        }
    }
    let Some(labels) = parts.iter().find_map(|(_, set)| set.labels()) else { return Ok(()) };
    let path = folder.join(CLASS_NAMES);
    if let Some(class) = labels.classes.iter().find(|class| class.contains(['\n', '\r']) || class.trim() != *class) {
        return Err(Error::invalid(
            &path,
            format!("the class name {class:?} has a line break, or blanks around it"),
            "one name a line was expected: rename the class, or choose another form",
        ));
    }
    let text: String = labels.classes.iter().map(|class| format!("{class}\n")).collect();
    fs::write(&path, text).map_err(Error::io("writing", &path))
}

fn write_shard(set: &ImageSet, shard: Range<usize>, path: &Path) -> Result<()> {
    let broken = |error| Error::io("writing", path)(error);
    let mut archive = Builder::new(BufWriter::new(File::create(path).map_err(Error::io("making", path))?));
    let digits = set.len().max(1).to_string().len().max(6);
    for batch in batches(set, shard) {
        let pictures: Vec<Vec<u8>> = batch
            .clone()
            .into_par_iter()
            .map(|index| png_bytes(set.shape(), set.image(index), path))
            .collect::<Result<_>>()?;
        for (index, picture) in batch.zip(pictures) {
            let key = format!("{index:0digits$}");
            append(&mut archive, &format!("{key}.png"), &picture).map_err(broken)?;
            if let Some(labels) = set.labels() {
                append(&mut archive, &format!("{key}.cls"), labels.values[index].to_string().as_bytes())
                    .map_err(broken)?;
            }
            if !set.columns().is_empty() {
                let attributes: Map<String, Value> = set
                    .columns()
                    .iter()
                    .map(|column| (column.name.clone(), Value::String(column.values[index].clone())))
                    .collect();
                append(&mut archive, &format!("{key}.json"), Value::Object(attributes).to_string().as_bytes())
                    .map_err(broken)?;
            }
        }
    }
    let file = archive.into_inner().map_err(broken)?;
    file.into_inner().map_err(|error| error.into_error()).and_then(|file| file.sync_all()).map_err(broken)
}

/// An entry without owner and time, so that equal sets give equal bytes.
fn append(archive: &mut Builder<impl Write>, name: &str, content: &[u8]) -> std::io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    archive.append_data(&mut header, name, content)
}
