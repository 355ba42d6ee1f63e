use std::fs;
use std::path::Path;

use ndarray::{ArrayView3, ShapeBuilder};
use nifti::NiftiHeader;
use nifti::writer::WriterOptions;
use standin_data::{Error, Result};

use super::{IntensityVolume, LabelVolume};
use crate::Grid;

/// `NIFTI_INTENT_LABEL`: viewers then interpolate by the nearest voxel.
const INTENT_LABEL: i16 = 1002;
/// Bytes before the first voxel.
const VOXEL_OFFSET: u64 = 352;

impl IntensityVolume {
    /// Writes the volume as NIfTI-1 with 32-bit floats, compressed with gzip if `path` ends in `.nii.gz`. An existing
    /// file is replaced, at once and only when the new one is complete.
    ///
    /// The grid is written bit by bit as it was read. Nothing else of a file it was read from is: descriptions and
    /// extensions are where names and dates of patients travel.
    ///
    /// # Errors
    /// If `path` ends in neither `.nii` nor `.nii.gz`, or cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_file(path, self.grid.header(), size_of_val(self.voxels()), |options| {
            options.write_nifti(&array(&self.grid, &self.voxels))
        })
    }
}

impl LabelVolume {
    /// Writes the volume as NIfTI-1 with the shortest unsigned integers (8, 16 or 32 bits) that hold its labels, marked
    /// as labels; for the rest as [`IntensityVolume::write`].
    ///
    /// # Errors
    /// If `path` ends in neither `.nii` nor `.nii.gz`, or cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let header = NiftiHeader { intent_code: INTENT_LABEL, ..self.grid.header().clone() };
        let largest = self.voxels.iter().copied().max().unwrap_or(0);
        if let Ok(labels) = self.narrowed::<u8>(largest) {
            write_file(path, &header, labels.len(), |options| options.write_nifti(&array(&self.grid, &labels)))
        } else if let Ok(labels) = self.narrowed::<u16>(largest) {
            write_file(path, &header, 2 * labels.len(), |options| options.write_nifti(&array(&self.grid, &labels)))
        } else {
            write_file(path, &header, size_of_val(self.voxels()), |options| {
                options.write_nifti(&array(&self.grid, &self.voxels))
            })
        }
    }

    /// The labels in fewer bits, if `largest` of them fits.
    fn narrowed<T: TryFrom<u32>>(&self, largest: u32) -> Result<Vec<T>, T::Error> {
        T::try_from(largest)?;
        self.voxels.iter().map(|&label| T::try_from(label)).collect()
    }
}

fn array<'a, T>(grid: &Grid, voxels: &'a [T]) -> ArrayView3<'a, T> {
    ArrayView3::from_shape(grid.shape().f(), voxels).expect("a volume has one voxel for each point of its grid")
}

/// Lets `write` make a file with the geometry of `header` and puts it at `path`.
fn write_file(
    path: &Path,
    header: &NiftiHeader,
    voxel_bytes: usize,
    write: impl FnOnce(&WriterOptions<'_>) -> nifti::Result<()>,
) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let complete = if name.ends_with(".nii.gz") {
        "volume.nii.gz"
    } else if name.ends_with(".nii") {
        "volume.nii"
    } else {
        return Err(Error::invalid(path, "has no ending of a NIfTI file", "name it .nii or .nii.gz"));
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unfinished = tempfile::Builder::new()
        .prefix(".standin-")
        .tempdir_in(folder)
        .map_err(Error::io("making a folder for the unfinished file", folder))?;
    // Under a name of our own, because the writer takes what follows a dot in the stem for an ending and drops it.
    let written = unfinished.path().join(complete);
    write(&WriterOptions::new(&written).reference_header(header)).map_err(|error| match error {
        nifti::NiftiError::Io(source) => Error::io("writing", path)(source),
        other => Error::invalid(path, other.to_string(), "the volume does not fit the format"),
    })?;
    // The writer drops its buffer without asking whether the last bytes reached an uncompressed file.
    let length = fs::metadata(&written).map_err(Error::io("writing", path))?.len();
    if complete == "volume.nii" && length != VOXEL_OFFSET + voxel_bytes as u64 {
        return Err(Error::invalid(path, "could not be written to its end", "see whether the disk is full"));
    }
    fs::rename(&written, path).map_err(Error::io("writing", path))
}
