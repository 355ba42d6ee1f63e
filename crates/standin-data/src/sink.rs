use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::saved::{map_images, write_npy_header};
use crate::{Error, ImageSet, Result, Shape};

/// Bytes of the header of the array in the own form. It depends on the shape only by numbers that fit in its padding, so
/// pixels can be written before their number is known.
const HEADER: usize = 128;

/// Where pixels go, image by image, while a set is read: one growing buffer, or a file in the own form's layout.
pub(crate) enum Sink {
    /// Memory: one buffer, reserved at once where the number of images is known.
    Memory(Vec<u8>),
    /// Disk: a header's place, then pixels through a small buffer.
    Disk {
        /// The file, in a folder of its own.
        path: PathBuf,
        /// Its writer.
        file: BufWriter<File>,
    },
}

impl Sink {
    /// A buffer for about `images` images of `shape`; more may come.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn memory(images: usize, shape: Shape) -> Result<Self> {
        let bytes = images.saturating_mul(shape.volume());
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(bytes).map_err(|_| {
            Error::inconsistent(
                format!("{images} images of {shape} need {:.1} GiB of memory", bytes as f64 / (1_u64 << 30) as f64),
                "bring them into the own form on disk, which needs little: standin data import SET --out FOLDER",
            )
        })?;
        Ok(Self::Memory(buffer))
    }

    /// A file in a new folder below `scratch`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn disk(scratch: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("part-")
            .tempdir_in(scratch)
            .map_err(Error::io("making a temporary folder in", scratch))?
            .keep();
        let path = folder.join("images.npy");
        let file = File::create(&path).map_err(Error::io("making", &path))?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(&[0; HEADER]).map_err(Error::io("writing", &path))?;
        Ok(Self::Disk { path, file })
    }

    /// Adds values behind those that are there.
    ///
    /// # Errors
    /// If the disk refuses them.
    pub fn append(&mut self, values: &[u8]) -> Result<()> {
        match self {
            Self::Memory(buffer) => {
                buffer.extend_from_slice(values);
                Ok(())
            }
            Self::Disk { path, file } => file.write_all(values).map_err(Error::io("writing", path)),
        }
    }

    /// The set of `images` images of `shape` that was written; from disk it is mapped.
    ///
    /// # Errors
    /// If the disk refuses, or the values written are not `images × shape`.
    pub fn finish(self, shape: Shape, images: usize) -> Result<ImageSet> {
        match self {
            Self::Memory(mut buffer) => {
                buffer.shrink_to_fit();
                ImageSet::new(shape, buffer)
            }
            Self::Disk { path, mut file } => {
                let mut header = Vec::with_capacity(HEADER);
                let mut complete = || -> std::io::Result<()> {
                    write_npy_header(&mut header, &[images, shape.channels, shape.height, shape.width], "|u1")?;
                    if header.len() != HEADER {
                        return Err(std::io::Error::other(format!("the header takes {} bytes", header.len())));
                    }
                    file.flush()?;
                    let mut file = file.get_ref();
                    file.seek(SeekFrom::Start(0))?;
                    file.write_all(&header)?;
                    file.sync_all()
                };
                complete().map_err(Error::io("writing", &path))?;
                map_images(&path, shape, images).map(|set| set.kept_in(path))
            }
        }
    }
}

/// Moves the file of a set written by [`Sink::disk`] to `path`, on the same file system. False if the set is no such.
///
/// # Errors
/// If the disk refuses.
pub(crate) fn move_pixels(set: &ImageSet, path: &Path) -> Result<bool> {
    let Some(kept) = set.scratch_file() else { return Ok(false) };
    fs::rename(kept, path).map_err(Error::io("moving the pixels to", path))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits;

    #[test]
    fn pixels_written_one_by_one_are_the_own_form_to_the_byte() {
        let folder = tempfile::tempdir().unwrap();
        let digits = digits();
        for images in [1, 9, 1000, digits.len()] {
            let whole = digits.select(&(0..images).collect::<Vec<_>>());
            let saved = folder.path().join(format!("saved-{images}"));
            whole.save(&saved).unwrap();
            let mut sink = Sink::disk(folder.path()).unwrap();
            for index in 0..images {
                sink.append(digits.image(index)).unwrap();
            }
            let set = sink.finish(digits.shape(), images).unwrap();
            assert_eq!(set.pixels(), whole.pixels());
            let file = fs::read(set.scratch_file().unwrap()).unwrap();
            assert!(file == fs::read(saved.join("images.npy")).unwrap(), "{images}");
        }
    }

    #[test]
    fn too_few_values_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let shape = Shape { channels: 1, height: 2, width: 2 };
        let mut sink = Sink::disk(folder.path()).unwrap();
        sink.append(&[0; 7]).unwrap();
        assert!(sink.finish(shape, 2).unwrap_err().to_string().contains("7 values for 2 images"));
    }

    #[test]
    fn more_than_the_memory_there_is_names_the_way_by_disk() {
        let shape = Shape { channels: 3, height: 1 << 14, width: 1 << 14 };
        let message = Sink::memory(usize::MAX / 2, shape).err().unwrap().to_string();
        assert!(message.contains("standin data import"), "{message}");
    }
}
