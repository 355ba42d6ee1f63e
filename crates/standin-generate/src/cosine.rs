use std::f64::consts::PI;

use standin_data::Shape;

/// The lowest frequencies of the orthonormal discrete cosine transform of each channel (type II; Ahmed, Natarajan & Rao
/// 1974): a fixed basis of image space that owes nothing to any image.
#[derive(Clone, Debug)]
pub(crate) struct CosineBasis {
    shape: Shape,
    /// Waves along a column, `frequencies × height`.
    vertical: Vec<f64>,
    /// Waves along a row, `frequencies × width`.
    horizontal: Vec<f64>,
}

impl CosineBasis {
    /// The products of the first `frequencies` waves along each side, or of all where a side has fewer pixels.
    pub(crate) fn new(shape: Shape, frequencies: usize) -> Self {
        let waves = |length: usize| {
            let wave = move |k: usize, at: usize| {
                let scale = if k == 0 { 1.0 } else { 2.0 } / length as f64;
                scale.sqrt() * (PI * (2 * at + 1) as f64 * k as f64 / (2 * length) as f64).cos()
            };
            (0..frequencies.min(length)).flat_map(|k| (0..length).map(move |at| wave(k, at))).collect()
        };
        Self { shape, vertical: waves(shape.height), horizontal: waves(shape.width) }
    }

    /// Number of coefficients.
    pub(crate) fn len(&self) -> usize {
        self.shape.channels * self.rows() * self.columns()
    }

    fn rows(&self) -> usize {
        self.vertical.len() / self.shape.height
    }

    fn columns(&self) -> usize {
        self.horizontal.len() / self.shape.width
    }

    /// The coefficients of an image, written to `into`. Cost: frequencies × pixels operations.
    pub(crate) fn analyse(&self, image: &[f64], into: &mut [f64]) {
        let Shape { height, width, .. } = self.shape;
        let (rows, columns) = (self.rows(), self.columns());
        let planes = image.chunks_exact(height * width).zip(into.chunks_exact_mut(rows * columns));
        for (plane, into) in planes {
            for (wave, into) in self.vertical.chunks_exact(height).zip(into.chunks_exact_mut(columns)) {
                let mut down = vec![0.0; width];
                for (weight, row) in wave.iter().zip(plane.chunks_exact(width)) {
                    down.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
                }
                for (into, wave) in into.iter_mut().zip(self.horizontal.chunks_exact(width)) {
                    *into = wave.iter().zip(&down).map(|(weight, value)| weight * value).sum();
                }
            }
        }
    }

    /// The projections of a column and of a row onto their waves, `height × height` and `width × width`.
    pub(crate) fn projections(&self) -> [Vec<f64>; 2] {
        let projection = |waves: &[f64], length: usize| {
            let mut sum = vec![0.0; length * length];
            for wave in waves.chunks_exact(length) {
                for (row, &left) in sum.chunks_exact_mut(length).zip(wave) {
                    row.iter_mut().zip(wave).for_each(|(sum, right)| *sum += left * right);
                }
            }
            sum
        };
        [projection(&self.vertical, self.shape.height), projection(&self.horizontal, self.shape.width)]
    }

    /// The coefficients of images one after the other.
    pub(crate) fn analyse_each(&self, images: &[f32]) -> Vec<f64> {
        let images = images.chunks_exact(self.shape.volume());
        let mut coefficients = vec![0.0; images.len() * self.len()];
        for (image, into) in images.zip(coefficients.chunks_exact_mut(self.len())) {
            let image: Vec<f64> = image.iter().copied().map(f64::from).collect();
            self.analyse(&image, into);
        }
        coefficients
    }

    /// The image with these coefficients and no other frequency.
    pub(crate) fn synthesise(&self, coefficients: &[f64]) -> Vec<f64> {
        let Shape { height, width, .. } = self.shape;
        let columns = self.columns();
        let mut image = vec![0.0; self.shape.volume()];
        let planes = coefficients.chunks_exact(self.rows() * columns).zip(image.chunks_exact_mut(height * width));
        for (coefficients, plane) in planes {
            for (coefficients, wave) in coefficients.chunks_exact(columns).zip(self.vertical.chunks_exact(height)) {
                let mut across = vec![0.0; width];
                for (&coefficient, wave) in coefficients.iter().zip(self.horizontal.chunks_exact(width)) {
                    across.iter_mut().zip(wave).for_each(|(sum, weight)| *sum += coefficient * weight);
                }
                for (weight, row) in wave.iter().zip(plane.chunks_exact_mut(width)) {
                    row.iter_mut().zip(&across).for_each(|(sum, value)| *sum += weight * value);
                }
            }
        }
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { channels: 3, height: 6, width: 9 };

    fn image() -> Vec<f64> {
        (0..SHAPE.volume()).map(|at| ((at * at * 7 + 13) % 31) as f64 / 31.0).collect()
    }

    #[test]
    fn all_frequencies_give_the_image_and_its_norm_back() {
        let basis = CosineBasis::new(SHAPE, 20);
        assert_eq!(basis.len(), SHAPE.volume());
        let mut coefficients = vec![0.0; basis.len()];
        basis.analyse(&image(), &mut coefficients);
        let square = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
        assert!((square(&coefficients) - square(&image())).abs() < 1e-10);
        let back = basis.synthesise(&coefficients);
        assert!(back.iter().zip(image()).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    #[test]
    fn few_frequencies_keep_what_they_hold_and_never_lengthen() {
        let basis = CosineBasis::new(SHAPE, 4);
        assert_eq!(basis.len(), 3 * 4 * 4);
        let (mut once, mut twice) = (vec![0.0; 48], vec![0.0; 48]);
        basis.analyse(&image(), &mut once);
        let smooth = basis.synthesise(&once);
        basis.analyse(&smooth, &mut twice);
        assert!(once.iter().zip(&twice).all(|(a, b)| (a - b).abs() < 1e-12));
        assert!(smooth.iter().map(|v| v * v).sum::<f64>() < image().iter().map(|v| v * v).sum::<f64>());
    }

    #[test]
    fn the_first_coefficient_is_the_mean() {
        let basis = CosineBasis::new(SHAPE, 1);
        let mut coefficients = vec![0.0; 3];
        basis.analyse(&[0.5; 162], &mut coefficients);
        assert!(coefficients.iter().all(|value| (value - 0.5 * 54_f64.sqrt()).abs() < 1e-12));
    }
}
