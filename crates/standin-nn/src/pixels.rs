use burn::tensor::{Device, Tensor, TensorData};
use standin_data::{ImageSet, Shape};

use crate::Result;

/// The interval that pixel values 0 … 255 are mapped to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelRange {
    /// [0, 1].
    Unit,
    /// [−1, 1].
    Symmetric,
}

impl PixelRange {
    /// Levels per unit and lowest value: `value = pixel / levels + lowest`.
    fn affine(self) -> (f32, f32) {
        match self {
            Self::Unit => (255.0, 0.0),
            Self::Symmetric => (127.5, -1.0),
        }
    }
}

/// The images at `indices` as a tensor, `n × channels × height × width`.
///
/// # Panics
/// If an index is not below the number of images.
pub fn pixels(images: &ImageSet, indices: &[usize], range: PixelRange, device: &Device) -> Tensor<4> {
    let Shape { channels, height, width } = images.shape();
    let (levels, lowest) = range.affine();
    let mut values = Vec::with_capacity(indices.len() * images.shape().volume());
    for &index in indices {
        values.extend(images.image(index).iter().map(|&pixel| f32::from(pixel) / levels + lowest));
    }
    Tensor::from_data(TensorData::new(values, [indices.len(), channels, height, width]), device)
}

/// Images from a tensor, `n × channels × height × width`: values outside the range are clipped, the rest rounded to the
/// nearest of 256 levels (never truncated, which would darken the set by half a level).
///
/// # Errors
/// If the tensor has other than 1 or 3 channels or an empty plane.
pub fn quantise(tensor: Tensor<4>, range: PixelRange) -> Result<ImageSet> {
    let [_, channels, height, width] = tensor.dims();
    let (levels, lowest) = range.affine();
    let pixels = tensor
        .into_data()
        .iter::<f32>()
        .map(|value| ((value - lowest) * levels).round().clamp(0.0, 255.0) as u8)
        .collect();
    Ok(ImageSet::new(Shape { channels, height, width }, pixels)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceChoice;

    #[test]
    fn every_level_survives_the_round_trip() {
        let shape = Shape { channels: 1, height: 16, width: 16 };
        let images = ImageSet::new(shape, (0..=255).collect()).unwrap();
        for range in [PixelRange::Unit, PixelRange::Symmetric] {
            let tensor = pixels(&images, &[0, 0], range, &DeviceChoice::Cpu.inference());
            assert_eq!(tensor.dims(), [2, 1, 16, 16]);
            assert_eq!(quantise(tensor, range).unwrap().image(1), images.image(0));
        }
    }

    #[test]
    fn values_outside_the_range_are_clipped() {
        let tensor = Tensor::<4>::from_data([[[[-3.0, 0.5, 7.0]]]], &DeviceChoice::Cpu.inference());
        assert_eq!(quantise(tensor, PixelRange::Unit).unwrap().pixels(), [0, 128, 255]);
    }
}
