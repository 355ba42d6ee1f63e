use faer::Mat;
use standin_encode::Embedding;

use crate::context::{Comparison, Context, Side};
use crate::error::{require_euclidean, require_rows};
use crate::linear::{columns_of, product, scatter, self_product, spread, symmetric_eigen};
use crate::registry::Measure;
use crate::uncertainty::{Z, influence_variance};
use crate::{Against, Error, Estimate, Result};

/// Images whose influence is computed: the standard error is then known to about 2 %.
const INFLUENCES: usize = 2048;

/// The Vendi score of order 1: see [`vendi_score_of_order`].
///
/// # Errors
/// If there are fewer than 2 images, their features are codes, or the decomposition does not converge.
pub fn vendi_score(set: &Embedding) -> Result<Estimate> {
    vendi_score_of_order(set, 1.0)
}

/// The Vendi score (Friedman and Dieng, TMLR 2023) of an order q > 0 (Pasarkar and Dieng, AISTATS 2024): the exponential
/// of the Rényi entropy ln(Σλᵢ^q)/(1−q) of the eigenvalues λ of K/n, with the cosine kernel K. An effective number of
/// different images, from 1 (all point the same way) to n. Order 1 is the von Neumann entropy −Σλᵢ·ln λᵢ; the greater the
/// order, the less rare kinds count, down to 1/λ₁ at order ∞ ([`f64::INFINITY`]).
///
/// K/n and the d×d matrix ρ = X̂ᵀX̂/n of the normalised rows X̂ have the same non-zero eigenvalues; the smaller one is
/// decomposed. An image without direction (all features 0) counts as alike to others of its kind and unlike all else.
///
/// The score grows with n until n passes the number of directions there are to find, so compare at equal n.
/// **Interval**: the entropy is a smooth function of ρ, in which image x̂ has influence −x̂ᵀ(ln ρ)x̂ at order 1 and
/// q/(1−q)·x̂ᵀρ^(q−1)x̂ / tr ρ^q at others; its variance, over at most 2048 images spread evenly, gives a normal interval
/// for the entropy (infinitesimal jackknife), exponentiated.
///
/// Time O(n·d² + d³) and memory O(d²) with d ≤ n, else with both exchanged. Order 2 needs no decomposition: there
/// Σλᵢ² = ‖ρ‖².
///
/// # Errors
/// If the order is not above 0, there are fewer than 2 images, their features are codes, or the decomposition does not
/// converge.
pub fn vendi_score_of_order(set: &Embedding, order: f64) -> Result<Estimate> {
    require_euclidean("the Vendi score", set)?;
    require_rows("the Vendi score", set.rows(), 2)?;
    if order.is_nan() || order <= 0.0 {
        return Err(Error::Order { order });
    }
    let chosen = spread(set.rows(), INFLUENCES);
    let density = Density::of(set, &chosen);
    let (entropy, influences) = if order == 2.0 { density.collisions() } else { density.entropy(order)? };
    let variance = influence_variance(&influences) * chosen.len() as f64 / set.rows() as f64;
    let half = Z * variance.sqrt();
    Ok(Estimate {
        value: entropy.exp(),
        low: (entropy - half).exp().max(1.0).min(entropy.exp()),
        high: (entropy + half).exp().min(set.rows() as f64).max(entropy.exp()),
        n: set.rows(),
        method: "infinitesimal jackknife of the entropy".into(),
    })
}

/// A matrix with the non-zero eigenvalues of K/n, and the chosen images seen in its eigenvectors' space.
struct Density {
    matrix: Mat<f64>,
    images: Images,
}

enum Images {
    /// The matrix is ρ. Unit columns x̂, and 0 for the images without direction, whose share is given.
    Directions(Mat<f64>, f64),
    /// The matrix is K/n: these are columns of it.
    Columns(Vec<usize>),
}

impl Density {
    fn of(set: &Embedding, chosen: &[usize]) -> Self {
        if set.dimension() < set.rows() { Self::by_features(set, chosen) } else { Self::by_images(set, chosen) }
    }

    fn by_features(set: &Embedding, chosen: &[usize]) -> Self {
        let n = set.rows() as f64;
        let scales: Vec<f64> = (0..set.rows()).map(|row| to_unit(set.row(row))).collect();
        let still = scales.iter().filter(|&&scale| scale == 0.0).count() as f64 / n;
        let zero = vec![0.0; set.dimension()];
        let matrix = scatter(set, &zero, |row| scales[row] / n.sqrt());
        Self { matrix, images: Images::Directions(columns_of(set, chosen, direction), still) }
    }

    fn by_images(set: &Embedding, chosen: &[usize]) -> Self {
        let n = set.rows();
        let all: Vec<usize> = (0..n).collect();
        let mut matrix = self_product(columns_of(set, &all, direction).as_ref());
        let still: Vec<usize> = all.into_iter().filter(|&row| matrix[(row, row)] == 0.0).collect();
        for &a in &still {
            for &b in &still {
                matrix[(a, b)] = 1.0;
            }
        }
        matrix *= faer::Scale((n as f64).recip());
        Self { matrix, images: Images::Columns(chosen.to_vec()) }
    }

    /// Rényi entropy and the images' influences on it, up to a constant.
    fn entropy(&self, order: f64) -> Result<(f64, Vec<f64>)> {
        /// Eigenvalues up to this are 0 but for rounding; no image has weight there.
        const NOTHING: f64 = 1e-14;
        let (mut values, vectors) = symmetric_eigen(&self.matrix)?;
        let first = values.partition_point(|&value| value <= NOTHING);
        values.drain(..first);
        let still = match self.images {
            Images::Directions(_, still) => still,
            Images::Columns(_) => 0.0,
        };
        let spectrum = values.iter().copied().chain((still > 0.0).then_some(still));
        let (entropy, derivative) = renyi(spectrum, order);
        let weights: Vec<f64> = values.iter().map(|&value| derivative(value)).collect();
        let vectors = vectors.subcols(first, values.len());
        let influences = match &self.images {
            Images::Directions(images, still) => {
                let without = if *still > 0.0 { derivative(*still) } else { 0.0 };
                let loads = product(vectors.transpose(), images.as_ref());
                let of = |loads: faer::ColRef<'_, f64>| {
                    let total: f64 = loads.iter().map(|load| load * load).sum();
                    let moved: f64 = loads.iter().zip(&weights).map(|(load, weight)| load * load * weight).sum();
                    if total > 0.0 { moved } else { without }
                };
                loads.col_iter().map(of).collect()
            }
            Images::Columns(chosen) => {
                let n = self.matrix.nrows() as f64;
                let of = |&image: &usize| {
                    let terms = values.iter().zip(&weights).enumerate();
                    terms.map(|(k, (value, weight))| n * value * weight * vectors[(image, k)].powi(2)).sum()
                };
                chosen.iter().map(of).collect()
            }
        };
        Ok((entropy, influences))
    }

    /// The entropy of order 2, −ln ‖ρ‖², and the influences −2·x̂ᵀρx̂/‖ρ‖²: products alone.
    fn collisions(&self) -> (f64, Vec<f64>) {
        let square = self.matrix.squared_norm_l2();
        match &self.images {
            Images::Directions(images, still) => {
                let square = square + still * still;
                let moved = product(self.matrix.as_ref(), images.as_ref());
                let of = |(image, moved): (faer::ColRef<'_, f64>, faer::ColRef<'_, f64>)| {
                    let inner: f64 = image.iter().zip(moved.iter()).map(|(x, y)| x * y).sum();
                    let without = image.iter().all(|&x| x == 0.0);
                    -2.0 * if without { *still } else { inner } / square
                };
                (-square.ln(), images.col_iter().zip(moved.col_iter()).map(of).collect())
            }
            Images::Columns(chosen) => {
                let n = self.matrix.nrows() as f64;
                let of = |&image: &usize| -2.0 * n * self.matrix.col(image).squared_norm_l2() / square;
                (-square.ln(), chosen.iter().map(of).collect())
            }
        }
    }
}

/// The Rényi entropy of eigenvalues above 0, and its derivative with respect to a share λ of the images, up to a constant.
fn renyi(values: impl Iterator<Item = f64> + Clone, order: f64) -> (f64, Box<dyn Fn(f64) -> f64>) {
    if order == 1.0 {
        let entropy = -values.map(|value| value * value.ln()).sum::<f64>();
        return (entropy, Box::new(|value: f64| -value.ln()));
    }
    let most = values.clone().fold(0.0, f64::max);
    if order.is_infinite() {
        return (-most.ln(), Box::new(move |value| if value == most { -most.recip() } else { 0.0 }));
    }
    // Relative to the largest, so that a great power of a small share does not vanish.
    let total: f64 = values.map(|value| (value / most).powf(order)).sum();
    let entropy = (order * most.ln() + total.ln()) / (1.0 - order);
    let derivative = move |value: f64| order / (1.0 - order) * (value / most).powf(order - 1.0) / (most * total);
    (entropy, Box::new(derivative))
}

/// The factor that gives a row length 1, or 0 for a row without direction.
fn to_unit(row: &[f32]) -> f64 {
    let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    if norm > 0.0 { norm.recip() } else { 0.0 }
}

/// The row at length 1.
fn direction(row: &[f32], into: &mut [f64]) {
    let scale = to_unit(row);
    for (to, &x) in into.iter_mut().zip(row) {
        *to = f64::from(x) * scale;
    }
}

#[derive(Debug)]
pub(crate) struct VendiScore;

impl Measure for VendiScore {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        let of = |side| context.outcome(&[side], || vendi_score(context.rows(side)));
        let size = |side| context.size(side);
        Ok(vec![Comparison {
            against: Against::Nothing,
            outcome: of(Side::Synthetic)?,
            reference: context.reference(|| of(Side::Reference))?,
            parameters: format!(
                "cosine, order 1; {} synthetic, {} holdout in the reference",
                size(Side::Synthetic),
                size(Side::Reference)
            ),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embed, gaussian};

    /// Three images of which two have cosine similarity 0.9; the value is that of the `vendi-score` package.
    #[test]
    fn the_example_of_the_paper() {
        let third = 0.19_f32.sqrt();
        let set = embed(vec![1.0, 0.0, 0.0, 0.9, third, 0.0, 0.0, 0.0, 1.0], 3);
        assert!((vendi_score(&set).unwrap().value - 2.1573).abs() < 1e-4);
    }

    #[test]
    fn copies_count_once_and_orthogonal_images_each() {
        let identity = |n: usize, repeats: usize| {
            let row = |at: usize| (0..n).map(move |column| if column == at % n { 2.0 } else { 0.0 });
            embed((0..n * repeats).flat_map(row).collect(), n)
        };
        assert!((vendi_score(&identity(6, 1)).unwrap().value - 6.0).abs() < 1e-9);
        assert!((vendi_score(&identity(6, 5)).unwrap().value - 6.0).abs() < 1e-9);
        assert!((vendi_score(&embed(vec![0.5; 40], 4)).unwrap().value - 1.0).abs() < 1e-9);
    }

    #[test]
    fn both_matrices_give_one_score() {
        let set = gaussian(40, 30, 1.0, 0.5, 3);
        let all: Vec<usize> = (0..40).collect();
        let (features, images) = (Density::by_features(&set, &all), Density::by_images(&set, &all));
        let agree = |(one, by_one): (f64, Vec<f64>), (other, by_other): (f64, Vec<f64>)| {
            assert!((one - other).abs() < 1e-10, "{one} {other}");
            for (a, b) in by_one.iter().zip(&by_other) {
                assert!((a - b).abs() < 1e-8, "{a} {b}");
            }
        };
        for order in [0.5, 1.0, 3.0, f64::INFINITY] {
            agree(features.entropy(order).unwrap(), images.entropy(order).unwrap());
        }
        agree(features.collisions(), images.collisions());
        agree(features.collisions(), features.entropy(2.0).unwrap());
    }

    #[test]
    fn the_score_falls_with_the_order() {
        let set = gaussian(60, 9, 1.0, 0.5, 4);
        let at = |order| vendi_score_of_order(&set, order).unwrap().value;
        let scores = [0.5, 1.0, 1.000001, 2.0, 40.0, f64::INFINITY].map(at);
        assert!(scores.windows(2).all(|pair| pair[0] > pair[1]), "{scores:?}");
        assert!((scores[1] - scores[2]).abs() < 1e-4 && (scores[4] / scores[5]).ln() < 0.1, "{scores:?}");
        for order in [0.0, -1.0, f64::NAN] {
            assert!(matches!(vendi_score_of_order(&set, order), Err(Error::Order { .. })));
        }
    }

    #[test]
    fn images_without_direction_are_one_kind_of_their_own() {
        let with = |zeros: usize, dimension: usize, order: f64| {
            let row = |at: usize| (0..dimension).map(move |column| f32::from(u8::from(at < 4 && column == at % 2)));
            let set = embed((0..4 + zeros).flat_map(row).collect(), dimension);
            vendi_score_of_order(&set, order).unwrap().value
        };
        for dimension in [2, 20] {
            for order in [0.5, 1.0, 2.0, f64::INFINITY] {
                assert!((with(2, dimension, order) - 3.0).abs() < 1e-9);
            }
        }
    }

    /// Images of five kinds, orthogonal to each other: the eigenvalues are the kinds' shares, so the truth is known.
    #[test]
    fn the_interval_covers_the_score_of_the_population() {
        let shares = [0.4, 0.3, 0.15, 0.1, 0.05];
        let runs = 400;
        for order in [0.5_f64, 1.0, 2.0, f64::INFINITY] {
            let truth = match order {
                1.0 => shares.map(|p: f64| -p * p.ln()).iter().sum::<f64>().exp(),
                _ if order.is_infinite() => 2.5,
                _ => shares.map(|p| p.powf(order)).iter().sum::<f64>().powf(1.0 / (1.0 - order)),
            };
            let covered = (0..runs)
                .filter(|run| {
                    let mut rng = standin_data::Seed::new(*run).derive("kinds").rng();
                    let row = |_| {
                        let mut at = rand::RngExt::random::<f64>(&mut rng);
                        let kind = shares.iter().position(|share| {
                            at -= share;
                            at < 0.0
                        });
                        (0..5).map(move |column| f32::from(u8::from(kind.unwrap_or(4) == column)))
                    };
                    let set = embed((0..1500).flat_map(row).collect(), 5);
                    let estimate = vendi_score_of_order(&set, order).unwrap();
                    estimate.low <= truth && truth <= estimate.high
                })
                .count();
            let share = covered as f64 / runs as f64;
            assert!((0.92..=0.98).contains(&share), "{share} at order {order}");
        }
    }

    #[test]
    fn the_interval_covers_the_average_score_at_this_size() {
        let runs = 300;
        let estimates: Vec<Estimate> =
            (0..runs).map(|run| vendi_score(&gaussian(150, 4, 1.0, 0.5, run)).unwrap()).collect();
        let average = estimates.iter().map(|e| e.value).sum::<f64>() / runs as f64;
        let covered = estimates.iter().filter(|e| e.low <= average && average <= e.high).count();
        let share = covered as f64 / runs as f64;
        assert!((0.92..=0.98).contains(&share), "{share}");
    }
}
