//! The scalings around a denoising network (Karras, Aittala, Aila & Laine 2022, "EDM", table 1, last column).
//!
//! The denoiser is D(x; σ) = c_skip(σ) x + c_out(σ) F(c_in(σ) x; c_noise(σ)) for a network F. The scalings keep the
//! variance of the network's input and of its target at 1 for every noise level σ, and multiply its errors as little as
//! possible (appendix B.6).

/// The scalings for data of one standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Preconditioning {
    /// σ_data: the standard deviation of a value of the data, above 0. Public knowledge, never measured on private
    /// images.
    pub(crate) data_deviation: f64,
}

impl Preconditioning {
    /// c_skip = σ_data² / (σ² + σ_data²).
    pub(crate) fn skip(self, sigma: f64) -> f64 {
        self.data_deviation.powi(2) / (sigma.powi(2) + self.data_deviation.powi(2))
    }

    /// c_out = σ σ_data / √(σ² + σ_data²).
    pub(crate) fn out(self, sigma: f64) -> f64 {
        sigma * self.data_deviation / sigma.hypot(self.data_deviation)
    }

    /// c_in = 1 / √(σ² + σ_data²).
    pub(crate) fn input(self, sigma: f64) -> f64 {
        sigma.hypot(self.data_deviation).recip()
    }
}

/// Sines and cosines of ln σ that tell a network the noise level, `width` values: half of them cosines, and with an odd
/// width one 0 at the end.
///
/// The frequencies are spaced geometrically from 1/16 to 4 radians per unit of ln σ, which resolves the eleven units
/// between σ = 0.002 and σ = 80. EDM's own features have c_noise = ln(σ)/4 and its frequencies for their argument.
pub(crate) fn noise_features(sigma: f64, width: usize) -> Vec<f32> {
    const SLOWEST: f64 = 1.0 / 16.0;
    const FASTEST: f64 = 4.0;
    let half = width / 2;
    let ratio = (FASTEST / SLOWEST).powf(1.0 / half.saturating_sub(1).max(1) as f64);
    let angle = |index: usize| SLOWEST * ratio.powi(index as i32) * sigma.ln();
    let mut features: Vec<f32> = (0..half).map(|index| angle(index).cos() as f32).collect();
    features.extend((0..half).map(|index| angle(index).sin() as f32));
    features.resize(width, 0.0);
    features
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::fixture::fixture;

    /// What F should give for the image y: (y − c_skip x) / c_out.
    fn target(scaling: Preconditioning, clean: f64, noisy: f64, sigma: f64) -> f64 {
        (clean - scaling.skip(sigma) * noisy) / scaling.out(sigma)
    }

    #[test]
    fn scalings_equal_an_independent_implementation() {
        for (sigma, expected) in [0.01, 0.5, 7.0].into_iter().zip(fixture("precondition").chunks(4)) {
            let scaling = Preconditioning { data_deviation: 0.5 };
            let target = target(scaling, 0.3, 0.3 + sigma * 1.2, sigma);
            let found = [scaling.skip(sigma), scaling.out(sigma), scaling.input(sigma), target];
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{found} for {expected} at {sigma}");
            }
        }
    }

    /// With y ~ N(0, σ_data²) and n ~ N(0, 1): Var(c_in x) = 1 and Var(target) = 1, from the coefficients of y and n.
    #[test]
    fn inputs_and_targets_have_unit_variance_at_every_noise_level() {
        let scaling = Preconditioning { data_deviation: 0.7 };
        for sigma in [0.002, 0.1, 1.0, 80.0] {
            let of_clean = target(scaling, 1.0, 1.0, sigma) * 0.7;
            let of_noise = target(scaling, 0.0, sigma, sigma);
            assert!((of_clean.hypot(of_noise) - 1.0).abs() < 1e-9, "{sigma}");
            assert!((scaling.input(sigma) * 0.7f64.hypot(sigma) - 1.0).abs() < 1e-12, "{sigma}");
        }
    }

    #[test]
    fn noise_levels_have_distinct_features() {
        let levels: Vec<f64> = (0..40).map(|step| 0.002 * 1.3f64.powi(step)).collect();
        let features: Vec<Vec<f32>> = levels.iter().map(|&sigma| noise_features(sigma, 33)).collect();
        for (index, a) in features.iter().enumerate() {
            assert_eq!(a.len(), 33);
            for b in &features[..index] {
                let distance: f32 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
                assert!(distance > 0.05, "{distance}");
            }
        }
    }
}
