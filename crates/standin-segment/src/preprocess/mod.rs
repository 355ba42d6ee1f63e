//! What is done to a volume before a network sees it, and how to come back from there: turn to right–anterior–superior,
//! resample, crop to the body, normalise intensities.

mod body;
mod intensity;
mod orientation;
mod resample;

use std::path::Path;

use serde::{Deserialize, Serialize};
use standin_data::{Error as DataError, Progress};

pub use intensity::Intensity;
pub(crate) use orientation::Orientation;
pub(crate) use resample::linear;

use crate::{Error, Grid, IntensityVolume, LabelVolume, Result};

/// Spacings that differ by less are one: resampling would blur for nothing.
const SPACING_TOLERANCE: f64 = 0.02;

/// What is done to every volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Preprocessing {
    /// Distance of voxels along right–left, front–back and up–down in millimetres that volumes are resampled to; none to
    /// leave them as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing: Option<[f64; 3]>,
    /// Whether air around the body is cut off: nothing in it is learnt from, and nothing is found there.
    pub crop_to_body: bool,
    /// How intensities are normalised.
    pub intensity: Intensity,
}

impl Default for Preprocessing {
    fn default() -> Self {
        Self { spacing: None, crop_to_body: true, intensity: Intensity::ZScore }
    }
}

impl Preprocessing {
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(spacing) = self.spacing.filter(|spacing| !spacing.iter().all(|&mm| mm.is_finite() && mm > 0.0)) {
            let expected = "give three distances above 0 in millimetres, or leave it out";
            return Err(Error::setting("preprocessing.spacing", format!("{spacing:?}"), expected));
        }
        self.intensity.check()
    }

    /// A volume as the network sees it.
    ///
    /// # Errors
    /// If a voxel is not a finite number, or slices are missing.
    pub fn prepare(&self, volume: &IntensityVolume, path: &Path) -> Result<Prepared> {
        check_voxels(volume, path)?;
        let grid = volume.grid();
        let orientation = Orientation::of(grid);
        let (voxels, turned) = orientation.turned(volume.voxels(), grid.shape());
        let spacing = orientation.order().map(|axis| grid.spacing()[axis]);
        let resampled = self.resampled(turned, spacing);
        let voxels = resample::resample(&voxels, turned, resampled);
        let body = if self.crop_to_body { body::body(&voxels, resampled) } else { [[0; 3], resampled] };
        let mut voxels = body::cropped(&voxels, resampled, body);
        self.intensity.normalise(&mut voxels);
        let padding = voxels.iter().copied().fold(f32::INFINITY, f32::min);
        let spacing = std::array::from_fn(|axis| spacing[axis] * turned[axis] as f64 / resampled[axis] as f64);
        let shape = std::array::from_fn(|axis| body[1][axis] - body[0][axis]);
        let placement = Placement { orientation, turned, resampled, begin: body[0] };
        Ok(Prepared { voxels, shape, spacing, padding, placement })
    }

    /// The classes of a label volume at the voxels of the prepared image of the same grid: indices into `labels`. Also how
    /// many labelled voxels lie outside of the body and so are lost.
    ///
    /// # Errors
    /// If a label is not among `labels`.
    pub fn prepare_labels(
        &self,
        volume: &LabelVolume,
        path: &Path,
        labels: &[u32],
        image: &Prepared,
    ) -> Result<(Vec<u8>, usize)> {
        let mut classes = Vec::with_capacity(volume.voxels().len());
        for &label in volume.voxels() {
            let class = labels.iter().position(|&known| known == label).ok_or_else(|| {
                let known = labels.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
                let remedy =
                    "a network knows the labels of the volumes it is trained on; give those that have all of them";
                DataError::invalid(path, format!("has label {label}, which is not among {known}"), remedy)
            })?;
            classes.push(class as u8);
        }
        let Placement { orientation, turned, resampled, begin } = image.placement;
        let (classes, _) = orientation.turned(&classes, volume.grid().shape());
        let classes = resample::nearest(&classes, turned, resampled);
        let end = std::array::from_fn(|axis| begin[axis] + image.shape[axis]);
        let inside = body::cropped(&classes, resampled, [begin, end]);
        let foreground = |classes: &[u8]| classes.iter().filter(|&&class| class > 0).count();
        let lost = foreground(&classes) - foreground(&inside);
        Ok((inside, lost))
    }

    /// The shape after resampling.
    fn resampled(&self, shape: [usize; 3], spacing: [f64; 3]) -> [usize; 3] {
        let Some(wanted) = self.spacing else { return shape };
        std::array::from_fn(|axis| {
            let ratio = spacing[axis] / wanted[axis];
            if (ratio - 1.0).abs() < SPACING_TOLERANCE {
                shape[axis]
            } else {
                ((shape[axis] as f64 * ratio).round() as usize).max(1)
            }
        })
    }
}

/// A volume as a network sees it: right, anterior and superior along its axes, the first contiguous.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Normalised intensities.
    pub voxels: Vec<f32>,
    /// Voxels along each axis.
    pub shape: [usize; 3],
    /// Their distance in millimetres.
    pub spacing: [f64; 3],
    /// What lies beyond the rim: the least intensity.
    pub padding: f32,
    pub(crate) placement: Placement,
}

/// Where a prepared volume lies in the one it was made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    pub(crate) orientation: Orientation,
    /// Shape of the whole volume, turned.
    pub(crate) turned: [usize; 3],
    /// And resampled.
    pub(crate) resampled: [usize; 3],
    /// Where the body begins.
    pub(crate) begin: [usize; 3],
}

/// Refuses volumes that a network would learn nonsense from.
fn check_voxels(volume: &IntensityVolume, path: &Path) -> Result<()> {
    let [nx, ny, nz] = volume.grid().shape();
    let voxels = volume.voxels();
    if let Some(first) = voxels.iter().position(|voxel| !voxel.is_finite()) {
        let count = voxels.iter().filter(|voxel| !voxel.is_finite()).count();
        let place = [first % nx, first / nx % ny, first / (nx * ny)];
        let found = format!("{count} voxels are not finite numbers, the first is {} at {place:?}", voxels[first]);
        return Err(
            DataError::invalid(path, found, "replace them, such as by the least intensity, or leave it out").into()
        );
    }
    let empty: Vec<bool> = voxels.chunks(nx * ny).map(|slice| slice.iter().all(|&voxel| voxel == slice[0])).collect();
    if empty.iter().all(|&empty| empty) {
        let found = "holds one intensity alone in every slice";
        return Err(DataError::invalid(path, found, "give the image; this may be an empty export or a mask").into());
    }
    let filled = |slice: &usize| !empty[*slice];
    let (first, last) = ((0..nz).find(filled).unwrap_or(0), (0..nz).rev().find(filled).unwrap_or(0));
    let missing: Vec<String> = (first..last).filter(|&slice| empty[slice]).map(|slice| slice.to_string()).collect();
    if !missing.is_empty() {
        let found = format!(
            "slices are missing: {} of {nz} between filled ones hold one value alone (slice {} first)",
            missing.len(),
            missing[0]
        );
        let remedy = "convert the series again with all its slices, or leave this volume out";
        return Err(DataError::invalid(path, found, remedy).into());
    }
    Ok(())
}

/// Reads an image and prepares it.
///
/// # Errors
/// As [`IntensityVolume::read`] and [`Preprocessing::prepare`].
pub fn read_image(preprocessing: &Preprocessing, path: &Path, progress: &dyn Progress) -> Result<(Prepared, Grid)> {
    let volume = IntensityVolume::read(path)?;
    let prepared = preprocessing.prepare(&volume, path)?;
    let kept = prepared.shape.iter().product::<usize>();
    if kept * 8 < prepared.placement.resampled.iter().product::<usize>() {
        progress.warn(&format!(
            "{}: the body found is {:?} of {:?} voxels; if that cannot be, set preprocessing.crop_to_body=false",
            path.display(),
            prepared.shape,
            prepared.placement.resampled
        ));
    }
    Ok((prepared, volume.grid().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(shape: [usize; 3], voxel: impl Fn([usize; 3]) -> f32) -> IntensityVolume {
        let affine = [[-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]];
        let count = shape.iter().product();
        let voxels =
            (0..count).map(|at| voxel([at % shape[0], at / shape[0] % shape[1], at / (shape[0] * shape[1])])).collect();
        IntensityVolume::new(Grid::new(shape, affine).unwrap(), voxels).unwrap()
    }

    #[test]
    fn nan_voxels_and_missing_slices_are_refused() {
        let preprocessing = Preprocessing::default();
        let with_nan = volume([4, 4, 4], |at| if at == [1, 2, 3] { f32::NAN } else { at[0] as f32 });
        let message = preprocessing.prepare(&with_nan, Path::new("a.nii")).unwrap_err().to_string();
        assert!(message.contains("a.nii") && message.contains("[1, 2, 3]"), "{message}");
        let with_gap = volume([4, 4, 6], |at| if at[2] == 3 { 0.0 } else { (at[0] + at[1]) as f32 });
        let message = preprocessing.prepare(&with_gap, Path::new("a.nii")).unwrap_err().to_string();
        assert!(message.contains("slices are missing") && message.contains("slice 3"), "{message}");
        let rim = volume([4, 4, 6], |at| if at[2] == 0 { 0.0 } else { (at[0] + at[1]) as f32 });
        assert!(preprocessing.prepare(&rim, Path::new("a.nii")).is_ok(), "empty slices at the rim are not missing");
    }

    #[test]
    fn a_prepared_volume_runs_from_left_to_right() {
        let plain = Preprocessing { crop_to_body: false, ..Preprocessing::default() };
        let prepared = plain.prepare(&volume([5, 4, 3], |at| at[0] as f32), Path::new("a.nii")).unwrap();
        assert_eq!((prepared.shape, prepared.spacing), ([5, 4, 3], [1.0, 1.0, 2.0]));
        // The first axis of the file points left.
        assert!(prepared.voxels[0] > prepared.voxels[4]);
        let mean = prepared.voxels.iter().sum::<f32>() / 60.0;
        assert!(mean.abs() < 1e-5);
    }

    #[test]
    fn resampling_keeps_the_extent() {
        let finer = Preprocessing { spacing: Some([0.5, 1.0, 1.0]), crop_to_body: false, intensity: Intensity::ZScore };
        let prepared = finer.prepare(&volume([6, 4, 3], |at| at[2] as f32 + at[0] as f32), Path::new("a.nii")).unwrap();
        assert_eq!((prepared.shape, prepared.spacing), ([12, 4, 6], [0.5, 1.0, 1.0]));
    }
}
