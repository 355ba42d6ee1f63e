use standin_data::ImageSet;

use super::Pairs;
use crate::Result;

/// The peak signal-to-noise ratio in decibels, 10·log₁₀(255² / mean squared difference) over all values of a pair;
/// infinite for identical images, so that the mean cannot be measured if there is one.
///
/// O(n·volume) time.
///
/// # Errors
/// If the sets differ in shape or number of images.
pub fn psnr(reference: &ImageSet, images: &ImageSet) -> Result<Pairs> {
    Pairs::of(reference, images, |a, b| {
        let squares: u64 = a.iter().zip(b).map(|(&x, &y)| u64::from(x.abs_diff(y)).pow(2)).sum();
        10.0 * (255.0_f64.powi(2) * a.len() as f64 / squares as f64).log10()
    })
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::{Seed, Shape};

    use super::*;

    const SHAPE: Shape = Shape { channels: 1, height: 4, width: 4 };

    fn set(values: Vec<u8>) -> ImageSet {
        ImageSet::new(SHAPE, values).unwrap()
    }

    #[test]
    fn a_difference_of_one_grey_value_everywhere_is_48_decibels() {
        let found = psnr(&set(vec![100; 32]), &set([[101; 16], [99; 16]].concat())).unwrap();
        let expected = 20.0 * 255.0_f64.log10();
        assert!(found.per_image.iter().all(|value| (value - expected).abs() < 1e-12));
    }

    #[test]
    fn identical_images_are_infinitely_alike_and_have_no_mean() {
        let found = psnr(&set(vec![9; 48]), &set([[9; 16], [8; 16], [7; 16]].concat())).unwrap();
        assert_eq!(found.per_image[0], f64::INFINITY);
        assert!(found.mean.to_string().contains("1 of 3 pairs"), "{}", found.mean);
    }

    #[test]
    fn sets_that_are_no_pairs_are_refused() {
        let error = psnr(&set(vec![0; 32]), &set(vec![0; 16])).unwrap_err().to_string();
        assert!(error.contains("2 images") && error.contains("1 images"), "{error}");
        assert!(psnr(&set(vec![0; 16]), &set(vec![0; 16])).unwrap().mean.estimate().is_none());
    }

    /// Pairs differ by 2 or by 16 everywhere, with equal probability.
    #[test]
    fn the_interval_covers_the_mean_of_all_pairs() {
        let truth = 20.0 * (255.0_f64.log10() - 32.0_f64.log10() / 2.0);
        let runs = 300;
        let covered = (0..runs)
            .filter(|&run| {
                let mut rng = Seed::new(run).rng();
                let images = (0..100).flat_map(|_| [if rng.random_bool(0.5) { 2 } else { 16 }; 16]).collect();
                let found = psnr(&set(vec![0; 1600]), &set(images)).unwrap().mean;
                let found = found.estimate().unwrap();
                found.low <= truth && truth <= found.high
            })
            .count();
        let share = covered as f64 / runs as f64;
        assert!((0.92..=0.98).contains(&share), "{share}");
    }
}
