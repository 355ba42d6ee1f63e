mod read;
mod write;

use standin_data::{Error, Result};

use crate::Grid;

/// A three-dimensional image on a grid.
///
/// Voxel (i, j, k) is number i + nx·(j + ny·k), the order of NIfTI files: the first axis is contiguous.
#[derive(Clone, Debug)]
pub struct Volume<T> {
    grid: Grid,
    voxels: Vec<T>,
}

/// A volume of measured values, in whatever unit the scanner has.
pub type IntensityVolume = Volume<f32>;

/// A volume of labels; 0 is background.
pub type LabelVolume = Volume<u32>;

impl<T> Volume<T> {
    /// A volume of `voxels` on `grid`, such as a prediction on the grid of its image.
    ///
    /// # Errors
    /// If there is not exactly one voxel for each point of the grid.
    pub fn new(grid: Grid, voxels: Vec<T>) -> Result<Self> {
        if voxels.len() != grid.voxel_count() {
            return Err(Error::inconsistent(
                format!("{} voxels for a grid of shape {:?}", voxels.len(), grid.shape()),
                format!("give {}, the first axis contiguous", grid.voxel_count()),
            ));
        }
        Ok(Self { grid, voxels })
    }

    /// Where the voxels lie.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The voxels, the first axis contiguous.
    pub fn voxels(&self) -> &[T] {
        &self.voxels
    }

    /// The voxels alone, the first axis contiguous.
    pub fn into_voxels(self) -> Vec<T> {
        self.voxels
    }
}
