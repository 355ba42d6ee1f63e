use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use standin_data::{ImageSet, Seed};

/// Images with Gaussian noise of standard deviation `deviation` on every pixel value, rounded and kept within 0 to 255.
///
/// A mitigation for images whose generator gives no guarantee: it hides details by which an image would be told. It
/// gives no guarantee itself, and takes none away, and the provenance of the images says that it was added. The noise of image
/// i depends on the seed and i alone.
pub fn perturbed(images: &ImageSet, deviation: f64, seed: Seed) -> ImageSet {
    let volume = images.shape().volume();
    let seed = seed.derive("perturbation");
    let mut pixels = images.pixels().to_vec();
    pixels.par_chunks_mut(volume).enumerate().for_each(|(index, image)| {
        let mut rng = seed.rng();
        rng.set_stream(index as u64);
        for value in image {
            let noise = deviation * rng.sample::<f64, _>(StandardNormal);
            *value = (f64::from(*value) + noise).round().clamp(0.0, 255.0) as u8;
        }
    });
    let fresh = ImageSet::new(images.shape(), pixels).expect("as many pixels as before");
    let labelled = match images.labels() {
        Some(labels) => fresh.with_labels(labels.clone()).expect("as many labels as before"),
        None => fresh,
    };
    let columns = images.columns().iter().cloned();
    let mut provenance = images.provenance().clone();
    provenance.source += &format!("; Gaussian noise of {deviation} on each pixel value");
    columns
        .fold(labelled, |set, column| set.with_column(column).expect("as many values as before"))
        .with_provenance(provenance)
}

#[cfg(test)]
mod tests {
    use standin_data::Shape;

    use super::*;

    #[test]
    fn noise_has_the_deviation_asked_for_and_differs_between_images() {
        let shape = Shape { channels: 1, height: 40, width: 50 };
        let images = ImageSet::new(shape, vec![128; 10 * 2000]).unwrap();
        let noisy = perturbed(&images, 10.0, Seed::new(1));
        let squared: f64 = noisy.pixels().iter().map(|&value| (f64::from(value) - 128.0).powi(2)).sum();
        // 20 000 draws tell the deviation to half a percent in one standard error; rounding adds 1/12 to the variance.
        let deviation = (squared / 20_000.0 - 1.0 / 12.0).sqrt();
        assert!((deviation - 10.0).abs() < 0.2, "{deviation}");
        assert_ne!(noisy.image(0), noisy.image(1));
        assert_eq!(perturbed(&images, 0.0, Seed::new(1)).pixels(), images.pixels());
        assert_eq!(perturbed(&images.select(&[0, 1]), 10.0, Seed::new(1)).pixels(), &noisy.pixels()[..4000]);
    }
}
