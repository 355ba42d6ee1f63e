//! Covariance matrices out of noise: what is left of them when the noise is known exactly.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{Mat, MatRef, Par};

/// Eigenvalues of a symmetric matrix with the largest first, and the eigenvectors in the same order, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spectrum {
    pub values: Vec<f64>,
    pub vectors: Vec<f64>,
}

impl Spectrum {
    /// Of a finite symmetric matrix, `size × size`. Time O(size³), on one thread so that bits do not depend on their number.
    pub(crate) fn of(matrix: &[f64], size: usize) -> Self {
        let (mut values, mut vectors) = (Diag::zeros(size), Mat::<f64>::zeros(size, size));
        let scratch = self_adjoint_evd_scratch::<f64>(size, ComputeEigenvectors::Yes, Par::Seq, Default::default());
        self_adjoint_evd(
            MatRef::from_row_major_slice(matrix, size, size),
            values.as_mut(),
            Some(vectors.as_mut()),
            Par::Seq,
            MemStack::new(&mut MemBuffer::new(scratch)),
            Default::default(),
        )
        .expect("the iteration converges on finite symmetric matrices");
        let descending = (0..size).rev();
        Self {
            values: descending.clone().map(|index| values.column_vector()[index]).collect(),
            vectors: descending.flat_map(|index| vectors.col(index).iter().copied().collect::<Vec<_>>()).collect(),
        }
    }

    /// A factor F of the matrix with its negative eigenvalues set to 0, `size × size`: F Fᵀ is the nearest positive
    /// semidefinite matrix.
    pub(crate) fn factor(&self) -> Vec<f64> {
        let size = self.values.len();
        let mut factor = vec![0.0; size * size];
        for (column, (value, vector)) in self.values.iter().zip(self.vectors.chunks_exact(size)).enumerate() {
            let scale = value.max(0.0).sqrt();
            vector.iter().enumerate().for_each(|(row, entry)| factor[row * size + column] = scale * entry);
        }
        factor
    }
}

/// The eigenvalue of a matrix of low rank from the one observed when symmetric noise was added whose entries beside the
/// diagonal have the given standard deviation; none if noise alone could have made it.
///
/// Noise alone has eigenvalues up to 2h, h = deviation·√size; a true eigenvalue λ > h is seen at λ + h²/λ (Capitaine,
/// Donati-Martin & Féral 2009, theorem 2.1).
pub(crate) fn without_noise(observed: f64, deviation: f64, size: usize) -> Option<f64> {
    let half = deviation * (size as f64).sqrt();
    (observed > 2.0 * half).then(|| (observed + (observed * observed - 4.0 * half * half).sqrt()) / 2.0)
}

/// Draws a noisy covariance towards diag(`prior`) as far as noise explains their difference, an empirical Bayes estimate
/// (Efron & Morris 1973) entry by entry: entry (i, j) is taken to differ from the prior by a deviation τ√(pᵢpⱼ), and was
/// seen with noise of the given deviation, √2 times that on the diagonal. τ² is estimated from all entries.
///
/// The result is symmetric and need not be positive semidefinite.
pub(crate) fn towards_prior(observed: &[f64], prior: &[f64], deviation: f64) -> Vec<f64> {
    let size = prior.len();
    let noise = |i: usize, j: usize| deviation * deviation * if i == j { 2.0 } else { 1.0 };
    let expected = |i: usize, j: usize| if i == j { prior[i] } else { 0.0 };
    let (mut above, mut below) = (0.0, 0.0);
    for i in 0..size {
        for j in 0..size {
            let spread = prior[i] * prior[j];
            let excess = (observed[i * size + j] - expected(i, j)).powi(2) - noise(i, j);
            let weight = (0.1 * spread + noise(i, j)).powi(-2);
            above += weight * excess * spread;
            below += weight * spread * spread;
        }
    }
    let tau_squared = if below > 0.0 { (above / below).max(0.0) } else { 0.0 };
    let mut estimate = vec![0.0; size * size];
    for i in 0..size {
        for j in 0..size {
            let spread = tau_squared * prior[i] * prior[j];
            let kept = if spread > 0.0 { spread / (spread + noise(i, j)) } else { 0.0 };
            estimate[i * size + j] = expected(i, j) + kept * (observed[i * size + j] - expected(i, j));
        }
    }
    estimate
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::StandardNormal;
    use standin_data::Seed;

    use super::*;

    fn noise(size: usize, deviation: f64, seed: u64) -> Vec<f64> {
        let mut rng = Seed::new(seed).rng();
        let mut matrix = vec![0.0; size * size];
        for i in 0..size {
            for j in 0..=i {
                let scale = if i == j { 2_f64.sqrt() } else { 1.0 };
                let value = deviation * scale * rng.sample::<f64, _>(StandardNormal);
                matrix[i * size + j] = value;
                matrix[j * size + i] = value;
            }
        }
        matrix
    }

    #[test]
    fn factors_reproduce_the_positive_part() {
        // Eigenvalues 3 along (1, 1)/√2 and −1 along (1, −1)/√2.
        let spectrum = Spectrum::of(&[1.0, 2.0, 2.0, 1.0], 2);
        assert!((spectrum.values[0] - 3.0).abs() < 1e-12 && (spectrum.values[1] + 1.0).abs() < 1e-12);
        let factor = spectrum.factor();
        for (i, j) in [(0, 0), (0, 1), (1, 1)] {
            let product = factor[2 * i] * factor[2 * j] + factor[2 * i + 1] * factor[2 * j + 1];
            assert!((product - 1.5).abs() < 1e-12, "{factor:?}");
        }
    }

    #[test]
    fn noise_alone_has_no_eigenvalue_and_a_planted_one_is_recovered() {
        let (size, deviation) = (200, 0.01);
        let mut matrix = noise(size, deviation, 1);
        let alone = Spectrum::of(&matrix, size).values[0];
        // The largest is at the edge 0.283 within a few size^(−2/3) of itself.
        assert!(without_noise(alone * 0.97, deviation, size).is_none(), "{alone}");
        let direction = (size as f64).sqrt().recip();
        matrix.iter_mut().for_each(|entry| *entry += 0.5 * direction * direction);
        let seen = Spectrum::of(&matrix, size).values[0];
        assert!((seen - (0.5 + 0.02 / 0.5)).abs() < 0.02, "{seen}");
        let found = without_noise(seen, deviation, size).unwrap();
        assert!((found - 0.5).abs() < 0.03, "{found}");
    }

    #[test]
    fn an_observation_of_noise_becomes_the_prior_and_a_clear_one_stays() {
        let prior: Vec<f64> = (1..=30).map(|index| 1.0 / f64::from(index)).collect();
        let diagonal = |at: usize| if at.is_multiple_of(31) { prior[at / 31] } else { 0.0 };
        let mut observed = noise(30, 0.3, 2);
        observed.iter_mut().enumerate().for_each(|(at, entry)| *entry += diagonal(at));
        let distance = |a: &[f64]| (0..900).map(|at| (a[at] - diagonal(at)).powi(2)).sum::<f64>();
        assert!(distance(&towards_prior(&observed, &prior, 0.3)) < 0.1 * distance(&observed));
        let kept = towards_prior(&observed, &prior, 1e-3);
        assert!(kept.iter().zip(&observed).all(|(a, b)| (a - b).abs() < 0.01));
    }
}
