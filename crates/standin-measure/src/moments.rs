use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use npyz::npz::{NpzArchive, file_name_from_array_name};
use npyz::zip::{CompressionMethod, DateTime, ZipWriter, write::FileOptions};
use npyz::{NpyFile, WriterBuilder};
use standin_encode::{Embedding, Stamp};

use crate::error::{require_euclidean, require_rows};
use crate::frechet::covariance;
use crate::linear::mean;
use crate::{Error, Result};

/// Mean and covariance of a set's features: all that [`crate::frechet_distance_to`] needs of a reference set, so that
/// private images are needed once.
///
/// Moments are aggregates, but nothing protects them: with fewer images than features, or for a feature that only few
/// images have, they tell of single images.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    mean: Vec<f64>,
    covariance: Vec<f64>,
    images: Option<usize>,
    stamp: Stamp,
}

impl Moments {
    /// The moments of a set, covariance with n−1. Time O(n·d²) in double precision, memory O(d²).
    ///
    /// # Errors
    /// If there are fewer than 2 images or their features do not compare by Euclidean distance.
    pub fn of(set: &Embedding) -> Result<Self> {
        require_euclidean("mean and covariance", set)?;
        require_rows("a covariance", set.rows(), 2)?;
        let mean = mean(set);
        let covariance = covariance(set, &mean);
        let d = mean.len();
        let covariance = (0..d).flat_map(|i| (0..d).map(move |j| (i, j))).map(|at| covariance[at]).collect();
        Ok(Self { mean, covariance, images: Some(set.rows()), stamp: set.stamp().clone() })
    }

    /// Mean of every feature.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Covariance, `d × d`, row-major and symmetric.
    pub fn covariance(&self) -> &[f64] {
        &self.covariance
    }

    /// Number of images behind the moments, if the file said it.
    pub fn images(&self) -> Option<usize> {
        self.images
    }

    /// How the features were made.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// Checks that a set's features are of the same protocol.
    ///
    /// # Errors
    /// If stamps or dimensions differ; the error shows both.
    pub fn require_same_protocol(&self, set: &Embedding) -> Result<()> {
        if self.stamp == *set.stamp() && self.mean.len() == set.dimension() {
            return Ok(());
        }
        Err(Error::Encode(standin_encode::Error::Protocol {
            left: format!("reference statistics of {} × {}", self.stamp, self.mean.len()),
            right: format!("{} × {}", set.stamp(), set.dimension()),
        }))
    }

    /// Writes an `.npz` file that NumPy, pytorch-fid and torch-fidelity read too:
    ///
    /// | array | content |
    /// |---|---|
    /// | `mu` | float64, `d`: the mean |
    /// | `sigma` | float64, `d × d`: the covariance |
    /// | `n` | uint64, no dimension: the number of images, where it is known |
    /// | `stamp` | uint8: the protocol stamp as JSON in UTF-8 |
    ///
    /// Equal moments give equal bytes.
    ///
    /// # Errors
    /// If the file exists or cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let write = || -> std::io::Result<()> {
            let mut zip = ZipWriter::new(BufWriter::new(File::create_new(path)?));
            let d = self.mean.len() as u64;
            array(&mut zip, "mu", &[d], &self.mean)?;
            array(&mut zip, "sigma", &[d, d], &self.covariance)?;
            if let Some(images) = self.images {
                array(&mut zip, "n", &[], &[images as u64])?;
            }
            let stamp = serde_json::to_vec(&self.stamp)?;
            array(&mut zip, "stamp", &[stamp.len() as u64], &stamp)?;
            zip.finish()?.into_inner()?.sync_all()
        };
        Ok(write().map_err(standin_data::Error::io("writing", path))?)
    }

    /// Whether a file is an archive with the arrays `mu` and `sigma`.
    pub fn recognises(path: &Path) -> bool {
        let Ok(file) = File::open(path) else { return false };
        let names = NpzArchive::new(BufReader::new(file))
            .map(|archive| archive.array_names().filter(|name| ["mu", "sigma"].contains(name)).count());
        names.is_ok_and(|found| found == 2)
    }

    /// Reads what [`Moments::save`] wrote, or the `mu` and `sigma` of pytorch-fid and torch-fidelity, float32 or float64.
    ///
    /// Such foreign files do not say how their features were made: `stamp` is what the caller knows of it. For a file
    /// with a stamp of its own it may be left out, and must be the same if it is not.
    ///
    /// # Errors
    /// If the file cannot be read, an array is missing, misshapen or not finite, `sigma` is no covariance, or there is no
    /// stamp or two that differ.
    pub fn load(path: &Path, stamp: Option<&Stamp>) -> Result<Self> {
        let foreign = "write it with `Moments::save`, or as pytorch-fid and torch-fidelity do: mu and sigma";
        let invalid = |found: String| Error::Data(standin_data::Error::invalid(path, found, foreign));
        let open = |source| Error::Data(standin_data::Error::io("reading", path)(source));
        let file = BufReader::new(File::open(path).map_err(open)?);
        let mut archive = NpzArchive::new(file).map_err(open)?;
        let (shape, mean) =
            numbers(&mut archive, "mu").map_err(open)?.ok_or_else(|| invalid("there is no array `mu`".into()))?;
        let d = mean.len();
        if shape.len() != 1 || d == 0 {
            return Err(invalid(format!("`mu` has the shape {shape:?}, not (features,)")));
        }
        let (shape, covariance) =
            numbers(&mut archive, "sigma").map_err(open)?.ok_or_else(|| invalid("there is no array `sigma`".into()))?;
        if shape != [d as u64, d as u64] {
            return Err(invalid(format!("`sigma` has the shape {shape:?}, but `mu` has {d} features")));
        }
        if let Some(value) = mean.iter().chain(&covariance).find(|value| !value.is_finite()) {
            return Err(invalid(format!("it holds the value {value}")));
        }
        require_covariance(&covariance, d).map_err(invalid)?;
        let images = numbers(&mut archive, "n").map_err(open)?.map(|(_, values)| values);
        let images = match images.as_deref() {
            None => None,
            Some(&[n]) if n >= 2.0 && n.fract() == 0.0 => Some(n as usize),
            Some(values) => return Err(invalid(format!("`n` is {values:?}, not one number of images"))),
        };
        let own = bytes(&mut archive, "stamp").map_err(open)?;
        let own: Option<Stamp> = own
            .map(|json| {
                serde_json::from_slice(&json).map_err(|error| invalid(format!("`stamp` cannot be read: {error}")))
            })
            .transpose()?;
        let stamp = match (own, stamp) {
            (Some(own), None) => own,
            (Some(own), Some(given)) if own == *given => own,
            (None, Some(given)) => given.clone(),
            (Some(own), Some(given)) => {
                return Err(Error::Encode(standin_encode::Error::Protocol {
                    left: format!("{}: {own}", path.display()),
                    right: given.to_string(),
                }));
            }
            (None, None) => {
                let found = "it does not say which encoder made the features";
                let remedy = "name the encoder whose features these are";
                return Err(Error::Data(standin_data::Error::invalid(path, found, remedy)));
            }
        };
        Ok(Self { mean, covariance, images, stamp })
    }
}

/// What is wrong with a matrix that should be symmetric with no negative variance.
fn require_covariance(covariance: &[f64], d: usize) -> Result<(), String> {
    for i in 0..d {
        let variance = covariance[i * d + i];
        if variance < 0.0 {
            return Err(format!("`sigma` says that feature {i} has the variance {variance}"));
        }
        for j in 0..i {
            let (lower, upper) = (covariance[i * d + j], covariance[j * d + i]);
            let size = (variance * covariance[j * d + j]).sqrt();
            if (lower - upper).abs() > 1e-4 * size {
                return Err(format!("`sigma` is not symmetric: {lower} at ({i}, {j}) and {upper} at ({j}, {i})"));
            }
        }
    }
    Ok(())
}

fn array<T: npyz::AutoSerialize + npyz::Serialize + Copy, W: Write + Seek>(
    zip: &mut ZipWriter<W>,
    name: &str,
    shape: &[u64],
    values: &[T],
) -> std::io::Result<()> {
    let options = FileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .large_file(size_of_val(values) as u64 >= u64::from(u32::MAX) / 2);
    zip.start_file(file_name_from_array_name(name), options)?;
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(shape).writer(zip).begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()
}

/// Shape and values of an array of numbers, if there is one of that name.
fn numbers<R: Read + Seek>(archive: &mut NpzArchive<R>, name: &str) -> std::io::Result<Option<(Vec<u64>, Vec<f64>)>> {
    let Some(file) = archive.by_name(name)? else { return Ok(None) };
    let shape = file.shape().to_vec();
    let file = match file.try_data::<f64>() {
        Ok(values) => return Ok(Some((shape, gather(values)?))),
        Err(file) => file,
    };
    let file = match file.try_data::<f32>() {
        Ok(values) => return Ok(Some((shape, gather(values.map(|value| value.map(f64::from)))?))),
        Err(file) => file,
    };
    let file = match file.try_data::<u64>() {
        Ok(values) => return Ok(Some((shape, gather(values.map(|value| value.map(|value| value as f64)))?))),
        Err(file) => file,
    };
    match file.try_data::<i64>() {
        Ok(values) => Ok(Some((shape, gather(values.map(|value| value.map(|value| value as f64)))?))),
        Err(file) => Err(unexpected(name, &file)),
    }
}

fn bytes<R: Read + Seek>(archive: &mut NpzArchive<R>, name: &str) -> std::io::Result<Option<Vec<u8>>> {
    let Some(file) = archive.by_name(name)? else { return Ok(None) };
    match file.try_data::<u8>() {
        Ok(values) => gather(values).map(Some),
        Err(file) => Err(unexpected(name, &file)),
    }
}

/// One by one: a header may claim more values than memory holds, the file has no more than its bytes.
fn gather<T>(values: impl Iterator<Item = std::io::Result<T>>) -> std::io::Result<Vec<T>> {
    let mut gathered = Vec::new();
    for value in values {
        gathered.push(value?);
    }
    Ok(gathered)
}

fn unexpected<R: Read>(name: &str, file: &NpyFile<R>) -> std::io::Error {
    let text = format!("`{name}` is of the type {}; it must be float64 (uint8 for `stamp`)", file.dtype().descr());
    std::io::Error::new(std::io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gaussian;
    use crate::{frechet_distance, frechet_distance_to};

    #[test]
    fn a_saved_reference_gives_the_distance_of_its_images() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reference.npz");
        let (real, synthetic) = (gaussian(90, 12, 1.0, 0.0, 1), gaussian(80, 12, 1.2, 0.3, 2));
        let moments = Moments::of(&real).unwrap();
        moments.save(&path).unwrap();
        let loaded = Moments::load(&path, None).unwrap();
        assert_eq!(loaded, moments);
        assert_eq!(loaded.images(), Some(90));
        let (to, between) =
            (frechet_distance_to(&loaded, &synthetic).unwrap(), frechet_distance(&synthetic, &real).unwrap());
        assert!((to.value - between.value).abs() < 1e-10, "{to} {between}");
        assert!(to.high < between.high && to.method.contains("exact"), "{to:?} {between}");
        assert!(moments.save(&path).unwrap_err().to_string().contains("reference.npz"));
    }

    #[test]
    fn fewer_images_than_features_are_no_obstacle() {
        let (real, synthetic) = (gaussian(8, 20, 1.0, 0.0, 3), gaussian(9, 20, 1.0, 0.0, 4));
        let to = frechet_distance_to(&Moments::of(&real).unwrap(), &synthetic).unwrap();
        assert!((to.value - frechet_distance(&synthetic, &real).unwrap().value).abs() < 1e-6, "{to}");
    }

    #[test]
    fn the_files_of_other_tools_need_a_stamp() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pytorch_fid.npz");
        let without = Moments::load(&path, None).unwrap_err().to_string();
        assert!(without.contains("name the encoder"), "{without}");
        let stamp = Stamp::new("test", "");
        let moments = Moments::load(&path, Some(&stamp)).unwrap();
        assert_eq!((moments.images(), moments.mean().len(), moments.stamp()), (None, 6, &stamp));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = Stamp::new("test", "");
        let write = |name: &str, mean: &[f64], covariance: &[f64], shape: [u64; 2]| {
            let path = folder.path().join(name);
            let mut zip = ZipWriter::new(File::create(&path).unwrap());
            array(&mut zip, "mu", &[mean.len() as u64], mean).unwrap();
            array(&mut zip, "sigma", &shape, covariance).unwrap();
            zip.finish().unwrap();
            Moments::load(&path, Some(&stamp)).unwrap_err().to_string()
        };
        for (name, mean, covariance, shape, complaint) in [
            ("a.npz", &[0.0, f64::NAN][..], &[1.0, 0.0, 0.0, 1.0][..], [2, 2], "NaN"),
            ("b.npz", &[0.0, 0.0], &[1.0, 0.0, 0.5, 1.0], [2, 2], "not symmetric"),
            ("c.npz", &[0.0, 0.0], &[1.0, 0.0, 0.0, -1.0], [2, 2], "variance -1"),
            ("d.npz", &[0.0, 0.0], &[1.0, 0.0, 0.0, 1.0], [1, 4], "[1, 4]"),
        ] {
            let error = write(name, mean, covariance, shape);
            assert!(error.contains(complaint) && error.contains(name), "{error}");
        }
        let (other, path) = (Stamp::new("other", ""), folder.path().join("e.npz"));
        Moments::of(&gaussian(30, 2, 1.0, 0.0, 5)).unwrap().save(&path).unwrap();
        let error = Moments::load(&path, Some(&other)).unwrap_err().to_string();
        assert!(error.contains("other") && error.contains("test"), "{error}");
        std::fs::write(&path, "no archive").unwrap();
        assert!(Moments::load(&path, None).unwrap_err().to_string().contains("e.npz"));
        assert!(
            frechet_distance_to(&Moments::of(&gaussian(30, 2, 1.0, 0.0, 5)).unwrap(), &gaussian(30, 3, 1.0, 0.0, 5))
                .is_err()
        );
    }
}
