use faer::{Mat, Side};
use rayon::prelude::*;
use standin_encode::Embedding;
use standin_measure::Moments;

use crate::images::ImagesTarget;
use crate::images::components::{Components, Scale};
use crate::{Attack, Error, Result, Target};

/// DOMIAS (van Breugel, Sun, Qian & van der Schaar 2023, "Membership inference attacks against synthetic data through
/// overfitting detection"): where the released images are denser than real ones, the generator has overfitted.
///
/// The score is ln p_S(x) − ln p_R(x), the densities of released and of reference images by Gaussian kernels around all of them, of their
/// covariance times n^(−2/(d + 4)) (Scott 1992), as in SciPy's `gaussian_kde`, along the leading principal components of both (equal
/// weight; at most 16, which the paper leaves open, and none whose variance is below 10⁻⁹ of the first). Every component is scaled to
/// variance 1 and 10⁻⁶ is added to variances, so that images that do not vary have a density too.
///
/// One Gaussian for each density is left out: it does not see a few copies.
///
/// It needs at least 2 released and 2 reference images whose features compare by Euclidean distance and are not all the same.
///
/// Time O((released + reference) · d² + d³) for d features, then O(candidates · (released + reference) · components).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domias;

/// Principal components at most.
const COMPONENTS: usize = 16;

/// Added to variances, as a share of the pooled one.
const RIDGE: f64 = 1e-6;

impl Attack for Domias {
    fn score(&self, target: &Target<'_>) -> Result<Vec<f64>> {
        let target = target.images()?;
        let reference = target.reference().ok_or(Error::NoReference { attack: "domias" })?;
        let axes = axes(target, reference)?;
        let coordinates = |set| Coordinates { values: axes.coordinates(set), dimension: axes.len() };
        let candidates = coordinates(target.candidates());
        let [released, reference] = [target.synthetic(), reference].map(|set| Density::of(&coordinates(set)));
        let (released, reference) = (released?, reference?);
        let ratio = |point: &[f64]| released.ln(point) - reference.ln(point);
        Ok(candidates.values.par_chunks_exact(candidates.dimension).map(ratio).collect())
    }
}

/// What is looked along: components of released and reference images with equal weight, scaled to variance 1.
fn axes(target: &ImagesTarget<'_>, reference: &Embedding) -> Result<Components> {
    let [released, reference] = [Moments::of(target.synthetic())?, Moments::of(reference)?];
    let d = released.mean().len();
    let mean: Vec<f64> = released.mean().iter().zip(reference.mean()).map(|(a, b)| 0.5 * (a + b)).collect();
    let apart: Vec<f64> = released.mean().iter().zip(reference.mean()).map(|(a, b)| 0.5 * (a - b)).collect();
    let pooled = Mat::from_fn(d, d, |i, j| {
        let within = 0.5 * (released.covariance()[i * d + j] + reference.covariance()[i * d + j]);
        within + apart[i] * apart[j]
    });
    Components::leading(mean, &pooled, COMPONENTS, Scale::One)
}

/// Points, one after the other.
struct Coordinates {
    values: Vec<f64>,
    dimension: usize,
}

impl Coordinates {
    fn len(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Covariance, with n − 1 and the ridge.
    fn covariance(&self) -> Mat<f64> {
        let (n, d) = (self.len() as f64, self.dimension);
        let mut mean = vec![0.0; d];
        for point in self.values.chunks_exact(d) {
            mean.iter_mut().zip(point).for_each(|(mean, value)| *mean += value / n);
        }
        let mut covariance = Mat::<f64>::zeros(d, d);
        for point in self.values.chunks_exact(d) {
            for i in 0..d {
                for j in 0..d {
                    covariance[(i, j)] += (point[i] - mean[i]) * (point[j] - mean[j]) / (n - 1.0);
                }
            }
        }
        (0..d).for_each(|at| covariance[(at, at)] += RIDGE);
        covariance
    }
}

/// The shape of a Gaussian, by the factor L of its covariance LLᵀ.
struct Gaussian {
    /// Lower triangle, row by row, with the diagonal.
    rows: Vec<Vec<f64>>,
    /// The logarithm of the density at the centre.
    ln_peak: f64,
}

impl Gaussian {
    fn new(covariance: &Mat<f64>) -> Result<Self> {
        let d = covariance.nrows();
        let factor = covariance.llt(Side::Lower).map_err(|_| Error::Density { reason: "a density" })?;
        let rows: Vec<Vec<f64>> = (0..d).map(|row| (0..=row).map(|at| factor.L()[(row, at)]).collect()).collect();
        let ln_root: f64 = rows.iter().flat_map(|row| row.last()).map(|value| value.ln()).sum();
        Ok(Self { rows, ln_peak: -ln_root - 0.5 * d as f64 * std::f64::consts::TAU.ln() })
    }

    /// L⁻¹x, by forward substitution.
    fn whiten(&self, point: &[f64]) -> Vec<f64> {
        let mut white: Vec<f64> = Vec::with_capacity(point.len());
        for (row, value) in self.rows.iter().zip(point) {
            let known: f64 = row.iter().zip(&white).map(|(a, b)| a * b).sum();
            white.push((value - known) / row[white.len()]);
        }
        white
    }
}

/// A mean of Gaussians of one shape.
struct Density {
    /// Whitened, one after the other.
    centres: Vec<f64>,
    shape: Gaussian,
}

impl Density {
    /// Kernels around points.
    fn of(points: &Coordinates) -> Result<Self> {
        let (n, d) = (points.len() as f64, points.dimension as f64);
        let shape = Gaussian::new(&(points.covariance() * faer::Scale(n.powf(-2.0 / (d + 4.0)))))?;
        let centres = points.values.par_chunks_exact(points.dimension).flat_map_iter(|point| shape.whiten(point));
        Ok(Self { centres: centres.collect(), shape })
    }

    /// The logarithm of the density at a point.
    fn ln(&self, point: &[f64]) -> f64 {
        let point = self.shape.whiten(point);
        let centres = self.centres.chunks_exact(point.len());
        let n = centres.len() as f64;
        let exponents: Vec<f64> =
            centres.map(|centre| -0.5 * centre.iter().zip(&point).map(|(a, b)| (a - b).powi(2)).sum::<f64>()).collect();
        let largest = exponents.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = exponents.iter().map(|exponent| (exponent - largest).exp()).sum();
        largest + sum.ln() - n.ln() + self.shape.ln_peak
    }
}
