use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::conversion::{Conversion, Tally};
use super::picture::{self, Picture, Refusal};
use super::{Context, metadata};
use crate::sink::Sink;
use crate::{Column, Error, ImageSet, Result, Shape, Skipped};

/// Most pictures decoded before their pixels are gathered: enough for every core.
const BATCH: usize = 256;

/// Most bytes of a batch, encoded or decoded, unless a single picture has more.
pub(super) const BATCH_BYTES: usize = 64 << 20;

/// Most shapes that an error about mixed sizes lists.
const LISTED: usize = 5;

/// A picture to be decoded.
pub(super) struct Encoded {
    /// What the column `file_name` says of it.
    pub name: String,
    pub place: Place,
}

/// Where a picture's bytes are.
pub(super) enum Place {
    /// In a file of its own.
    File(PathBuf),
    /// In an archive or table, read already; the entry is what messages call it.
    Within { shard: Arc<PathBuf>, entry: String, bytes: Vec<u8> },
    /// Missing from an archive or table, and why.
    Absent { shard: Arc<PathBuf>, entry: String, reason: String },
}

impl Encoded {
    fn with_bytes<T>(&self, use_bytes: impl FnOnce(&[u8]) -> Result<T, Refusal>) -> Result<T, Refusal> {
        match &self.place {
            Place::File(path) => {
                use_bytes(&fs::read(path).map_err(|error| Refusal::Unreadable(format!("reading failed: {error}")))?)
            }
            Place::Within { bytes, .. } => use_bytes(bytes),
            Place::Absent { reason, .. } => Err(Refusal::Unreadable(reason.clone())),
        }
    }

    /// An error about this picture.
    fn error(&self, found: String, remedy: impl Into<String>) -> Error {
        match &self.place {
            Place::File(path) => Error::invalid(path, found, remedy),
            Place::Within { shard, entry, .. } | Place::Absent { shard, entry, .. } => {
                Error::invalid(shard, format!("{entry}: {found}"), remedy)
            }
        }
    }
}

/// Pixels, file names and omissions of the pictures that were added, in their order.
pub(super) struct Gathered {
    pub set: ImageSet,
    /// Positions, among the pictures added, of those that were taken.
    pub kept: Vec<usize>,
    pub skipped: Vec<Skipped>,
    pub tally: Tally,
}

/// Decodes pictures batch by batch, in parallel, and lays their pixels one behind the other.
///
/// Beside the sink it holds one batch, at most 256 pictures and 64 MiB (or as many pictures as threads, if those are
/// more), and a name for each picture.
pub(super) struct Gathering<'a> {
    context: &'a Context<'a>,
    root: &'a Path,
    expected: usize,
    conversion: Conversion,
    sink: Option<(Shape, Sink)>,
    added: usize,
    names: Vec<String>,
    kept: Vec<usize>,
    skipped: Vec<Skipped>,
    tally: Tally,
    /// Number and first name of the images of each shape.
    shapes: HashMap<Shape, (usize, String)>,
}

impl<'a> Gathering<'a> {
    /// Pictures from `root`, `expected` of them if that is known, else 0.
    pub fn new(context: &'a Context<'a>, root: &'a Path, expected: usize) -> Self {
        Self {
            context,
            root,
            expected,
            conversion: Conversion::of(context.options),
            sink: None,
            added: 0,
            names: Vec::with_capacity(expected),
            kept: Vec::with_capacity(expected),
            skipped: Vec::new(),
            tally: Tally::default(),
            shapes: HashMap::new(),
        }
    }

    /// How many pictures to add at once.
    pub fn batch(&self) -> usize {
        let threads = rayon::current_num_threads();
        match self.sink {
            Some((shape, _)) => (BATCH_BYTES / shape.volume()).clamp(threads, BATCH.max(threads)),
            None => threads,
        }
    }

    /// Decodes a batch and keeps it. Pictures that do not fit together are told of in [`Gathering::finish`].
    ///
    /// # Errors
    /// If a picture cannot be taken and the options do not say to leave it out, or the sink refuses.
    pub fn add(&mut self, batch: &[Encoded]) -> Result<()> {
        if self.shapes.len() > 1 {
            self.survey(batch);
            return Ok(());
        }
        let options = self.context.options;
        let decoded: Vec<Result<Picture, Refusal>> = batch
            .par_iter()
            .map(|encoded| {
                let picture = encoded.with_bytes(|bytes| picture::decode(bytes, &encoded.name, options))?;
                let values = self.conversion.apply(picture.shape, picture.values);
                Ok(Picture { shape: self.conversion.target(picture.shape), values, ..picture })
            })
            .collect();
        for (picture, encoded) in decoded.iter().zip(batch) {
            let position = self.added;
            self.added += 1;
            match picture {
                Ok(picture) => self.take(picture, encoded, position)?,
                Err(Refusal::Unreadable(reason)) if options.skip_unreadable => {
                    self.skipped.push(Skipped { item: encoded.name.clone(), reason: reason.clone() });
                }
                Err(Refusal::Unreadable(reason)) => {
                    let remedy = "replace or remove it, or leave such pictures out with --skip-unreadable";
                    return Err(encoded.error(reason.clone(), remedy));
                }
                Err(Refusal::Unsuited { found, remedy }) => return Err(encoded.error(found.clone(), remedy.clone())),
                Err(Refusal::Deep { .. }) => return Err(deep(&decoded, encoded)),
            }
        }
        Ok(())
    }

    fn take(&mut self, picture: &Picture, encoded: &Encoded, position: usize) -> Result<()> {
        self.count(picture.shape, &encoded.name);
        if self.shapes.len() > 1 {
            return Ok(());
        }
        let (_, sink) = match &mut self.sink {
            Some(sink) => sink,
            empty => {
                let sink = match self.context.scratch {
                    Some(scratch) => Sink::disk(scratch)?,
                    None => Sink::memory(self.expected, picture.shape)?,
                };
                empty.insert((picture.shape, sink))
            }
        };
        sink.append(&picture.values)?;
        self.tally.count(picture);
        self.kept.push(position);
        self.names.push(encoded.name.clone());
        Ok(())
    }

    fn count(&mut self, shape: Shape, name: &str) {
        self.shapes.entry(shape).or_insert_with(|| (0, name.to_owned())).0 += 1;
    }

    /// Counts shapes by the headers alone: once two differ nothing is decoded any more, but the error can say how many
    /// there are of each.
    fn survey(&mut self, batch: &[Encoded]) {
        let shapes: Vec<Option<Shape>> = batch
            .par_iter()
            .map(|encoded| encoded.with_bytes(|bytes| Ok(picture::shape(bytes, &encoded.name))).ok().flatten())
            .collect();
        for (shape, encoded) in shapes.into_iter().zip(batch) {
            if let Some(shape) = shape {
                self.count(self.conversion.target(shape), &encoded.name);
            }
        }
    }

    /// The set.
    ///
    /// # Errors
    /// If there is no picture, or their shapes differ: the message counts the shapes.
    pub fn finish(self) -> Result<Gathered> {
        if self.shapes.len() > 1 {
            return Err(mixed(self.root, &self.shapes));
        }
        let Some((shape, sink)) = self.sink else {
            return Err(Error::Empty {
                path: self.root.to_path_buf(),
                found: match self.added {
                    0 => "there is no picture".to_owned(),
                    added => format!("none of the {added} pictures can be decoded"),
                },
                remedy: match self.skipped.first() {
                    Some(first) => format!("{}: {}", first.item, first.reason),
                    None => "at least one picture was expected".to_owned(),
                },
            });
        };
        for note in self.tally.notes() {
            self.context.progress.warn(&note);
        }
        let set = sink
            .finish(shape, self.kept.len())?
            .with_column(Column { name: metadata::FILE_NAME.to_owned(), values: self.names })?;
        Ok(Gathered { set, kept: self.kept, skipped: self.skipped, tally: self.tally })
    }
}

/// The refusal of pictures of 16 bits, with the range of values in those of the batch.
fn deep(batch: &[Result<Picture, Refusal>], first: &Encoded) -> Error {
    let ranges: Vec<(u16, u16)> = batch
        .iter()
        .filter_map(|picture| match picture {
            Err(Refusal::Deep { low, high }) => Some((*low, *high)),
            _ => None,
        })
        .collect();
    let low = ranges.iter().map(|range| range.0).min().unwrap_or(0);
    let high = ranges.iter().map(|range| range.1).max().unwrap_or(u16::MAX);
    first.error(
        format!("16 bits per value; the first {} such pictures hold values from {low} to {high}", ranges.len()),
        format!(
            "say which stored values become black and white: --window LOW,HIGH, such as {} for {} bits in use; values \
             outside are clamped and counted",
            format_args!("0,{}", full_scale(high)),
            full_scale(high).count_ones()
        ),
    )
}

/// The highest value of the smallest usual depth, 8, 10, 12, 14 or 16 bits, that holds `value`.
fn full_scale(value: u16) -> u16 {
    [8, 10, 12, 14].into_iter().map(|bits| (1 << bits) - 1).find(|&scale| value <= scale).unwrap_or(u16::MAX)
}

/// The refusal of images of different shapes, most frequent first.
fn mixed(root: &Path, shapes: &HashMap<Shape, (usize, String)>) -> Error {
    let mut shapes: Vec<(&Shape, &(usize, String))> = shapes.iter().collect();
    shapes.sort_by_key(|(_, (count, name))| (std::cmp::Reverse(*count), name.as_str()));
    let total: usize = shapes.iter().map(|(_, (count, _))| count).sum();
    let mut listed: Vec<String> = shapes
        .iter()
        .take(LISTED)
        .map(|(shape, (count, name))| match count {
            1 => format!("{shape} ({name})"),
            _ => format!("{shape} ({count} images such as {name})"),
        })
        .collect();
    if shapes.len() > LISTED {
        listed.push(format!("{} more", shapes.len() - LISTED));
    }
    let (most, _) = shapes[0];
    let sizes_differ = shapes.iter().any(|(shape, _)| (shape.height, shape.width) != (most.height, most.width));
    let channels_differ = shapes.iter().any(|(shape, _)| shape.channels != most.channels);
    let mut remedies = Vec::new();
    if sizes_differ {
        remedies.push(format!("--resize {}x{} scales all to the most frequent size", most.height, most.width));
    }
    if channels_differ {
        remedies.push("--grey or --colour converts all".to_owned());
    }
    Error::invalid(
        root,
        format!("{total} images of {} shapes (channels × height × width): {}", shapes.len(), listed.join(", ")),
        format!("all images need one shape: {}", remedies.join(", ")),
    )
}
