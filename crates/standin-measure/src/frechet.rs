use faer::{Mat, MatRef};
use standin_encode::Embedding;

use crate::context::{Comparison, Context};
use crate::error::require_rows;
use crate::linear::{add_product, in_parts, mean, product, singular_values, squared_norms, symmetric_eigen};
use crate::registry::Measure;
use crate::uncertainty::{influence_variance, normal};
use crate::{Estimate, Result};

/// Eigenvalues of a covariance below this share of the largest count as 0 where it is inverted.
const NEGLIGIBLE: f64 = 1e-12;

/// The Fréchet distance between the Gaussians with the moments of two sets (Dowson and Landau 1982; Heusel et al.,
/// NeurIPS 2017): ‖μ₁−μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁^½Σ₂Σ₁^½)^½), covariances with n−1.
///
/// It is called FID only for the features of one certain Inception network; for any other encoder, "FD-encoder".
/// Arithmetic is in double precision. The trace of the root is the sum of the singular values of Σ₁^½Σ₂^½, whose squares
/// are the eigenvalues of Σ₁^½Σ₂Σ₁^½; it needs no full rank, so fewer images than features are no obstacle.
///
/// **Bias.** The sample distance exceeds the population's by an amount that shrinks as 1/n and grows with the number of
/// features, so only distances at equal n compare. **Interval**: infinitesimal jackknife. The derivative of the
/// root's trace is known (T₁₂ = Σ₁^{−½}(Σ₁^½Σ₂Σ₁^½)^½Σ₁^{−½}, the optimal transport map; limit law: Rippl, Munk and
/// Sturm, J. Multivariate Analysis 2016), which gives every image's influence,
/// ψ(x) = 2(μ₁−μ₂)·(x−μ₁) + (x−μ₁)ᵀ(I − T₁₂)(x−μ₁), without decomposing anything again. The interval is for the
/// distance that samples of these sizes have *on average*: it does not reach down to the population's distance, and
/// where both populations are equal it is wider than needed.
///
/// Time O((n₁ + n₂)·d² + d³), memory O(d²); with n < d images, n takes the place of d.
///
/// # Errors
/// If the protocols differ, a set has fewer than 2 images, or a decomposition does not converge.
pub fn frechet_distance(first: &Embedding, second: &Embedding) -> Result<Estimate> {
    first.require_same_protocol(second)?;
    Gaussian::of(first)?.distance(&Gaussian::of(second)?)
}

/// The moments of a set, with a factor F of its covariance: Σ = FᵀF.
pub(crate) struct Gaussian<'a> {
    rows: &'a Embedding,
    pub(crate) mean: Vec<f64>,
    pub(crate) trace: f64,
    /// Σ^½, or with fewer images than features the centred rows divided by √(n−1).
    pub(crate) factor: Mat<f64>,
    /// Σ^{−½} on the covariance's range, if the factor is Σ^½.
    inverse: Option<Mat<f64>>,
}

impl<'a> Gaussian<'a> {
    pub(crate) fn of(rows: &'a Embedding) -> Result<Self> {
        require_rows("the Fréchet distance", rows.rows(), 2)?;
        let (n, d) = (rows.rows(), rows.dimension());
        let mean = mean(rows);
        let scale = ((n - 1) as f64).sqrt();
        if n < d {
            let factor = Mat::from_fn(n, d, |i, j| (f64::from(rows.row(i)[j]) - mean[j]) / scale);
            return Ok(Self { rows, mean, trace: factor.squared_norm_l2(), factor, inverse: None });
        }
        let mut covariance = Mat::zeros(d, d);
        in_parts(
            rows,
            |row, column| {
                centre(row, &mean, column);
                column.iter_mut().for_each(|value| *value /= scale);
            },
            |part| add_product(covariance.as_mut(), part, part.transpose()),
        );
        let (values, vectors) = symmetric_eigen(&covariance)?;
        let cut = NEGLIGIBLE * values.last().copied().unwrap_or(0.0);
        let root = |power: fn(f64) -> f64| {
            let scaled =
                Mat::from_fn(d, d, |i, j| vectors[(i, j)] * if values[j] > cut { power(values[j]) } else { 0.0 });
            product(scaled.as_ref(), vectors.transpose())
        };
        Ok(Self {
            rows,
            mean,
            trace: (0..d).map(|at| covariance[(at, at)]).sum(),
            factor: root(f64::sqrt),
            inverse: Some(root(|value| value.sqrt().recip())),
        })
    }

    pub(crate) fn distance(&self, other: &Self) -> Result<Estimate> {
        let compared = self.compare(other)?;
        let variance = influence_variance(&compared.first) + influence_variance(&compared.second);
        let n = self.rows.rows().min(other.rows.rows());
        let mut method = "infinitesimal jackknife, at this n".to_owned();
        if n < self.rows.dimension() {
            method.push_str("; fewer images than features, so strongly biased upwards: compare at equal n only");
        }
        let estimate = normal(compared.value, variance.sqrt(), n, method);
        Ok(Estimate { low: estimate.low.max(0.0), ..estimate })
    }

    /// The distance and how much every image of both sets moves it.
    pub(crate) fn compare(&self, other: &Self) -> Result<Compared> {
        let (left, singular, right) = singular_values(&product(self.factor.as_ref(), other.factor.transpose()))?;
        let shift: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b).powi(2)).sum();
        let value = shift + self.trace + other.trace - 2.0 * singular.iter().sum::<f64>();
        Ok(Compared {
            value: value.max(0.0),
            first: self.influences(&other.mean, left.as_ref(), &singular),
            second: other.influences(&self.mean, right.as_ref(), &singular),
        })
    }

    /// How much every image moves the distance, up to a constant; `vectors` are the singular vectors of this side.
    fn influences(&self, other_mean: &[f64], vectors: MatRef<'_, f64>, singular: &[f64]) -> Vec<f64> {
        let transported = match &self.inverse {
            None => {
                let scale = (self.rows.rows() - 1) as f64;
                let at = |row: usize| (0..singular.len()).map(move |k| vectors[(row, k)].powi(2) * singular[k]);
                (0..self.rows.rows()).map(|row| scale * at(row).sum::<f64>()).collect()
            }
            Some(inverse) => {
                let scaled = Mat::from_fn(singular.len(), vectors.nrows(), |k, i| vectors[(i, k)] * singular[k].sqrt());
                let map = product(scaled.as_ref(), inverse.as_ref());
                squared_norms(self.rows, |row, column| centre(row, &self.mean, column), map.as_ref())
            }
        };
        let moved = |row: usize| {
            let terms = self.rows.row(row).iter().zip(self.mean.iter().zip(other_mean));
            terms
                .map(|(&x, (here, there))| {
                    let x = f64::from(x) - here;
                    x * (x + 2.0 * (here - there))
                })
                .sum::<f64>()
        };
        transported.into_iter().enumerate().map(|(row, transported): (usize, f64)| moved(row) - transported).collect()
    }
}

/// A distance taken apart into what the images of each set contribute; influences are up to a constant.
pub(crate) struct Compared {
    pub(crate) value: f64,
    pub(crate) first: Vec<f64>,
    pub(crate) second: Vec<f64>,
}

pub(crate) fn centre(row: &[f32], mean: &[f64], centred: &mut [f64]) {
    for ((to, &x), mean) in centred.iter_mut().zip(row).zip(mean) {
        *to = f64::from(x) - mean;
    }
}

#[derive(Debug)]
pub(crate) struct FrechetDistance;

impl Measure for FrechetDistance {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        context.both_ways("", |generated, real| context.gaussian(generated)?.distance(&*context.gaussian(real)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embed, gaussian};

    #[test]
    fn identical_sets_are_at_zero_whether_or_not_there_are_more_images_than_features() {
        for (n, d) in [(60, 8), (8, 60)] {
            let set = gaussian(n, d, 1.0, 0.0, 1);
            let distance = frechet_distance(&set, &set).unwrap();
            assert!(distance.value < 1e-9 && distance.high < 1e-6, "{distance}");
        }
    }

    /// Means 2 apart and standard deviations 3 and 1 along each of two features: 2² + 2·(3−1)².
    #[test]
    fn known_gaussians_are_at_their_known_distance() {
        let corners = |centre: f32, spread: f32| {
            let spread = spread * 0.75_f32.sqrt();
            let at = |x: f32, y: f32| [centre + spread * x, spread * y];
            embed([at(1.0, 1.0), at(1.0, -1.0), at(-1.0, 1.0), at(-1.0, -1.0)].concat(), 2)
        };
        let distance = frechet_distance(&corners(0.0, 3.0), &corners(2.0, 1.0)).unwrap();
        assert!((distance.value - 12.0).abs() < 1e-5, "{distance}");
    }

    #[test]
    fn a_feature_that_never_varies_is_no_obstacle() {
        let set = |seed| {
            let values = gaussian(50, 2, 1.0, 0.0, seed);
            embed((0..50).flat_map(|row| [values.row(row)[0], 7.0, values.row(row)[1]]).collect(), 3)
        };
        let plain = frechet_distance(&gaussian(50, 2, 1.0, 0.0, 1), &gaussian(50, 2, 1.0, 0.0, 2)).unwrap();
        let padded = frechet_distance(&set(1), &set(2)).unwrap();
        assert!((plain.value - padded.value).abs() < 1e-6);
        assert!((plain.high - padded.high).abs() < 1e-6);
    }

    #[test]
    fn both_ways_to_a_factor_agree() {
        let (a, b) = (gaussian(30, 29, 1.0, 0.0, 3), gaussian(40, 29, 1.2, 0.3, 4));
        let rows = |set: &Embedding| {
            let mean = mean(set);
            let factor = Mat::from_fn(set.rows(), 29, |i, j| {
                (f64::from(set.row(i)[j]) - mean[j]) / ((set.rows() - 1) as f64).sqrt()
            });
            (mean, factor)
        };
        let by_rows = |set| {
            let (mean, factor) = rows(set);
            Gaussian { rows: set, mean, trace: factor.squared_norm_l2(), factor, inverse: None }
        };
        let primal = frechet_distance(&a, &b).unwrap();
        let dual = by_rows(&a).distance(&by_rows(&b)).unwrap();
        assert!((primal.value - dual.value).abs() < 1e-8);
        assert!((primal.high - dual.high).abs() < 1e-5, "{primal} {dual}");
    }

    #[test]
    fn the_interval_covers_the_average_distance_at_this_size() {
        let (runs, size) = (400, 80);
        let estimates: Vec<Estimate> = (0..runs)
            .map(|run| {
                let real = gaussian(size, 3, 1.0, 0.0, 2 * run + 100);
                frechet_distance(&real, &gaussian(size, 3, 1.3, 0.5, 2 * run + 101)).unwrap()
            })
            .collect();
        let average = estimates.iter().map(|e| e.value).sum::<f64>() / runs as f64;
        let covered = estimates.iter().filter(|e| e.low <= average && average <= e.high).count();
        let share = covered as f64 / runs as f64;
        assert!((0.90..=0.98).contains(&share), "{share}");
    }
}
