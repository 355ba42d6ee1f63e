use standin_privacy::NoiseSource;

use super::Clipping;
use crate::{Error, Result};

/// How the noise is divided between the sum of gradients and the count that moves the bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NoiseShares {
    /// Standard deviation on the sum of clipped gradients, in multiples of the bound.
    pub(super) gradients: f64,
    /// Standard deviation on the sum of bᵢ − 1/2; none where the bound is fixed.
    pub(super) count: Option<f64>,
}

impl NoiseShares {
    /// Shares that together spend what one Gaussian release of `noise_multiplier` does: z_Δ = (z⁻² − (2σ_b)⁻²)^(−1/2)
    /// (Andrew et al. 2021, theorem 1), the count's sensitivity being 1/2.
    ///
    /// # Errors
    /// If the count's noise is so small that nothing is left for the gradients.
    pub(super) fn of(clipping: &Clipping, noise_multiplier: f64, batch_size: usize) -> Result<Self> {
        let Clipping::Adaptive { count_noise, .. } = *clipping else {
            return Ok(Self { gradients: noise_multiplier, count: None });
        };
        let count = count_noise * batch_size as f64;
        let rest = noise_multiplier.powi(-2) - (2.0 * count).powi(-2);
        if rest <= 0.0 {
            return Err(Error::Setting {
                setting: "clipping.count_noise",
                found: format!("{count_noise} of a batch of {batch_size}"),
                expected: "the count alone would spend the budget: raise it, or the batch size",
            });
        }
        Ok(Self { gradients: rest.powf(-0.5), count: Some(count) })
    }
}

/// The next bound, after a step in which `within` of `sampled` units had gradients within the bound: C · exp(−η (b̃ − γ)),
/// with b̃ the noisy share (Andrew et al. 2021, algorithm 1).
///
/// # Errors
/// If no noise can be drawn.
pub(super) fn next_bound(
    clipping: &Clipping,
    bound: f64,
    (within, sampled): (usize, usize),
    batch_size: usize,
    deviation: f64,
    noise: &mut NoiseSource,
) -> Result<f64> {
    let Clipping::Adaptive { quantile, rate, .. } = *clipping else { return Ok(bound) };
    let mut centred = [within as f64 - sampled as f64 / 2.0];
    noise.add_gaussian(deviation, &mut centred)?;
    let share = centred[0] / batch_size as f64 + 0.5;
    Ok(bound * (-rate * (share - quantile)).exp())
}

#[cfg(test)]
mod tests {
    use standin_data::Seed;

    use super::*;

    const ADAPTIVE: Clipping = Clipping::Adaptive { initial: 1.0, quantile: 0.5, rate: 0.2, count_noise: 0.05 };

    #[test]
    fn both_releases_together_cost_what_the_accountant_is_told() {
        let shares = NoiseShares::of(&ADAPTIVE, 1.1, 200).unwrap();
        // Two Gaussian releases with sensitivities 1 and 1/2 compose to one with Δ²/σ² added.
        let together = shares.gradients.powi(-2) + (0.5 / shares.count.unwrap()).powi(2);
        assert!((together.powf(-0.5) - 1.1).abs() < 1e-12);
        assert!(shares.gradients > 1.1);
    }

    #[test]
    fn too_little_noise_on_the_count_is_refused() {
        let message = NoiseShares::of(&ADAPTIVE, 4.0, 20).unwrap_err().to_string();
        assert!(message.contains("count_noise") && message.contains("raise it"), "{message}");
    }

    #[test]
    fn the_bound_moves_towards_the_quantile() {
        let mut noise = NoiseSource::reproducible(Seed::new(1));
        let mut bound: f64 = 10.0;
        // Norms uniform in [0, 1]: the median is 1/2.
        for _ in 0..200 {
            let within = (bound.min(1.0) * 1000.0) as usize;
            bound = next_bound(&ADAPTIVE, bound, (within, 1000), 1000, 10.0, &mut noise).unwrap();
        }
        assert!((bound - 0.5).abs() < 0.05, "{bound}");
        assert_eq!(next_bound(&Clipping::default(), 3.0, (1, 9), 9, 1.0, &mut noise).unwrap(), 3.0);
    }
}
