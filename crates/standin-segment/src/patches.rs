use rand::{Rng, RngExt};

use crate::Prepared;

/// How different the voxels' sides may be in the plane for it to be turned.
const SQUARE: f64 = 0.01;

/// A volume to learn from.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    /// What the network sees.
    pub(crate) image: Prepared,
    /// A class for each voxel, where there are labels.
    pub(crate) classes: Option<Vec<u8>>,
}

/// Where a patch is taken from, and how it is turned: along each axis begin and direction, and whether the axes of the plane
/// change places. Flips of both axes and a change of places make every turn by 90°.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    begin: [i64; 3],
    flipped: [bool; 3],
    turned: bool,
}

impl Place {
    /// Anywhere in a volume, uniformly; where it is smaller than the patch, somewhere that holds all of it.
    fn random(image: &Prepared, patch: [usize; 3], rng: &mut impl Rng) -> Self {
        let flipped = [rng.random(), rng.random(), patch[2] > 1 && rng.random()];
        let square = (image.spacing[0] / image.spacing[1] - 1.0).abs() < SQUARE;
        let turned = rng.random::<bool>() && square;
        let extent = if turned { [patch[1], patch[0], patch[2]] } else { patch };
        let begin = std::array::from_fn(|axis| {
            let room = image.shape[axis] as i64 - extent[axis] as i64;
            rng.random_range(room.min(0)..=room.max(0))
        });
        Self { begin, flipped, turned }
    }

    /// The place in the volume of each voxel of the patch, the first axis contiguous; none beyond the rim.
    fn for_each(&self, shape: [usize; 3], patch: [usize; 3], mut voxel: impl FnMut(Option<usize>)) {
        let along = |axis: usize, at: usize| if self.flipped[axis] { patch[axis] - 1 - at } else { at } as i64;
        let inside = |axis: usize, at: i64| (0..shape[axis] as i64).contains(&at).then_some(at as usize);
        for z in 0..patch[2] {
            let slab = inside(2, self.begin[2] + along(2, z));
            for y in 0..patch[1] {
                let y = along(1, y);
                for x in 0..patch[0] {
                    let x = along(0, x);
                    let (first, second) = if self.turned { (y, x) } else { (x, y) };
                    let place = inside(0, self.begin[0] + first).zip(inside(1, self.begin[1] + second)).zip(slab);
                    voxel(place.map(|((x, y), z)| (z * shape[1] + y) * shape[0] + x));
                }
            }
        }
    }
}

impl Example {
    /// Appends a random patch of the image and, if there are labels and `classes` is given, of the classes.
    pub(crate) fn patch(
        &self,
        patch: [usize; 3],
        rng: &mut impl Rng,
        voxels: &mut Vec<f32>,
        classes: Option<&mut Vec<u8>>,
    ) {
        let place = Place::random(&self.image, patch, rng);
        place.for_each(self.image.shape, patch, |at| {
            voxels.push(at.map_or(self.image.padding, |at| self.image.voxels[at]));
        });
        if let (Some(into), Some(own)) = (classes, &self.classes) {
            place.for_each(self.image.shape, patch, |at| into.push(at.map_or(0, |at| own[at])));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use standin_data::Seed;

    use super::*;
    use crate::preprocess::{Intensity, Preprocessing};
    use crate::{Grid, IntensityVolume};

    fn example(shape: [usize; 3]) -> Example {
        let identity = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        let count: usize = shape.iter().product();
        let volume =
            IntensityVolume::new(Grid::new(shape, identity).unwrap(), (0..count).map(|at| at as f32).collect())
                .unwrap();
        let plain = Preprocessing {
            spacing: None,
            crop_to_body: false,
            intensity: Intensity::Window { low: 0.0, high: count as f32 },
        };
        let mut image = plain.prepare(&volume, Path::new("a.nii")).unwrap();
        image.voxels = (0..count).map(|at| at as f32).collect();
        let classes = (0..count).map(|at| (at % 3) as u8).collect();
        Example { image, classes: Some(classes) }
    }

    #[test]
    fn image_and_labels_are_taken_from_one_place() {
        let example = example([9, 8, 7]);
        let mut rng = Seed::new(1).rng();
        for _ in 0..50 {
            let (mut voxels, mut classes) = (Vec::new(), Vec::new());
            example.patch([4, 3, 2], &mut rng, &mut voxels, Some(&mut classes));
            assert_eq!(voxels.len(), 24);
            assert!(voxels.iter().zip(&classes).all(|(voxel, class)| *voxel as usize % 3 == usize::from(*class)));
        }
    }

    /// A square patch of the whole plane comes out in all of the square's eight symmetries, and nothing else.
    #[test]
    fn a_plane_is_turned_in_every_way() {
        let example = example([2, 2, 1]);
        let mut rng = Seed::new(2).rng();
        let seen: HashSet<Vec<u32>> = (0..400)
            .map(|_| {
                let mut voxels = Vec::new();
                example.patch([2, 2, 1], &mut rng, &mut voxels, None);
                voxels.into_iter().map(|voxel| voxel as u32).collect()
            })
            .collect();
        assert_eq!(seen.len(), 8);
        let opposite = |voxels: &Vec<u32>| voxels[0] + voxels[3] == 3 && voxels[1] + voxels[2] == 3;
        assert!(seen.iter().all(opposite), "corners that face each other stay so");
    }

    #[test]
    fn a_small_volume_is_padded() {
        let example = example([3, 3, 2]);
        let mut voxels = Vec::new();
        example.patch([4, 4, 4], &mut Seed::new(3).rng(), &mut voxels, None);
        let whole = voxels.iter().filter(|&&voxel| voxel != example.image.padding).count();
        assert_eq!(whole, 18, "all of the volume is in the patch");
    }
}
