//! Rényi differential privacy (Mironov 2017) of compositions, and its conversion to (ε, δ).
//!
//! A mechanism has Rényi divergence ρ(α) of order α > 1 if D_α(M(D)‖M(D′)) ≤ ρ(α) for all neighbours. Divergences of
//! composed mechanisms add. These bounds are quick and hold without discretisation, but are not tight; the ones by
//! privacy loss distributions are at most as large.
//!
//! For the Gaussian on a Poisson sample of rate q (Mironov, Talwar & Zhang 2019, "Rényi differential privacy of the
//! sampled Gaussian mechanism", Theorems 4 and 5), (α − 1) ρ(α) = ln A_α with
//! A_α = E[(1 − q + q e^((2y − 1)/2σ²))^α] over y ~ N(0, σ²).
//!
//! # Numerics
//! A_α is near 1 for small q, and far beyond the largest number for small σ. So ln A_α is computed as ln(1 + B) from
//! the logarithm of B = A_α − 1, a sum of positive terms: for whole orders the binomial sum with e^x − 1 in place of
//! e^x, for others the integral of r^α − 1 − α(r − 1) ≥ 0 (which has the same mean, because E[r] = 1) by the trapezoidal
//! rule, whose error falls exponentially for functions analytic around the real line.

use std::sync::LazyLock;

use statrs::function::gamma::ln_gamma;

use crate::Result;
use crate::error::{positive, probability};
use crate::event::{Composition, Part};

/// The orders at which divergences are tracked: 1.1, 1.2, …, 10.9, 11, 12, …, 63, 128, 256, 512, 1024, as is usual.
pub static ORDERS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let fine = (1..100).map(|tenth| 1.0 + f64::from(tenth) / 10.0);
    let whole = (11..64).chain([128, 256, 512, 1024]).map(f64::from);
    fine.chain(whole).collect()
});

/// Rényi divergences at [`ORDERS`] of Gaussian noise on a Poisson sample, between data sets that differ by one unit
/// added or removed. Infinite where an order's divergence is beyond the largest number.
///
/// # Errors
/// If `sampling_rate` is not in (0, 1] or `noise_multiplier` is not positive and finite.
pub fn subsampled_gaussian(sampling_rate: f64, noise_multiplier: f64) -> Result<Vec<f64>> {
    crate::error::rate("sampling_rate", sampling_rate)?;
    positive("noise_multiplier", noise_multiplier)?;
    Ok(subsampled(sampling_rate, noise_multiplier))
}

/// Rényi divergence of order `alpha` of Laplace noise of `scale` at sensitivity 1 (Mironov 2017, Proposition 6).
///
/// # Errors
/// If `scale` is not positive and finite, or `alpha` is not above 1.
pub fn laplace(scale: f64, alpha: f64) -> Result<f64> {
    positive("scale", scale)?;
    positive("alpha - 1", alpha - 1.0)?;
    Ok(laplace_at(scale, alpha))
}

/// The smallest ε at `delta` over all orders, from divergences at [`ORDERS`] (Canonne, Kamath & Steinke 2020,
/// "The discrete Gaussian for differential privacy", Proposition 12); infinite if every divergence is.
///
/// Where δ² > 1 − e^(−ρ), the inequality of Bretagnolle and Huber already gives ε = 0.
///
/// # Errors
/// If `delta` is not in (0, 1).
pub fn epsilon(divergences: &[f64], delta: f64) -> Result<f64> {
    probability("delta", delta)?;
    let bounds = ORDERS.iter().zip(divergences).map(|(&alpha, &rho)| {
        if delta * delta + (-rho).exp_m1() > 0.0 {
            0.0
        } else {
            rho + (-1.0 / alpha).ln_1p() - (delta.ln() + alpha.ln()) / (alpha - 1.0)
        }
    });
    Ok(bounds.fold(f64::INFINITY, f64::min).max(0.0))
}

/// The smallest δ at `epsilon` over all orders, from divergences at [`ORDERS`]; the reverse of [`epsilon`](epsilon()).
///
/// # Errors
/// If `epsilon` is negative or not finite.
pub fn delta(divergences: &[f64], epsilon: f64) -> Result<f64> {
    crate::error::not_negative("epsilon", epsilon)?;
    let bounds = ORDERS.iter().zip(divergences).map(|(&alpha, &rho)| {
        let converted = (alpha - 1.0) * (rho - epsilon + (-1.0 / alpha).ln_1p()) - alpha.ln();
        let distance = 0.5 * (-(-rho).exp_m1()).ln();
        converted.min(distance)
    });
    Ok(bounds.fold(0.0, f64::min).exp())
}

/// Divergences at [`ORDERS`] of a composition.
pub(crate) fn divergences(composition: &Composition) -> Vec<f64> {
    let mut sum: Vec<f64> = ORDERS.iter().map(|alpha| 0.5 * alpha * composition.mu * composition.mu).collect();
    for &(part, count) in &composition.parts {
        let each = match part {
            Part::Subsampled { sampling_rate, sigma } => subsampled(sampling_rate, sigma),
            Part::Laplace { scale } => ORDERS.iter().map(|&alpha| laplace_at(scale, alpha)).collect(),
        };
        for (total, divergence) in sum.iter_mut().zip(each) {
            *total += count as f64 * divergence;
        }
    }
    sum
}

fn laplace_at(scale: f64, alpha: f64) -> f64 {
    let (up, down) = ((alpha - 1.0) / scale, -alpha / scale);
    let excess = if up < 1.0 {
        (alpha * up.exp_m1() + (alpha - 1.0) * down.exp_m1()) / (2.0 * alpha - 1.0)
    } else {
        return (up + ((alpha + (alpha - 1.0) * (down - up).exp()) / (2.0 * alpha - 1.0)).ln()) / (alpha - 1.0);
    };
    excess.ln_1p() / (alpha - 1.0)
}

fn subsampled(rate: f64, sigma: f64) -> Vec<f64> {
    if rate == 1.0 {
        return ORDERS.iter().map(|alpha| 0.5 * alpha / (sigma * sigma)).collect();
    }
    let grid = Grid::new(rate, sigma);
    ORDERS
        .iter()
        .map(|&alpha| {
            let ln_excess = if alpha.fract() == 0.0 {
                ln_excess_whole(rate, sigma, alpha)
            } else {
                grid.as_ref().map_or(f64::INFINITY, |grid| grid.ln_excess(alpha))
            };
            softplus(ln_excess) / (alpha - 1.0)
        })
        .collect()
}

/// ln(1 + e^x).
fn softplus(x: f64) -> f64 {
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}

/// ln(e^x − 1) for x > 0.
fn ln_exp_m1(x: f64) -> f64 {
    if x > 1.0 { x + (-(-x).exp()).ln_1p() } else { x.exp_m1().ln() }
}

/// ln(A_α − 1) for a whole order: ln Σ_(k ≥ 2) C(α, k) q^k (1 − q)^(α − k) (e^(k(k − 1)/2σ²) − 1).
fn ln_excess_whole(rate: f64, sigma: f64, alpha: f64) -> f64 {
    let (ln_rate, ln_rest) = (rate.ln(), (-rate).ln_1p());
    let ln_choose = |k: f64| ln_gamma(alpha + 1.0) - ln_gamma(k + 1.0) - ln_gamma(alpha - k + 1.0);
    let terms: Vec<f64> = (2..=alpha as u32)
        .map(f64::from)
        .map(|k| {
            let exponent = k * (k - 1.0) / (2.0 * sigma * sigma);
            ln_choose(k) + k * ln_rate + (alpha - k) * ln_rest + ln_exp_m1(exponent)
        })
        .collect();
    ln_sum_exp(&terms)
}

fn ln_sum_exp(terms: &[f64]) -> f64 {
    let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top.is_infinite() { top } else { top + terms.iter().map(|term| (term - top).exp()).sum::<f64>().ln() }
}

/// Outcomes y on a regular grid, with ln of their weight under N(0, σ²) and the loss u = ln r(y).
struct Grid {
    points: Vec<(f64, f64)>,
}

/// Above this many points, σ is so small that ε is astronomical and whole orders suffice.
const MOST_POINTS: f64 = 20_000.0;

impl Grid {
    /// The grid for all fractional orders, below 11; nothing for σ below about 0.03.
    fn new(rate: f64, sigma: f64) -> Option<Self> {
        // r(y) has its nearest zero at a distance of πσ² from the real line, which limits the step.
        let step = (0.2 * sigma).min(0.5 * sigma * sigma);
        let (from, to) = (-9.0 * sigma, 11.0 + 9.0 * sigma);
        let count = ((to - from) / step).ceil();
        if count > MOST_POINTS {
            return None;
        }
        let ln_rest = (-rate).ln_1p();
        let ln_norm = (step / sigma).ln() - 0.918_938_533_204_672_7;
        let points = (0..=count as usize)
            .map(|index| {
                let y = from + index as f64 * step;
                let x = rate.ln() + (2.0 * y - 1.0) / (2.0 * sigma * sigma);
                let loss = if x > ln_rest {
                    x + (ln_rest - x).exp().ln_1p()
                } else {
                    (rate * ((2.0 * y - 1.0) / (2.0 * sigma * sigma)).exp_m1()).ln_1p()
                };
                (ln_norm - 0.5 * (y / sigma).powi(2), loss)
            })
            .collect();
        Some(Self { points })
    }

    fn ln_excess(&self, alpha: f64) -> f64 {
        let terms: Vec<f64> =
            self.points.iter().map(|&(ln_weight, loss)| ln_weight + ln_bernoulli(alpha, loss)).collect();
        ln_sum_exp(&terms)
    }
}

/// ln(r^α − 1 − α(r − 1)) for r = e^u; the argument is not negative by Bernoulli's inequality.
fn ln_bernoulli(alpha: f64, u: f64) -> f64 {
    if u.abs() < 1e-4 {
        // Three terms of the Taylor series; the next is 1e-8 of the first at most, times α².
        let series = 1.0 + u * (alpha + 1.0) / 3.0 + u * u * (alpha * alpha + alpha + 1.0) / 12.0;
        (0.5 * alpha * (alpha - 1.0) * u * u * series).ln()
    } else if alpha * u < 1.0 {
        ((alpha * u).exp_m1() - alpha * u.exp_m1()).ln()
    } else {
        alpha * u + ((alpha - 1.0) * (-alpha * u).exp() - alpha * (-(alpha - 1.0) * u).exp()).ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(rate: f64, sigma: f64, steps: f64) -> Vec<f64> {
        subsampled_gaussian(rate, sigma).unwrap().iter().map(|rho| steps * rho).collect()
    }

    #[test]
    fn the_usual_point_of_comparison_is_reproduced() {
        let found = epsilon(&composed(0.01, 1.0, 1e4), 1e-5).unwrap();
        assert!((found - 6.713).abs() < 5e-4, "{found}");
    }

    #[test]
    fn whole_orders_and_the_integral_agree() {
        for (rate, sigma) in [(0.01, 1.0), (1e-5, 0.5), (0.3, 5.0), (0.9, 0.3), (1e-4, 50.0)] {
            let grid = Grid::new(rate, sigma).unwrap();
            for alpha in [2.0, 3.0, 5.0, 11.0] {
                let (sum, integral) = (ln_excess_whole(rate, sigma, alpha), grid.ln_excess(alpha));
                let error = (sum - integral).abs();
                assert!(error < 1e-9 * sum.abs().max(1.0), "{sum} and {integral} at q {rate}, σ {sigma}, α {alpha}");
            }
        }
    }

    #[test]
    fn a_sample_of_everyone_is_the_plain_gaussian_and_its_limit() {
        for sigma in [0.3, 2.0] {
            let all = subsampled_gaussian(1.0, sigma).unwrap();
            let almost = subsampled_gaussian(1.0 - 1e-12, sigma).unwrap();
            for ((alpha, exact), near) in ORDERS.iter().zip(all).zip(almost) {
                assert!((exact - alpha / (2.0 * sigma * sigma)).abs() < 1e-12 * exact);
                assert!((exact - near).abs() < 1e-8 * exact, "{exact} and {near} at α {alpha}");
            }
        }
    }

    #[test]
    fn tiny_rates_keep_their_relative_precision() {
        // To first order in q², ρ(α) = α q² (e^(1/σ²) − 1) / 2.
        let (rate, sigma) = (1e-9, 50.0);
        for (alpha, rho) in ORDERS.iter().zip(subsampled_gaussian(rate, sigma).unwrap()) {
            let expected = 0.5 * alpha * rate * rate * f64::exp_m1((sigma * sigma).recip());
            assert!((rho / expected - 1.0).abs() < 1e-5, "{rho} for {expected} at α {alpha}");
        }
    }

    #[test]
    fn extreme_noise_gives_large_numbers_and_never_none() {
        for (rate, sigma) in [(1.0, 0.3), (0.5, 0.01), (1e-5, 1e-4)] {
            let found = epsilon(&composed(rate, sigma, 1e6), 1e-10).unwrap();
            assert!(found > 1e3 && !found.is_nan(), "{found}");
        }
    }

    #[test]
    fn laplace_tends_to_pure_differential_privacy() {
        for scale in [0.2, 1.0, 30.0] {
            let mut last = 0.0;
            for alpha in [1.01, 1.5, 2.0, 8.0, 100.0, 1e5] {
                let rho = laplace(scale, alpha).unwrap();
                assert!(rho > last && rho < scale.recip(), "{rho} at scale {scale}, α {alpha}");
                last = rho;
            }
            assert!(last > 0.999 * scale.recip());
        }
    }

    #[test]
    fn delta_reverses_epsilon() {
        let divergences = composed(0.02, 0.9, 500.0);
        for target in [1e-3, 1e-6, 1e-12] {
            let found = delta(&divergences, epsilon(&divergences, target).unwrap()).unwrap();
            assert!((found / target - 1.0).abs() < 1e-9, "{found} for {target}");
        }
    }
}
