use std::path::Path;
use std::{array, fmt};

use nifti::NiftiHeader;
use standin_data::{Error, Result};

/// NIfTI-1 stores the number of voxels along an axis in a signed 16-bit number.
const LONGEST_AXIS: usize = i16::MAX as usize;
/// How much the header's two accounts of the spacing may differ, relatively: single precision, twice rounded.
const SPACING_TOLERANCE: f64 = 1e-3;
/// How far, in voxels, two grids may lie apart and still be one: less than any resampling, more than any rounding.
const PLACE_TOLERANCE: f64 = 0.1;
/// The largest cosine between two axes that still counts as a right angle.
const SHEAR_TOLERANCE: f64 = 1e-3;
/// `NIFTI_XFORM_ALIGNED_ANAT`: the affine is right but names no scanner's or atlas' frame.
const ALIGNED: i16 = 2;
/// `NIFTI_UNITS_MM`.
const MILLIMETRES: u8 = 2;

/// Where the voxels of a volume lie: their number along each axis, their spacing, and the affine that takes indices
/// to places in the body.
///
/// Lengths are millimetres whatever the file's unit is; a file without a unit is taken to be in millimetres. World axes
/// point right, anterior and superior (RAS+), as NIfTI has it.
#[derive(Clone, Debug)]
pub struct Grid {
    shape: [usize; 3],
    spacing: [f64; 3],
    affine: [[f64; 4]; 3],
    /// The geometry as the file has it, bit by bit; every other field is a default.
    header: NiftiHeader,
}

impl Grid {
    /// A grid of `shape` voxels whose voxel (i, j, k) lies at `affine` · (i, j, k, 1) millimetres.
    ///
    /// # Errors
    /// If an axis has no voxel or more than 32 767, or the affine holds a value that is not finite or maps an axis to
    /// nothing.
    pub fn new(shape: [usize; 3], affine: [[f64; 4]; 3]) -> Result<Self> {
        let [srow_x, srow_y, srow_z] = affine.map(|row| row.map(|value| value as f32));
        let spacing = column_lengths(&affine);
        let mut pixdim = [1.0; 8];
        for (stored, spacing) in pixdim[1..].iter_mut().zip(spacing) {
            *stored = spacing as f32;
        }
        let header = NiftiHeader {
            pixdim,
            qform_code: 0,
            sform_code: ALIGNED,
            srow_x,
            srow_y,
            srow_z,
            xyzt_units: MILLIMETRES,
            ..NiftiHeader::default()
        };
        Self::checked(shape, spacing, affine, header).map_err(|finding| {
            Error::inconsistent(finding, "give an affine and a shape that describe a volume in three dimensions")
        })
    }

    /// The grid that a file's header describes.
    ///
    /// The affine is the header's sform where there is one, else its qform, else the spacing alone (methods 3, 2 and 1
    /// of nifti1.h).
    pub(crate) fn of_header(header: &NiftiHeader, path: &Path) -> Result<Self> {
        let invalid = |found: String, remedy: &str| Error::invalid(path, found, remedy);
        let dim = header.dim().map_err(|error| invalid(error.to_string(), "the file is damaged; export it again"))?;
        if dim.len() < 3 || dim[3..].iter().any(|&length| length != 1) {
            let shape = dim.iter().map(u16::to_string).collect::<Vec<_>>().join("×");
            let remedy = "expected a volume in three dimensions; split series and channels into one file each";
            return Err(invalid(format!("has shape {shape}"), remedy));
        }
        let unit = match header.xyzt_units & 0b111 {
            0 | MILLIMETRES => 1.0,
            1 => 1e3,
            3 => 1e-3,
            code => {
                let remedy = "expected metres (1), millimetres (2), micrometres (3) or none (0); correct xyzt_units";
                return Err(invalid(format!("states its lengths in the unknown unit {code}"), remedy));
            }
        };
        let spacing: [f64; 3] = array::from_fn(|axis| f64::from(header.pixdim[axis + 1]) * unit);
        let affine = affine_of(header).map(|row| row.map(|value| value * unit));
        let geometry = NiftiHeader {
            pixdim: array::from_fn(|field| if field < 4 { header.pixdim[field] } else { 1.0 }),
            xyzt_units: header.xyzt_units & 0b111,
            qform_code: header.qform_code,
            sform_code: header.sform_code,
            quatern_b: header.quatern_b,
            quatern_c: header.quatern_c,
            quatern_d: header.quatern_d,
            quatern_x: header.quatern_x,
            quatern_y: header.quatern_y,
            quatern_z: header.quatern_z,
            srow_x: header.srow_x,
            srow_y: header.srow_y,
            srow_z: header.srow_z,
            ..NiftiHeader::default()
        };
        Self::checked(array::from_fn(|axis| usize::from(dim[axis])), spacing, affine, geometry).map_err(|finding| {
            invalid(
                finding,
                "correct the header (pixdim, sform, qform) with the tool that wrote it, or export it again",
            )
        })
    }

    fn checked(
        shape: [usize; 3],
        spacing: [f64; 3],
        affine: [[f64; 4]; 3],
        header: NiftiHeader,
    ) -> Result<Self, String> {
        if shape.iter().any(|length| !(1..=LONGEST_AXIS).contains(length)) {
            return Err(format!("has shape {shape:?}, expected 1 to {LONGEST_AXIS} voxels along each axis"));
        }
        if spacing.iter().any(|length| !length.is_finite() || *length <= 0.0) {
            return Err(format!("has a spacing of {spacing:?} mm, expected positive numbers"));
        }
        if affine.iter().flatten().any(|value| !value.is_finite()) {
            return Err(format!("has the affine {affine:?}, expected finite numbers"));
        }
        let lengths = column_lengths(&affine);
        if lengths.iter().zip(spacing).any(|(length, spacing)| (length - spacing).abs() > SPACING_TOLERANCE * spacing) {
            return Err(format!("contradicts itself: its spacing is {spacing:?} mm, but by its affine {lengths:?} mm"));
        }
        Ok(Self { shape, spacing, affine, header })
    }

    /// The number of voxels along each axis.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The number of voxels.
    pub fn voxel_count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The distance between neighbouring voxels along each axis, in millimetres.
    pub fn spacing(&self) -> [f64; 3] {
        self.spacing
    }

    /// The first three rows of the affine from voxel indices (i, j, k, 1) to millimetres.
    pub fn affine(&self) -> [[f64; 4]; 3] {
        self.affine
    }

    /// Where each axis of the volume points, nearest of right/left, anterior/posterior and superior/inferior: "RAS" for
    /// right, anterior, superior.
    pub fn orientation(&self) -> String {
        const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        const TOWARDS: [char; 3] = ['R', 'A', 'S'];
        const AWAY: [char; 3] = ['L', 'P', 'I'];
        let cosine = |axis: usize, world: usize| self.affine[world][axis] / self.spacing[axis];
        let agreement = |order: &[usize; 3]| (0..3).map(|axis| cosine(axis, order[axis]).abs()).sum::<f64>();
        // An order of the world axes rather than the nearest one for each: no two axes may claim the same.
        let order = ORDERS.iter().fold(
            ORDERS[0],
            |best, order| {
                if agreement(order) > agreement(&best) { *order } else { best }
            },
        );
        (0..3).map(|axis| if cosine(axis, order[axis]) < 0.0 { AWAY } else { TOWARDS }[order[axis]]).collect()
    }

    /// Whether the axes stand at right angles, so that distances can be measured along them.
    pub fn is_orthogonal(&self) -> bool {
        [(0, 1), (1, 2), (2, 0)].into_iter().all(|(one, other)| {
            let product: f64 = self.affine.iter().map(|row| row[one] * row[other]).sum();
            product.abs() <= SHEAR_TOLERANCE * self.spacing[one] * self.spacing[other]
        })
    }

    /// Whether voxels of equal index lie at the same place, up to a tenth of a voxel.
    pub fn matches(&self, other: &Self) -> bool {
        let finest = self.spacing.into_iter().fold(f64::INFINITY, f64::min);
        self.shape == other.shape && self.displacement(other) <= PLACE_TOLERANCE * finest
    }

    /// The largest distance between voxels of equal index, in millimetres. The difference of two affine maps is convex
    /// in length, so the largest is at a corner.
    fn displacement(&self, other: &Self) -> f64 {
        (0..8)
            .map(|corner: usize| {
                let place: [f64; 3] =
                    array::from_fn(|axis| if corner >> axis & 1 == 1 { (self.shape[axis] - 1) as f64 } else { 0.0 });
                let apart = |(one, other): (&[f64; 4], &[f64; 4])| {
                    let along: f64 = (0..3).map(|axis| (one[axis] - other[axis]) * place[axis]).sum();
                    along + one[3] - other[3]
                };
                self.affine.iter().zip(&other.affine).map(|rows| apart(rows).powi(2)).sum::<f64>().sqrt()
            })
            .fold(0.0, f64::max)
    }

    /// The geometry as it was read, to be written.
    pub(crate) fn header(&self) -> &NiftiHeader {
        &self.header
    }
}

impl fmt::Display for Grid {
    /// Shape, spacing, orientation and the place of the first voxel.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [nx, ny, nz] = self.shape;
        let [dx, dy, dz] = self.spacing;
        let [x, y, z] = self.affine.map(|row| row[3]);
        let orientation = self.orientation();
        write!(f, "{nx}×{ny}×{nz} voxels of {dx:.4}×{dy:.4}×{dz:.4} mm, {orientation} from ({x:.2}, {y:.2}, {z:.2}) mm")
    }
}

fn column_lengths(affine: &[[f64; 4]; 3]) -> [f64; 3] {
    array::from_fn(|axis| affine.iter().map(|row| row[axis] * row[axis]).sum::<f64>().sqrt())
}

/// The first three rows of the affine of `header`, in its own unit of length.
fn affine_of(header: &NiftiHeader) -> [[f64; 4]; 3] {
    if header.sform_code > 0 {
        return [header.srow_x, header.srow_y, header.srow_z].map(|row| row.map(f64::from));
    }
    let spacing: [f64; 3] = array::from_fn(|axis| f64::from(header.pixdim[axis + 1]));
    if header.qform_code <= 0 {
        return array::from_fn(|row| array::from_fn(|column| if row == column { spacing[row] } else { 0.0 }));
    }
    let rotation = rotation_of([header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from));
    let offset = [header.quatern_x, header.quatern_y, header.quatern_z].map(f64::from);
    // The quaternion is a proper rotation; the third axis is flipped where the volume is left-handed.
    let handedness = if header.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
    let scale = [spacing[0], spacing[1], spacing[2] * handedness];
    array::from_fn(|row| {
        array::from_fn(|column| if column < 3 { rotation[row][column] * scale[column] } else { offset[row] })
    })
}

/// The rotation of the unit quaternion a + b i + c j + d k with a ≥ 0.
fn rotation_of([b, c, d]: [f64; 3]) -> [[f64; 3]; 3] {
    let squares = b * b + c * c + d * d;
    // In single precision a half turn may come out a little longer than 1.
    let (a, [b, c, d]) = if squares < 1.0 {
        ((1.0 - squares).sqrt(), [b, c, d])
    } else {
        (0.0, [b, c, d].map(|part| part / squares.sqrt()))
    };
    [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - c * c - b * b],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBLIQUE: [[f64; 4]; 3] = [[-1.2, 0.1, 0.0, 90.0], [0.1, 1.2, 0.0, -40.0], [0.0, 0.0, 3.0, 12.5]];

    #[test]
    fn spacing_and_orientation_follow_from_the_affine() {
        let grid = Grid::new([4, 5, 6], OBLIQUE).unwrap();
        assert!((grid.spacing()[0] - f64::hypot(1.2, 0.1)).abs() < 1e-12);
        assert_eq!(grid.spacing()[2], 3.0);
        assert_eq!(grid.orientation(), "LAS");
        assert!(grid.is_orthogonal());
        let sagittal = [[0.0, 0.0, 2.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0]];
        assert_eq!(Grid::new([4, 5, 6], sagittal).unwrap().orientation(), "PIR");
    }

    #[test]
    fn a_tilted_gantry_is_not_orthogonal() {
        let mut tilted = OBLIQUE;
        tilted[1][2] = 0.5;
        assert!(!Grid::new([4, 5, 6], tilted).unwrap().is_orthogonal());
    }

    #[test]
    fn grids_match_up_to_rounding_and_no_further() {
        let grid = Grid::new([100, 100, 40], OBLIQUE).unwrap();
        let moved = |by: f64| {
            let mut affine = OBLIQUE;
            affine[0][3] += by;
            Grid::new([100, 100, 40], affine).unwrap()
        };
        assert!(grid.matches(&moved(1e-4)));
        assert!(!grid.matches(&moved(0.5)));
        assert!(!grid.matches(&Grid::new([100, 100, 41], OBLIQUE).unwrap()));
        let mut turned = OBLIQUE;
        turned[0][0] = 1.2;
        assert!(!grid.matches(&Grid::new([100, 100, 40], turned).unwrap()));
    }

    #[test]
    fn a_grid_without_extent_is_refused() {
        assert!(Grid::new([0, 5, 6], OBLIQUE).is_err());
        assert!(Grid::new([40_000, 5, 6], OBLIQUE).is_err());
        assert!(Grid::new([4, 5, 6], [[0.0; 4]; 3]).is_err());
        assert!(Grid::new([4, 5, 6], [[f64::NAN; 4]; 3]).is_err());
    }

    #[test]
    fn a_header_that_contradicts_itself_is_refused() {
        let mut header = Grid::new([4, 5, 6], OBLIQUE).unwrap().header().clone();
        header.dim = [3, 4, 5, 6, 1, 1, 1, 1];
        assert!(Grid::of_header(&header, Path::new("scan.nii")).is_ok());
        header.pixdim[3] = 1.0;
        let message = Grid::of_header(&header, Path::new("scan.nii")).unwrap_err().to_string();
        assert!(message.contains("scan.nii") && message.contains("contradicts"), "{message}");
    }
}
