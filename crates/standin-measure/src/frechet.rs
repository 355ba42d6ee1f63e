use std::borrow::Cow;

use faer::{Mat, MatRef};
use standin_encode::Embedding;

use crate::context::{Comparison, Context};
use crate::error::{require_euclidean, require_rows};
use crate::linear::{cholesky, columns_of, mean, product, scatter, singular_values, spread, symmetric_eigen};
use crate::moments::Moments;
use crate::registry::Measure;
use crate::uncertainty::{influence_variance, normal};
use crate::{Estimate, Result};

/// Directions of a correlation matrix with less than this share of a feature's variance count as none.
const NEGLIGIBLE: f64 = 1e-12;
/// Images of a set whose influence is computed: the standard error is then known to about 2 %.
const INFLUENCES: usize = 2048;

/// The Fréchet distance between the Gaussians with the moments of two sets (Dowson and Landau 1982; Heusel et al.,
/// NeurIPS 2017): ‖μ₁−μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁^½Σ₂Σ₁^½)^½), covariances with n−1.
///
/// It is called FID only for the features of one certain Inception network; for any other encoder, "FD-encoder".
/// Arithmetic is in double precision. With any factors Σ₁ = F₁F₁ᵀ and Σ₂ = F₂F₂ᵀ the trace of the root is the sum of
/// the singular values of F₁ᵀF₂, whose squares are the eigenvalues of Σ₁Σ₂; it needs no full rank, so fewer images than
/// features are no obstacle. Covariances are factored as correlations, so features of very unequal scale are none either.
///
/// **Bias.** The sample distance exceeds the population's by an amount that shrinks as 1/n and grows with the number of
/// features, so only distances at equal n compare. **Interval**: infinitesimal jackknife. The derivative of the
/// root's trace is known (T₁₂ = Σ₁^{−½}(Σ₁^½Σ₂Σ₁^½)^½Σ₁^{−½}, the optimal transport map; limit law: Rippl, Munk and
/// Sturm, J. Multivariate Analysis 2016), which gives every image's influence,
/// ψ(x) = 2(μ₁−μ₂)·(x−μ₁) + (x−μ₁)ᵀ(I − T₁₂)(x−μ₁), without decomposing anything again; with singular vectors U of
/// F₁ᵀF₂ = U·S·Vᵀ it is T₁₂ = F₁⁻ᵀ·U·S·Uᵀ·F₁⁻¹. Its variance is taken over at most 2048 images of a set, spread evenly.
/// The interval is for the distance that samples of these sizes have *on average*: it does not reach down to the
/// population's distance, and where both populations are equal it is wider than needed.
///
/// Time O((n₁ + n₂)·d² + d³), memory O(d²); with n < d images, n takes the place of d.
///
/// # Errors
/// If the protocols differ, a set has fewer than 2 images, or a decomposition does not converge.
pub fn frechet_distance(first: &Embedding, second: &Embedding) -> Result<Estimate> {
    first.require_same_protocol(second)?;
    Gaussian::of(first)?.distance(&Gaussian::of(second)?)
}

/// The distance of a set from reference statistics, saved once so that the reference's images are not needed again.
///
/// As [`frechet_distance`], which gives the same value for the set that the statistics are of. **Interval**: the reference
/// is taken as exact, so it speaks of the set alone; `method` says so.
///
/// # Errors
/// If the protocols differ, the set has fewer than 2 images, or a decomposition does not converge.
pub fn frechet_distance_to(reference: &Moments, set: &Embedding) -> Result<Estimate> {
    reference.require_same_protocol(set)?;
    Gaussian::of(set)?.distance(&Gaussian::from_moments(reference)?)
}

/// The moments of a set, with a factor F of its covariance: Σ = FFᵀ.
pub(crate) struct Gaussian<'a> {
    /// The images, unless moments are all that is known; these are then taken as exact.
    rows: Option<&'a Embedding>,
    pub(crate) mean: Cow<'a, [f64]>,
    pub(crate) trace: f64,
    /// `d × r`. With fewer images than features, the centred images divided by √(n−1).
    pub(crate) factor: Mat<f64>,
    /// `r × d`, F⁻¹ on the covariance's range, unless the factor is the images themselves.
    inverse: Option<Mat<f64>>,
}

impl<'a> Gaussian<'a> {
    pub(crate) fn of(rows: &'a Embedding) -> Result<Self> {
        require_euclidean("the Fréchet distance", rows)?;
        require_rows("the Fréchet distance", rows.rows(), 2)?;
        let (n, d) = (rows.rows(), rows.dimension());
        let mean = mean(rows);
        if n < d {
            let all: Vec<usize> = (0..n).collect();
            let mut factor = columns_of(rows, &all, |row, column| centre(row, &mean, column));
            factor *= faer::Scale(((n - 1) as f64).sqrt().recip());
            return Ok(Self {
                rows: Some(rows),
                mean: mean.into(),
                trace: factor.squared_norm_l2(),
                factor,
                inverse: None,
            });
        }
        let covariance = covariance(rows, &mean);
        Self::factored(Some(rows), mean.into(), &covariance)
    }

    fn from_moments(moments: &'a Moments) -> Result<Self> {
        let d = moments.mean().len();
        let covariance = MatRef::from_row_major_slice(moments.covariance(), d, d).to_owned();
        Self::factored(None, moments.mean().into(), &covariance)
    }

    fn factored(rows: Option<&'a Embedding>, mean: Cow<'a, [f64]>, covariance: &Mat<f64>) -> Result<Self> {
        let d = mean.len();
        let deviations: Vec<f64> = (0..d).map(|at| covariance[(at, at)].max(0.0).sqrt()).collect();
        let inverses: Vec<f64> = deviations.iter().map(|&s| if s > 0.0 { s.recip() } else { 0.0 }).collect();
        let correlation =
            Mat::from_fn(d, d, |i, j| if i == j { 1.0 } else { covariance[(i, j)] * inverses[i] * inverses[j] });
        let (mut factor, mut inverse) = match cholesky(&correlation, NEGLIGIBLE) {
            Some(triangular) => triangular,
            None => {
                let (values, vectors) = symmetric_eigen(&correlation)?;
                let first = values.partition_point(|&value| value <= NEGLIGIBLE * d as f64);
                let root = |k: usize| values[first + k].sqrt();
                let rank = d - first;
                let factor = Mat::from_fn(d, rank, |i, k| vectors[(i, first + k)] * root(k));
                (factor, Mat::from_fn(rank, d, |k, i| vectors[(i, first + k)] / root(k)))
            }
        };
        for feature in 0..d {
            factor.row_mut(feature).iter_mut().for_each(|value| *value *= deviations[feature]);
            inverse.col_mut(feature).iter_mut().for_each(|value| *value *= inverses[feature]);
        }
        let trace = (0..d).map(|at| covariance[(at, at)]).sum();
        Ok(Self { rows, mean, trace, factor, inverse: Some(inverse) })
    }

    pub(crate) fn distance(&self, other: &Self) -> Result<Estimate> {
        let compared = self.compare(other, INFLUENCES)?;
        let variance = self.variance(&compared.first) + other.variance(&compared.second);
        let sets = || [self.rows, other.rows].into_iter().flatten();
        let mut method = "infinitesimal jackknife, at this n".to_owned();
        if sets().count() < 2 {
            method.push_str("; the reference statistics are taken as exact");
        }
        if sets().any(|rows| rows.rows() < rows.dimension()) {
            method.push_str("; fewer images than features, so strongly biased upwards: compare at equal n only");
        }
        let n = sets().map(Embedding::rows).min().unwrap_or(0);
        let estimate = normal(compared.value, variance.sqrt(), n, method);
        Ok(Estimate { low: estimate.low.max(0.0), ..estimate })
    }

    /// The distance, and how much each of at most `most` images of both sets, spread evenly, moves it.
    pub(crate) fn compare(&self, other: &Self, most: usize) -> Result<Compared> {
        let (left, singular, right) =
            singular_values(product(self.factor.transpose(), other.factor.as_ref()).as_ref())?;
        let shift: f64 = self.mean.iter().zip(&*other.mean).map(|(a, b)| (a - b).powi(2)).sum();
        let value = shift + self.trace + other.trace - 2.0 * singular.iter().sum::<f64>();
        Ok(Compared {
            value: value.max(0.0),
            first: self.influences(&other.mean, left.as_ref(), &singular, most),
            second: other.influences(&self.mean, right.as_ref(), &singular, most),
        })
    }

    /// What the choice of this set's images adds to the variance of the distance.
    fn variance(&self, influences: &[f64]) -> f64 {
        match self.rows {
            Some(rows) => influence_variance(influences) * influences.len() as f64 / rows.rows() as f64,
            None => 0.0,
        }
    }

    /// How much images move the distance, up to a constant; `vectors` are the singular vectors of this side.
    fn influences(&self, other_mean: &[f64], vectors: MatRef<'_, f64>, singular: &[f64], most: usize) -> Vec<f64> {
        let Some(rows) = self.rows else { return Vec::new() };
        let chosen = spread(rows.rows(), most);
        let centred = columns_of(rows, &chosen, |row, column| centre(row, &self.mean, column));
        let transported = self.transported(&chosen, centred.as_ref(), vectors, singular);
        let shift = || self.mean.iter().zip(other_mean).map(|(here, there)| 2.0 * (here - there));
        centred
            .col_iter()
            .zip(transported)
            .map(|(x, transported)| x.iter().zip(shift()).map(|(x, shift)| x * (x + shift)).sum::<f64>() - transported)
            .collect()
    }

    /// xᵀ·T·x of the chosen images x, centred, with T the optimal transport map to the other side.
    fn transported(&self, chosen: &[usize], centred: MatRef<'_, f64>, vectors: MatRef<'_, f64>, s: &[f64]) -> Vec<f64> {
        match &self.inverse {
            None => {
                // F⁻¹x is √(n−1) in one place and, but for what is in no image's direction, 0 in all others.
                let scale = (self.factor.ncols() - 1) as f64;
                let of = |&image: &usize| (0..s.len()).map(|k| vectors[(image, k)].powi(2) * s[k]).sum::<f64>() * scale;
                chosen.iter().map(of).collect()
            }
            Some(inverse) => {
                let scaled = Mat::from_fn(s.len(), vectors.nrows(), |k, i| vectors[(i, k)] * s[k].sqrt());
                let root = product(scaled.as_ref(), inverse.as_ref());
                product(root.as_ref(), centred).col_iter().map(|column| column.squared_norm_l2()).collect()
            }
        }
    }
}

/// A distance taken apart into what images of each set contribute; influences are up to a constant.
pub(crate) struct Compared {
    pub(crate) value: f64,
    pub(crate) first: Vec<f64>,
    pub(crate) second: Vec<f64>,
}

/// The covariance with n−1. Time O(n·d²).
pub(crate) fn covariance(rows: &Embedding, mean: &[f64]) -> Mat<f64> {
    let scale = ((rows.rows() - 1) as f64).sqrt().recip();
    scatter(rows, mean, |_| scale)
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
        let by_rows = |set| {
            let mean = mean(set);
            let all: Vec<usize> = (0..set.rows()).collect();
            let mut factor = columns_of(set, &all, |row, column| centre(row, &mean, column));
            factor *= faer::Scale(((set.rows() - 1) as f64).sqrt().recip());
            let trace = factor.squared_norm_l2();
            Gaussian { rows: Some(set), mean: mean.into(), trace, factor, inverse: None }
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
