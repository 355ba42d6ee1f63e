//! Features of the empirical neural tangent kernel: how a random network's answer to an image moves with its parameters.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use standin_data::{ImageSet, Labels, Progress, Seed};

use crate::matching::{Mismatch, towards};
use crate::moments::features::Features;

/// Images in one product of [`Features::class_sums`], which bounds memory.
const IMAGES: usize = 512;

/// Steps between 0 and 1 that a unit's part of a feature is cut to, towards 0.
const STEPS: f64 = (1 << 24) as f64;

/// The largest value of a pixel, and the constant beside the pixels, as a whole number.
const WHITE: f64 = 255.0;

/// Keeps the norm of features from exceeding 1 by what f64 rounds.
const MARGIN: f64 = 1.0 + 1e-9;

/// The most images of a class whose features add up exactly: 2²⁴ steps times 255 times these stay below 2⁵³.
const MOST_IMAGES: usize = 1 << 21;

/// The gradient of f(x) = ⟨v, max(0, W x̃)⟩ with respect to all its parameters, divided by its length, where x̃ is the image,
/// values in [−1, 1], with a constant 1, and W, v are standard normal (Jacot, Gabriel & Hongler 2018; as features for private means, Yang,
/// Adamczewski, Li, Sutherland & Park 2023):
///
/// ψ(x) = (max(0, W x̃), (v ⊙ \[W x̃ > 0\]) x̃ᵀ),  φ(x) = ψ(x)/‖ψ(x)‖.
///
/// Inner products approximate the tangent kernel of the network of infinitely many units. Whether a unit is on is taken as
/// constant in gradients, as it is almost everywhere.
#[derive(Clone, Debug)]
pub(crate) struct TangentFeatures {
    /// W, units × (dimension + 1).
    weights: Vec<f32>,
    /// v.
    readout: Vec<f32>,
    /// Values of an image.
    dimension: usize,
}

/// Some images as the random network sees them.
struct Seen {
    /// max(0, W x̃), images × units.
    active: Vec<f32>,
    /// v ⊙ \[W x̃ > 0\], images × units.
    slopes: Vec<f32>,
}

impl TangentFeatures {
    /// A random network of `units` units.
    pub(crate) fn draw(dimension: usize, units: usize, seed: Seed) -> Self {
        let mut rng = seed.rng();
        let mut draw = |count: usize| (0..count).map(|_| rng.sample::<f32, _>(StandardNormal)).collect();
        Self { weights: draw(units * (dimension + 1)), readout: draw(units), dimension }
    }

    fn units(&self) -> usize {
        self.readout.len()
    }

    /// Coordinates of x̃.
    fn inputs(&self) -> usize {
        self.dimension + 1
    }

    /// `inputs` is images × [`Self::inputs`].
    fn see(&self, inputs: &[f32]) -> Seen {
        let (n, units) = (inputs.len() / self.inputs(), self.units());
        let mut active = vec![0.0; n * units];
        product(&mut active, units, (inputs, n, self.inputs()), self.weights().transpose());
        let mut slopes = vec![0.0; n * units];
        for (active, slopes) in active.chunks_exact_mut(units).zip(slopes.chunks_exact_mut(units)) {
            for ((active, slope), &readout) in active.iter_mut().zip(slopes).zip(&self.readout) {
                if *active > 0.0 {
                    *slope = readout;
                } else {
                    *active = 0.0;
                }
            }
        }
        Seen { active, slopes }
    }

    /// A function of the image alone: no product is shared with other images, whose number or order could move its last bits
    /// and with them a unit that is barely on.
    fn part(&self, image: &[u8]) -> Part {
        let values = image.iter().map(|&value| 2.0 * f64::from(value) - WHITE);
        let input: Vec<f64> = values.chain([WHITE]).collect();
        let Seen { active, slopes } = self.see(&input.iter().map(|value| (value / WHITE) as f32).collect::<Vec<_>>());
        let square = input.iter().map(|value| (value / WHITE).powi(2)).sum::<f64>();
        let scale = STEPS / (MARGIN * squared_length(&active, &slopes, square).sqrt());
        // An image that no unit answers has no features.
        let scale = if scale.is_finite() { scale } else { 0.0 };
        let cut = |values: Vec<f32>| values.iter().map(|&value| (f64::from(value) * scale).trunc()).collect();
        Part { active: cut(active), slopes: cut(slopes), input }
    }

    fn weights(&self) -> MatRef<'_, f32> {
        MatRef::from_row_major_slice(&self.weights, self.units(), self.inputs())
    }
}

/// What one image adds to the sums, in whole numbers.
struct Part {
    /// In units of 1/[`STEPS`].
    active: Vec<f64>,
    /// In units of 1/[`STEPS`]; they are multiplied with the input.
    slopes: Vec<f64>,
    /// x̃ in units of 1/[`WHITE`].
    input: Vec<f64>,
}

/// A row-major `rows × columns` matrix times another, on the calling thread.
fn product(into: &mut [f32], width: usize, (left, rows, columns): (&[f32], usize, usize), right: MatRef<'_, f32>) {
    let left = MatRef::from_row_major_slice(left, rows, columns);
    matmul(MatMut::from_row_major_slice_mut(into, rows, width), Accum::Replace, left, right, 1.0, Par::Seq);
}

/// ‖ψ‖² of an image, given what its units do and ‖x̃‖².
fn squared_length(active: &[f32], slopes: &[f32], input: f64) -> f64 {
    let square = |values: &[f32]| values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
    square(active) + square(slopes) * input
}

impl Features for TangentFeatures {
    fn width(&self) -> usize {
        self.units() * (1 + self.inputs())
    }

    fn name(&self) -> &'static str {
        "neural tangent features"
    }

    fn most_images(&self) -> usize {
        MOST_IMAGES
    }

    /// A unit's part of each feature is cut to whole steps and multiplied with pixels as whole numbers, so that products and
    /// sums are whole numbers below 2⁵³, which f64 adds exactly.
    ///
    /// Cost: 4 N · units · pixels operations; memory 16 · classes · units · pixels bytes.
    fn class_sums(&self, images: &ImageSet, labels: &Labels, progress: &dyn Progress) -> Vec<f64> {
        let (units, inputs, width) = (self.units(), self.inputs(), self.width());
        let members = labels.by_class();
        assert!(members.iter().all(|members| members.len() <= MOST_IMAGES), "sums of more images are not exact");
        let mut sums = vec![0.0; members.len() * width];
        progress.begin("embedding the private images", images.len() as u64);
        for (members, sums) in members.iter().zip(sums.chunks_exact_mut(width)) {
            let (of_active, of_slopes) = sums.split_at_mut(units);
            for chunk in members.chunks(IMAGES) {
                let parts: Vec<Part> = chunk.par_iter().map(|&image| self.part(images.image(image))).collect();
                for part in &parts {
                    of_active.iter_mut().zip(&part.active).for_each(|(sum, value)| *sum += value);
                }
                let slopes: Vec<f64> = parts.iter().flat_map(|part| &part.slopes).copied().collect();
                let whole: Vec<f64> = parts.iter().flat_map(|part| &part.input).copied().collect();
                matmul(
                    MatMut::from_row_major_slice_mut(of_slopes, units, inputs),
                    Accum::Add,
                    MatRef::from_row_major_slice(&slopes, chunk.len(), units).transpose(),
                    MatRef::from_row_major_slice(&whole, chunk.len(), inputs),
                    1.0,
                    Par::rayon(0),
                );
                progress.advance(chunk.len() as u64);
            }
            of_active.iter_mut().for_each(|sum| *sum /= STEPS);
            of_slopes.iter_mut().for_each(|sum| *sum /= STEPS * WHITE);
        }
        progress.end();
        sums
    }

    /// Cost: 8 · k · units · pixels operations.
    fn mismatch(&self, points: &[f32], target: &[f32], share: f64, _step: usize) -> Mismatch {
        let (units, inputs, dimension) = (self.units(), self.inputs(), self.dimension);
        let k = points.len() / dimension;
        assert!(k >= 2 && k * dimension == points.len(), "k ≥ 2 whole images");
        let each = share / k as f64;
        let mut x = vec![1.0; k * inputs];
        x.chunks_exact_mut(inputs).zip(points.chunks_exact(dimension)).for_each(|(x, point)| {
            x.iter_mut().zip(point).for_each(|(x, value)| *x = 2.0 * value - 1.0);
        });
        let Seen { active, slopes } = self.see(&x);
        let rows = active.chunks_exact(units).zip(slopes.chunks_exact(units)).zip(x.chunks_exact(inputs));
        let square = |values: &[f32]| values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
        let lengths: Vec<f64> = rows
            .map(|((active, slopes), x)| squared_length(active, slopes, square(x)).sqrt().max(f64::MIN_POSITIVE))
            .collect();

        // The mean features of the batch times `share`, then the loss's gradient with respect to each image's features.
        let mut gradient = vec![0.0; self.width()];
        let (of_active, of_slopes) = gradient.split_at_mut(units);
        let mut scaled = slopes.clone();
        for ((active, scaled), length) in active.chunks_exact(units).zip(scaled.chunks_exact_mut(units)).zip(&lengths) {
            let factor = (each / length) as f32;
            of_active.iter_mut().zip(active).for_each(|(mean, value)| *mean += factor * value);
            scaled.iter_mut().for_each(|value| *value *= factor);
        }
        matmul(
            MatMut::from_row_major_slice_mut(of_slopes, units, inputs),
            Accum::Replace,
            MatRef::from_row_major_slice(&scaled, k, units).transpose(),
            MatRef::from_row_major_slice(&x, k, inputs),
            1.0,
            Par::Seq,
        );
        let loss = towards(&mut gradient, target, share, k, |value| value as f32);

        // Back through φ = ψ/‖ψ‖ and through ψ.
        let (of_active, of_slopes) = gradient.split_at(units);
        let of_slopes = MatRef::from_row_major_slice(of_slopes, units, inputs);
        let mut pulled = vec![0.0; k * inputs];
        product(&mut pulled, inputs, (&slopes, k, units), of_slopes);
        let mut through = vec![0.0; k * units];
        for (image, &length) in lengths.iter().enumerate() {
            let (active, slopes) = (&active[image * units..][..units], &slopes[image * units..][..units]);
            let (x, pulled) = (&x[image * inputs..][..inputs], &mut pulled[image * inputs..][..inputs]);
            let along = (dot(active, of_active) + dot(pulled, x)) / length;
            let shrink = (along / length) as f32;
            let towards = shrink * square(slopes) as f32;
            pulled.iter_mut().zip(x).for_each(|(value, x)| *value -= towards * x);
            for (((to, &active), &slope), &gradient) in
                through[image * units..].iter_mut().zip(active).zip(slopes).zip(of_active)
            {
                // A unit is off where its slope is 0.
                *to = if slope == 0.0 { 0.0 } else { gradient - shrink * active };
            }
        }
        let mut by_active = vec![0.0; k * inputs];
        product(&mut by_active, inputs, (&through, k, units), self.weights());
        let mut gradient = Vec::with_capacity(points.len());
        for ((pulled, by_active), length) in
            pulled.chunks_exact(inputs).zip(by_active.chunks_exact(inputs)).zip(&lengths)
        {
            let pairs = pulled.iter().zip(by_active).take(dimension);
            gradient.extend(pairs.map(|(a, b)| (2.0 * (f64::from(*a) + f64::from(*b)) / length) as f32));
        }
        Mismatch { loss, gradient }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

#[cfg(test)]
mod tests {
    use standin_data::{Shape, Silent};

    use super::*;

    const SHAPE: Shape = Shape { channels: 1, height: 3, width: 3 };

    /// φ written out, in double precision.
    fn features(network: &TangentFeatures, image: &[f32]) -> Vec<f64> {
        let x: Vec<f64> = image.iter().map(|&value| 2.0 * f64::from(value) - 1.0).chain([1.0]).collect();
        let (mut active, mut slopes) = (Vec::new(), Vec::new());
        for (row, &readout) in network.weights.chunks_exact(x.len()).zip(&network.readout) {
            let answer: f64 = row.iter().zip(&x).map(|(&w, x)| f64::from(w) * x).sum();
            active.push(answer.max(0.0));
            let slope = if answer > 0.0 { f64::from(readout) } else { 0.0 };
            slopes.extend(x.iter().map(|x| slope * x));
        }
        let all = [active, slopes].concat();
        let length = all.iter().map(|value| value * value).sum::<f64>().sqrt();
        all.iter().map(|value| value / length).collect()
    }

    fn set(images: &[[u8; 9]], labels: &[u32]) -> ImageSet {
        let classes = ["a", "b"].map(str::to_owned).to_vec();
        let set = ImageSet::new(SHAPE, images.concat()).unwrap();
        set.with_labels(Labels { values: labels.to_vec(), classes }).unwrap()
    }

    fn base(count: usize) -> (Vec<[u8; 9]>, Vec<u32>) {
        let images = (0..count).map(|image| std::array::from_fn(|pixel| (image * 31 + pixel * 57) as u8));
        (images.collect(), (0..count).map(|image| (image % 2) as u32).collect())
    }

    fn sums(network: &TangentFeatures, images: &[[u8; 9]], labels: &[u32]) -> Vec<f64> {
        let set = set(images, labels);
        network.class_sums(&set, set.labels().unwrap(), &Silent)
    }

    #[test]
    fn sums_equal_a_loop_in_double_precision() {
        let network = TangentFeatures::draw(9, 40, Seed::new(1));
        let (images, labels) = base(1100);
        let mut expected = vec![0.0; 2 * network.width()];
        for (image, &label) in images.iter().zip(&labels) {
            let image: Vec<f32> = image.iter().map(|&value| f32::from(value) / 255.0).collect();
            let row = &mut expected[label as usize * network.width()..][..network.width()];
            row.iter_mut().zip(features(&network, &image)).for_each(|(sum, value)| *sum += value);
        }
        for (found, expected) in sums(&network, &images, &labels).iter().zip(&expected) {
            assert!((found - expected).abs() < 2e-3, "{found} against {expected}");
        }
    }

    #[test]
    fn one_image_more_changes_the_sums_by_its_features_of_norm_one_in_any_company() {
        let network = TangentFeatures::draw(9, 40, Seed::new(1));
        let (images, labels) = base(1500);
        let chessboard = std::array::from_fn(|pixel| if pixel % 2 == 0 { 255 } else { 0 });
        let mut alone: Option<Vec<f64>> = None;
        for n in [0, 1, 7, 511, 512, 1023, 1024, 1500] {
            let without = sums(&network, &images[..n], &labels[..n]);
            for (extreme, class) in [([0; 9], 0), ([255; 9], 0), (chessboard, 1)] {
                let with = [&images[..n], &[extreme]].concat();
                let with = sums(&network, &with, &[&labels[..n], &[class]].concat());
                let change: Vec<f64> = with.iter().zip(&without).map(|(a, b)| a - b).collect();
                let norm = change.iter().map(|value| value * value).sum::<f64>().sqrt();
                assert!(norm <= 1.0 + 1e-12 && norm > 0.999, "{norm}");
                if class == 1 {
                    let alone = alone.get_or_insert_with(|| change.clone());
                    // Less than a step of 2⁻²⁴ times a pixel: whole steps are the same, the division by them rounds.
                    assert!(change.iter().zip(alone.iter()).all(|(a, b)| (a - b).abs() < 1e-10), "at {n}");
                }
            }
        }
    }

    #[test]
    fn inner_products_are_those_of_the_tangent_kernel_of_an_infinite_network() {
        let network = TangentFeatures::draw(9, 60_000, Seed::new(2));
        let (images, _) = base(4);
        let points: Vec<Vec<f32>> =
            images.iter().map(|image| image.iter().map(|&value| f32::from(value) / 255.0).collect()).collect();
        let phi: Vec<Vec<f64>> = points.iter().map(|point| features(&network, point)).collect();
        let centred: Vec<Vec<f32>> =
            points.iter().map(|point| point.iter().map(|value| 2.0 * value - 1.0).collect()).collect();
        for (a, x) in phi.iter().zip(&centred) {
            for (b, y) in phi.iter().zip(&centred) {
                // Cho & Saul 2009: arc-cosine kernels of order 1, and of order 0 times ⟨x̃, ỹ⟩, with the angle θ between x̃
                // and ỹ; both parts of ψ have the same length.
                let inner = dot(x, y) + 1.0;
                let cosine = inner / ((dot(x, x) + 1.0) * (dot(y, y) + 1.0)).sqrt();
                let angle = cosine.min(1.0).acos();
                let pi = std::f64::consts::PI;
                let first = (angle.sin() + (pi - angle) * cosine) / pi;
                let kernel = f64::midpoint(first, cosine * (pi - angle) / pi);
                let found: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                assert!((found - kernel).abs() < 0.01, "{found} for {kernel}");
            }
        }
    }

    #[test]
    fn the_mismatch_is_the_corrected_distance_and_its_gradient_the_slope() {
        let network = TangentFeatures::draw(4, 30, Seed::new(3));
        let mut rng = Seed::new(4).rng();
        let points: Vec<f32> = (0..12).map(|_| rng.random()).collect();
        let target: Vec<f32> =
            features(&network, &[0.3, 0.9, 0.1, 0.5]).iter().map(|&value| 0.7 * value as f32).collect();
        let distance = |points: &[f32]| {
            let phi: Vec<Vec<f64>> = points.chunks_exact(4).map(|point| features(&network, point)).collect();
            let target: Vec<f64> = target.iter().map(|&value| f64::from(value)).collect();
            let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let mut loss = inner(&target, &target);
            for (i, a) in phi.iter().enumerate() {
                loss -= 2.0 * 0.6 / 3.0 * inner(a, &target);
                for (j, b) in phi.iter().enumerate().filter(|(j, _)| *j != i) {
                    assert_ne!(i, j);
                    loss += 0.36 / 6.0 * inner(a, b);
                }
            }
            loss
        };
        let found = network.mismatch(&points, &target, 0.6, 0);
        assert!((found.loss - distance(&points)).abs() < 1e-6, "{} for {}", found.loss, distance(&points));
        for at in 0..points.len() {
            // Small enough that hardly any unit turns on or off between the two.
            let step = 1.0 / 4096.0;
            let moved = |by: f32| {
                let mut points = points.clone();
                points[at] += by;
                distance(&points)
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
            assert!((slope - f64::from(found.gradient[at])).abs() < 2e-4, "{slope} for {}", found.gradient[at]);
        }
    }
}
