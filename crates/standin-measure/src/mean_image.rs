use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use standin_data::{ImageSet, Seed, Shape};

use crate::error::require_rows;
use crate::uncertainty::squared_deviations;
use crate::{Error, Estimate, Result, normal};

const NAME: &str = "the mean-image size of a class";
/// Groups of images that are drawn together, so that a resample costs no pass over all images.
const GROUPS: usize = 50;
const RESAMPLES: usize = 100;

/// The size in bytes of the mean image, as MedSynAnalyzer measures variety (after Deng et al., "ImageNet", CVPR 2009):
/// the mean of each class's images, rounded to 8 bits and losslessly encoded, averaged over the classes that have
/// images; a set without labels is one class. The more the images vary, the flatter their mean and the smaller the
/// file; see [`normalised_variety`].
///
/// The encoding is PNG with adaptive filters at the default compression level. Sizes compare between sets of one shape
/// and about one number of images only: what is left of noise in the mean of few images takes bytes too.
///
/// **Interval**: normal, for the size expected of as many images, with the variance of 100 bootstrap resamples of up to
/// 50 groups of images in each class. Resamples repeat images, which makes their files larger; only their spread is
/// used.
///
/// O(n·volume) time, and 100 encodings of a mean image per class; memory for 50 images of 4 bytes a value.
///
/// # Errors
/// If there is no image, or a class has a single one.
pub fn mean_image_size(images: &ImageSet, seed: Seed) -> Result<Estimate> {
    let mut classes = match images.labels() {
        Some(labels) => {
            let mut members = vec![Vec::new(); labels.classes.len()];
            labels.values.iter().enumerate().for_each(|(image, &class)| members[class as usize].push(image));
            members
        }
        None => vec![(0..images.len()).collect()],
    };
    classes.retain(|members| !members.is_empty());
    require_rows("the mean-image size", images.len(), 2)?;
    let (mut sizes, mut variances) = (Vec::new(), Vec::new());
    for (class, mut members) in classes.into_iter().enumerate() {
        require_rows(NAME, members.len(), 2)?;
        let seed = seed.derive(&format!("mean image of class {class}"));
        members.shuffle(&mut seed.derive("groups").rng());
        let groups = Groups::of(images, &members);
        sizes.push(groups.size(&vec![1; groups.sums.len()])? as f64);
        variances.push(groups.variance(seed.derive("bootstrap"))?);
    }
    let count = sizes.len() as f64;
    let error = variances.iter().sum::<f64>().sqrt() / count;
    let method = format!("bootstrap standard error, {RESAMPLES} resamples of groups");
    let estimate = normal(sizes.iter().sum::<f64>() / count, error, images.len(), method);
    Ok(Estimate { low: estimate.low.max(0.0), ..estimate })
}

/// Variety from the [`mean_image_size`]s of the sets compared: 1 for the smallest, 0 for the largest, linear in
/// between. It says something about these sets beside each other only. Where all sizes are equal none has less variety
/// than another, and all have 1.
pub fn normalised_variety(sizes: &[f64]) -> Vec<f64> {
    let least = sizes.iter().copied().fold(f64::INFINITY, f64::min);
    let most = sizes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    sizes.iter().map(|size| if most > least { 1.0 - (size - least) / (most - least) } else { 1.0 }).collect()
}

/// The images of a class in groups of nearly equal size.
struct Groups {
    shape: Shape,
    /// Sum of each group's images.
    sums: Vec<Vec<u32>>,
    /// Images in each group.
    counts: Vec<u64>,
}

impl Groups {
    fn of(images: &ImageSet, members: &[usize]) -> Self {
        let groups = members.len().min(GROUPS);
        let (sums, counts) = (0..groups)
            .into_par_iter()
            .map(|group| {
                let mut sum = vec![0; images.shape().volume()];
                let mut count = 0;
                for &image in members.iter().skip(group).step_by(groups) {
                    sum.iter_mut().zip(images.image(image)).for_each(|(sum, &value)| *sum += u32::from(value));
                    count += 1;
                }
                (sum, count)
            })
            .unzip();
        Self { shape: images.shape(), sums, counts }
    }

    /// Bytes of the mean image in which each group counts `weights` times.
    fn size(&self, weights: &[u64]) -> Result<usize> {
        let count: u64 = weights.iter().zip(&self.counts).map(|(weight, count)| weight * count).sum();
        let Shape { channels, height, width } = self.shape;
        let mut total = vec![0; self.shape.volume()];
        for (&weight, sum) in weights.iter().zip(&self.sums).filter(|&(&weight, _)| weight > 0) {
            total.iter_mut().zip(sum).for_each(|(total, &sum)| *total += weight * u64::from(sum));
        }
        let mean = |at: usize| ((2 * total[at] + count) / (2 * count)) as u8;
        let plane = height * width;
        let pixel = |pixel| (0..channels).map(move |channel| channel * plane + pixel);
        let values: Vec<u8> = (0..plane).flat_map(pixel).map(mean).collect();
        let mut encoded = Vec::new();
        let color = if channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
        PngEncoder::new_with_quality(&mut encoded, CompressionType::Default, FilterType::Adaptive)
            .write_image(&values, width as u32, height as u32, color)
            .map_err(|error| {
                Error::Data(standin_data::Error::inconsistent(
                    format!("a mean image of {} does not become a PNG: {error}", self.shape),
                    "images of at most 2³¹ pixels a side were expected",
                ))
            })?;
        Ok(encoded.len())
    }

    fn variance(&self, seed: Seed) -> Result<f64> {
        let groups = self.sums.len();
        let sizes = (0..RESAMPLES)
            .into_par_iter()
            .map(|resample| {
                let mut rng = seed.derive(&format!("resample {resample}")).rng();
                let mut weights = vec![0; groups];
                (0..groups).for_each(|_| weights[rng.random_range(0..groups)] += 1);
                Ok(self.size(&weights)? as f64)
            })
            .collect::<Result<Vec<f64>>>()?;
        // Drawing g groups with replacement has (g − 1)/g of the variance of drawing g new ones.
        let small = groups as f64 / (groups - 1) as f64;
        Ok(small * squared_deviations(&sizes) / (RESAMPLES - 1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use standin_data::Labels;

    use super::*;

    const SHAPE: Shape = Shape { channels: 1, height: 16, width: 16 };

    /// A bright square at a place that varies by up to `shift` pixels, in noise.
    fn squares(count: usize, shift: usize, seed: u64) -> ImageSet {
        let mut rng = Seed::new(seed).rng();
        let mut values = Vec::new();
        for _ in 0..count {
            let (top, left) = (rng.random_range(0..=shift), rng.random_range(0..=shift));
            for pixel in 0..SHAPE.volume() {
                let inside = (top..top + 8).contains(&(pixel / 16)) && (left..left + 8).contains(&(pixel % 16));
                values.push(if inside { 200 } else { 40 } + rng.random_range(0..20_u8));
            }
        }
        ImageSet::new(SHAPE, values).unwrap()
    }

    #[test]
    fn the_mean_is_rounded_half_up() {
        let images = ImageSet::new(Shape { channels: 1, height: 1, width: 2 }, vec![1, 0, 2, 0, 2, 1, 1, 0]).unwrap();
        let groups = Groups::of(&images, &[0, 1, 2, 3]);
        // Means 1.5 and 0.25 become 2 and 0.
        let expected = ImageSet::new(images.shape(), vec![2, 0, 2, 0]).unwrap();
        assert_eq!(groups.size(&[1; 4]).unwrap(), Groups::of(&expected, &[0, 1]).size(&[1; 2]).unwrap());
        assert_eq!(groups.counts, [1; 4]);
    }

    #[test]
    fn images_that_never_vary_keep_their_detail() {
        let flat = ImageSet::new(SHAPE, vec![7; 20 * 256]).unwrap();
        let found = mean_image_size(&flat, Seed::new(1)).unwrap();
        assert_eq!((found.value, found.n), (found.low, 20));
        assert!(found.value < 100.0, "{found}");
        let one = squares(1, 0, 1);
        let same = mean_image_size(&one.select(&[0; 30]), Seed::new(1)).unwrap();
        assert!(same.value == same.high && same.value > 200.0, "{same}");
    }

    #[test]
    fn variety_makes_the_file_smaller() {
        // Noise of 20 grey values averages out over 2000 images; the square does not unless it moves.
        let still = squares(50, 0, 1);
        let varied = ImageSet::new(
            SHAPE,
            still
                .pixels()
                .chunks(256)
                .flat_map(|image| {
                    let mut turned = image.to_vec();
                    turned.reverse();
                    [image.to_vec(), turned].concat()
                })
                .collect(),
        )
        .unwrap();
        let size = |set: &ImageSet| mean_image_size(set, Seed::new(1)).unwrap().value;
        let copies = still.select(&(0..100).map(|at| at % 2).collect::<Vec<_>>());
        assert!(size(&varied) < size(&copies), "{} and {}", size(&varied), size(&copies));
        assert_eq!(normalised_variety(&[300.0, 100.0, 150.0]), [0.0, 1.0, 0.75]);
        assert_eq!(normalised_variety(&[5.0, 5.0]), [1.0, 1.0]);
    }

    #[test]
    fn classes_without_images_do_not_count_and_single_images_are_refused() {
        let images = squares(12, 4, 3);
        let labelled = |values: Vec<u32>| {
            let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
            images.clone().with_labels(Labels { values, classes }).unwrap()
        };
        let halves = mean_image_size(&labelled([0, 2].repeat(6)), Seed::new(1)).unwrap();
        let of = |parity: usize| {
            let half = images.select(&(0..12).filter(|at| at % 2 == parity).collect::<Vec<_>>());
            mean_image_size(&half, Seed::new(1)).unwrap().value
        };
        assert_eq!(halves.value, (of(0) + of(1)) / 2.0);
        let single = mean_image_size(&labelled([vec![0; 11], vec![1]].concat()), Seed::new(1));
        assert!(single.unwrap_err().to_string().contains("class of 1 images"));
    }

    #[test]
    fn the_interval_covers_the_size_expected_of_as_many_images() {
        let runs = 250;
        let found: Vec<Estimate> =
            (0..runs).map(|run| mean_image_size(&squares(120, 6, run), Seed::new(run)).unwrap()).collect();
        let average = found.iter().map(|estimate| estimate.value).sum::<f64>() / runs as f64;
        let covered = found.iter().filter(|estimate| estimate.low <= average && average <= estimate.high).count();
        let share = covered as f64 / runs as f64;
        assert!((0.92..=0.98).contains(&share), "{share}");
    }
}
