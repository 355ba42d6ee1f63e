use serde::{Deserialize, Serialize};
use standin_data::ImageSet;

/// Mean and standard deviation of pixel values (0 to 255) of a training set, over `groups` of equal size: each pixel on
/// its own, or each channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standardisation {
    pub(crate) mean: Vec<f64>,
    pub(crate) deviation: Vec<f64>,
}

impl Standardisation {
    /// One mean and deviation for every pixel of every channel.
    pub(crate) fn per_pixel(images: &ImageSet) -> Self {
        Self::over(images, images.shape().volume())
    }

    /// One mean and deviation for every channel.
    pub(crate) fn per_channel(images: &ImageSet) -> Self {
        Self::over(images, images.shape().channels)
    }

    fn over(images: &ImageSet, groups: usize) -> Self {
        let size = images.shape().volume() / groups;
        // Exact in u64 for up to 2⁴⁸ values, so the order of summation does not matter.
        let (mut sums, mut squares) = (vec![0u64; groups], vec![0u64; groups]);
        for index in 0..images.len() {
            for (group, pixels) in images.image(index).chunks_exact(size).enumerate() {
                for &pixel in pixels {
                    sums[group] += u64::from(pixel);
                    squares[group] += u64::from(pixel) * u64::from(pixel);
                }
            }
        }
        let n = (images.len() * size) as f64;
        let mean: Vec<f64> = sums.iter().map(|&sum| sum as f64 / n).collect();
        let deviation = squares.iter().zip(&mean).map(|(&square, mean)| {
            let variance = square as f64 / n - mean * mean;
            // A pixel that never changes carries nothing: it is centred and left as it is.
            if variance > 1e-9 { variance.sqrt() } else { 1.0 }
        });
        Self { deviation: deviation.collect(), mean }
    }
}

#[cfg(test)]
mod tests {
    use standin_data::Shape;

    use super::*;

    #[test]
    fn constant_pixels_are_centred_and_not_scaled() {
        let images = ImageSet::new(Shape { channels: 1, height: 1, width: 2 }, vec![7, 0, 7, 10]).unwrap();
        let pixels = Standardisation::per_pixel(&images);
        assert_eq!((pixels.mean, pixels.deviation), (vec![7.0, 5.0], vec![1.0, 5.0]));
        assert_eq!(Standardisation::per_channel(&images).mean, [6.0]);
    }
}
