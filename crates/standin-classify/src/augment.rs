use rand::RngExt;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Result, Seed, Shape};

/// Random changes of training images that leave the class as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Shifts by up to this many pixels along each axis; pixels that come in repeat the border. 0 for none.
    pub shift: usize,
    /// Mirrors every other image left to right: for classes without a side, not for letters or digits.
    pub flip: bool,
}

impl Augmentation {
    /// The images at `indices`, each changed at random.
    ///
    /// # Errors
    /// Never for a set that exists: the shape stays.
    pub(crate) fn apply(self, images: &ImageSet, indices: &[usize], seed: Seed) -> Result<ImageSet> {
        let shape = images.shape();
        let Shape { channels, height, width } = shape;
        let mut rng = seed.rng();
        let mut pixels = Vec::with_capacity(indices.len() * shape.volume());
        let shift = self.shift as i64;
        let inside = |at: i64, size: usize| at.clamp(0, size as i64 - 1) as usize;
        for &index in indices {
            let (down, right) = (rng.random_range(-shift..=shift), rng.random_range(-shift..=shift));
            let flip = self.flip && rng.random::<bool>();
            let image = images.image(index);
            for channel in 0..channels {
                for row in 0..height {
                    let line = &image[(channel * height + inside(row as i64 - down, height)) * width..][..width];
                    pixels.extend((0..width).map(|column| {
                        let column = inside(column as i64 - right, width);
                        line[if flip { width - 1 - column } else { column }]
                    }));
                }
            }
        }
        ImageSet::new(shape, pixels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> ImageSet {
        ImageSet::new(Shape { channels: 1, height: 2, width: 3 }, vec![0, 1, 2, 10, 11, 12]).unwrap()
    }

    #[test]
    fn no_augmentation_changes_nothing() {
        let same = Augmentation::default().apply(&ramp(), &[0, 0], Seed::new(1)).unwrap();
        assert_eq!(same.image(1), ramp().image(0));
    }

    #[test]
    fn flips_mirror_about_half_of_the_images() {
        let flipped = Augmentation { shift: 0, flip: true }.apply(&ramp(), &[0; 200], Seed::new(1)).unwrap();
        let mirrored = (0..200).filter(|&index| flipped.image(index) == [2, 1, 0, 12, 11, 10]).count();
        let same = (0..200).filter(|&index| flipped.image(index) == ramp().image(0)).count();
        assert_eq!(mirrored + same, 200);
        assert!((60..140).contains(&mirrored), "{mirrored}");
    }

    #[test]
    fn shifts_stay_within_their_bound_and_repeat_the_border() {
        let shifted = Augmentation { shift: 1, flip: false }.apply(&ramp(), &[0; 200], Seed::new(1)).unwrap();
        let mut seen: Vec<Vec<u8>> = (0..200).map(|index| shifted.image(index).to_vec()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 9, "three shifts along each axis");
        assert!(seen.contains(&vec![0, 0, 1, 0, 0, 1]), "one right and one down");
    }
}
