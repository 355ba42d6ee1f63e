//! Full-reference quality of images in pairs: image i of one set against image i of the other, such as a reconstruction
//! against its original or a picture against what a codec made of it.
//!
//! Values are those of 8-bit images, 0 to 255. Every measure is taken image by image and gives a mean with its interval
//! over pairs, which are taken to be independent.

mod psnr;
mod ssim;

pub use psnr::psnr;
pub use ssim::{ms_ssim, ssim};

use rayon::prelude::*;
use standin_data::{Error, ImageSet};

use crate::{Estimate, Outcome, Result, mean};

/// A measure of every pair of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Pairs {
    /// One value for each pair, in their order.
    pub per_image: Vec<f64>,
    /// Their mean with Student's interval; not measurable where a value is infinite or there are fewer than two pairs.
    pub mean: Outcome,
}

impl Pairs {
    /// `of` sees the values of both images, `channels × height × width`. Pairs are independent of each other, so
    /// results do not depend on the number of threads.
    fn of(reference: &ImageSet, images: &ImageSet, of: impl Fn(&[u8], &[u8]) -> f64 + Sync) -> Result<Self> {
        let size = |set: &ImageSet| format!("{} images of {} in {}", set.len(), set.shape(), set.describe());
        if reference.shape() != images.shape() || reference.len() != images.len() {
            return Err(Error::inconsistent(
                format!("pairs of {} and {}", size(reference), size(images)),
                "both sets need one shape and one number of images: image i of one belongs to image i of the other",
            )
            .into());
        }
        let per_image: Vec<f64> =
            (0..images.len()).into_par_iter().map(|at| of(reference.image(at), images.image(at))).collect();
        let infinite = per_image.iter().filter(|value| value.is_infinite()).count();
        let mean = match (per_image.len(), infinite) {
            (0 | 1, _) => Outcome::NotMeasurable(format!("{} pairs of images have no interval", per_image.len())),
            (_, 0) => Outcome::Measured(mean(&per_image)),
            (pairs, _) => {
                Outcome::NotMeasurable(format!("{infinite} of {pairs} pairs are identical, which is infinite"))
            }
        };
        Ok(Self { per_image, mean })
    }

    /// The same with a mean that is cut to the values possible.
    fn within(mut self, least: f64, most: f64) -> Self {
        if let Outcome::Measured(Estimate { low, high, .. }) = &mut self.mean {
            (*low, *high) = (low.max(least), high.min(most));
        }
        self
    }
}
