use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

use super::{Format, folder, format};
use crate::{Column, Error, ImageSet, Labels, Parts, Provenance, Result, Shape};

/// A binary layout of CIFAR: records of label bytes, then 32 × 32 red, green and blue values
/// (Krizhevsky, *Learning multiple layers of features from tiny images*, 2009).
#[derive(Clone, Copy)]
pub(super) struct Layout {
    format: Format,
    /// The file of class names, in the order of the labels.
    names: &'static str,
    classes: usize,
    /// The file of coarse class names, if records begin with a coarse label.
    coarse: Option<&'static str>,
}

pub(super) const CIFAR_10: Layout =
    Layout { format: Format::Cifar10, names: "batches.meta.txt", classes: 10, coarse: None };

pub(super) const CIFAR_100: Layout = Layout {
    format: Format::Cifar100,
    names: "fine_label_names.txt",
    classes: 100,
    coarse: Some("coarse_label_names.txt"),
};

const SHAPE: Shape = Shape { channels: 3, height: 32, width: 32 };

impl Layout {
    fn label_bytes(self) -> usize {
        1 + usize::from(self.coarse.is_some())
    }

    fn record(self) -> usize {
        self.label_bytes() + SHAPE.volume()
    }
}

/// Tells the layout of a batch by its size, or of an archive by its name.
pub(super) fn recognise(path: &Path) -> Result<Option<Format>> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let layouts = [CIFAR_10, CIFAR_100];
    if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        // "cifar-100-binary" does not begin with "cifar-10-".
        return Ok(layouts.iter().find(|layout| name.starts_with(&format!("{}-", layout.format))).map(|l| l.format));
    }
    if !name.ends_with(".bin") {
        return Ok(None);
    }
    let size = fs::metadata(path).map_err(Error::io("reading", path))?.len() as usize;
    let fitting: Vec<Format> = layouts
        .iter()
        .filter(|layout| size > 0 && size.is_multiple_of(layout.record()))
        .map(|layout| layout.format)
        .collect();
    Ok(if let [only] = fitting.as_slice() { Some(*only) } else { None })
}

/// A batch's file name and content.
type Batch = (String, Vec<u8>);

/// The files of interest: batches and lists of names, sorted.
struct Files {
    batches: Vec<Batch>,
    texts: Vec<(String, String)>,
}

impl Files {
    fn add(&mut self, name: String, bytes: Vec<u8>) {
        match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("bin") => self.batches.push((name, bytes)),
            Some("txt") => self.texts.push((name, String::from_utf8_lossy(&bytes).into_owned())),
            _ => {}
        }
    }

    /// The lines of a list of names, if it is there and has as many as needed.
    fn names(&self, file: &str) -> Option<Vec<String>> {
        let (_, text) = self.texts.iter().find(|(name, _)| name == file)?;
        Some(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }
}

/// Reads a folder of batches, one batch, or the published archive.
pub(super) fn read(path: &Path, layout: Layout) -> Result<Parts> {
    let mut files = Files { batches: Vec::new(), texts: Vec::new() };
    if path.is_dir() {
        for entry in folder::list(path)? {
            let name = folder::relative(path, &entry);
            if entry.is_file() && (name.ends_with(".bin") || name.ends_with(".txt")) {
                files.add(name, fs::read(&entry).map_err(Error::io("reading", &entry))?);
            }
        }
    } else if path.extension().is_some_and(|ending| ending == "bin") {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        files.add(name, fs::read(path).map_err(Error::io("reading", path))?);
        for list in [Some(layout.names), layout.coarse].into_iter().flatten() {
            let beside = path.with_file_name(list);
            if beside.is_file() {
                files.add(list.to_owned(), fs::read(&beside).map_err(Error::io("reading", &beside))?);
            }
        }
    } else {
        unpack(path, &mut files).map_err(Error::io("unpacking", path))?;
    }
    files.batches.sort();
    if files.batches.is_empty() {
        return Err(Error::Empty {
            path: path.to_path_buf(),
            found: "no .bin file".to_owned(),
            remedy: format!("the binary version of {} was expected, not the Python or Matlab one", layout.format),
        });
    }

    let mut parts: Vec<(String, Vec<Batch>)> = Vec::new();
    for (name, bytes) in std::mem::take(&mut files.batches) {
        let tokens = name.split(['_', '.', '-']).find_map(format::part_name);
        // "data_batch_1.bin" is how CIFAR-10 names its training part.
        let part = if path.is_file() && is_batch(path) { "" } else { tokens.unwrap_or("train") };
        match parts.iter_mut().find(|(other, _)| other == part) {
            Some((_, batches)) => batches.push((name, bytes)),
            None => parts.push((part.to_owned(), vec![(name, bytes)])),
        }
    }
    let mut sets = parts
        .into_iter()
        .map(|(part, batches)| Ok((part, read_part(path, &batches, layout, &files)?)))
        .collect::<Result<Vec<_>>>()?;
    match sets.as_slice() {
        [(name, _)] if name.is_empty() => Ok(Parts::undivided(sets.remove(0).1)),
        _ => Parts::divided(sets),
    }
}

fn is_batch(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "bin")
}

fn unpack(path: &Path, files: &mut Files) -> std::io::Result<()> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(path)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if entry.header().entry_type().is_file() && (name.ends_with(".bin") || name.ends_with(".txt")) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            files.add(name, bytes);
        }
    }
    Ok(())
}

fn read_part(path: &Path, batches: &[Batch], layout: Layout, files: &Files) -> Result<ImageSet> {
    let mut pixels = Vec::new();
    let mut values = Vec::new();
    let mut coarse = Vec::new();
    let names = |file: &str, count: usize| {
        files.names(file).filter(|names| names.len() >= count).map(|mut names| {
            names.truncate(count);
            names
        })
    };
    let classes = names(layout.names, layout.classes)
        .unwrap_or_else(|| (0..layout.classes).map(|class| class.to_string()).collect());
    let coarse_classes = layout.coarse.and_then(|file| files.names(file)).unwrap_or_default();
    for (name, bytes) in batches {
        if bytes.is_empty() || !bytes.len().is_multiple_of(layout.record()) {
            return Err(Error::invalid(
                path,
                format!("{name} has {} bytes", bytes.len()),
                format!("a multiple of {} was expected for {}: get it again", layout.record(), layout.format),
            ));
        }
        for (index, record) in bytes.chunks_exact(layout.record()).enumerate() {
            let (labels, image) = record.split_at(layout.label_bytes());
            let label = labels[labels.len() - 1];
            if usize::from(label) >= layout.classes {
                return Err(Error::invalid(
                    path,
                    format!("image {index} of {name} has label {label}"),
                    format!("labels below {} were expected for {}", layout.classes, layout.format),
                ));
            }
            values.push(u32::from(label));
            if layout.coarse.is_some() {
                let label = labels[0];
                coarse.push(coarse_classes.get(usize::from(label)).cloned().unwrap_or_else(|| label.to_string()));
            }
            pixels.extend_from_slice(image);
        }
    }
    let set = ImageSet::new(SHAPE, pixels)?.with_labels(Labels { values, classes })?.with_provenance(Provenance {
        source: path.display().to_string(),
        format: layout.format.to_string(),
        ..Provenance::default()
    });
    match layout.coarse {
        Some(_) => set.with_column(Column { name: "coarse_label".to_owned(), values: coarse }),
        None => Ok(set),
    }
}
