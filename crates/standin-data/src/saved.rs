use std::fs::{self, File};
use std::io::{BufWriter, Cursor, Write};
use std::path::Path;

use memmap2::Mmap;
use npyz::{DType, NpyHeader, Order, TypeStr, WriterBuilder};
use serde::{Deserialize, Serialize};

use crate::sink::move_pixels;
use crate::{Column, Error, ImageSet, Labels, Provenance, Result, Shape};

/// File names of the own form.
pub(crate) const MANIFEST: &str = "set.toml";
const IMAGES: &str = "images.npy";
const ATTRIBUTES: &str = "attributes.csv";

/// Name and version of the own form, in every manifest.
const FORMAT: &str = "standin image set 1";

/// `set.toml`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    images: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    classes: Option<Vec<String>>,
    columns: Vec<String>,
    shape: Shape,
    provenance: Provenance,
}

impl ImageSet {
    /// Writes the own form into `folder`, which is made if it is not there:
    ///
    /// | file | content |
    /// |---|---|
    /// | `images.npy` | uint8, `n × channels × height × width`, C order; `numpy.load` reads it |
    /// | `attributes.csv` | one line per image: `label` (index into the classes) if labelled, then the columns |
    /// | `set.toml` | number of images, shape, class names, column names, provenance; written last |
    ///
    /// Equal sets with equal provenance give equal bytes.
    ///
    /// # Errors
    /// If the folder has a set in it already, or cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        self.save_with(folder, |path| write_images(self, path))
    }

    /// As [`ImageSet::save`], but pixels that lie in a temporary file on the same disk are moved, not copied.
    pub(crate) fn save_moving(&self, folder: &Path) -> Result<()> {
        self.save_with(folder, |path| match move_pixels(self, path)? {
            true => Ok(()),
            false => write_images(self, path),
        })
    }

    fn save_with(&self, folder: &Path, images: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        fs::create_dir_all(folder).map_err(Error::io("making the folder", folder))?;
        let manifest_path = folder.join(MANIFEST);
        if manifest_path.exists() {
            return Err(Error::invalid(folder, "there is an image set already", "choose another folder"));
        }
        images(&folder.join(IMAGES))?;
        write_attributes(self, &folder.join(ATTRIBUTES))?;
        let manifest = Manifest {
            format: FORMAT.to_owned(),
            images: self.len(),
            classes: self.labels().map(|labels| labels.classes.clone()),
            columns: self.columns().iter().map(|column| column.name.clone()).collect(),
            shape: self.shape(),
            provenance: self.provenance().clone(),
        };
        let text = toml::to_string(&manifest).map_err(|error| {
            Error::inconsistent(format!("the manifest has no TOML form: {error}"), "rename columns")
        })?;
        fs::write(&manifest_path, text).map_err(Error::io("writing", &manifest_path))
    }

    /// Opens a set in the own form. Pixels are mapped, not read: the file must not change while the set is in use.
    ///
    /// # Errors
    /// If a file is missing, is not what [`ImageSet::save`] wrote, or its size contradicts the manifest.
    pub fn open(folder: &Path) -> Result<Self> {
        if !folder.exists() {
            return Err(Error::Missing { path: folder.to_path_buf() });
        }
        let manifest = read_manifest(&folder.join(MANIFEST))?;
        let set = map_images(&folder.join(IMAGES), manifest.shape, manifest.images)?;
        read_attributes(set, &folder.join(ATTRIBUTES), manifest.classes, &manifest.columns)
            .map(|set| set.with_provenance(manifest.provenance))
    }
}

fn write_images(set: &ImageSet, path: &Path) -> Result<()> {
    let Shape { channels, height, width } = set.shape();
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        write_npy_header(&mut file, &[set.len(), channels, height, width], "|u1")?;
        file.write_all(set.pixels())?;
        file.into_inner()?.sync_all()
    };
    write().map_err(Error::io("writing", path))
}

/// Writes the header of an array in C order; its values are to follow.
pub(crate) fn write_npy_header(writer: &mut impl Write, shape: &[usize], dtype: &str) -> std::io::Result<()> {
    let shape: Vec<u64> = shape.iter().map(|&size| size as u64).collect();
    let dtype: TypeStr = dtype.parse().expect("a type string of this crate");
    npyz::WriteOptions::new_header_only()
        .dtype(DType::Plain(dtype))
        .shape(&shape)
        .writer(writer)
        .write_header_only()
        .map(|_| ())
}

fn write_attributes(set: &ImageSet, path: &Path) -> Result<()> {
    let mut writer = csv::Writer::from_path(path).map_err(csv_error(path))?;
    let header = set.labels().map(|_| "label").into_iter().chain(set.columns().iter().map(|c| c.name.as_str()));
    let header: Vec<&str> = header.collect();
    if !header.is_empty() {
        writer.write_record(&header).map_err(csv_error(path))?;
        for index in 0..set.len() {
            if let Some(labels) = set.labels() {
                writer.write_field(labels.values[index].to_string()).map_err(csv_error(path))?;
            }
            for column in set.columns() {
                writer.write_field(&column.values[index]).map_err(csv_error(path))?;
            }
            writer.write_record(None::<&[u8]>).map_err(csv_error(path))?;
        }
    }
    writer.flush().map_err(Error::io("writing", path))
}

/// Turns an error of the CSV reader or writer into one that names the file.
pub(crate) fn csv_error(path: &Path) -> impl Fn(csv::Error) -> Error {
    let path = path.to_path_buf();
    move |error| {
        let found = error.to_string();
        match error.into_kind() {
            csv::ErrorKind::Io(source) => Error::Io { action: "access", path: path.clone(), source },
            _ => Error::invalid(&path, found, "one line per image with as many fields as the header was expected"),
        }
    }
}

fn read_manifest(path: &Path) -> Result<Manifest> {
    let text = fs::read_to_string(path).map_err(Error::io("reading", path))?;
    let manifest: Manifest = toml::from_str(&text).map_err(|error| {
        Error::invalid(path, error.to_string().trim_end().to_owned(), "the file is damaged: make the set again")
    })?;
    if manifest.format != FORMAT {
        return Err(Error::invalid(
            path,
            format!("the format is \"{}\"", manifest.format),
            format!("this version reads \"{FORMAT}\": import the original again"),
        ));
    }
    Ok(manifest)
}

pub(crate) fn map_images(path: &Path, shape: Shape, images: usize) -> Result<ImageSet> {
    let damaged = |found: String| Error::invalid(path, found, "the file is damaged: make the set again");
    let file = File::open(path).map_err(Error::io("opening", path))?;
    // SAFETY: the mapping is read-only; that the file stays as it is while the set is open is the documented condition.
    let map = unsafe { Mmap::map(&file) }.map_err(Error::io("mapping", path))?;
    let mut cursor = Cursor::new(&map[..]);
    let header = NpyHeader::from_reader(&mut cursor).map_err(|error| damaged(format!("no array header: {error}")))?;
    let expected = [images, shape.channels, shape.height, shape.width].map(|size| size as u64);
    let bytes = matches!(header.dtype(), DType::Plain(kind) if kind.to_string() == "|u1");
    if header.shape() != expected || header.order() != Order::C || !bytes {
        return Err(damaged(format!(
            "an array of {} with shape {:?} instead of |u1 with {expected:?}",
            header.dtype().descr(),
            header.shape()
        )));
    }
    let start = cursor.position() as usize;
    let values = images.checked_mul(shape.volume());
    if values != Some(map.len() - start) {
        return Err(damaged(format!("{} values for {images} images of {shape}", map.len() - start)));
    }
    ImageSet::mapped(shape, map, start)
}

fn read_attributes(mut set: ImageSet, path: &Path, classes: Option<Vec<String>>, names: &[String]) -> Result<ImageSet> {
    if classes.is_none() && names.is_empty() {
        return Ok(set);
    }
    let mut reader = csv::Reader::from_path(path).map_err(csv_error(path))?;
    let expected: Vec<&str> = classes.iter().map(|_| "label").chain(names.iter().map(String::as_str)).collect();
    let found = reader.headers().map_err(csv_error(path))?;
    if found != expected {
        return Err(Error::invalid(
            path,
            format!("the columns are {}", found.iter().collect::<Vec<_>>().join(", ")),
            format!("{MANIFEST} says {}: make the set again", expected.join(", ")),
        ));
    }
    let mut fields: Vec<Vec<String>> = vec![Vec::with_capacity(set.len()); expected.len()];
    for record in reader.records() {
        for (values, field) in fields.iter_mut().zip(&record.map_err(csv_error(path))?) {
            values.push(field.to_owned());
        }
    }
    let lines = fields.first().map_or(0, Vec::len);
    if lines != set.len() {
        return Err(Error::invalid(
            path,
            format!("{lines} lines for {} images", set.len()),
            "the file is damaged: make the set again",
        ));
    }
    let mut fields = fields.into_iter();
    if let Some(classes) = classes {
        let values = fields.next().unwrap_or_default();
        let values = values
            .iter()
            .enumerate()
            .map(|(index, value)| {
                value.parse().ok().filter(|&label: &u32| (label as usize) < classes.len()).ok_or_else(|| {
                    Error::invalid(
                        path,
                        format!("label \"{value}\" of image {index}"),
                        format!("a number below {}, the number of classes, was expected", classes.len()),
                    )
                })
            })
            .collect::<Result<_>>()?;
        set = set.with_labels(Labels { values, classes })?;
    }
    for (name, values) in names.iter().zip(fields) {
        set = set.with_column(Column { name: name.clone(), values })?;
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits;

    fn sample() -> ImageSet {
        let set = digits().select(&[5, 1, 9]);
        let values = vec!["a, \"quoted\"".into(), String::new(), "line\nbreak".into()];
        set.with_column(Column { name: "note".into(), values })
            .unwrap()
            .with_column(Column { name: "label".into(), values: vec!["x".into(); 3] })
            .unwrap()
    }

    #[test]
    fn a_saved_set_opens_equal() {
        let folder = tempfile::tempdir().unwrap();
        let set = sample();
        set.save(&folder.path().join("set")).unwrap();
        let opened = ImageSet::open(&folder.path().join("set")).unwrap();
        assert_eq!(opened.digest(), set.digest());
        assert_eq!(opened.labels(), set.labels());
        assert_eq!(opened.columns(), set.columns());
        assert_eq!(opened.provenance(), set.provenance());
    }

    #[test]
    fn equal_sets_give_equal_bytes() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            sample().save(&folder.path().join(name)).unwrap();
        }
        for file in [MANIFEST, IMAGES, ATTRIBUTES] {
            let [a, b] = ["a", "b"].map(|name| fs::read(folder.path().join(name).join(file)).unwrap());
            assert_eq!(a, b, "{file}");
        }
    }

    #[test]
    fn an_unlabelled_set_and_an_empty_one_survive() {
        let folder = tempfile::tempdir().unwrap();
        let set = digits().without_labels();
        set.save(&folder.path().join("plain")).unwrap();
        assert_eq!(ImageSet::open(&folder.path().join("plain")).unwrap().digest(), set.digest());
        let empty = digits().select(&[]);
        empty.save(&folder.path().join("empty")).unwrap();
        assert_eq!(ImageSet::open(&folder.path().join("empty")).unwrap().digest(), empty.digest());
    }

    #[test]
    fn saving_never_overwrites() {
        let folder = tempfile::tempdir().unwrap();
        sample().save(folder.path()).unwrap();
        assert!(sample().save(folder.path()).unwrap_err().to_string().contains("already"));
    }

    #[test]
    fn damage_is_named() {
        let open_after = |damage: &dyn Fn(&Path)| {
            let folder = tempfile::tempdir().unwrap();
            sample().save(folder.path()).unwrap();
            damage(folder.path());
            ImageSet::open(folder.path()).unwrap_err().to_string()
        };
        let truncated = open_after(&|folder| {
            let path = folder.join(IMAGES);
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        });
        assert!(truncated.contains("images.npy: 191 values for 3 images"), "{truncated}");
        let no_array = open_after(&|folder| fs::write(folder.join(IMAGES), "no array").unwrap());
        assert!(no_array.contains("no array header"), "{no_array}");
        let label = open_after(&|folder| {
            let path = folder.join(ATTRIBUTES);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replacen("\n5,", "\n50,", 1)).unwrap();
        });
        assert!(label.contains("label \"50\" of image 0"), "{label}");
        let shorter = open_after(&|folder| fs::write(folder.join(ATTRIBUTES), "label,note,label\n1,a,b\n").unwrap());
        assert!(shorter.contains("1 lines for 3 images"), "{shorter}");
        let version = open_after(&|folder| {
            let path = folder.join(MANIFEST);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replace(FORMAT, "standin image set 9")).unwrap();
        });
        assert!(version.contains("standin image set 9"), "{version}");
        let missing = open_after(&|folder| fs::remove_file(folder.join(MANIFEST)).unwrap());
        assert!(missing.contains("set.toml: reading failed"), "{missing}");
    }
}
