use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Labels, Result};

/// The shape all images of a set share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// 1 for grey, 3 for red, green, blue.
    pub channels: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
}

impl Shape {
    /// Values per image: `channels × height × width`.
    pub const fn volume(self) -> usize {
        self.channels * self.height * self.width
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}×{}", self.channels, self.height, self.width)
    }
}

/// An attribute of each image: group, identity, patient, sex, ….
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The attribute's name, unique in the set.
    pub name: String,
    /// One value per image, as text; empty where it is missing.
    pub values: Vec<String>,
}

/// Where a set comes from and what was left out on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// A file, folder, or description of the process that made the set.
    pub source: String,
    /// The format it was read from.
    pub format: String,
    /// Licence and attribution, where known.
    #[serde(default)]
    pub licence: Option<String>,
    /// The privacy guarantee of a set that a generator made, in words; none for other sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantee: Option<String>,
    /// What was not imported, and why.
    #[serde(default)]
    pub skipped: Vec<Skipped>,
}

impl Provenance {
    /// That of a set that holds this one and another: this one's, with what was left out of both. A guarantee speaks of
    /// one release. It stays only where both are the same release; private images beside a sample, or two releases from
    /// the same images, are not covered by it.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        let mut joint = self.clone();
        if (&self.guarantee, &self.source) != (&other.guarantee, &other.source) {
            joint.guarantee = None;
        }
        joint.skipped.extend(other.skipped.iter().filter(|skipped| !self.skipped.contains(skipped)).cloned());
        joint
    }
}

/// Something an import left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// The file or record.
    pub item: String,
    /// Why it was left out.
    pub reason: String,
}

/// Images of one shape, 8 bits a value, stored image by image as planes: channel, row, column.
///
/// Cloning is cheap: pixels are shared. A set opened from disk maps its pixels instead of reading them, so it may be
/// larger than memory.
#[derive(Clone)]
pub struct ImageSet {
    shape: Shape,
    pixels: Pixels,
    labels: Option<Arc<Labels>>,
    columns: Arc<Vec<Column>>,
    provenance: Arc<Provenance>,
}

#[derive(Clone)]
enum Pixels {
    Owned(Arc<Vec<u8>>),
    Mapped {
        map: Arc<Mmap>,
        start: usize,
        /// The temporary file the pixels lie in until the set is saved, if that is where they are.
        scratch: Option<Arc<PathBuf>>,
    },
}

impl Pixels {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(values) => values,
            Self::Mapped { map, start, .. } => &map[*start..],
        }
    }
}

impl ImageSet {
    /// Images from their values, `n × channels × height × width`.
    ///
    /// # Errors
    /// If the shape is empty or has other than 1 or 3 channels, or the number of values is no multiple of its volume.
    pub fn new(shape: Shape, pixels: Vec<u8>) -> Result<Self> {
        Self::with_pixels(shape, Pixels::Owned(Arc::new(pixels)))
    }

    /// Images whose values are mapped from a file, beginning at byte `start`.
    pub(crate) fn mapped(shape: Shape, map: Mmap, start: usize) -> Result<Self> {
        Self::with_pixels(shape, Pixels::Mapped { map: Arc::new(map), start, scratch: None })
    }

    /// The same mapped images, remembering the temporary file their pixels lie in.
    pub(crate) fn kept_in(self, file: PathBuf) -> Self {
        let pixels = match self.pixels {
            Pixels::Mapped { map, start, .. } => Pixels::Mapped { map, start, scratch: Some(Arc::new(file)) },
            owned => owned,
        };
        Self { pixels, ..self }
    }

    /// The temporary file the pixels lie in, if they do.
    pub(crate) fn scratch_file(&self) -> Option<&Path> {
        match &self.pixels {
            Pixels::Mapped { scratch, .. } => scratch.as_deref().map(PathBuf::as_path),
            Pixels::Owned(_) => None,
        }
    }

    fn with_pixels(shape: Shape, pixels: Pixels) -> Result<Self> {
        if !matches!(shape.channels, 1 | 3) || shape.volume() == 0 {
            return Err(Error::inconsistent(
                format!("images of shape {shape} (channels × height × width)"),
                "images need 1 (grey) or 3 (colour) channels and at least one pixel",
            ));
        }
        let values = pixels.as_slice().len();
        if !values.is_multiple_of(shape.volume()) {
            return Err(Error::inconsistent(
                format!("{values} values for images of shape {shape}"),
                format!("the number of values must be a multiple of {}", shape.volume()),
            ));
        }
        Ok(Self { shape, pixels, labels: None, columns: Arc::default(), provenance: Arc::default() })
    }

    /// The same images with labels.
    ///
    /// # Errors
    /// If there is not one label per image, or a label has no class name.
    pub fn with_labels(self, labels: Labels) -> Result<Self> {
        if labels.values.len() != self.len() {
            return Err(Error::inconsistent(
                format!("{} labels for {} images", labels.values.len(), self.len()),
                "every image needs exactly one label",
            ));
        }
        if let Some(value) = labels.values.iter().find(|&&value| value as usize >= labels.classes.len()) {
            return Err(Error::inconsistent(
                format!("label {value} with {} class names", labels.classes.len()),
                "labels count from 0 and each needs a class name",
            ));
        }
        Ok(Self { labels: Some(Arc::new(labels)), ..self })
    }

    /// The same images without labels.
    #[must_use]
    pub fn without_labels(self) -> Self {
        Self { labels: None, ..self }
    }

    /// The same images with one more attribute column, replacing one of the same name.
    ///
    /// # Errors
    /// If there is not one value per image.
    pub fn with_column(self, column: Column) -> Result<Self> {
        if column.values.len() != self.len() {
            return Err(Error::inconsistent(
                format!("column \"{}\" has {} values for {} images", column.name, column.values.len(), self.len()),
                "every image needs exactly one value (empty where it is missing)",
            ));
        }
        let mut columns = (*self.columns).clone();
        columns.retain(|present| present.name != column.name);
        columns.push(column);
        Ok(Self { columns: Arc::new(columns), ..self })
    }

    /// The same images labelled by an attribute column, which is then no longer an attribute. Labels the set had become
    /// the column "label".
    ///
    /// # Errors
    /// If there is no such column, or it is empty for an image.
    pub fn labelled_by(self, name: &str) -> Result<Self> {
        let Some(column) = self.column(name) else {
            return Err(Error::unknown("column", name, self.columns.iter().map(|column| column.name.as_str())));
        };
        if let Some(index) = column.values.iter().position(String::is_empty) {
            return Err(Error::inconsistent(
                format!("column \"{name}\" of {} is empty for image {index}", self.describe()),
                "a label column needs a value for every image: fill it in, or remove those images",
            ));
        }
        let labels = Labels::from_names(&column.values);
        let previous = self.labels().map(|labels| labels.names().map(str::to_owned).collect());
        let mut columns = (*self.columns).clone();
        columns.retain(|column| column.name != name);
        let set = Self { columns: Arc::new(columns), ..self };
        let set = match previous {
            Some(values) => set.with_column(Column { name: "label".to_owned(), values })?,
            None => set,
        };
        set.with_labels(labels)
    }

    /// The same images with another provenance.
    #[must_use]
    pub fn with_provenance(self, provenance: Provenance) -> Self {
        Self { provenance: Arc::new(provenance), ..self }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.pixels.as_slice().len() / self.shape.volume()
    }

    /// Whether the set holds no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The images' shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// All values, `n × channels × height × width`.
    pub fn pixels(&self) -> &[u8] {
        self.pixels.as_slice()
    }

    /// The values of one image, `channels × height × width`.
    ///
    /// # Panics
    /// If `index` is not below [`ImageSet::len`].
    pub fn image(&self, index: usize) -> &[u8] {
        let volume = self.shape.volume();
        &self.pixels()[index * volume..(index + 1) * volume]
    }

    /// The labels, if the set has them.
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.as_deref()
    }

    /// The labels, or an error that says which step needs them.
    ///
    /// # Errors
    /// If the set has none.
    pub fn require_labels(&self, step: &str) -> Result<&Labels> {
        self.labels().ok_or_else(|| {
            Error::inconsistent(
                format!("{step} needs labels, and {} has none", self.describe()),
                "give class folders, a label column in metadata.csv, or labels in the .npz",
            )
        })
    }

    /// The labels, if they tell at least two classes apart.
    ///
    /// # Errors
    /// If the set has no labels, or all its images are of one class.
    pub fn require_classes(&self, step: &str) -> Result<&Labels> {
        let labels = self.require_labels(step)?;
        match labels.values.first() {
            Some(&first) if labels.values.iter().all(|&value| value == first) => Err(Error::SingleClass {
                origin: self.describe(),
                class: labels.classes[first as usize].clone(),
                remedy: format!(
                    "{step} needs at least two: add images of another class, or choose another label column"
                ),
            }),
            _ => Ok(labels),
        }
    }

    /// Attribute columns, in the order they were added.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The attribute column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Where the set comes from.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// A short name for messages: the source where known, else the size.
    pub fn describe(&self) -> String {
        match self.provenance.source.as_str() {
            "" => format!("the set of {} images", self.len()),
            source => source.to_owned(),
        }
    }

    /// The images at `indices`, in that order, with their labels and attributes; an index may repeat.
    ///
    /// # Panics
    /// If an index is not below [`ImageSet::len`].
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut pixels = Vec::with_capacity(indices.len() * self.shape.volume());
        for &index in indices {
            pixels.extend_from_slice(self.image(index));
        }
        let labels = self.labels().map(|labels| {
            let values = indices.iter().map(|&index| labels.values[index]).collect();
            Arc::new(Labels { values, classes: labels.classes.clone() })
        });
        let columns = self
            .columns
            .iter()
            .map(|column| Column {
                name: column.name.clone(),
                values: indices.iter().map(|&index| column.values[index].clone()).collect(),
            })
            .collect();
        Self {
            shape: self.shape,
            pixels: Pixels::Owned(Arc::new(pixels)),
            labels,
            columns: Arc::new(columns),
            provenance: self.provenance.clone(),
        }
    }

    /// This set followed by another of the same shape and classes; columns only one side has are dropped.
    ///
    /// # Errors
    /// If the shapes, the class names or the presence of labels differ.
    pub fn concat(&self, other: &Self) -> Result<Self> {
        if self.shape != other.shape {
            return Err(Error::inconsistent(
                format!("{} has images of {}, {} of {}", self.describe(), self.shape, other.describe(), other.shape),
                "both sets need one shape: resize one of them before",
            ));
        }
        let labels = match (self.labels(), other.labels()) {
            (None, None) => None,
            (Some(a), Some(b)) if a.classes == b.classes => {
                let values = a.values.iter().chain(&b.values).copied().collect();
                Some(Arc::new(Labels { values, classes: a.classes.clone() }))
            }
            _ => {
                return Err(Error::inconsistent(
                    format!("{} and {} have different classes", self.describe(), other.describe()),
                    "both sets need the same class names in the same order",
                ));
            }
        };
        let columns = self
            .columns
            .iter()
            .filter_map(|a| {
                let b = other.column(&a.name)?;
                Some(Column { name: a.name.clone(), values: a.values.iter().chain(&b.values).cloned().collect() })
            })
            .collect();
        Ok(Self {
            shape: self.shape,
            pixels: Pixels::Owned(Arc::new([self.pixels(), other.pixels()].concat())),
            labels,
            columns: Arc::new(columns),
            provenance: Arc::new(self.provenance.joined(&other.provenance)),
        })
    }

    /// The BLAKE3 digest of shape, values, labels and columns: equal for equal content, wherever it came from.
    pub fn digest(&self) -> blake3::Hash {
        fn text(hasher: &mut blake3::Hasher, text: &str) {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        let mut hasher = blake3::Hasher::new_derive_key("standin image set 1");
        for size in [self.shape.channels, self.shape.height, self.shape.width, self.len()] {
            hasher.update(&(size as u64).to_le_bytes());
        }
        hasher.update_rayon(self.pixels());
        if let Some(labels) = self.labels() {
            text(&mut hasher, "labels");
            for class in &labels.classes {
                text(&mut hasher, class);
            }
            for value in &labels.values {
                hasher.update(&value.to_le_bytes());
            }
        }
        for column in self.columns() {
            text(&mut hasher, &column.name);
            for value in &column.values {
                text(&mut hasher, value);
            }
        }
        hasher.finalize()
    }
}

impl fmt::Debug for ImageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageSet")
            .field("images", &self.len())
            .field("shape", &self.shape)
            .field("classes", &self.labels().map(|labels| labels.classes.len()))
            .field("source", &self.provenance.source)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guarantee_covers_one_release_and_nothing_beside_it() {
        let made = |source: &str, guarantee: Option<&str>| {
            let provenance =
                Provenance { source: source.into(), guarantee: guarantee.map(str::to_owned), ..Provenance::default() };
            crate::digits().select(&[0, 1]).with_provenance(provenance)
        };
        let private = made("generator, seed 1", Some("ε = 1"));
        let together = |other: &ImageSet| private.concat(other).unwrap().provenance().guarantee.clone();
        assert_eq!(together(&private).as_deref(), Some("ε = 1"));
        assert_eq!(together(&made("scans", None)), None);
        assert_eq!(together(&made("generator, seed 2", Some("ε = 1"))), None);
        assert_eq!(made("scans", None).concat(&private).unwrap().provenance().guarantee, None);
    }
}
