use rayon::prelude::*;
use rustfft::num_complex::Complex32;
use standin_data::{ImageSet, Progress, Shape};

use crate::fourier::{Fourier, Workspace};
use crate::wavelets::{Wavelet, gaussian_kernels, morlet_bank};
use crate::{Embedding, Encoder, Error, Result, Stamp};

/// Angles of wavelets; the filters' design is made for 8.
const ANGLES: usize = 8;
/// The coarsest scale is chosen so that the shorter side keeps at least this many positions.
const POSITIONS: usize = 7;
/// More scales than this average an image nearly away.
const MOST_SCALES: usize = 4;
/// Above this number of features `scattering` averages neighbouring positions.
const MOST_FEATURES: usize = 1024;
/// Images handed to a thread at once.
const BATCH: usize = 64;

/// The wavelet scattering transform of orders 0, 1 and 2 (Bruna and Mallat, "Invariant Scattering Convolution
/// Networks", TPAMI 2013): moduli of oriented wavelet coefficients, averaged locally. Stable to small shifts and
/// deformations, and needs no training, so it says as much about digits as about X-rays.
///
/// Each channel gives 1 + J·L + L²·J(J−1)/2 paths on a grid of ⌊side/2^J⌋ positions; J is the largest for which at least
/// 7 positions remain (2 at 28 and 32 pixels, 1 at 8) but never above 4, L = 8. Features are ordered channel, path, row, column, with the
/// values of Kymatio's `Scattering2D` on pixels divided by 255.
///
/// The grid of a 28×28 image has 81×7×7 = 3969 features. Most of them are nearly collinear with their neighbours, and
/// distances and covariances at that dimension cost far more than they tell; so the default, `scattering`, averages
/// positions over the finest square grid that leaves at most 1024 features (3×3 there, 729 features), and
/// `scattering-full` keeps them all.
pub(crate) struct Scattering {
    name: &'static str,
    most_features: usize,
}

impl Scattering {
    pub(crate) fn pooled() -> Self {
        Self { name: "scattering", most_features: MOST_FEATURES }
    }

    pub(crate) fn full() -> Self {
        Self { name: "scattering-full", most_features: usize::MAX }
    }

    fn plan(&self, shape: Shape) -> Result<Plan> {
        let side = shape.height.min(shape.width);
        if side < 4 {
            return Err(Error::Shape {
                encoder: self.name,
                shape,
                remedy: "wavelets need at least 4 pixels on each side; use `pixels`".into(),
            });
        }
        let scales = (side / POSITIONS).max(2).ilog2().clamp(1, MOST_SCALES as u32) as usize;
        let paths = 1 + scales * ANGLES + ANGLES * ANGLES * scales * (scales - 1) / 2;
        let grid = (shape.height >> scales, shape.width >> scales);
        let cells = (1..=grid.0.min(grid.1))
            .rev()
            .find(|cells| shape.channels * paths * cells * cells <= self.most_features)
            .unwrap_or(1);
        let all = shape.channels * paths * grid.0 * grid.1 <= self.most_features;
        Ok(Plan { scales, paths, grid, cells: if all { grid } else { (cells, cells) } })
    }
}

/// The features of `scattering-full` as planes, for networks that look at them as at images: paths of all channels ×
/// rows × columns of positions, in the order in which the features stand.
///
/// # Errors
/// If images of that shape are too small for wavelets.
pub fn scattering_planes(shape: Shape) -> Result<Shape> {
    let Plan { paths, grid, .. } = Scattering::full().plan(shape)?;
    Ok(Shape { channels: shape.channels * paths, height: grid.0, width: grid.1 })
}

/// The parameters that an image's shape decides.
struct Plan {
    scales: usize,
    paths: usize,
    /// Positions of the transform, rows and columns.
    grid: (usize, usize),
    /// Positions after averaging.
    cells: (usize, usize),
}

impl Encoder for Scattering {
    fn stamp(&self, images: &ImageSet) -> Result<Stamp> {
        let Plan { scales, paths, grid, cells } = self.plan(images.shape())?;
        let positions = if cells == grid {
            format!("{}×{} positions", grid.0, grid.1)
        } else {
            format!("{}×{} positions averaged from {}×{}", cells.0, cells.1, grid.0, grid.1)
        };
        Ok(Stamp::new(
            self.name,
            format!(
                "{} pixels / 255, Morlet J={scales} L={ANGLES}, orders 0–2, {paths} paths a channel, {positions}",
                images.shape()
            ),
        ))
    }

    fn encode(&self, images: &ImageSet, progress: &dyn Progress) -> Result<Embedding> {
        let stamp = self.stamp(images)?;
        let shape = images.shape();
        let plan = self.plan(shape)?;
        let transform = Transform::new(shape.height, shape.width, plan.scales, plan.cells);
        let features = transform.features();
        let dimension = shape.channels * features;
        let mut values = vec![0.0; images.len() * dimension];
        progress.begin("scattering", images.len() as u64);
        let inputs = images.pixels().par_chunks(BATCH * shape.volume());
        values.par_chunks_mut(BATCH * dimension).zip(inputs).for_each_init(
            || transform.buffers(),
            |buffers, (values, pixels)| {
                let planes = pixels.chunks_exact(shape.height * shape.width);
                for (features, plane) in values.chunks_exact_mut(features).zip(planes) {
                    transform.apply(plane, features, buffers);
                }
                progress.advance((pixels.len() / shape.volume()) as u64);
            },
        );
        progress.end();
        Embedding::new(values, dimension, stamp)
    }
}

/// The scattering of planes of one size.
struct Transform {
    height: usize,
    width: usize,
    scales: usize,
    padded: (usize, usize),
    cells: (usize, usize),
    wavelets: Vec<Wavelet>,
    /// For planes subsampled by 2^j, at index j.
    fourier: Vec<Fourier>,
    average: Vec<Average>,
}

/// What one thread writes into while it transforms.
struct Buffers {
    image: Vec<Complex32>,
    first: Vec<Complex32>,
    second: Vec<Complex32>,
    modulus: Vec<f32>,
    rows: Vec<f32>,
    work: Workspace,
}

impl Transform {
    fn new(height: usize, width: usize, scales: usize, cells: (usize, usize)) -> Self {
        let step = 1 << scales;
        let pad = |length: usize| ((length + step) / step + 1) * step;
        let padded = (pad(height), pad(width));
        let vertical = axes(padded.0, scales, cells.0);
        let horizontal = axes(padded.1, scales, cells.1);
        Self {
            height,
            width,
            scales,
            padded,
            cells,
            wavelets: morlet_bank(padded.0, padded.1, scales, ANGLES),
            fourier: (0..scales).map(|level| Fourier::new(padded.0 >> level, padded.1 >> level)).collect(),
            average: vertical
                .into_iter()
                .zip(horizontal)
                .map(|(vertical, horizontal)| Average { vertical, horizontal })
                .collect(),
        }
    }

    fn features(&self) -> usize {
        let paths = 1 + self.scales * ANGLES + ANGLES * ANGLES * self.scales * (self.scales - 1) / 2;
        paths * self.cells.0 * self.cells.1
    }

    fn buffers(&self) -> Buffers {
        let plane = vec![Complex32::default(); self.padded.0 * self.padded.1];
        Buffers {
            image: plane.clone(),
            first: plane.clone(),
            second: plane.clone(),
            modulus: vec![0.0; plane.len()],
            rows: vec![0.0; self.cells.0 * self.padded.1],
            work: Workspace::new(&self.fourier),
        }
    }

    /// Scatters one plane of pixels, `height × width`, into `paths × rows × columns`: order 0, order 1, order 2.
    fn apply(&self, plane: &[u8], features: &mut [f32], buffers: &mut Buffers) {
        let Buffers { image, first, second, modulus, rows, work } = buffers;
        let per_path = self.cells.0 * self.cells.1;
        let (low, high) = features.split_at_mut(per_path * (1 + self.wavelets.len()));
        let mut order_one = low.chunks_exact_mut(per_path);
        let mut order_two = high.chunks_exact_mut(per_path);

        self.pad(plane, modulus);
        let order_zero = order_one.next().expect("the first path is the average");
        self.average[0].apply(modulus, rows, order_zero);
        for (to, &value) in image.iter_mut().zip(modulus.iter()) {
            *to = Complex32::from(value);
        }
        self.fourier[0].forward(image, work);

        for (outer, averaged) in self.wavelets.iter().zip(&mut order_one) {
            self.convolve(image, 0, outer, first, modulus, work);
            self.average[outer.j].apply(&modulus[..self.fourier[outer.j].len()], rows, averaged);
            if outer.j + 1 == self.scales {
                continue;
            }
            let first = &mut first[..self.fourier[outer.j].len()];
            for (to, &value) in first.iter_mut().zip(modulus.iter()) {
                *to = Complex32::from(value);
            }
            self.fourier[outer.j].forward(first, work);
            for (inner, averaged) in self.wavelets.iter().filter(|inner| inner.j > outer.j).zip(&mut order_two) {
                self.convolve(first, outer.j, inner, second, modulus, work);
                self.average[inner.j].apply(&modulus[..self.fourier[inner.j].len()], rows, averaged);
            }
        }
    }

    /// |x ⋆ ψ|, subsampled to the wavelet's scale, from the spectrum of x subsampled by 2^level.
    fn convolve(
        &self,
        spectrum: &[Complex32],
        level: usize,
        wavelet: &Wavelet,
        product: &mut [Complex32],
        modulus: &mut [f32],
        work: &mut Workspace,
    ) {
        let fourier = &self.fourier[wavelet.j];
        let product = &mut product[..fourier.len()];
        let (rows, columns) = (self.padded.1 >> level, self.padded.0 >> level);
        let (rows_kept, columns_kept) = (self.padded.1 >> wavelet.j, self.padded.0 >> wavelet.j);
        // Subsampling in space is folding in frequency.
        product.fill(Complex32::default());
        for row in 0..rows {
            let into = &mut product[row % rows_kept * columns_kept..][..columns_kept];
            let (from, filter) = (&spectrum[row * columns..], &wavelet.levels[level][row * columns..]);
            for at in (0..columns).step_by(columns_kept) {
                for ((to, &x), &weight) in into.iter_mut().zip(&from[at..]).zip(&filter[at..]) {
                    *to += x * weight;
                }
            }
        }
        fourier.inverse(product, work);
        for (to, value) in modulus.iter_mut().zip(product.iter()) {
            *to = value.norm_sqr().sqrt();
        }
    }

    /// The plane, divided by 255, with its mirror image around it.
    fn pad(&self, plane: &[u8], padded: &mut [f32]) {
        let (top, left) = ((self.padded.0 - self.height) / 2, (self.padded.1 - self.width) / 2);
        for (y, row) in padded.chunks_exact_mut(self.padded.1).enumerate() {
            let from = &plane[mirror(y, top, self.height) * self.width..][..self.width];
            for (x, value) in row.iter_mut().enumerate() {
                *value = f32::from(from[mirror(x, left, self.width)]) / 255.0;
            }
        }
    }
}

/// The position in a signal of `length` that is seen at `at` when `before` values are mirrored in front of it; the first
/// and last values are not repeated.
fn mirror(at: usize, before: usize, length: usize) -> usize {
    let period = 2 * (length as i64 - 1);
    let position = (at as i64 - before as i64).rem_euclid(period);
    position.min(period - position) as usize
}

/// Averaging with φ, subsampling, cutting the padding off and pooling positions, along both axes at once.
struct Average {
    vertical: Axis,
    horizontal: Axis,
}

/// The weights of every cell along one axis, `cells × length`.
struct Axis {
    length: usize,
    weights: Vec<f32>,
}

impl Average {
    /// `cells × cells` averages of a plane; `rows` is memory for the averages down the columns.
    fn apply(&self, plane: &[f32], rows: &mut [f32], cells: &mut [f32]) {
        let (height, width) = (self.vertical.length, self.horizontal.length);
        let down = self.vertical.weights.chunks_exact(height);
        let rows = &mut rows[..down.len() * width];
        rows.fill(0.0);
        for (row, weights) in rows.chunks_exact_mut(width).zip(down) {
            for (&weight, from) in weights.iter().zip(plane.chunks_exact(width)) {
                for (to, &value) in row.iter_mut().zip(from) {
                    *to += weight * value;
                }
            }
        }
        let across = self.horizontal.weights.chunks_exact(width);
        for (row, into) in rows.chunks_exact(width).zip(cells.chunks_exact_mut(across.len())) {
            for (to, weights) in into.iter_mut().zip(across.clone()) {
                *to = weights.iter().zip(row).map(|(weight, value)| weight * value).sum();
            }
        }
    }
}

/// For signals of `padded` values subsampled by 2^j, at index j, the weights of every cell.
fn axes(padded: usize, scales: usize, cells: usize) -> Vec<Axis> {
    let positions = (padded >> scales) - 2;
    gaussian_kernels(padded, scales)
        .into_iter()
        .enumerate()
        .map(|(level, kernel)| {
            let length = kernel.len();
            let step = 1 << (scales - level);
            let mut weights = vec![0.0; cells * length];
            for (cell, weights) in weights.chunks_exact_mut(length).enumerate() {
                let covered = cell * positions / cells..((cell + 1) * positions).div_ceil(cells);
                for (u, weight) in weights.iter_mut().enumerate() {
                    let at = |position: usize| kernel[((position + 1) * step + length - u) % length];
                    *weight = (covered.clone().map(at).sum::<f64>() / covered.len() as f64) as f32;
                }
            }
            Axis { length, weights }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use standin_data::Silent;

    fn picture(channels: usize, height: usize, width: usize) -> ImageSet {
        let shape = Shape { channels, height, width };
        let value = |at: usize| {
            let (y, x) = (at / width % height, at % width);
            (37 * y + 11 * x * x + 5 * x * y) as u8
        };
        ImageSet::new(shape, (0..shape.volume()).map(value).collect()).unwrap()
    }

    /// `tests/fixtures/scattering.py` made the expected values with Kymatio 0.3 in NumPy.
    #[test]
    fn features_equal_kymatio() {
        for (height, width, expected) in [
            (8, 8, include_bytes!("../tests/fixtures/kymatio_8x8_j1.f32").as_slice()),
            (28, 28, include_bytes!("../tests/fixtures/kymatio_28x28_j2.f32").as_slice()),
            (32, 20, include_bytes!("../tests/fixtures/kymatio_32x20_j1.f32").as_slice()),
            (56, 58, include_bytes!("../tests/fixtures/kymatio_56x58_j3.f32").as_slice()),
        ] {
            let expected: Vec<f32> = expected.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            let embedding = Scattering::full().encode(&picture(1, height, width), &Silent).unwrap();
            assert_eq!(embedding.dimension() % expected.len(), 0);
            // The largest fixture holds every 7th value only.
            let every = embedding.dimension().div_ceil(expected.len());
            for (at, (value, expected)) in embedding.values().iter().step_by(every).zip(&expected).enumerate() {
                assert!((value - expected).abs() < 1e-5, "{value} for {expected} at {at} of {height}×{width}");
            }
        }
    }

    #[test]
    fn planes_hold_every_feature() {
        for (channels, side, planes) in [(1, 28, (81, 7)), (3, 32, (243, 8)), (1, 8, (9, 4))] {
            let images = picture(channels, side, side);
            let found = scattering_planes(images.shape()).unwrap();
            assert_eq!((found.channels, found.height, found.width), (planes.0, planes.1, planes.1));
            assert_eq!(Scattering::full().encode(&images, &Silent).unwrap().dimension(), found.volume());
        }
    }

    #[test]
    fn pooling_averages_neighbouring_positions() {
        let images = picture(3, 32, 32);
        let (full, pooled) = (Scattering::full(), Scattering::pooled());
        assert_eq!(pooled.plan(images.shape()).unwrap().cells, (2, 2));
        let fine = full.encode(&images, &Silent).unwrap();
        let coarse = pooled.encode(&images, &Silent).unwrap();
        assert_eq!((fine.dimension(), coarse.dimension()), (3 * 81 * 64, 3 * 81 * 4));
        for (path, coarse) in coarse.values().chunks_exact(4).enumerate() {
            for (cell, value) in coarse.iter().enumerate() {
                let quarter = (0..16).map(|at| (cell / 2 * 4 + at / 4) * 8 + cell % 2 * 4 + at % 4);
                let mean = quarter.map(|at| fine.values()[path * 64 + at]).sum::<f32>() / 16.0;
                assert!((value - mean).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_default_keeps_digits_whole_and_pools_larger_images() {
        for (channels, side, dimension) in [(1, 8, 9 * 16), (1, 28, 81 * 9), (3, 32, 243 * 4), (1, 64, 217 * 4)] {
            let embedding = Scattering::pooled().encode(&picture(channels, side, side), &Silent).unwrap();
            assert_eq!(embedding.dimension(), dimension);
        }
    }

    #[test]
    fn a_shift_moves_scattering_less_than_pixels() {
        let shape = Shape { channels: 1, height: 28, width: 28 };
        let blob = |centre: f32| {
            let value = |at: usize| {
                let (y, x) = ((at / 28) as f32 - centre, (at % 28) as f32 - 14.0);
                (255.0 * (-(y * y + x * x) / 12.0).exp()) as u8
            };
            (0..784).map(value).collect::<Vec<u8>>()
        };
        let images = ImageSet::new(shape, [blob(13.0), blob(15.0)].concat()).unwrap();
        let moved = |embedding: Embedding| {
            let norm = |row: &[f32]| row.iter().map(|x| f64::from(x * x)).sum::<f64>();
            crate::squared_distance(embedding.row(0), embedding.row(1)) / norm(embedding.row(0))
        };
        let scattering = moved(Scattering::pooled().encode(&images, &Silent).unwrap());
        let pixels = moved(crate::pixels::Pixels.encode(&images, &Silent).unwrap());
        assert!(scattering < 0.5 * pixels, "{scattering} against {pixels}");
    }

    #[test]
    fn images_too_small_for_wavelets_are_refused() {
        let error = Scattering::pooled().stamp(&picture(1, 3, 28)).unwrap_err();
        assert!(error.to_string().contains("1×3×28"), "{error}");
    }
}
