use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::tensor::Tensor;

/// Mean and standard deviation of pixel values (0 to 255) of a training set, over `groups` of equal size: each pixel on
/// its own, or each channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standardisation {
    pub(crate) mean: Vec<f64>,
    pub(crate) deviation: Vec<f64>,
}

/// A mean and a deviation known beforehand, on the scale from 0 (black) to 1 (white): for each channel, or one for all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constants {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Default for Constants {
    /// 0.5 and 0.25, which are near those of most pictures and learnt from none.
    fn default() -> Self {
        Self { mean: vec![0.5], deviation: vec![0.25] }
    }
}

impl Constants {
    /// Checks that there is something to divide by.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { mean, deviation } = self;
        if mean.is_empty() || mean.len() != deviation.len() {
            return Err(
                "`standardisation` needs as many deviations as means, one for each channel or one for all".into()
            );
        }
        if !mean.iter().all(|value| value.is_finite())
            || !deviation.iter().all(|&value| value.is_finite() && value > 0.0)
        {
            return Err("`standardisation` needs finite means and deviations above 0, on the scale from 0 to 1".into());
        }
        Ok(())
    }

    /// The standardisation of images of `channels` channels.
    ///
    /// # Errors
    /// If there are neither as many constants as channels nor one for all.
    pub(crate) fn standardisation(&self, channels: usize) -> Result<Standardisation, String> {
        let spread = |values: &[f64]| match values {
            [one] => Ok(vec![255.0 * one; channels]),
            all if all.len() == channels => Ok(all.iter().map(|value| 255.0 * value).collect()),
            all => Err(format!(
                "`standardisation` is given for {} channels and the images have {channels}; give one value or {channels}",
                all.len()
            )),
        };
        Ok(Standardisation { mean: spread(&self.mean)?, deviation: spread(&self.deviation)? })
    }
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

    /// Values in [0, 1], `n × channels × height × width`, less the mean and divided by the deviation of their channel.
    ///
    /// # Panics
    /// If there is not one mean and deviation for each channel.
    pub(crate) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let device = x.device();
        let per_channel =
            |values: Vec<f32>| Tensor::<1>::from_data(values.as_slice(), &device).reshape([1, values.len(), 1, 1]);
        let scale = self.deviation.iter().map(|deviation| (255.0 / deviation) as f32);
        let pairs = self.mean.iter().zip(&self.deviation);
        let offset = pairs.map(|(mean, deviation)| (-mean / deviation) as f32);
        x * per_channel(scale.collect()) + per_channel(offset.collect())
    }
}

#[cfg(test)]
mod tests {
    use standin_data::Shape;
    use standin_nn::tensor::Tensor;
    use standin_nn::{DeviceChoice, PixelRange, pixels};

    use super::*;

    fn two() -> ImageSet {
        ImageSet::new(Shape { channels: 1, height: 1, width: 2 }, vec![7, 0, 7, 10]).unwrap()
    }

    #[test]
    fn constant_pixels_are_centred_and_not_scaled() {
        let pixels = Standardisation::per_pixel(&two());
        assert_eq!((pixels.mean, pixels.deviation), (vec![7.0, 5.0], vec![1.0, 5.0]));
        assert_eq!(Standardisation::per_channel(&two()).mean, [6.0]);
    }

    #[test]
    fn a_standardised_set_has_mean_0_and_variance_1() {
        let images = two();
        let x: Tensor<4> = pixels(&images, &[0, 1], PixelRange::Unit, &DeviceChoice::Cpu.inference());
        let x: Vec<f32> = Standardisation::per_channel(&images).apply(x).into_data().iter::<f32>().collect();
        let square = x.iter().map(|value| value * value).sum::<f32>() / 4.0;
        assert!(x.iter().sum::<f32>().abs() < 1e-5 && (square - 1.0).abs() < 1e-5, "{x:?}");
    }

    #[test]
    fn constants_are_for_every_channel_or_for_all() {
        let grey = Constants::default().standardisation(3).unwrap();
        assert_eq!((grey.mean, grey.deviation), (vec![127.5; 3], vec![63.75; 3]));
        let colour = Constants { mean: vec![0.1, 0.2, 0.3], deviation: vec![0.1; 3] };
        assert!(colour.check().is_ok() && colour.standardisation(3).is_ok());
        assert!(colour.standardisation(1).unwrap_err().contains("3 channels"));
        assert!(Constants { mean: vec![0.1], deviation: vec![0.0] }.check().is_err());
        assert!(Constants { mean: vec![0.1], deviation: vec![] }.check().is_err());
    }
}
