//! Central images: the noised mean of each class, released once (Gong et al. 2025, DP-FETA).
//!
//! An image x with values in [0, 1], scaled to ‖x‖ ≤ B, contributes
//!
//! u(x) = (√a, √(1 − a) x / B)
//!
//! to the row of its class, with a = [`COUNT_SHARE`]: ‖u(x)‖ ≤ 1, so the matrix of all classes has ℓ₂ sensitivity 1 when an
//! image is added or removed. It is released with Gaussian noise; sums and counts both, where DP-FETA divides by a count that
//! it takes as known. Values enter as whole multiples of 2⁻²⁴, rounded towards 0 and added in 64-bit integers, so that the
//! bound holds exactly.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Labels};
use standin_privacy::NoiseSource;

use crate::Result;

/// The part of each record's squared norm that counts its class.
const COUNT_SHARE: f64 = 0.02;

/// Steps between 0 and 1 that values are rounded to before they are added.
const STEPS: f64 = (1 << 24) as f64;

/// Summed contributions, `classes × (1 + pixels)`, without noise: they never leave this crate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CentralSums {
    /// In units of 1 / [`STEPS`].
    values: Vec<i64>,
    width: usize,
    /// B.
    bound: f64,
}

/// What may be known of the classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CentralImages {
    /// The noised mean of each class, one image each: pixels, `classes × channels × height × width`.
    pub(crate) pixels: Vec<u8>,
    /// The noised share of each class, at least 0, adding up to 1.
    pub(crate) shares: Vec<f64>,
}

/// u(x) in units of 1 / [`STEPS`].
fn contribution(image: &[u8], bound: f64) -> Vec<i64> {
    let norm = image.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt() / 255.0;
    let scale = (1.0 - COUNT_SHARE).sqrt() / (255.0 * norm.max(bound)) * STEPS;
    let values = image.iter().map(|&value| (f64::from(value) * scale) as i64);
    std::iter::once((COUNT_SHARE.sqrt() * STEPS) as i64).chain(values).collect()
}

impl CentralSums {
    /// Adds up every image. `norm_bound` is B / √pixels: the root mean square of pixel values beyond which an image is
    /// scaled down.
    ///
    /// Cost: images × pixels.
    pub(crate) fn of(images: &ImageSet, labels: &Labels, norm_bound: f64) -> Self {
        let pixels = images.shape().volume();
        let (width, bound) = (1 + pixels, norm_bound * (pixels as f64).sqrt());
        let class = |members: &Vec<usize>| {
            let mut sum = vec![0i64; width];
            for &image in members {
                sum.iter_mut().zip(contribution(images.image(image), bound)).for_each(|(sum, value)| *sum += value);
            }
            sum
        };
        let rows: Vec<Vec<i64>> = labels.by_class().par_iter().map(class).collect();
        Self { values: rows.concat(), width, bound }
    }

    /// The means after noise of standard deviation `sigma` on every value. The sums without noise are forgotten.
    ///
    /// # Errors
    /// If no noise can be drawn.
    pub(crate) fn release(self, sigma: f64, noise: &mut NoiseSource) -> Result<CentralImages> {
        let mut values: Vec<f64> = self.values.iter().map(|&value| value as f64 / STEPS).collect();
        noise.add_gaussian(sigma, &mut values)?;
        let scale = self.bound / (1.0 - COUNT_SHARE).sqrt();
        let (mut pixels, mut counts) = (Vec::new(), Vec::new());
        for row in values.chunks_exact(self.width) {
            // A class of less than one image after noise has no mean worth the name; its image is then mostly noise.
            let count = (row[0] / COUNT_SHARE.sqrt()).max(1.0);
            counts.push(count);
            let level = |sum: &f64| (sum * scale / count * 255.0).round().clamp(0.0, 255.0) as u8;
            pixels.extend(row[1..].iter().map(level));
        }
        let total: f64 = counts.iter().sum();
        Ok(CentralImages { pixels, shares: counts.iter().map(|count| count / total).collect() })
    }
}

#[cfg(test)]
mod tests {
    use standin_data::{Seed, Shape};

    use super::*;

    const SHAPE: Shape = Shape { channels: 1, height: 2, width: 3 };

    /// Class 0 is grey, class 1 bright, three to one.
    fn set(count: usize) -> (ImageSet, Labels) {
        let labels: Vec<u32> = (0..count as u32).map(|image| u32::from(image % 4 == 3)).collect();
        let pixels = labels.iter().flat_map(|&label| [[20, 40, 60, 80, 100, 120], [250; 6]][label as usize]).collect();
        let labels = Labels { values: labels, classes: vec!["grey".to_owned(), "bright".to_owned()] };
        (ImageSet::new(SHAPE, pixels).unwrap(), labels)
    }

    #[test]
    fn contributions_have_norm_at_most_one() {
        for image in [[0; 6], [1, 2, 3, 4, 5, 6], [255; 6], [0, 0, 255, 0, 0, 0]] {
            for bound in [1e-3, 0.3, 1.0, 9.0] {
                let square: f64 = contribution(&image, bound).iter().map(|&v| (v as f64 / STEPS).powi(2)).sum();
                assert!(square <= 1.0, "{square}");
            }
        }
        let square: f64 = contribution(&[255; 6], 0.1).iter().map(|&v| (v as f64 / STEPS).powi(2)).sum();
        assert!(square > 1.0 - 1e-6, "the bound is not used: {square}");
    }

    #[test]
    fn one_image_more_changes_the_sums_by_norm_at_most_one() {
        let (images, labels) = set(40);
        let images = images.with_labels(labels.clone()).unwrap();
        let all = CentralSums::of(&images, &labels, 0.2);
        for left_out in [0, 3, 39] {
            let rest: Vec<usize> = (0..40).filter(|&image| image != left_out).collect();
            let fewer = images.select(&rest);
            let without = CentralSums::of(&fewer, fewer.labels().unwrap(), 0.2);
            let change = all.values.iter().zip(&without.values).map(|(a, b)| ((a - b) as f64 / STEPS).powi(2));
            let norm = change.sum::<f64>().sqrt();
            assert!(norm <= 1.0 && norm > 0.99, "{norm}");
        }
    }

    /// What the first training sees is a function of the sums: images that add up alike are released alike.
    #[test]
    fn the_release_depends_on_the_sums_alone() {
        let labels = Labels { values: vec![0, 0], classes: vec!["grey".to_owned()] };
        let released = |pixels: [u8; 12]| {
            let images = ImageSet::new(SHAPE, pixels.to_vec()).unwrap();
            let sums = CentralSums::of(&images, &labels, 1.0);
            sums.release(0.1, &mut NoiseSource::reproducible(Seed::new(1))).unwrap()
        };
        let (one, other) = ([10, 20, 30, 40, 50, 60], [60, 50, 40, 30, 20, 10]);
        let joined =
            |first: [u8; 6], second: [u8; 6]| std::array::from_fn(|at| if at < 6 { first[at] } else { second[at - 6] });
        assert_eq!(released(joined(one, other)), released(joined(other, one)));
        assert_ne!(released(joined(one, one)), released(joined(other, one)));
    }

    #[test]
    fn little_noise_leaves_the_means_and_shares() {
        let (images, labels) = set(4000);
        let sums = CentralSums::of(&images, &labels, 1.0);
        let mut noise = NoiseSource::reproducible(Seed::new(1));
        let released = sums.release(0.5, &mut noise).unwrap();
        assert!((released.shares[0] - 0.75).abs() < 0.01, "{:?}", released.shares);
        let expected = [20, 40, 60, 80, 100, 120, 250, 250, 250, 250, 250, 250];
        for (&found, expected) in released.pixels.iter().zip(expected) {
            assert!((i32::from(found) - expected).abs() <= 5, "{found} for {expected}");
        }
    }

    /// Images of one value: the released means scatter around it as the noise says.
    #[test]
    fn noise_has_the_scale_that_is_accounted() {
        let shape = Shape { channels: 1, height: 40, width: 40 };
        let images = ImageSet::new(shape, vec![128; 1600 * 100]).unwrap();
        let labels = Labels { values: vec![0; 100], classes: vec!["grey".to_owned()] };
        let mut noise = NoiseSource::reproducible(Seed::new(1));
        let released = CentralSums::of(&images, &labels, 1.0).release(0.25, &mut noise).unwrap();
        let levels = &released.pixels;
        let mean = levels.iter().map(|&level| f64::from(level)).sum::<f64>() / 1600.0;
        let variance = levels.iter().map(|&level| (f64::from(level) - mean).powi(2)).sum::<f64>() / 1600.0;
        // σ · B / √(1 − a) / n · 255, with B = 40 and n near 100.
        let expected = 0.25 * 40.0 / (1.0 - COUNT_SHARE).sqrt() / 100.0 * 255.0;
        assert!((variance.sqrt() / expected - 1.0).abs() < 0.1, "{} for {expected}", variance.sqrt());
    }
}
