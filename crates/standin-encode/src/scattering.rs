mod map;
mod transform;

use rayon::prelude::*;
use standin_data::{ImageSet, Progress, Shape};

pub use self::map::{Scattered, ScatteringMap};
use self::transform::{Order, Transform, paths};
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
        let paths = paths(scales, Order::Second).iter().sum();
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
        let transform = Transform::new(shape.height, shape.width, plan.scales, plan.cells, Order::Second);
        let features = transform.features();
        let dimension = shape.channels * features;
        let mut values = vec![0.0; images.len() * dimension];
        progress.begin("scattering", images.len() as u64);
        let inputs = images.pixels().par_chunks(BATCH * shape.volume());
        values.par_chunks_mut(BATCH * dimension).zip(inputs).for_each_init(
            || (transform.buffers(), vec![0.0; shape.height * shape.width]),
            |(buffers, plane), (values, pixels)| {
                let planes = pixels.chunks_exact(plane.len());
                for (features, pixels) in values.chunks_exact_mut(features).zip(planes) {
                    plane.iter_mut().zip(pixels).for_each(|(to, &value)| *to = f32::from(value) / 255.0);
                    transform.apply(plane, features, buffers, |_| ());
                }
                progress.advance((pixels.len() / shape.volume()) as u64);
            },
        );
        progress.end();
        Embedding::new(values, dimension, stamp)
    }
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
