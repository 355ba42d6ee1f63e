//! Moments of wavelet scattering features, in the place of a pretrained network's.

use std::ops::Range;

use rayon::prelude::*;
use standin_data::{ImageSet, Labels, Progress, Shape};
use standin_encode::ScatteringMap;

use crate::matching::{Mismatch, towards};
use crate::moments::features::Features;

/// Images in one task of [`Features::class_sums`], which bounds memory.
const IMAGES: usize = 64;

/// Steps between 0 and 1 that features are cut to, towards 0.
const STEPS: f64 = (1 << 24) as f64;

/// Keeps the norm of features from exceeding 1 by what f64 rounds.
const MARGIN: f64 = 1.0 + 1e-9;

/// The most images whose features add up exactly: 2²⁴ steps times these stay below 2⁵³.
const MOST_IMAGES: usize = 1 << 29;

/// Parts of the squared norm of an image's features, relative to each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Weights {
    /// Of scattering coefficients of orders 0, 1 and 2.
    pub orders: [f64; 3],
    /// Of the pixels themselves.
    pub pixels: f64,
    /// The part of second moments in each.
    pub second: f64,
    /// The constant coordinate of each block, as a multiple of the norm that the block has for a chessboard.
    pub constant: f64,
}

/// First and second moments of an image's scattering coefficients, order by order, and of its pixels: blocks of values that
/// differ in scale by orders of magnitude, each divided by its own norm, as Harder, Jalali Asadabadi, Sutherland & Park 2023
/// divide first and second moments of a network's features.
///
/// With the values s of a block and a public constant c, u = (c, s)/‖(c, s)‖ and
///
/// φ(x) = (√w₁ u, √w₂ u²/‖u²‖) for each block, one after the other,
///
/// where squares are of each coordinate and the weights w of all blocks add up to 1: ‖φ(x)‖ = 1 for every image.
/// Scattering coefficients and pixels grow in proportion to an image's contrast, which norms would hide; the constant keeps
/// it known, and is all that a blank image has.
pub(crate) struct PerceptualFeatures {
    map: ScatteringMap,
    blocks: Vec<Block>,
    /// Values of an image.
    volume: usize,
    width: usize,
}

/// Values that are normalised together.
struct Block {
    /// Where they stand among the scattering coefficients and then pixels of an image.
    ranges: Vec<Range<usize>>,
    /// c.
    constant: f64,
    /// √w₁ and √w₂.
    weights: [f64; 2],
}

/// u of a block, and the norms that it and its squares were divided by.
struct Normalised {
    /// The constant first.
    unit: Vec<f64>,
    /// ‖(c, s)‖.
    norm: f64,
    /// ‖u²‖.
    squares: f64,
}

impl Block {
    fn normalise(&self, values: &[f32]) -> Normalised {
        let own = self.ranges.iter().flat_map(|range| &values[range.clone()]).map(|&value| f64::from(value));
        let mut unit: Vec<f64> = std::iter::once(self.constant).chain(own).collect();
        let norm = unit.iter().map(|value| value * value).sum::<f64>().sqrt();
        unit.iter_mut().for_each(|value| *value /= norm);
        let squares = unit.iter().map(|value| value.powi(4)).sum::<f64>().sqrt();
        Normalised { unit, norm, squares }
    }

    /// Values in φ.
    fn width(&self) -> usize {
        let values = 1 + self.ranges.iter().map(ExactSizeIterator::len).sum::<usize>();
        values * self.weights.iter().filter(|&&weight| weight > 0.0).count()
    }

    fn embed(&self, values: &[f32], into: &mut Vec<f64>) {
        let Normalised { unit, squares, .. } = self.normalise(values);
        let [first, second] = self.weights;
        if first > 0.0 {
            into.extend(unit.iter().map(|value| first * value));
        }
        if second > 0.0 {
            into.extend(unit.iter().map(|value| second * value * value / squares));
        }
    }

    /// The gradient with respect to the block's values, given that with respect to its part of φ.
    fn pull_back(&self, values: &[f32], gradient: &[f64], into: &mut [f32]) {
        let Normalised { unit, norm, squares } = self.normalise(values);
        let [first, second] = self.weights;
        let mut of_unit = vec![0.0; unit.len()];
        let mut gradient = gradient;
        if first > 0.0 {
            let own = gradient.split_off(..unit.len()).expect("the first moments");
            of_unit.iter_mut().zip(own).for_each(|(to, value)| *to = first * value);
        }
        if second > 0.0 {
            let along = unit.iter().zip(gradient).map(|(unit, value)| unit * unit * value).sum::<f64>() / squares;
            for ((to, unit), value) in of_unit.iter_mut().zip(&unit).zip(gradient) {
                *to += 2.0 * unit * second * (value - along * unit * unit / squares) / squares;
            }
        }
        let along: f64 = of_unit.iter().zip(&unit).map(|(a, b)| a * b).sum();
        let mut own = of_unit.iter().zip(&unit).skip(1).map(|(of_unit, unit)| (of_unit - along * unit) / norm);
        for range in &self.ranges {
            into[range.clone()].iter_mut().zip(&mut own).for_each(|(to, value)| *to = value as f32);
        }
    }
}

impl PerceptualFeatures {
    /// None if images of that shape are too small for wavelets, or for the only order that has a part.
    pub(crate) fn new(shape: Shape, weights: Weights) -> Option<Self> {
        let Weights { orders, pixels, second, constant } = weights;
        let map = ScatteringMap::new(shape, orders[2] > 0.0).ok()?;
        let volume = shape.volume();
        let per_channel: usize = map.orders().iter().sum();
        let mut start = 0;
        let mut parts = Vec::new();
        for (count, weight) in map.orders().into_iter().zip(orders) {
            let ranges = (0..shape.channels).map(|channel| channel * per_channel + start);
            parts.push((ranges.map(|start| start..start + count).collect::<Vec<_>>(), weight));
            start += count;
        }
        let places = map.width()..map.width() + volume;
        parts.push((vec![places], pixels));
        // Squares of two pixels, the finest pattern that every image has room for.
        let chessboard: Vec<f32> = (0..volume)
            .map(|at| (at % shape.width / 2 + at / shape.width % shape.height / 2) % 2)
            .map(|square| square as f32)
            .collect();
        let chessboard = [map.features(&chessboard), chessboard].concat();
        // Small images have no second order.
        parts.retain(|(ranges, weight)| *weight > 0.0 && ranges.iter().any(|range| !range.is_empty()));
        let total: f64 = parts.iter().map(|(_, weight)| weight).sum();
        let block = |(ranges, weight): (Vec<Range<usize>>, f64)| {
            let square = |value: &f32| f64::from(*value).powi(2);
            let norm = ranges.iter().flat_map(|range| &chessboard[range.clone()]).map(square).sum::<f64>().sqrt();
            let weights = [1.0 - second, second].map(|part| (part * weight / total).sqrt());
            Block { ranges, constant: constant * norm, weights }
        };
        let blocks: Vec<Block> = parts.into_iter().map(block).collect();
        let width = blocks.iter().map(Block::width).sum();
        (width > 0).then_some(Self { map, blocks, volume, width })
    }

    /// φ of an image, given its scattering coefficients followed by its pixels.
    fn embed(&self, values: &[f32]) -> Vec<f64> {
        let mut features = Vec::with_capacity(self.width);
        self.blocks.iter().for_each(|block| block.embed(values, &mut features));
        features
    }

    /// The scattering coefficients of each image followed by its pixels.
    fn values<'a>(&self, coefficients: &'a [f32], points: &'a [f32]) -> Vec<Vec<f32>> {
        let rows = coefficients.chunks_exact(self.map.width()).zip(points.chunks_exact(self.volume));
        rows.map(|(coefficients, point)| [coefficients, point].concat()).collect()
    }
}

impl Features for PerceptualFeatures {
    fn width(&self) -> usize {
        self.width
    }

    fn name(&self) -> &'static str {
        "first and second moments of scattering features"
    }

    fn most_images(&self) -> usize {
        MOST_IMAGES
    }

    /// Cost: N scattering transforms, in parallel; memory 8 · classes · width bytes per thread.
    fn class_sums(&self, images: &ImageSet, labels: &Labels, progress: &dyn Progress) -> Vec<f64> {
        assert!(images.len() <= MOST_IMAGES, "sums of more images are not exact");
        let width = self.width;
        let empty = || vec![0_i64; labels.classes.len() * width];
        progress.begin("embedding the private images", images.len() as u64);
        let add_chunk = |mut sums: Vec<i64>, (pixels, labels): (&[u8], &[u32])| {
            let points: Vec<f32> = pixels.iter().map(|&value| f32::from(value) / 255.0).collect();
            for (values, &label) in self.values(&self.map.features(&points), &points).iter().zip(labels) {
                let row = &mut sums[label as usize * width..][..width];
                row.iter_mut()
                    .zip(self.embed(values))
                    .for_each(|(sum, value)| *sum += (value * (STEPS / MARGIN)) as i64);
            }
            progress.advance(labels.len() as u64);
            sums
        };
        let add = |mut a: Vec<i64>, b: Vec<i64>| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
            a
        };
        let chunks = images.pixels().par_chunks(IMAGES * self.volume).zip(labels.values.par_chunks(IMAGES));
        let sums = chunks.fold(empty, add_chunk).reduce(empty, add);
        progress.end();
        sums.into_iter().map(|sum| sum as f64 / STEPS).collect()
    }

    /// Cost: k scattering transforms and their gradients.
    fn mismatch(&self, points: &[f32], target: &[f32], share: f64, _step: usize) -> Mismatch {
        let k = points.len() / self.volume;
        assert!(k >= 2 && k * self.volume == points.len(), "k ≥ 2 whole images");
        let each = share / k as f64;
        let scattered = self.map.scatter(points);
        let values = self.values(&scattered.features, points);
        let mut gradient = vec![0.0; self.width];
        for values in &values {
            gradient.iter_mut().zip(self.embed(values)).for_each(|(mean, value)| *mean += each * value);
        }
        let loss = towards(&mut gradient, target, share, k, |value| value);
        let (mut of_coefficients, mut of_points) = (Vec::new(), Vec::new());
        for values in &values {
            let mut of_values = vec![0.0; values.len()];
            let mut gradient = gradient.as_slice();
            for block in &self.blocks {
                let own = gradient.split_off(..block.width()).expect("its part of φ");
                block.pull_back(values, own, &mut of_values);
            }
            let (coefficients, point) = of_values.split_at(self.map.width());
            of_coefficients.extend_from_slice(coefficients);
            of_points.extend_from_slice(point);
        }
        let through = self.map.pull_back(&scattered, &of_coefficients);
        of_points.iter_mut().zip(through).for_each(|(to, value)| *to += value);
        Mismatch { loss, gradient: of_points }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::{Seed, Silent};
    use standin_encode::encoder;

    use super::*;

    const SHAPE: Shape = Shape { channels: 1, height: 8, width: 8 };
    const WEIGHTS: Weights = Weights { orders: [0.5, 1.0, 0.0], pixels: 2.0, second: 0.4, constant: 0.3 };

    /// φ written out from the encoder's features, in double precision, for images of one scale: a path of order 0 on 4×4
    /// positions, then 8 of order 1.
    fn features(image: &[u8]) -> Vec<f64> {
        let scatter = |image: &[u8]| -> Vec<f64> {
            let set = ImageSet::new(SHAPE, image.to_vec()).unwrap();
            let row = encoder("scattering-full").unwrap().encode(&set, &Silent).unwrap();
            row.row(0).iter().map(|&value| f64::from(value)).collect()
        };
        let blocks = |image: &[u8]| {
            let scattered = scatter(image);
            let pixels = image.iter().map(|&value| f64::from(value) / 255.0).collect();
            [scattered[..16].to_vec(), scattered[16..].to_vec(), pixels]
        };
        let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
        let chessboard: [u8; 64] = std::array::from_fn(|at| if (at % 8 / 2 + at / 16) % 2 == 1 { 255 } else { 0 });
        let mut all = Vec::new();
        for ((values, board), weight) in blocks(image).into_iter().zip(blocks(&chessboard)).zip([0.5, 1.0, 2.0]) {
            let u = [vec![0.3 * norm(&board)], values].concat();
            let length = norm(&u);
            let u: Vec<f64> = u.iter().map(|value| value / length).collect();
            let squares: Vec<f64> = u.iter().map(|value| value * value).collect();
            all.extend(u.iter().map(|value| (0.6_f64 * weight / 3.5).sqrt() * value));
            all.extend(squares.iter().map(|value| (0.4_f64 * weight / 3.5).sqrt() * value / norm(&squares)));
        }
        all
    }

    fn perceptual() -> PerceptualFeatures {
        PerceptualFeatures::new(SHAPE, WEIGHTS).unwrap()
    }

    fn base(count: usize) -> (Vec<[u8; 64]>, Vec<u32>) {
        let mut rng = Seed::new(1).rng();
        let images = (0..count).map(|_| std::array::from_fn(|_| rng.random())).collect();
        (images, (0..count).map(|image| (image % 2) as u32).collect())
    }

    fn sums(images: &[[u8; 64]], labels: &[u32]) -> Vec<f64> {
        let classes = ["a", "b"].map(str::to_owned).to_vec();
        let set = ImageSet::new(SHAPE, images.concat()).unwrap();
        let set = set.with_labels(Labels { values: labels.to_vec(), classes }).unwrap();
        perceptual().class_sums(&set, set.labels().unwrap(), &Silent)
    }

    #[test]
    fn sums_equal_a_loop_over_the_encoders_features() {
        let (images, labels) = base(150);
        let width = perceptual().width();
        let mut expected = vec![0.0; 2 * width];
        for (image, &label) in images.iter().zip(&labels) {
            let row = &mut expected[label as usize * width..][..width];
            let own = features(image);
            assert_eq!(own.len(), width);
            row.iter_mut().zip(own).for_each(|(sum, value)| *sum += value);
        }
        for (found, expected) in sums(&images, &labels).iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found} against {expected}");
        }
    }

    #[test]
    fn one_image_more_changes_the_sums_by_its_features_of_norm_one_in_any_company() {
        let (images, labels) = base(200);
        let chessboard = std::array::from_fn(|at| if (at + at / 8) % 2 == 0 { 255 } else { 0 });
        let mut speck = [0; 64];
        speck[27] = 1;
        for extreme in [[0; 64], [255; 64], chessboard, speck] {
            let alone = sums(&[extreme], &[1]);
            for n in [0, 1, 63, 64, 65, 200] {
                let without = sums(&images[..n], &labels[..n]);
                let with = sums(&[&images[..n], &[extreme]].concat(), &[&labels[..n], &[1]].concat());
                let change: Vec<f64> = with.iter().zip(&without).map(|(a, b)| a - b).collect();
                assert_eq!(change, alone);
                let norm = change.iter().map(|value| value * value).sum::<f64>().sqrt();
                assert!(norm <= 1.0 && norm > 0.9999, "{norm}");
            }
        }
    }

    #[test]
    fn sums_do_not_depend_on_the_number_of_threads() {
        let (images, labels) = base(300);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sums(&images, &labels))
        };
        assert_eq!(with(1), with(2));
    }

    /// Images in proportion to each other have the same scattering coefficients but for a factor.
    #[test]
    fn contrast_is_known_and_a_blank_image_is_its_constants() {
        let (images, _) = base(1);
        let faint = images[0].map(|value| value / 4);
        let inner: f64 = sums(&images, &[0]).iter().zip(sums(&[faint], &[0])).map(|(a, b)| a * b).sum();
        assert!(inner < 0.97, "{inner}");
        let blank = sums(&[[0; 64]], &[0]);
        assert_eq!(blank.iter().filter(|&&value| value != 0.0).count(), 6);
    }

    /// Every order and three channels, so that blocks are in pieces.
    #[test]
    fn the_mismatch_is_the_corrected_distance_and_its_gradient_the_slope() {
        let shape = Shape { channels: 3, height: 28, width: 29 };
        let weights = Weights { orders: [1.0, 2.0, 3.0], ..WEIGHTS };
        let perceptual = PerceptualFeatures::new(shape, weights).unwrap();
        let mut rng = Seed::new(4).rng();
        let mut draw = |images: usize| -> Vec<f32> { (0..images * shape.volume()).map(|_| rng.random()).collect() };
        let phi = |points: &[f32]| -> Vec<Vec<f64>> {
            let coefficients = perceptual.map.features(points);
            perceptual.values(&coefficients, points).iter().map(|values| perceptual.embed(values)).collect()
        };
        let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let target: Vec<f64> = phi(&draw(1))[0].iter().map(|value| 0.7 * value).collect();
        let distance = |points: &[f32]| {
            let phi = phi(points);
            let mut loss = inner(&target, &target);
            for (i, a) in phi.iter().enumerate() {
                assert!((inner(a, a) - 1.0).abs() < 1e-9);
                loss -= 2.0 * 0.6 / 3.0 * inner(a, &target);
                for (_, b) in phi.iter().enumerate().filter(|(j, _)| *j != i) {
                    loss += 0.36 / 6.0 * inner(a, b);
                }
            }
            loss
        };
        let points = draw(3);
        let single: Vec<f32> = target.iter().map(|&value| value as f32).collect();
        let found = perceptual.mismatch(&points, &single, 0.6, 0);
        assert!((found.loss - distance(&points)).abs() < 1e-6, "{} for {}", found.loss, distance(&points));
        let length = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>().sqrt();
        for _ in 0..5 {
            let direction: Vec<f32> = draw(3).iter().map(|value| 2.0 * value - 1.0).collect();
            let step = 1.0 / 512.0;
            let moved = |by: f32| {
                let points: Vec<f32> = points.iter().zip(&direction).map(|(x, towards)| x + by * towards).collect();
                distance(&points)
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
            let along: f64 = found.gradient.iter().zip(&direction).map(|(a, b)| f64::from(a * b)).sum();
            let scale = f64::from(length(&found.gradient) * length(&direction));
            assert!((slope - along).abs() < 2e-3 * scale, "{slope} for {along}, of {scale}");
        }
    }
}
