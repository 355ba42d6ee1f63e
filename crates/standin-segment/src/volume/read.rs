use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use nifti::header::MAGIC_CODE_NIP1;
use nifti::{InMemNiftiVolume, NiftiError, NiftiHeader, NiftiType};
use standin_data::{Error, Result};

use super::{IntensityVolume, LabelVolume};
use crate::Grid;

/// Bytes of a NIfTI-1 header.
const HEADER_LENGTH: u64 = 348;
/// Where the voxels of a single file begin at the earliest: after the header and the four bytes that announce
/// extensions.
const EARLIEST_VOXEL: u64 = 352;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

impl IntensityVolume {
    /// Reads a single-file NIfTI-1 volume, plain or compressed with gzip, of any real voxel type. The file's slope and
    /// intercept are applied; values are rounded to f32.
    ///
    /// # Errors
    /// If the file cannot be read, is no such volume, is not three-dimensional (trailing axes of one voxel aside), or
    /// its header contradicts itself.
    pub fn read(path: &Path) -> Result<Self> {
        let (grid, stored) = Stored::read(path)?;
        let voxels = stored.voxels(path, |_, value| Ok(value as f32))?;
        Self::new(grid, voxels)
    }
}

impl LabelVolume {
    /// Reads a single-file NIfTI-1 volume, plain or compressed with gzip, whose values are labels: whole numbers from 0
    /// to 4 294 967 295, in any voxel type, after the file's slope and intercept are applied.
    ///
    /// # Errors
    /// Where [`IntensityVolume::read`] has one, and if a voxel is no label.
    pub fn read(path: &Path) -> Result<Self> {
        let (grid, stored) = Stored::read(path)?;
        let shape = grid.shape();
        let voxels = stored.voxels(path, |index, value| {
            // The conversion saturates, so that whatever is no label differs from its own conversion.
            let label = value as u32;
            if f64::from(label) == value {
                return Ok(label);
            }
            let place = [index % shape[0], index / shape[0] % shape[1], index / (shape[0] * shape[1])];
            Err(Error::invalid(
                path,
                format!("voxel {place:?} is {value}, and labels are whole numbers from 0"),
                "give a label volume; if these are probabilities, threshold them first",
            ))
        })?;
        Self::new(grid, voxels)
    }
}

/// Voxels as the file stores them.
struct Stored {
    volume: InMemNiftiVolume,
    datatype: NiftiType,
    slope: f64,
    intercept: f64,
}

impl Stored {
    /// The grid and the stored voxels of a file.
    fn read(path: &Path) -> Result<(Grid, Self)> {
        let file = File::open(path).map_err(Error::io("reading", path))?;
        let mut file = BufReader::new(file);
        // By content and not by name: compressed files are often named `.nii`, and the reverse.
        if file.fill_buf().map_err(Error::io("reading", path))?.starts_with(&GZIP_MAGIC) {
            Self::parse(BufReader::new(MultiGzDecoder::new(file)), path)
        } else {
            Self::parse(file, path)
        }
    }

    fn parse(mut source: impl Read, path: &Path) -> Result<(Grid, Self)> {
        let damaged = |error| explain(error, path);
        let header = NiftiHeader::from_reader(&mut source).map_err(damaged)?;
        if &header.magic != MAGIC_CODE_NIP1 {
            let remedy = "expected header and voxels in a single .nii or .nii.gz; convert the pair";
            return Err(Error::invalid(path, "is the header of a pair of files", remedy));
        }
        let grid = Grid::of_header(&header, path)?;
        let datatype = header.data_type().map_err(damaged)?;
        if usize::try_from(header.bitpix).ok() != Some(datatype.size_of() * 8) {
            let found = format!("states {} bits for a voxel of type {datatype:?}", header.bitpix);
            return Err(Error::invalid(path, found, "the header is damaged; export the file again"));
        }
        // Extensions lie in between. They are skipped unread: they hold what scanners and hospitals note about patients.
        let begin = (header.vox_offset as u64).max(EARLIEST_VOXEL) - HEADER_LENGTH;
        io::copy(&mut source.by_ref().take(begin), &mut io::sink()).map_err(Error::io("reading", path))?;
        let volume = InMemNiftiVolume::from_reader(&mut source, &header).map_err(damaged)?;
        // To the end, where gzip keeps its checksum.
        io::copy(&mut source, &mut io::sink()).map_err(Error::io("reading", path))?;

        let (slope, intercept) = (f64::from(header.scl_slope), f64::from(header.scl_inter));
        // A slope of 0 says that values are stored as they are (nifti1.h); some writers put NaN there instead.
        let scaled = slope != 0.0 && slope.is_finite() && intercept.is_finite();
        let (slope, intercept) = if scaled { (slope, intercept) } else { (1.0, 0.0) };
        Ok((grid, Self { volume, datatype, slope, intercept }))
    }

    /// Each voxel's value, given with its number to `voxel`.
    fn voxels<T>(self, path: &Path, mut voxel: impl FnMut(usize, f64) -> Result<T>) -> Result<Vec<T>> {
        let Self { volume, datatype, slope, intercept } = self;
        macro_rules! voxels_of {
            ($stored:ty) => {
                volume
                    .into_nifti_typed_data::<$stored>()
                    .map_err(|error| explain(error, path))?
                    .into_iter()
                    .enumerate()
                    .map(|(index, stored)| voxel(index, stored as f64 * slope + intercept))
                    .collect()
            };
        }
        match datatype {
            NiftiType::Uint8 => voxels_of!(u8),
            NiftiType::Int8 => voxels_of!(i8),
            NiftiType::Uint16 => voxels_of!(u16),
            NiftiType::Int16 => voxels_of!(i16),
            NiftiType::Uint32 => voxels_of!(u32),
            NiftiType::Int32 => voxels_of!(i32),
            NiftiType::Uint64 => voxels_of!(u64),
            NiftiType::Int64 => voxels_of!(i64),
            NiftiType::Float32 => voxels_of!(f32),
            NiftiType::Float64 => voxels_of!(f64),
            _ => Err(Error::invalid(
                path,
                format!("has voxels of type {datatype:?}"),
                "expected integers of up to 64 bits, or floats of 32 or 64; convert it",
            )),
        }
    }
}

/// What `error` means for someone who has the file at `path`.
fn explain(error: NiftiError, path: &Path) -> Error {
    let remedy = match error {
        NiftiError::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
            let remedy = "expected a NIfTI-1 volume, .nii or .nii.gz; copy or export it again";
            return Error::invalid(path, "ends before its header does", remedy);
        }
        NiftiError::Io(source) => return Error::io("reading", path)(source),
        NiftiError::InvalidFormat => {
            "expected a single-file NIfTI-1 volume, .nii or .nii.gz; convert NIfTI-2, Analyze and DICOM first"
        }
        NiftiError::IncompatibleLength(..) => "the file ends early; copy or export it again",
        _ => "the file is damaged; export it again",
    };
    Error::invalid(path, error.to_string(), remedy)
}
