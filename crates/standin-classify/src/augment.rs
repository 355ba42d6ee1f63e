use rand::RngExt;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Result, Seed, Shape};

/// Random changes of training images that leave the class as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Shifts by up to this many pixels along each axis; pixels that come in repeat the border. 0 for none.
    pub shift: usize,
    /// Adds this many black rows and columns on every side and cuts a window of the old size out at random (He et al.
    /// 2016 with 4 at 32 × 32 pixels): a shift whose incoming pixels are black. 0 for none; not beside `shift`.
    pub crop: usize,
    /// Mirrors every other image left to right: for classes without a side, not for letters or digits.
    pub flip: bool,
}

/// What random changes are drawn from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seeds {
    /// One generator for all images of a batch, in their order.
    One(Seed),
    /// One for each image, and for all copies of it that follow each other: its changes do not depend on the others that
    /// are computed with it.
    Each(Seed),
}

impl Augmentation {
    /// Whether images stay as they are.
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Checks that the changes can go together.
    pub(crate) fn check(self) -> std::result::Result<(), String> {
        if self.shift > 0 && self.crop > 0 {
            return Err("`augmentation.shift` and `augmentation.crop` both move images; give one of them".into());
        }
        Ok(())
    }

    /// The images at `indices`, each changed at random.
    ///
    /// # Errors
    /// Never for a set that exists: the shape stays.
    pub(crate) fn apply(self, images: &ImageSet, indices: &[usize], seeds: Seeds) -> Result<ImageSet> {
        let shape = images.shape();
        let mut pixels = Vec::with_capacity(indices.len() * shape.volume());
        match seeds {
            Seeds::One(seed) => {
                let mut rng = seed.rng();
                indices.iter().for_each(|&index| self.change(images.image(index), shape, &mut rng, &mut pixels));
            }
            Seeds::Each(seed) => {
                let mut rng = seed.rng();
                let mut before = None;
                for &index in indices {
                    if before.replace(index) != Some(index) {
                        rng = seed.derive(&format!("image {index}")).rng();
                    }
                    self.change(images.image(index), shape, &mut rng, &mut pixels);
                }
            }
        }
        ImageSet::new(shape, pixels)
    }

    /// Appends one image, changed at random, to `pixels`.
    fn change(self, image: &[u8], shape: Shape, rng: &mut impl RngExt, pixels: &mut Vec<u8>) {
        let Shape { channels, height, width } = shape;
        let reach = self.shift.max(self.crop) as i64;
        let (down, right) = (rng.random_range(-reach..=reach), rng.random_range(-reach..=reach));
        let flip = self.flip && rng.random::<bool>();
        // The pixel that comes to a place, or none where black comes in.
        let source = |at: i64, size: usize| {
            let nearest = at.clamp(0, size as i64 - 1);
            (self.crop == 0 || nearest == at).then_some(nearest as usize)
        };
        for channel in 0..channels {
            for row in 0..height {
                let Some(row) = source(row as i64 - down, height) else {
                    pixels.resize(pixels.len() + width, 0);
                    continue;
                };
                let line = &image[(channel * height + row) * width..][..width];
                pixels.extend((0..width).map(|column| {
                    let column = source(column as i64 - right, width);
                    column.map_or(0, |column| line[if flip { width - 1 - column } else { column }])
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Augmentation = Augmentation { shift: 0, crop: 0, flip: false };

    fn ramp() -> ImageSet {
        ImageSet::new(Shape { channels: 1, height: 2, width: 3 }, vec![1, 2, 3, 11, 12, 13]).unwrap()
    }

    /// What 200 random changes of the ramp make of it, each once.
    fn seen(augmentation: Augmentation) -> Vec<Vec<u8>> {
        let changed = augmentation.apply(&ramp(), &[0; 200], Seeds::One(Seed::new(1))).unwrap();
        let mut seen: Vec<Vec<u8>> = (0..200).map(|index| changed.image(index).to_vec()).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    }

    #[test]
    fn changes_of_an_image_do_not_depend_on_its_company() {
        let shape = Shape { channels: 1, height: 4, width: 4 };
        let images = ImageSet::new(shape, (1..=48).collect()).unwrap();
        let augmentation = Augmentation { crop: 2, flip: true, ..NONE };
        let changed = |indices: &[usize]| augmentation.apply(&images, indices, Seeds::Each(Seed::new(1))).unwrap();
        let all = changed(&[2, 2, 0, 1, 1, 1]);
        assert_eq!(changed(&[1, 1, 1]).pixels(), &all.pixels()[48..]);
        assert_eq!(changed(&[2]).image(0), all.image(0));
        assert_ne!(all.image(3), all.image(4), "copies are changed differently");
    }

    #[test]
    fn no_augmentation_changes_nothing() {
        assert_eq!(seen(NONE), [ramp().image(0)]);
    }

    #[test]
    fn flips_mirror_about_half_of_the_images() {
        let flipped = Augmentation { flip: true, ..NONE }.apply(&ramp(), &[0; 200], Seeds::One(Seed::new(1))).unwrap();
        let mirrored = (0..200).filter(|&index| flipped.image(index) == [3, 2, 1, 13, 12, 11]).count();
        let same = (0..200).filter(|&index| flipped.image(index) == ramp().image(0)).count();
        assert_eq!(mirrored + same, 200);
        assert!((60..140).contains(&mirrored), "{mirrored}");
    }

    #[test]
    fn shifts_stay_within_their_bound_and_repeat_the_border() {
        let seen = seen(Augmentation { shift: 1, ..NONE });
        assert_eq!(seen.len(), 9, "three shifts along each axis");
        assert!(seen.contains(&vec![1, 1, 2, 1, 1, 2]), "one right and one down");
    }

    #[test]
    fn crops_are_shifts_that_let_black_in() {
        let seen = seen(Augmentation { crop: 1, ..NONE });
        assert_eq!(seen.len(), 9, "three windows along each axis");
        for window in [[0, 0, 0, 0, 1, 2], [12, 13, 0, 0, 0, 0], [1, 2, 3, 11, 12, 13]] {
            assert!(seen.contains(&window.to_vec()), "{window:?}");
        }
    }

    #[test]
    fn a_window_may_miss_an_image_smaller_than_the_border() {
        assert!(seen(Augmentation { crop: 9, ..NONE }).contains(&vec![0; 6]));
        assert!(Augmentation { shift: 1, crop: 1, flip: false }.check().unwrap_err().contains("crop"));
    }
}
