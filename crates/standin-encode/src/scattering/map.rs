use rustfft::num_complex::Complex32;
use standin_data::Shape;

use super::Scattering;
use super::transform::{Order, Transform, paths};
use crate::Result;

/// The scattering transform as a function with a gradient, for methods that learn images from their features.
///
/// It is the transform of the encoder `scattering-full`, on images of values in \[0, 1\] instead of bytes: same features,
/// same order.
pub struct ScatteringMap {
    shape: Shape,
    transform: Transform,
    paths: [usize; 3],
    positions: usize,
}

/// Features of images, with what their gradient needs.
#[derive(Clone, Debug)]
pub struct Scattered {
    /// One row of features per image, images × [`ScatteringMap::width`].
    pub features: Vec<f32>,
    /// Wavelet coefficients of each plane.
    coefficients: Vec<Complex32>,
}

impl ScatteringMap {
    /// The transform for images of a shape. Without the second order it has fewer features and takes a third of the time.
    ///
    /// # Errors
    /// If images of that shape are too small for wavelets.
    pub fn new(shape: Shape, second_order: bool) -> Result<Self> {
        let plan = Scattering::full().plan(shape)?;
        let highest = if second_order { Order::Second } else { Order::First };
        Ok(Self {
            shape,
            transform: Transform::new(shape.height, shape.width, plan.scales, plan.grid, highest),
            paths: paths(plan.scales, highest),
            positions: plan.grid.0 * plan.grid.1,
        })
    }

    /// Features of an image: channels × paths × positions, the paths of order 0 first, then those of orders 1 and 2.
    pub fn width(&self) -> usize {
        self.shape.channels * self.paths.iter().sum::<usize>() * self.positions
    }

    /// Features of each order in one channel.
    pub fn orders(&self) -> [usize; 3] {
        self.paths.map(|paths| paths * self.positions)
    }

    /// One row of features per image, images × [`ScatteringMap::width`], on the calling thread. What an image's row holds
    /// depends on the image alone.
    ///
    /// # Panics
    /// If `images` does not consist of whole images, each channels × height × width.
    pub fn features(&self, images: &[f32]) -> Vec<f32> {
        self.apply(images, |_| ())
    }

    /// The same, with what [`ScatteringMap::pull_back`] needs: 270 kB for a plane of 28×28,
    /// 104 kB without the second order.
    ///
    /// # Panics
    /// If `images` does not consist of whole images.
    pub fn scatter(&self, images: &[f32]) -> Scattered {
        let planes = images.len() / self.plane();
        let mut coefficients = Vec::with_capacity(planes * self.transform.coefficients());
        let features = self.apply(images, |path| coefficients.extend_from_slice(path));
        Scattered { features, coefficients }
    }

    /// The gradient with respect to each value of the images, given that with respect to their features, images ×
    /// [`ScatteringMap::width`]. At a wavelet coefficient of 0 its modulus is taken to have slope 0.
    ///
    /// Cost: that of the features.
    ///
    /// # Panics
    /// If the gradient is not of these images.
    pub fn pull_back(&self, scattered: &Scattered, gradient: &[f32]) -> Vec<f32> {
        assert_eq!(gradient.len(), scattered.features.len(), "a gradient for each feature");
        let mut buffers = self.transform.buffers();
        let mut images = vec![0.0; gradient.len() / self.transform.features() * self.plane()];
        let planes = images.chunks_exact_mut(self.plane());
        let coefficients = scattered.coefficients.chunks_exact(self.transform.coefficients());
        for ((plane, coefficients), gradient) in
            planes.zip(coefficients).zip(gradient.chunks_exact(self.transform.features()))
        {
            self.transform.pull_back(coefficients, gradient, plane, &mut buffers);
        }
        images
    }

    fn plane(&self) -> usize {
        self.shape.height * self.shape.width
    }

    fn apply(&self, images: &[f32], mut keep: impl FnMut(&[Complex32])) -> Vec<f32> {
        assert!(images.len().is_multiple_of(self.shape.volume()), "whole images");
        let mut buffers = self.transform.buffers();
        let mut features = vec![0.0; images.len() / self.plane() * self.transform.features()];
        let planes = images.chunks_exact(self.plane());
        for (features, plane) in features.chunks_exact_mut(self.transform.features()).zip(planes) {
            self.transform.apply(plane, features, &mut buffers, &mut keep);
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use standin_data::{ImageSet, Silent};

    use super::*;
    use crate::Encoder;
    use crate::testing::random;

    const SHAPES: [Shape; 3] = [
        Shape { channels: 1, height: 8, width: 8 },
        Shape { channels: 3, height: 16, width: 21 },
        Shape { channels: 1, height: 28, width: 28 },
    ];

    fn images(shape: Shape, count: usize) -> Vec<f32> {
        random(count, shape.volume(), 3).iter().map(|value| 0.5 + 0.5 * value).collect()
    }

    #[test]
    fn features_are_those_of_the_encoder_to_the_last_bit() {
        for shape in SHAPES {
            let pixels: Vec<u8> = images(shape, 3).iter().map(|value| (255.0 * value) as u8).collect();
            let set = ImageSet::new(shape, pixels.clone()).unwrap();
            let expected = Scattering::full().encode(&set, &Silent).unwrap();
            let images: Vec<f32> = pixels.iter().map(|&value| f32::from(value) / 255.0).collect();
            let map = ScatteringMap::new(shape, true).unwrap();
            assert_eq!(map.features(&images), expected.values());
            assert_eq!(map.scatter(&images).features, expected.values());
            assert_eq!(map.orders().iter().sum::<usize>() * shape.channels, map.width());
        }
    }

    #[test]
    fn without_the_second_order_the_others_stay() {
        let shape = SHAPES[1];
        let images = images(shape, 1);
        let (first, both) = (ScatteringMap::new(shape, false).unwrap(), ScatteringMap::new(shape, true).unwrap());
        let [zero, one, two] = both.orders();
        assert_eq!(first.orders(), [zero, one, 0]);
        let both = both.features(&images);
        let rows = first.features(&images);
        for (channel, row) in rows.chunks_exact(zero + one).enumerate() {
            assert_eq!(row, &both[channel * (zero + one + two)..][..zero + one]);
        }
    }

    /// The slope along a direction of ⟨weights, features⟩ by central differences: their error is of order step², and single
    /// precision adds some 1e-6 of the features over the step.
    #[test]
    fn the_gradient_equals_finite_differences() {
        for shape in SHAPES {
            for second in [false, true] {
                let map = ScatteringMap::new(shape, second).unwrap();
                let x = images(shape, 2);
                let weights = random(2, map.width(), 5);
                let gradient = map.pull_back(&map.scatter(&x), &weights);
                let inner =
                    |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
                for seed in 10..16 {
                    let direction = random(2, shape.volume(), seed);
                    let step = 1.0 / 1024.0;
                    let moved = |by: f32| -> f64 {
                        let moved: Vec<f32> = x.iter().zip(&direction).map(|(x, towards)| x + by * towards).collect();
                        inner(&map.features(&moved), &weights)
                    };
                    let slope = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
                    let found = inner(&gradient, &direction);
                    let scale = inner(&gradient, &gradient).sqrt() * inner(&direction, &direction).sqrt();
                    assert!((slope - found).abs() < 2e-3 * scale, "{slope} for {found} at {shape}, of {scale}");
                }
            }
        }
    }

    #[test]
    fn a_blank_image_has_no_slope_beyond_the_average() {
        let shape = SHAPES[2];
        let map = ScatteringMap::new(shape, true).unwrap();
        let scattered = map.scatter(&vec![0.0; shape.volume()]);
        let [average, first, second] = map.orders();
        let weights = [vec![0.0; average], vec![1.0; first + second]].concat();
        assert!(map.pull_back(&scattered, &weights).iter().all(|&value| value == 0.0));
        assert!(map.pull_back(&scattered, &vec![1.0; map.width()]).iter().all(|value| value.is_finite()));
    }
}
