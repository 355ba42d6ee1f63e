use standin_data::{Error, ImageSet, Shape};

use super::Pairs;
use crate::Result;

/// Values a side of the Gaussian window, with standard deviation 1.5.
const WINDOW: usize = 11;
/// (K₁·L)² and (K₂·L)², which keep the ratios from 0/0.
const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);
/// Weights of the five scales, finest first (Wang, Simoncelli and Bovik 2003, §3.2).
const SCALES: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/// Structural similarity (Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 2004, eq. 13) with their constants: an 11×11
/// Gaussian window with standard deviation 1.5, K₁ = 0.01, K₂ = 0.03, L = 255, population covariances; the mean over
/// windows that lie within the image, and over channels. 1 for identical images.
///
/// O(n·volume) time; memory for a few images in double precision per core.
///
/// # Errors
/// If the sets differ in shape or number of images, or images are smaller than 11×11.
pub fn ssim(reference: &ImageSet, images: &ImageSet) -> Result<Pairs> {
    require_side(images, WINDOW, "SSIM")?;
    let shape = reference.shape();
    let pairs = Pairs::of(reference, images, |a, b| {
        over_channels(shape, a, b, |a, b| similarity(&a, &b).structure_and_luminance)
    })?;
    Ok(pairs.within(-1.0, 1.0))
}

/// Multi-scale structural similarity (Wang, Simoncelli and Bovik, Asilomar 2003, eq. 7) on five scales: contrast and
/// structure of each with its published weight, luminance on the coarsest; windows and constants as in [`ssim`]. From
/// scale to scale the mean of 2×2 values takes their place, the last row or column standing for the one that is
/// missing. A scale whose mean contrast and structure is negative counts as 0. Per channel, then the mean over
/// channels.
///
/// O(n·volume) time; memory for a few images in double precision per core.
///
/// # Errors
/// If the sets differ in shape or number of images, or a side has fewer than 161 pixels, so that the window does not
/// fit the coarsest scale.
pub fn ms_ssim(reference: &ImageSet, images: &ImageSet) -> Result<Pairs> {
    let smallest = (1..SCALES.len()).fold(WINDOW, |side, _| 2 * side - 1);
    require_side(images, smallest, "MS-SSIM on five scales")?;
    let shape = reference.shape();
    let pairs = Pairs::of(reference, images, |a, b| {
        over_channels(shape, a, b, |mut a, mut b| {
            let mut product = 1.0;
            for (scale, weight) in SCALES.into_iter().enumerate() {
                let similarity = similarity(&a, &b);
                if scale + 1 == SCALES.len() {
                    product *= similarity.structure_and_luminance.max(0.0).powf(weight);
                } else {
                    product *= similarity.structure.max(0.0).powf(weight);
                    (a, b) = (a.halved(), b.halved());
                }
            }
            product
        })
    })?;
    Ok(pairs.within(0.0, 1.0))
}

fn require_side(images: &ImageSet, needed: usize, measure: &str) -> Result<()> {
    let Shape { height, width, .. } = images.shape();
    if height.min(width) >= needed {
        return Ok(());
    }
    Err(Error::inconsistent(
        format!("{measure} of images of {height}×{width} pixels"),
        format!("it needs at least {needed} a side: its window is {WINDOW}×{WINDOW}; PSNR has no such limit"),
    )
    .into())
}

/// One channel of an image.
struct Plane {
    width: usize,
    values: Vec<f64>,
}

fn over_channels(shape: Shape, a: &[u8], b: &[u8], of: impl Fn(Plane, Plane) -> f64) -> f64 {
    let area = shape.height * shape.width;
    let plane = |values: &[u8]| Plane { width: shape.width, values: values.iter().copied().map(f64::from).collect() };
    let total: f64 = a.chunks(area).zip(b.chunks(area)).map(|(a, b)| of(plane(a), plane(b))).sum();
    total / shape.channels as f64
}

/// Means over all windows.
struct Similarity {
    /// Of the product of contrast and structure.
    structure: f64,
    /// Of that times luminance: SSIM.
    structure_and_luminance: f64,
}

fn similarity(a: &Plane, b: &Plane) -> Similarity {
    let window = window();
    let product = |x: &Plane, y: &Plane| {
        let values = x.values.iter().zip(&y.values).map(|(x, y)| x * y).collect();
        Plane { width: x.width, values }.filtered(&window)
    };
    let (mean_a, mean_b) = (a.filtered(&window), b.filtered(&window));
    let (squares_a, squares_b, products) = (product(a, a), product(b, b), product(a, b));
    let (mut structure, mut both) = (0.0, 0.0);
    for at in 0..products.len() {
        let (ma, mb) = (mean_a[at], mean_b[at]);
        let covariance = products[at] - ma * mb;
        let variances = squares_a[at] - ma * ma + squares_b[at] - mb * mb;
        let here = (2.0 * covariance + C2) / (variances + C2);
        structure += here;
        both += here * (2.0 * ma * mb + C1) / (ma * ma + mb * mb + C1);
    }
    let windows = products.len() as f64;
    Similarity { structure: structure / windows, structure_and_luminance: both / windows }
}

/// The Gaussian's values, with sum 1; the window is the product of two.
fn window() -> [f64; WINDOW] {
    let mut values = std::array::from_fn(|at| (-(at as f64 - 5.0).powi(2) / (2.0 * 1.5 * 1.5)).exp());
    let total: f64 = values.iter().sum();
    values.iter_mut().for_each(|value| *value /= total);
    values
}

fn add_weighted(sums: &mut [f64], weight: f64, values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
}

impl Plane {
    /// Weighted means over every window within the plane, row by row.
    fn filtered(&self, window: &[f64; WINDOW]) -> Vec<f64> {
        let width = self.width + 1 - WINDOW;
        let mut rows = vec![0.0; self.values.len() / self.width * width];
        for (means, row) in rows.chunks_exact_mut(width).zip(self.values.chunks_exact(self.width)) {
            for (weight, values) in window.iter().zip(row.windows(width)) {
                add_weighted(means, *weight, values);
            }
        }
        let height = self.values.len() / self.width + 1 - WINDOW;
        let mut means = vec![0.0; height * width];
        for (top, means) in means.chunks_exact_mut(width).enumerate() {
            for (weight, row) in window.iter().zip(rows[top * width..].chunks_exact(width)) {
                add_weighted(means, *weight, row);
            }
        }
        means
    }

    /// Half as many rows and columns, rounded up.
    fn halved(&self) -> Self {
        let (width, height) = (self.width, self.values.len() / self.width);
        let at = |row: usize, column: usize| self.values[row.min(height - 1) * width + column.min(width - 1)];
        let mean = |row: usize, column: usize| {
            (at(row, column) + at(row, column + 1) + at(row + 1, column) + at(row + 1, column + 1)) / 4.0
        };
        let values = (0..height).step_by(2).flat_map(|row| (0..width).step_by(2).map(move |column| (row, column)));
        Self { width: width.div_ceil(2), values: values.map(|(row, column)| mean(row, column)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(side: usize, value: impl Fn(usize, usize) -> u8) -> ImageSet {
        let values = (0..side * side).map(|at| value(at / side, at % side)).collect();
        ImageSet::new(Shape { channels: 1, height: side, width: side }, values).unwrap()
    }

    #[test]
    fn identical_images_have_similarity_one() {
        let images = set(170, |row, column| (row * 7 + column * 3) as u8);
        assert!((ssim(&images, &images).unwrap().per_image[0] - 1.0).abs() < 1e-12);
        assert!((ms_ssim(&images, &images).unwrap().per_image[0] - 1.0).abs() < 1e-12);
    }

    /// Of constant images only the luminance term is left: (2·x·y + C₁)/(x² + y² + C₁).
    #[test]
    fn constant_images_differ_by_luminance_alone() {
        let (a, b) = (set(200, |_, _| 50), set(200, |_, _| 100));
        let luminance = (2.0 * 5000.0 + C1) / (2500.0 + 10000.0 + C1);
        assert!((ssim(&a, &b).unwrap().per_image[0] - luminance).abs() < 1e-9);
        assert!((ms_ssim(&a, &b).unwrap().per_image[0] - luminance.powf(SCALES[4])).abs() < 1e-9);
    }

    #[test]
    fn the_negative_of_an_image_has_negative_structure() {
        let image = set(161, |row, column| if (row / 4 + column / 4) % 2 == 0 { 200 } else { 50 });
        let negative = set(161, |row, column| if (row / 4 + column / 4) % 2 == 0 { 50 } else { 200 });
        assert!(ssim(&image, &negative).unwrap().per_image[0] < -0.5);
        assert_eq!(ms_ssim(&image, &negative).unwrap().per_image[0], 0.0);
    }

    #[test]
    fn images_smaller_than_the_window_are_refused() {
        let small = set(10, |_, _| 0);
        assert!(ssim(&small, &small).unwrap_err().to_string().contains("at least 11 a side"));
        let small = set(160, |_, _| 0);
        assert!(ms_ssim(&small, &small).unwrap_err().to_string().contains("at least 161 a side"));
    }

    #[test]
    fn planes_are_halved_with_the_last_line_repeated() {
        let plane = Plane { width: 3, values: (1..=9).map(f64::from).collect() };
        assert_eq!(plane.halved().values, [3.0, 4.5, 7.5, 9.0]);
    }
}
