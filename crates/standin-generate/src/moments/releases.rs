//! The three noisy sums that [`DpMfa`](crate::DpMfa) takes of private images.
//!
//! # Sensitivity
//! Each is one Gaussian release of a sum over images in which an image x of class c contributes a vector u(x, c) with
//! ‖u‖ ≤ 1, whatever x and c are. Adding or removing one image changes the sum by its vector alone, so the ℓ₂ sensitivity
//! is 1. The later releases depend on what the earlier released (centres, directions, bounds), never on what was not
//! released, so they compose adaptively.
//!
//! - [`class_means`]: row c of a matrix gets (√a, √(1−a)·v) with v the image's coefficients clipped to norm 1:
//!   a + (1−a)‖v‖² ≤ 1.
//! - [`pooled`]: the image minus its class's released mean gives w, its clipped coefficients, and s, its clipped squared
//!   pixels: √(1−q)·vec(wwᵀ), shared by all classes, and √q·s in row c. A symmetric matrix enters with its entries beside
//!   the diagonal once and times √2, so that ‖vec(wwᵀ)‖ = ‖w‖² ≤ 1 and (1−q)‖w‖⁴ + q‖s‖² ≤ 1.
//! - [`components`]: row g, the image's component, gets (√a, √b·y, √(1−a−b)·vec(yyᵀ)) with y clipped:
//!   a + b‖y‖² + (1−a−b)‖y‖⁴ ≤ 1.
//!
//! Clipped vectors consist of whole steps ([`clip`]), so their sums are exact.

use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Labels};
use standin_privacy::{Event, Ledger, NoiseSource};

use crate::Result;
use crate::cosine::CosineBasis;
use crate::moments::clipped::{Moments, Sums, clip, sums};

/// The change of each released sum in the ℓ₂ norm when one image is added or removed, at most.
pub(crate) const SENSITIVITY: f64 = 1.0;

/// a, the part of a record's squared norm that counts it.
const COUNT_SHARE: f64 = 0.1;

/// b, the part that a component's mean has.
const MEAN_SHARE: f64 = 0.2;

/// q, the part that the squared pixels have.
const SQUARES_SHARE: f64 = 0.2;

/// Where noise is drawn and the account in which releases are entered.
#[derive(Debug)]
pub(crate) struct Mechanism {
    pub noise: NoiseSource,
    pub ledger: Ledger,
}

impl Mechanism {
    /// Adds noise of this standard deviation to sums of sensitivity [`SENSITIVITY`].
    fn release(&mut self, sums: &mut [f64], sigma: f64) -> Result<()> {
        self.noise.add_gaussian(sigma, sums)?;
        Ok(self.ledger.record(Event::Gaussian { noise_multiplier: sigma / SENSITIVITY }, 1)?)
    }
}

/// Labelled images as every release sees them: values in [0, 1] and their lowest frequencies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Records<'a> {
    pub images: &'a ImageSet,
    pub labels: &'a Labels,
    pub basis: &'a CosineBasis,
}

impl Records<'_> {
    fn classes(&self) -> usize {
        self.labels.classes.len()
    }

    fn class(&self, index: usize) -> usize {
        self.labels.values[index] as usize
    }

    fn pixels(&self, index: usize) -> Vec<f64> {
        self.images.image(index).iter().map(|&value| f64::from(value) / 255.0).collect()
    }
}

/// What [`class_means`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ClassMeans {
    /// Images of each class, noise included; may be negative.
    pub counts: Vec<f64>,
    /// The standard deviation of the noise in them.
    pub count_noise: f64,
    /// The mean coefficients of each class, classes × coefficients.
    pub means: Vec<f64>,
}

impl ClassMeans {
    /// At least what noise alone could make of a class without images.
    fn count(&self, class: usize) -> f64 {
        self.counts[class].max(self.count_noise)
    }

    fn total(&self) -> f64 {
        (0..self.counts.len()).map(|class| self.count(class)).sum()
    }
}

/// The sums of [`class_means`] without noise.
fn class_sums(records: Records<'_>, bound: f64) -> Vec<f64> {
    let found = sums(records.images.len(), records.basis.len(), records.classes(), Moments::First, |index, vector| {
        records.basis.analyse(&records.pixels(index), vector);
        clip(vector, bound);
        records.class(index)
    });
    found.iter().flat_map(|sum| row(sum, COUNT_SHARE, 1.0 - COUNT_SHARE)).collect()
}

/// √count·count and √first·first moments, and the second with what is left.
fn row(sum: &Sums, count: f64, first: f64) -> Vec<f64> {
    let mut row = vec![count.sqrt() * sum.count];
    row.extend(sum.first.iter().map(|value| first.sqrt() * value));
    if !sum.second.is_empty() {
        row.extend(upper(&sum.second, sum.first.len(), (1.0 - count - first).sqrt()));
    }
    row
}

/// Counts and mean coefficients of each class.
pub(crate) fn class_means(
    records: Records<'_>,
    bound: f64,
    sigma: f64,
    mechanism: &mut Mechanism,
) -> Result<ClassMeans> {
    let mut values = class_sums(records, bound);
    let count_noise = sigma / COUNT_SHARE.sqrt();
    mechanism.release(&mut values, sigma)?;
    let rows = values.chunks_exact(1 + records.basis.len());
    let counts = rows.clone().map(|row| row[0] / COUNT_SHARE.sqrt()).collect();
    let mut found = ClassMeans { counts, count_noise, means: Vec::with_capacity(values.len()) };
    for (class, row) in rows.enumerate() {
        let scale = bound / (1.0 - COUNT_SHARE).sqrt() / found.count(class);
        found.means.extend(row[1..].iter().map(|value| scale * value));
    }
    Ok(found)
}

/// What [`pooled`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pooled {
    /// The second moments within classes of the coefficients, coefficients × coefficients.
    pub within: Vec<f64>,
    /// The standard deviation of the noise in their entries beside the diagonal.
    pub noise: f64,
    /// Mean squared distance of each pixel to its class's mean, classes × pixels; may be negative.
    pub squares: Vec<f64>,
}

/// The sums of [`pooled`] without noise.
fn pooled_sums(records: Records<'_>, means: &[f64], bound: f64, square_bound: f64) -> Vec<f64> {
    let (images, coefficients) = (records.images.len(), records.basis.len());
    let centred = sums(images, coefficients, 1, Moments::Second, |index, vector| {
        records.basis.analyse(&records.pixels(index), vector);
        let mean = &means[records.class(index) * coefficients..];
        vector.iter_mut().zip(mean).for_each(|(value, mean)| *value -= mean);
        clip(vector, bound);
        0
    });
    let images_of_means: Vec<Vec<f64>> =
        means.chunks_exact(coefficients).map(|mean| records.basis.synthesise(mean)).collect();
    let squares = sums(images, records.images.shape().volume(), records.classes(), Moments::First, |index, vector| {
        let class = records.class(index);
        for ((square, pixel), mean) in vector.iter_mut().zip(records.pixels(index)).zip(&images_of_means[class]) {
            *square = (pixel - mean.clamp(0.0, 1.0)).powi(2);
        }
        clip(vector, square_bound);
        class
    });
    let mut values = upper(&centred[0].second, coefficients, (1.0 - SQUARES_SHARE).sqrt());
    values.extend(squares.iter().flat_map(|sum| &sum.first).map(|value| SQUARES_SHARE.sqrt() * value));
    values
}

/// Second moments within classes, and each class's squared deviation in each pixel.
pub(crate) fn pooled(
    records: Records<'_>,
    classes: &ClassMeans,
    bound: f64,
    square_bound: f64,
    sigma: f64,
    mechanism: &mut Mechanism,
) -> Result<Pooled> {
    let mut values = pooled_sums(records, &classes.means, bound, square_bound);
    mechanism.release(&mut values, sigma)?;
    let coefficients = records.basis.len();
    let (products, squares) = values.split_at(coefficients * (coefficients + 1) / 2);
    let scale = bound * bound / (1.0 - SQUARES_SHARE).sqrt() / classes.total();
    let rows = squares.chunks_exact(records.images.shape().volume()).enumerate();
    let squares = rows.flat_map(|(class, row)| {
        let scale = square_bound / SQUARES_SHARE.sqrt() / classes.count(class);
        row.iter().map(move |value| scale * value)
    });
    Ok(Pooled {
        within: symmetric(products, coefficients, scale),
        noise: scale * sigma / 2.0_f64.sqrt(),
        squares: squares.collect(),
    })
}

/// Where [`components`] measures: coordinates of an image in which the groups lie around their centres.
#[derive(Clone, Debug)]
pub(crate) struct Coordinates<'a> {
    /// The mean coefficients of each class, which coordinates are relative to.
    pub means: &'a [f64],
    /// The direction of each coordinate, coordinates × coefficients.
    pub directions: &'a [f64],
    /// The centre of each component, the same ones for every class: components × coordinates.
    pub centres: &'a [f64],
    /// Number of coordinates.
    pub dimension: usize,
}

impl Coordinates<'_> {
    fn components(&self) -> usize {
        self.centres.len() / self.dimension
    }

    /// Writes the coordinates of an image relative to the nearest centre, and gives that centre's index.
    fn place(&self, coefficients: &[f64], class: usize, into: &mut [f64]) -> usize {
        let mean = &self.means[class * coefficients.len()..][..coefficients.len()];
        for (value, direction) in into.iter_mut().zip(self.directions.chunks_exact(coefficients.len())) {
            let rows = direction.iter().zip(coefficients).zip(mean);
            *value = rows.map(|((direction, value), mean)| direction * (value - mean)).sum();
        }
        let (nearest, centre) = nearest(into, self.centres);
        into.iter_mut().zip(centre).for_each(|(value, centre)| *value -= centre);
        nearest
    }
}

/// The index and the coordinates of the centre nearest to a point.
pub(crate) fn nearest<'a>(point: &[f64], centres: &'a [f64]) -> (usize, &'a [f64]) {
    let squared = |centre: &[f64]| point.iter().zip(centre).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let centres = centres.chunks_exact(point.len()).enumerate();
    centres.min_by(|(_, a), (_, b)| squared(a).total_cmp(&squared(b))).expect("there is a centre")
}

/// What [`components`] tells of one component of one class.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Component {
    /// Its images, noise included; may be negative.
    pub count: f64,
    /// The standard deviation of the noise in that.
    pub count_noise: f64,
    /// Its mean relative to its centre.
    pub mean: Vec<f64>,
    /// Its covariance, coordinates × coordinates; with noise, so not always positive.
    pub covariance: Vec<f64>,
    /// The standard deviation of the noise in the entries of that beside the diagonal.
    pub noise: f64,
}

/// The sums of [`components`] without noise.
fn component_sums(records: Records<'_>, coordinates: &Coordinates<'_>, bound: f64) -> Vec<f64> {
    let groups = records.classes() * coordinates.components();
    let found = sums(records.images.len(), coordinates.dimension, groups, Moments::Second, |index, vector| {
        let mut coefficients = vec![0.0; records.basis.len()];
        records.basis.analyse(&records.pixels(index), &mut coefficients);
        let class = records.class(index);
        let component = coordinates.place(&coefficients, class, vector);
        clip(vector, bound);
        class * coordinates.components() + component
    });
    found.iter().flat_map(|sum| row(sum, COUNT_SHARE, MEAN_SHARE)).collect()
}

/// Count, mean and covariance of every component of every class, classes × components.
pub(crate) fn components(
    records: Records<'_>,
    coordinates: &Coordinates<'_>,
    bound: f64,
    sigma: f64,
    mechanism: &mut Mechanism,
) -> Result<Vec<Component>> {
    let mut values = component_sums(records, coordinates, bound);
    mechanism.release(&mut values, sigma)?;
    let k = coordinates.dimension;
    let count_noise = sigma / COUNT_SHARE.sqrt();
    let rows = values.chunks_exact(1 + k + k * (k + 1) / 2);
    let component = |row: &[f64]| {
        let count = row[0] / COUNT_SHARE.sqrt();
        let divisor = count.max(count_noise);
        let mean: Vec<f64> = row[1..=k].iter().map(|value| bound / MEAN_SHARE.sqrt() / divisor * value).collect();
        let scale = bound * bound / (1.0 - COUNT_SHARE - MEAN_SHARE).sqrt() / divisor;
        let mut covariance = symmetric(&row[1 + k..], k, scale);
        for (i, a) in mean.iter().enumerate() {
            mean.iter().enumerate().for_each(|(j, b)| covariance[i * k + j] -= a * b);
        }
        Component { count, count_noise, mean, covariance, noise: scale * sigma / 2.0_f64.sqrt() }
    };
    Ok(rows.map(component).collect())
}

/// The entries on and above the diagonal of a symmetric matrix times `scale`, those beside the diagonal times √2 more: a
/// vector of the matrix's Frobenius norm times `scale`.
fn upper(matrix: &[f64], size: usize, scale: f64) -> Vec<f64> {
    let beside = scale * 2.0_f64.sqrt();
    let rows = matrix.chunks_exact(size).enumerate();
    rows.flat_map(|(i, row)| {
        row[i..].iter().enumerate().map(move |(at, value)| if at == 0 { scale * value } else { beside * value })
    })
    .collect()
}

/// The matrix of which [`upper`] gave these entries with scale 1, times `scale`.
fn symmetric(entries: &[f64], size: usize, scale: f64) -> Vec<f64> {
    let mut matrix = vec![0.0; size * size];
    let mut entries = entries.iter();
    for i in 0..size {
        for (j, &entry) in (i..size).zip(&mut entries) {
            let value = if i == j { scale * entry } else { scale * entry / 2.0_f64.sqrt() };
            matrix[i * size + j] = value;
            matrix[j * size + i] = value;
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use standin_data::{Seed, Shape};
    use standin_privacy::{Adjacency, NoiseOrigin, Unit};

    use super::*;

    const SHAPE: Shape = Shape { channels: 1, height: 5, width: 5 };

    fn set(count: usize, last: Option<([u8; 25], u32)>) -> ImageSet {
        let mut pixels: Vec<u8> = (0..count * 25).map(|at| (at * at % 251) as u8).collect();
        let mut values: Vec<u32> = (0..count).map(|image| (image % 2) as u32).collect();
        if let Some((image, label)) = last {
            pixels.extend(image);
            values.push(label);
        }
        let classes = vec!["a".to_owned(), "b".to_owned()];
        ImageSet::new(SHAPE, pixels).unwrap().with_labels(Labels { values, classes }).unwrap()
    }

    /// How far one image more moves sums, for extreme images of both classes and bounds that clip none, some and all.
    fn largest_change(sums: impl Fn(Records<'_>, f64) -> Vec<f64>) -> f64 {
        let basis = CosineBasis::new(SHAPE, 4);
        let of = |set: &ImageSet, bound: f64| {
            let labels = set.labels().expect("labelled");
            sums(Records { images: set, labels, basis: &basis }, bound)
        };
        let mut largest = 0.0_f64;
        for bound in [0.01, 1.0, 100.0] {
            let without = of(&set(700, None), bound);
            let chessboard = std::array::from_fn(|at| if at.is_multiple_of(2) { 255 } else { 0 });
            for image in [[0; 25], [255; 25], chessboard] {
                for class in 0..2 {
                    let with = of(&set(700, Some((image, class))), bound);
                    let squared: f64 = with.iter().zip(&without).map(|(a, b)| (a - b).powi(2)).sum();
                    largest = largest.max(squared.sqrt());
                }
            }
        }
        largest
    }

    #[test]
    fn one_image_more_changes_every_sum_by_at_most_the_sensitivity_and_some_by_all_of_it() {
        let means: Vec<f64> = (0..32).map(|at| f64::from(at % 5) * 0.1).collect();
        let directions: Vec<f64> = (0..48).map(|at| f64::from(at % 7) - 3.0).collect();
        let centres = [0.0, 0.0, 0.0, 1.0, -1.0, 2.0];
        let coordinates = Coordinates { means: &means, directions: &directions, centres: &centres, dimension: 3 };
        for (name, largest) in [
            ("class means", largest_change(class_sums)),
            ("pooled", largest_change(|records, bound| pooled_sums(records, &means, bound, bound))),
            ("components", largest_change(|records, bound| component_sums(records, &coordinates, bound))),
        ] {
            // Sums of 700 images are scaled by irrational weights in double precision.
            assert!(largest <= SENSITIVITY + 1e-10, "{name}: {largest}");
            assert!(largest > 0.99 * SENSITIVITY, "{name}: {largest}");
        }
    }

    #[test]
    fn a_symmetric_matrix_keeps_its_norm_as_a_vector_and_comes_back() {
        let matrix = [1.0, 2.0, -3.0, 2.0, 5.0, 0.5, -3.0, 0.5, -1.0];
        let entries = upper(&matrix, 3, 1.0);
        let square = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
        assert!((square(&entries) - square(&matrix)).abs() < 1e-12);
        let back = symmetric(&entries, 3, 2.0);
        assert!(back.iter().zip(matrix).all(|(a, b)| (a - 2.0 * b).abs() < 1e-12));
    }

    #[test]
    fn with_hardly_any_noise_the_moments_are_those_of_the_images() {
        let set = set(900, None);
        let basis = CosineBasis::new(SHAPE, 5);
        let records = Records { images: &set, labels: set.labels().unwrap(), basis: &basis };
        let ledger = Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Reproducible);
        let mut mechanism = Mechanism { noise: NoiseSource::reproducible(Seed::new(1)), ledger };
        let classes = class_means(records, 10.0, 1e-6, &mut mechanism).unwrap();
        assert!(classes.counts.iter().all(|count| (count - 450.0).abs() < 1e-3));
        let even: Vec<Vec<f64>> = (0..900).step_by(2).map(|image| records.pixels(image)).collect();
        let mean: Vec<f64> = (0..25).map(|at| even.iter().map(|image| image[at]).sum::<f64>() / 450.0).collect();
        let found = basis.synthesise(&classes.means[..25]);
        assert!(found.iter().zip(&mean).all(|(a, b)| (a - b).abs() < 1e-3), "{found:?} {mean:?}");

        let pooled = pooled(records, &classes, 10.0, 10.0, 1e-6, &mut mechanism).unwrap();
        for at in 0..25 {
            let variance = even.iter().map(|image| (image[at] - mean[at]).powi(2)).sum::<f64>() / 450.0;
            assert!((pooled.squares[at] - variance).abs() < 1e-3);
        }
        let trace: f64 = (0..25).map(|at| pooled.within[at * 26]).sum();
        let squares: f64 = pooled.squares.iter().sum();
        assert!((trace - squares / 2.0).abs() < 1e-2, "{trace} {squares}");
        assert_eq!(mechanism.ledger.events(), [(Event::Gaussian { noise_multiplier: 1e-6 }, 2)]);
    }
}
