//! Pictures of a prediction and its reference as contours on slices of the image, in three planes.

use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};
use standin_data::{Error, Result};

use crate::preprocess::Orientation;
use crate::{IntensityVolume, LabelVolume};

/// Contours: told apart by any colour vision, on grey and on black (Okabe and Ito 2008).
const REFERENCE: Rgb<u8> = Rgb([86, 180, 233]);
const PREDICTION: Rgb<u8> = Rgb([230, 159, 0]);
/// Where the two coincide.
const BOTH: Rgb<u8> = Rgb([255, 255, 255]);

/// Pixels of the longer side of a picture, at least.
const SIDE: usize = 260;

/// A plane through a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// Seen from below: right of the body at the left.
    Axial,
    /// Seen from the front.
    Coronal,
    /// Seen from the left.
    Sagittal,
}

/// The slice of each plane on which the reference is largest, with both contours.
#[derive(Clone, Debug)]
pub struct Overlay {
    /// Which plane.
    pub plane: Plane,
    /// The slice along the plane's normal, from 0, counted towards superior, anterior or right.
    pub slice: usize,
    /// The picture as a PNG file.
    pub png: Vec<u8>,
}

impl Overlay {
    /// Of three volumes on one grid; without an image the contours are on black.
    ///
    /// # Errors
    /// If a file cannot be read, or the three lie on different grids.
    pub fn read(image: Option<&Path>, prediction: &Path, reference: &Path) -> Result<Vec<Self>> {
        let [predicted, referred] = [LabelVolume::read(prediction)?, LabelVolume::read(reference)?];
        let image = image.map(|path| IntensityVolume::read(path).map(|volume| (path, volume))).transpose()?;
        if let Some((path, volume)) = image.as_ref().filter(|(_, volume)| !volume.grid().matches(referred.grid())) {
            let found = format!("has {}, but {} has {}", volume.grid(), reference.display(), referred.grid());
            return Err(Error::invalid(path, found, "give the image on the grid of its labels"));
        }
        let grid = referred.grid();
        let orientation = Orientation::of(grid);
        let spacing = orientation.order().map(|axis| grid.spacing()[axis]);
        let (predicted, shape) = orientation.turned(predicted.voxels(), grid.shape());
        let (referred, _) = orientation.turned(referred.voxels(), grid.shape());
        let grey = match image {
            Some((_, volume)) => levels(&orientation.turned(volume.voxels(), grid.shape()).0),
            None => vec![0; predicted.len()],
        };
        let turned = Turned { shape, spacing, grey, predicted, referred };
        Ok([Plane::Axial, Plane::Coronal, Plane::Sagittal].into_iter().map(|plane| turned.overlay(plane)).collect())
    }
}

/// Intensities as shades, from the 1st to the 99th percentile.
fn levels(voxels: &[f32]) -> Vec<u8> {
    let mut sorted: Vec<f32> = voxels.iter().copied().filter(|voxel| voxel.is_finite()).collect();
    if sorted.is_empty() {
        return vec![0; voxels.len()];
    }
    let mut percentile = |share: f64| {
        let at = ((sorted.len() - 1) as f64 * share) as usize;
        *sorted.select_nth_unstable_by(at, f32::total_cmp).1
    };
    let (low, high) = (percentile(0.01), percentile(0.99));
    let scale = 255.0 / (high - low).max(f32::MIN_POSITIVE);
    voxels.iter().map(|voxel| ((voxel - low) * scale).clamp(0.0, 255.0) as u8).collect()
}

/// Volumes that run right, anterior and superior.
struct Turned {
    shape: [usize; 3],
    spacing: [f64; 3],
    grey: Vec<u8>,
    predicted: Vec<u32>,
    referred: Vec<u32>,
}

impl Turned {
    fn overlay(&self, plane: Plane) -> Overlay {
        // Normal, across and down the picture.
        let [normal, across, down] = match plane {
            Plane::Axial => [2, 0, 1],
            Plane::Coronal => [1, 0, 2],
            Plane::Sagittal => [0, 1, 2],
        };
        let slice = self.largest(normal);
        let [width, height] = [across, down].map(|axis| self.shape[axis]);
        // Sizes in the body, in units of the finer of the two spacings.
        let finest = self.spacing[across].min(self.spacing[down]);
        let extent = |axis: usize| self.shape[axis] as f64 * self.spacing[axis] / finest;
        let zoom = (SIDE as f64 / extent(across).max(extent(down))).ceil().max(1.0);
        let pixels = |axis: usize| ((extent(axis) * zoom).round() as usize).clamp(1, 4096);
        let (columns, rows) = (pixels(across), pixels(down));
        // Right of the body at the left, head and front up, as radiology has it; the front at the left from the side.
        let voxel = |column: usize, row: usize| {
            let x = (columns - 1 - column) * width / columns;
            let y = (rows - 1 - row) * height / rows;
            let mut place = [0; 3];
            (place[normal], place[across], place[down]) = (slice, x, y);
            (place[2] * self.shape[1] + place[1]) * self.shape[0] + place[0]
        };
        let on_contour = |labels: &[u32], column: usize, row: usize| {
            let own = labels[voxel(column, row)];
            let beside = [(1, 0), (0, 1), (-1, 0), (0, -1)].into_iter();
            own != 0
                && beside.into_iter().any(|(right, below): (isize, isize)| {
                    let (Some(column), Some(row)) = (column.checked_add_signed(right), row.checked_add_signed(below))
                    else {
                        return true;
                    };
                    column >= columns || row >= rows || labels[voxel(column, row)] != own
                })
        };
        let picture = RgbImage::from_fn(columns as u32, rows as u32, |column, row| {
            let (column, row) = (column as usize, row as usize);
            match (on_contour(&self.referred, column, row), on_contour(&self.predicted, column, row)) {
                (true, true) => BOTH,
                (true, false) => REFERENCE,
                (false, true) => PREDICTION,
                (false, false) => Rgb([self.grey[voxel(column, row)]; 3]),
            }
        });
        let mut png = Vec::new();
        picture.write_to(&mut Cursor::new(&mut png), ImageFormat::Png).expect("a picture in memory can be encoded");
        Overlay { plane, slice, png }
    }

    /// The slice along an axis with most of the reference; where there is none, of the prediction; else the middle.
    fn largest(&self, axis: usize) -> usize {
        let step: usize = self.shape[..axis].iter().product();
        for labels in [&self.referred, &self.predicted] {
            let mut counts = vec![0usize; self.shape[axis]];
            for (at, _) in labels.iter().enumerate().filter(|(_, label)| **label != 0) {
                counts[at / step % self.shape[axis]] += 1;
            }
            if let Some((slice, _)) =
                counts.iter().enumerate().filter(|(_, count)| **count > 0).max_by_key(|(_, count)| **count)
            {
                return slice;
            }
        }
        self.shape[axis] / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Grid;

    #[test]
    fn contours_lie_where_the_labels_end() {
        let shape = [12, 10, 6];
        let affine = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]];
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, begin: usize| {
            let inside = |at: usize| {
                let place = [at % 12, at / 12 % 10, at / 120];
                (begin..begin + 4).contains(&place[0]) && (3..7).contains(&place[1]) && (2..4).contains(&place[2])
            };
            let labels = (0..720).map(|at| u32::from(inside(at))).collect();
            let path = folder.path().join(name);
            LabelVolume::new(Grid::new(shape, affine).unwrap(), labels).unwrap().write(&path).unwrap();
            path
        };
        let (prediction, reference) = (write("p.nii", 5), write("r.nii", 4));
        let overlays = Overlay::read(None, &prediction, &reference).unwrap();
        assert_eq!(
            overlays.iter().map(|overlay| overlay.plane).collect::<Vec<_>>(),
            [Plane::Axial, Plane::Coronal, Plane::Sagittal]
        );
        assert!((2..4).contains(&overlays[0].slice));
        let picture = image::load_from_memory(&overlays[0].png).unwrap().into_rgb8();
        let zoom = picture.width() as usize / 12;
        assert_eq!(picture.dimensions(), ((12 * zoom) as u32, (10 * zoom) as u32));
        // The right of the body is at the left: voxel x is at column 11 − x.
        let at = |x: usize, y: usize| *picture.get_pixel(((11 - x) * zoom + zoom / 2) as u32, ((9 - y) * zoom) as u32);
        assert_eq!(at(6, 6), BOTH, "the upper rim of both");
        assert_eq!((at(4, 6), at(8, 6)), (REFERENCE, PREDICTION));
        assert_eq!(at(1, 1), Rgb([0; 3]));
    }
}
