use serde::{Deserialize, Serialize};

/// Where the latent vectors of one class lie: a Gaussian, fitted after training to the posteriors of the class's images
/// (Ghosh, Sajjadi, Vergari, Black & Schölkopf 2020, section 4, "ex-post density estimation").
///
/// The training of a variational autoencoder only pulls the posteriors towards N(0, I); drawing latent vectors from
/// N(0, I) gives images where no training image's latent vector lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aggregate {
    /// The mean, one value per latent dimension.
    pub mean: Vec<f64>,
    /// The lower Cholesky factor of the covariance, `latent × latent`.
    pub factor: Vec<f64>,
}

impl Aggregate {
    /// N(0, I), for a class without images.
    pub(crate) fn standard(latent: usize) -> Self {
        let factor = (0..latent * latent).map(|index| f64::from(u8::from(index % (latent + 1) == 0))).collect();
        Self { mean: vec![0.0; latent], factor }
    }

    /// The mean and covariance of the equal mixture of the posteriors N(mean, diag(variance)) of at least one image.
    pub(crate) fn of(means: &[Vec<f32>], variances: &[Vec<f32>]) -> Self {
        let (n, latent) = (means.len() as f64, means[0].len());
        let mut mean = vec![0.0; latent];
        for row in means {
            mean.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value) / n);
        }
        let mut covariance = vec![0.0; latent * latent];
        for (row, variances) in means.iter().zip(variances) {
            let centred: Vec<f64> = row.iter().zip(&mean).map(|(&value, mean)| f64::from(value) - mean).collect();
            for (i, a) in centred.iter().enumerate() {
                for (j, b) in centred[..=i].iter().enumerate() {
                    covariance[i * latent + j] += a * b / n;
                }
                covariance[i * latent + i] += f64::from(variances[i]) / n;
            }
        }
        Self { mean, factor: cholesky(covariance, latent) }
    }

    /// Standard normal values moved to this Gaussian.
    ///
    /// # Panics
    /// If there is not one value per latent dimension.
    pub(crate) fn place(&self, noise: &[f32]) -> Vec<f32> {
        assert_eq!(noise.len(), self.mean.len(), "one value per latent dimension");
        let rows = self.factor.chunks_exact(noise.len()).zip(&self.mean);
        rows.map(|(row, mean)| {
            let moved: f64 = row.iter().zip(noise).map(|(weight, &value)| weight * f64::from(value)).sum();
            (mean + moved) as f32
        })
        .collect()
    }
}

/// The lower triangular L with L Lᵀ equal to a symmetric positive definite matrix given by its lower triangle.
fn cholesky(mut matrix: Vec<f64>, size: usize) -> Vec<f64> {
    for row in 0..size {
        for column in 0..=row {
            let known: f64 = (0..column).map(|k| matrix[row * size + k] * matrix[column * size + k]).sum();
            let rest = matrix[row * size + column] - known;
            matrix[row * size + column] = if row == column {
                // Variances of posteriors are above 0, so only rounding could take a pivot to 0.
                rest.max(f64::MIN_POSITIVE).sqrt()
            } else {
                rest / matrix[column * size + column]
            };
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::StandardNormal;
    use standin_data::Seed;

    use super::*;

    #[test]
    fn the_standard_aggregate_moves_nothing() {
        assert_eq!(Aggregate::standard(3).place(&[0.5, -1.0, 2.0]), [0.5, -1.0, 2.0]);
    }

    #[test]
    fn the_factor_reproduces_the_covariance_of_the_mixture() {
        let means = [[1.0, 2.0], [3.0, 2.0], [1.0, 6.0], [3.0, 6.0]].map(Vec::from);
        let variances = [[0.5, 0.1]; 4].map(Vec::from);
        let aggregate = Aggregate::of(&means, &variances);
        assert_eq!(aggregate.mean, [2.0, 4.0]);
        let [a, zero, b, c] = aggregate.factor[..] else { panic!("2 × 2") };
        assert_eq!(zero, 0.0);
        // Uncorrelated means with variances 1 and 4, plus the posteriors' own.
        assert!((a * a - 1.5).abs() < 1e-7 && b.abs() < 1e-7 && (c * c - 4.1).abs() < 1e-7);
    }

    /// With 20 000 draws each entry of the covariance is known to 0.03 in one standard error.
    #[test]
    fn placed_noise_has_the_fitted_mean_and_covariance() {
        let means = [[0.0, 0.0], [2.0, 1.5], [-2.0, -1.5]].map(Vec::from);
        let variances = [[0.3, 0.3]; 3].map(Vec::from);
        let aggregate = Aggregate::of(&means, &variances);
        let mut rng = Seed::new(1).rng();
        let n = 20_000;
        let mut second = [0.0; 3];
        for _ in 0..n {
            let noise: [f32; 2] = std::array::from_fn(|_| rng.sample(StandardNormal));
            let z = aggregate.place(&noise);
            let (x, y) = (f64::from(z[0]), f64::from(z[1]));
            second.iter_mut().zip([x * x, x * y, y * y]).for_each(|(sum, value)| *sum += value / f64::from(n));
        }
        for (found, expected) in second.iter().zip([8.0 / 3.0 + 0.3, 2.0, 1.5 + 0.3]) {
            assert!((found - expected).abs() < 0.15, "{second:?}");
        }
    }
}
