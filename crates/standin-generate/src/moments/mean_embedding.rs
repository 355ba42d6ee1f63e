//! Class-wise mean embeddings of private images, released once with Gaussian noise (Harder et al. 2021, DP-MERF).
//!
//! # What is released
//! An image x of class c contributes the vector
//!
//! u(x) = (√a, √(1 − a) φ(x))
//!
//! to row c of a matrix with one row per class, where φ are [`Features`] and a is [`COUNT_SHARE`]. The first
//! coordinate counts the class; the others add up to its mean embedding. As ‖φ(x)‖ ≤ 1, ‖u(x)‖ ≤ 1: adding or removing
//! one image changes one row by a vector of norm at most 1, so the sum has ℓ₂ sensitivity [`SENSITIVITY`] = 1, and its
//! division by the public number of images N sensitivity 1/N. Replacing an image by another would double both.
//!
//! Sums of floating-point numbers round differently in another order or with one more term, by more than one record's
//! bound in the worst case (Casacuberta, Shoemate, Vadhan & Wagaman 2022); [`Features::class_sums`] are exact.
//!
//! The label is part of the protected record: it decides the row. The class counts are only known through the first
//! coordinates, noise included. Everything made from the release afterwards is post-processing.

use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Labels, Progress};
use standin_privacy::{Adjacency, Budget, Guarantee, NoiseSource, Unit, gaussian};

use crate::Result;
use crate::moments::features::Features;

/// The part of each record's squared norm that counts its class; the rest embeds its pixels.
///
/// A tenth leaves the embedding 95 % of its scale and estimates each class count with standard deviation 3.2 σ.
pub const COUNT_SHARE: f64 = 0.1;

/// Change of the summed embedding in the ℓ₂ norm when one image is added or removed, at most.
pub const SENSITIVITY: f64 = 1.0;

/// The summed embedding, classes × (1 + width) values: the class count's coordinate, then the features.
///
/// Made from private images and without noise: it never leaves this crate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClassSums {
    pub(crate) values: Vec<f64>,
    pub(crate) classes: usize,
    /// What was summed, in words.
    of: &'static str,
}

impl ClassSums {
    /// Adds up the features of every image.
    pub(crate) fn of(images: &ImageSet, labels: &Labels, features: &dyn Features, progress: &dyn Progress) -> Self {
        let sums = features.class_sums(images, labels, progress);
        let scale = (1.0 - COUNT_SHARE).sqrt();
        let mut values = Vec::with_capacity(sums.len() + labels.classes.len());
        for (row, members) in sums.chunks_exact(features.width()).zip(labels.by_class()) {
            values.push(COUNT_SHARE.sqrt() * members.len() as f64);
            values.extend(row.iter().map(|sum| scale * sum));
        }
        Self { values, classes: labels.classes.len(), of: features.name() }
    }

    /// Adds Gaussian noise for the budget, once, and forgets the sums without it.
    ///
    /// `images` is the public number of images N.
    pub(crate) fn release(mut self, images: usize, budget: Budget, mut noise: NoiseSource) -> Result<Release> {
        let sigma = gaussian::sigma(budget.epsilon, budget.delta, SENSITIVITY)?;
        noise.add_gaussian(sigma, &mut self.values)?;
        let guarantee = Guarantee {
            epsilon: gaussian::epsilon(sigma, SENSITIVITY, budget.delta)?,
            delta: budget.delta,
            unit: Unit::Image,
            adjacency: Adjacency::AddRemove,
            sampler: "full batch: every image enters the one release".to_owned(),
            mechanism: format!(
                "Gaussian, one release of {} values: class-wise sums of {} with the class counts, l2 sensitivity \
                 {SENSITIVITY} (norm of each record at most 1), noise standard deviation {sigma:.6}",
                self.values.len(),
                self.of
            ),
            accountant: "analytic Gaussian mechanism (Balle & Wang 2018)".to_owned(),
            noise: noise.origin(),
            not_covered: vec![
                format!("the number of training images, {images}, which is taken as public"),
                "the image shape and the class names, which are taken as public".to_owned(),
                "several images of one person: the unit is one image".to_owned(),
                "images that were set aside before training, and how the division into training images and others was \
                 made"
                    .to_owned(),
                "the choice of options, if they were tuned on these images (the defaults were tuned on public ones)"
                    .to_owned(),
                "other releases made from the same images, whose ε and δ add to these".to_owned(),
            ],
        };
        let width = self.values.len() / self.classes;
        let rows = self.values.chunks_exact(width);
        let noisy_counts: Vec<f64> = rows.clone().map(|row| row[0] / COUNT_SHARE.sqrt()).collect();
        let scale = ((1.0 - COUNT_SHARE).sqrt() * images as f64).recip();
        Ok(Release {
            shares: shares(&noisy_counts, sigma / COUNT_SHARE.sqrt()),
            embedding: rows.flat_map(|row| &row[1..]).map(|value| (scale * value) as f32).collect(),
            guarantee,
        })
    }
}

/// Class shares from counts with Gaussian noise of the given standard deviation: each above 0, adding up to 1.
///
/// Four counts or more are drawn towards their mean as far as the noise explains their differences, by the positive-part
/// estimator of Efron & Morris 1973 (towards the mean of all): with little noise they stay as they are, with
/// much they become equal. A count below the noise is then raised to it.
pub(crate) fn shares(noisy_counts: &[f64], noise: f64) -> Vec<f64> {
    let classes = noisy_counts.len() as f64;
    let mean = noisy_counts.iter().sum::<f64>() / classes;
    let spread: f64 = noisy_counts.iter().map(|count| (count - mean).powi(2)).sum();
    let explained = (classes - 3.0).max(0.0) * noise * noise;
    let kept = if spread > explained { 1.0 - explained / spread } else { 0.0 };
    let counts = noisy_counts.iter().map(|count| (mean + kept * (count - mean)).max(noise));
    let total: f64 = counts.clone().sum();
    counts.map(|count| count / total).collect()
}

/// What is known of the private images: noise included, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Estimated share of each class, above 0, adding up to 1.
    pub shares: Vec<f64>,
    /// For each class the estimate of share × mean of φ over the class: classes × width.
    pub embedding: Vec<f32>,
    /// What the release promises.
    pub guarantee: Guarantee,
}

#[cfg(test)]
mod tests {
    use standin_data::{Seed, Shape, Silent};
    use standin_privacy::{Delta, NoiseOrigin, PrivacyTarget};

    use super::*;
    use crate::fourier::FourierFeatures;
    use crate::moments::fourier_parts::{FourierParts, STEPS};

    const SHAPE: Shape = Shape { channels: 1, height: 4, width: 4 };

    /// The images with labels among three classes.
    fn set(images: &[[u8; 16]], labels: &[u32]) -> ImageSet {
        let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
        let set = ImageSet::new(SHAPE, images.concat()).unwrap();
        set.with_labels(Labels { values: labels.to_vec(), classes }).unwrap()
    }

    fn sums(set: &ImageSet, features: &FourierFeatures) -> ClassSums {
        ClassSums::of(set, set.labels().unwrap(), &FourierParts::all(features.clone()), &Silent)
    }

    fn base() -> (Vec<[u8; 16]>, Vec<u32>) {
        let images = (0..1500).map(|image: usize| std::array::from_fn(|pixel| (image * 31 + pixel * 17) as u8));
        (images.collect(), (0..1500).map(|image| image % 3).collect())
    }

    fn budget(epsilon: f64, images: usize) -> Budget {
        PrivacyTarget { epsilon, delta: Delta::Auto, allow_large_delta: false }.budget(images).unwrap()
    }

    #[test]
    fn one_image_more_changes_the_sums_by_at_most_the_sensitivity() {
        let (images, labels) = base();
        let chessboard = std::array::from_fn(|pixel| if (pixel + pixel / 4) % 2 == 0 { 255 } else { 0 });
        for length_scale in [1e-2, 1.0, 100.0] {
            let features = FourierFeatures::draw(16, &[length_scale], 300, Seed::new(1));
            let without = sums(&set(&images, &labels), &features);
            for extreme in [[0; 16], [255; 16], chessboard] {
                for class in 0..3 {
                    let with = set(&[&images[..], &[extreme]].concat(), &[&labels[..], &[class]].concat());
                    let with = sums(&with, &features);
                    let squared: f64 = with.values.iter().zip(&without.values).map(|(a, b)| (a - b).powi(2)).sum();
                    let change = squared.sqrt();
                    assert!(change <= SENSITIVITY, "change {change} at length scale {length_scale}");
                    assert!(change > 0.999 * SENSITIVITY, "the bound is not tight: {change}");
                }
            }
        }
    }

    #[test]
    fn an_image_contributes_the_same_in_any_company_and_place() {
        let (images, labels) = base();
        let features = FourierFeatures::draw(16, &[1.0], 300, Seed::new(1));
        let step = (1.0 - COUNT_SHARE).sqrt() * features.amplitude() / f64::from(STEPS);
        let of = |range: std::ops::Range<usize>| sums(&set(&images[range.clone()], &labels[range]), &features).values;
        let alone = of(0..1);
        // The first image is removed, so that every other one moves to another place.
        for n in [2, 3, 4, 7, 8, 9, 511, 512, 513, 514, 1025, 1500] {
            for ((with, without), alone) in of(0..n).iter().zip(of(1..n)).zip(&alone) {
                assert!((with - without - alone).abs() < 0.25 * step, "{with} − {without} is not {alone} at {n}");
            }
        }
    }

    #[test]
    fn sums_equal_a_loop_in_double_precision() {
        let (images, labels) = base();
        let features = FourierFeatures::draw(16, &[1.0], 300, Seed::new(1));
        let found = sums(&set(&images, &labels), &features);
        let width = 1 + features.width();
        let mut expected = vec![0.0; 3 * width];
        for (image, &label) in images.iter().zip(&labels) {
            let points: Vec<f32> = image.iter().map(|&value| f32::from(value) / 255.0).collect();
            let row = &mut expected[label as usize * width..][..width];
            row[0] += COUNT_SHARE.sqrt();
            for (sum, feature) in row[1..].iter_mut().zip(features.features(&points)) {
                *sum += (1.0 - COUNT_SHARE).sqrt() * f64::from(feature);
            }
        }
        for (found, expected) in found.values.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-3, "{found} against {expected}");
        }
    }

    #[test]
    fn sums_do_not_depend_on_the_number_of_threads() {
        let (images, labels) = base();
        let set = set(&images, &labels);
        let features = FourierFeatures::draw(16, &[1.0], 600, Seed::new(1));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sums(&set, &features))
        };
        assert_eq!(with(1), with(2));
    }

    /// With 3 · 601 draws the standard deviation is known to 1.7 % (one standard error); the bound is four of them.
    #[test]
    fn the_noise_has_the_calibrated_standard_deviation_and_the_guarantee_says_so() {
        let (images, labels) = base();
        let features = FourierFeatures::draw(16, &[1.0], 300, Seed::new(1));
        let sums = sums(&set(&images, &labels), &features);
        for epsilon in [0.2, 1.0, 10.0] {
            let budget = budget(epsilon, images.len());
            let sigma = gaussian::sigma(budget.epsilon, budget.delta, SENSITIVITY).unwrap();
            let release = sums.clone().release(images.len(), budget, NoiseSource::secret().unwrap()).unwrap();
            let scale = (1.0 - COUNT_SHARE).sqrt() * images.len() as f64;
            let width = 1 + features.width();
            let clean = sums.values.chunks_exact(width).flat_map(|row| &row[1..]);
            let squared: f64 =
                release.embedding.iter().zip(clean).map(|(&a, b)| (f64::from(a) * scale - b).powi(2)).sum();
            let deviation = (squared / release.embedding.len() as f64).sqrt();
            assert!((deviation / sigma - 1.0).abs() < 0.068, "noise {deviation}, calibrated {sigma}");

            let guarantee = &release.guarantee;
            assert!(guarantee.epsilon <= epsilon * (1.0 + 1e-12) && guarantee.epsilon > epsilon * (1.0 - 1e-6));
            assert_eq!(guarantee.delta, budget.delta);
            assert_eq!(guarantee.noise, NoiseOrigin::Secret);
            assert!(guarantee.holds());
            assert!(guarantee.mechanism.contains(&format!("{sigma:.6}")), "{}", guarantee.mechanism);
        }
    }

    #[test]
    fn secret_noise_is_never_the_same_twice_and_reproducible_noise_is_declared() {
        let (images, labels) = base();
        let features = FourierFeatures::draw(16, &[1.0], 50, Seed::new(1));
        let sums = sums(&set(&images, &labels), &features);
        let release = |noise| sums.clone().release(images.len(), budget(1.0, images.len()), noise).unwrap();
        let secret = || release(NoiseSource::secret().unwrap());
        assert_ne!(secret().embedding, secret().embedding);
        let fixed = |seed| release(NoiseSource::reproducible(Seed::new(seed)));
        assert_eq!(fixed(1).embedding, fixed(1).embedding);
        assert_ne!(fixed(1).embedding, fixed(2).embedding);
        assert!(!fixed(1).guarantee.holds());
    }

    #[test]
    fn counts_are_drawn_together_as_far_as_noise_explains_their_differences() {
        let counts = [90.0, 110.0, 105.0, 95.0, 100.0];
        assert_eq!(shares(&counts, 30.0), [0.2; 5]);
        for (share, count) in shares(&counts, 0.01).iter().zip(counts) {
            assert!((share - count / 500.0).abs() < 1e-6);
        }
        // Spread 250, of which (5 − 3)·5² = 50 is explained: 0.8 of each difference is kept.
        for (share, expected) in shares(&counts, 5.0).iter().zip([92.0, 108.0, 104.0, 96.0, 100.0]) {
            assert!((share - expected / 500.0).abs() < 1e-12);
        }
    }

    #[test]
    fn shares_come_from_the_noisy_release() {
        let (images, _) = base();
        let labels: Vec<u32> = (0..1500).map(|image| u32::from(image % 10 == 0)).collect();
        let features = FourierFeatures::draw(16, &[1.0], 20, Seed::new(1));
        let sums = sums(&set(&images, &labels), &features);
        let release = |seed| {
            let noise = NoiseSource::reproducible(Seed::new(seed));
            sums.clone().release(images.len(), budget(1.0, images.len()), noise).unwrap().shares
        };
        let shares = release(1);
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        // The counts 1350, 150 and 0 with noise of about 11 each, the last at least one such step.
        for (share, expected) in shares.iter().zip([0.9, 0.1, 0.007]) {
            assert!((share - expected).abs() < 0.035, "{shares:?}");
        }
        assert!(shares[2] > 0.0);
        assert_ne!(shares, release(2), "exact counts would not change with the noise");
    }
}
