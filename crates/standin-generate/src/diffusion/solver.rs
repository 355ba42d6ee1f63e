//! Samplers: from pure noise to an image, along the noise levels of EDM (Karras et al. 2022).
//!
//! All are functions of a denoiser D(x; σ), the expected image given x = image + σ · noise. The score is (D − x) / σ², so
//! the probability-flow equation is dx/dσ = (x − D(x; σ)) / σ (equation 1 with σ(t) = t). They work on slices: a network, a
//! mixture with guidance or a formula can stand behind the denoiser.

/// Lowest noise level before 0.
pub(crate) const SIGMA_MIN: f64 = 0.002;

/// Highest noise level, where sampling starts. Pixel values lie within [−1, 1].
pub(crate) const SIGMA_MAX: f64 = 80.0;

/// ρ: the larger, the closer the steps at low noise levels.
const RHO: f64 = 7.0;

/// A denoiser: an image (or several, one after the other) and its noise level to the expected image.
pub(crate) type Denoiser<'a> = dyn FnMut(&[f32], f64) -> Vec<f32> + 'a;

/// The `steps` + 1 noise levels from [`SIGMA_MAX`] to [`SIGMA_MIN`] and 0 (equation 5).
pub(crate) fn noise_levels(steps: usize) -> Vec<f64> {
    levels_from(SIGMA_MAX, steps)
}

/// The same from a lower level.
pub(crate) fn levels_from(highest: f64, steps: usize) -> Vec<f64> {
    let (first, last) = (highest.powf(RHO.recip()), SIGMA_MIN.powf(RHO.recip()));
    let share = |step: usize| step as f64 / (steps.max(2) - 1) as f64;
    let levels = (0..steps).map(|step| (first + share(step) * (last - first)).powf(RHO));
    levels.chain([0.0]).collect()
}

/// The noise level at a share of the way from [`SIGMA_MIN`] to [`SIGMA_MAX`], as the levels of a solver are spaced.
pub(crate) fn level_at(share: f64) -> f64 {
    let (most, least) = (SIGMA_MAX.powf(RHO.recip()), SIGMA_MIN.powf(RHO.recip()));
    (least + share * (most - least)).powf(RHO)
}

/// Heun's second-order method (algorithm 1): 2 · `steps` − 1 evaluations of the denoiser. `x` starts as noise of standard
/// deviation [`SIGMA_MAX`] and ends as the sample.
pub(crate) fn heun(x: &mut [f32], steps: usize, denoise: &mut Denoiser<'_>) {
    heun_along(x, &noise_levels(steps), denoise);
}

/// Heun's method along given noise levels, downwards or upwards; `x` starts at the first of them and ends at the last.
pub(crate) fn heun_along(x: &mut [f32], levels: &[f64], denoise: &mut Denoiser<'_>) {
    for pair in levels.windows(2) {
        heun_step(x, pair[0], pair[1], denoise);
    }
}

/// One step of Heun's method from one noise level to another; Euler's where that is 0.
fn heun_step(x: &mut [f32], from: f64, to: f64, denoise: &mut Denoiser<'_>) {
    let slope = slope(x, from, denoise);
    let mut next = x.to_vec();
    follow(&mut next, &slope, to - from);
    if to > 0.0 {
        let corrected = self::slope(&next, to, denoise);
        let mean: Vec<f32> = slope.iter().zip(&corrected).map(|(a, b)| 0.5 * (a + b)).collect();
        next.copy_from_slice(x);
        follow(&mut next, &mean, to - from);
    }
    x.copy_from_slice(&next);
}

/// DDIM (Song, Meng & Ermon 2021) in this parametrisation: Euler's method, `steps` evaluations.
pub(crate) fn ddim(x: &mut [f32], steps: usize, denoise: &mut Denoiser<'_>) {
    for pair in noise_levels(steps).windows(2) {
        let slope = slope(x, pair[0], denoise);
        follow(x, &slope, pair[1] - pair[0]);
    }
}

/// How much fresh noise the stochastic sampler adds (table 5, the values for ImageNet).
const CHURN: f64 = 40.0;
const CHURN_MIN: f64 = 0.05;
const CHURN_MAX: f64 = 50.0;
const CHURN_NOISE: f64 = 1.003;

/// The stochastic sampler (algorithm 2): before each step of Heun's method, noise is added to reach a higher level, which
/// corrects errors of earlier steps. `noise` gives standard normal values, as many as `x` has, for a step.
pub(crate) fn stochastic(
    x: &mut [f32],
    steps: usize,
    denoise: &mut Denoiser<'_>,
    noise: &mut dyn FnMut(usize) -> Vec<f32>,
) {
    for (step, pair) in noise_levels(steps).windows(2).enumerate() {
        let mut from = pair[0];
        if (CHURN_MIN..=CHURN_MAX).contains(&from) {
            let gamma = (CHURN / steps as f64).min(2f64.sqrt() - 1.0);
            let raised = from * (1.0 + gamma);
            follow(x, &noise(step), (raised.powi(2) - from.powi(2)).sqrt() * CHURN_NOISE);
            from = raised;
        }
        heun_step(x, from, pair[1], denoise);
    }
}

/// dx/dσ = (x − D(x; σ)) / σ.
fn slope(x: &[f32], sigma: f64, denoise: &mut Denoiser<'_>) -> Vec<f32> {
    let scale = sigma.recip() as f32;
    denoise(x, sigma).iter().zip(x).map(|(clean, x)| (x - clean) * scale).collect()
}

/// x ← x + `by` · `direction`.
fn follow(x: &mut [f32], direction: &[f32], by: f64) {
    let by = by as f32;
    x.iter_mut().zip(direction).for_each(|(x, direction)| *x += by * direction);
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::StandardNormal;
    use standin_data::Seed;

    use super::*;
    use crate::diffusion::fixture::fixture;

    const MEAN: f64 = 0.3;
    const DEVIATION: f64 = 0.5;

    /// The exact denoiser of N(`MEAN`, `DEVIATION`²).
    fn exact(x: &[f32], sigma: f64) -> Vec<f32> {
        let keep = DEVIATION.powi(2) / (DEVIATION.powi(2) + sigma.powi(2));
        x.iter().map(|&x| (MEAN + keep * (f64::from(x) - MEAN)) as f32).collect()
    }

    /// Where the exact flow from `SIGMA_MAX` to 0 takes x: (x − m) shrinks by s / √(s² + σ²).
    fn flow(x: f64) -> f64 {
        MEAN + (x - MEAN) * DEVIATION / DEVIATION.hypot(SIGMA_MAX)
    }

    fn close(found: &[f32], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (&found, expected) in found.iter().zip(expected) {
            let found = f64::from(found);
            assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found} for {expected}");
        }
    }

    #[test]
    fn noise_levels_equal_an_independent_implementation() {
        for (found, expected) in noise_levels(6).iter().zip(fixture("levels")) {
            assert!((found - expected).abs() < 1e-10 * expected.max(1.0), "{found} for {expected}");
        }
        assert_eq!(noise_levels(1), [SIGMA_MAX, 0.0]);
    }

    #[test]
    fn samplers_equal_an_independent_implementation_step_for_step() {
        let start = [40.0, -12.5, 3.0];
        let (mut by_heun, mut by_ddim, mut by_noise) = (start, start, start);
        heun(&mut by_heun, 6, &mut exact);
        close(&by_heun, &fixture("heun"));
        ddim(&mut by_ddim, 6, &mut exact);
        close(&by_ddim, &fixture("ddim"));
        let mut noise = |step: usize| (0..3).map(|at| ((step * 3 + at) as f32 * 0.7).sin()).collect();
        stochastic(&mut by_noise, 6, &mut exact, &mut noise);
        close(&by_noise, &fixture("stochastic"));
    }

    /// Halving the steps divides the error by 4 for Heun and by 2 for DDIM. The last step, to 0, is Euler's in both, and
    /// exact up to `SIGMA_MIN`; f32 bounds what can be seen.
    #[test]
    fn heun_is_of_order_two_and_ddim_of_order_one() {
        let start = 100.0;
        let error = |sampler: fn(&mut [f32], usize, &mut Denoiser<'_>), steps| {
            let mut x = [start as f32];
            sampler(&mut x, steps, &mut exact);
            (f64::from(x[0]) - flow(start)).abs()
        };
        let orders: Vec<f64> = [heun as fn(&mut [f32], usize, &mut Denoiser<'_>), ddim]
            .into_iter()
            .map(|sampler| (error(sampler, 16) / error(sampler, 32)).log2())
            .collect();
        assert!((orders[0] - 2.0).abs() < 0.3, "{orders:?}");
        assert!((orders[1] - 1.0).abs() < 0.2, "{orders:?}");
    }

    #[test]
    fn what_was_taken_up_to_a_level_comes_down_again() {
        let start = [-0.4f32, 0.5, 0.9];
        let mut x = start;
        let mut down = levels_from(level_at(0.6), 60);
        down.pop();
        let up: Vec<f64> = down.iter().rev().copied().collect();
        heun_along(&mut x, &up, &mut exact);
        assert!(x.iter().zip(start).all(|(x, start)| (x - start).abs() > 0.05), "{x:?} is where it began");
        heun_along(&mut x, &down, &mut exact);
        assert!(x.iter().zip(start).all(|(x, start)| (x - start).abs() < 1e-3), "{x:?} for {start:?}");
        assert!((level_at(1.0) - SIGMA_MAX).abs() < 1e-9 && (level_at(0.0) - SIGMA_MIN).abs() < 1e-12);
    }

    /// Tolerances are four standard errors at n = 20 000, and the discretisation's error beside them.
    #[test]
    fn every_sampler_gives_the_gaussian_whose_denoiser_it_is_given() {
        let mut rng = Seed::new(4).rng();
        let start: Vec<f32> = (0..20_000).map(|_| SIGMA_MAX as f32 * rng.sample::<f32, _>(StandardNormal)).collect();
        let (mut by_heun, mut by_ddim, mut by_noise) = (start.clone(), start.clone(), start);
        heun(&mut by_heun, 64, &mut exact);
        ddim(&mut by_ddim, 1000, &mut exact);
        let mut noise = |_| (0..20_000).map(|_| rng.sample::<f32, _>(StandardNormal)).collect();
        stochastic(&mut by_noise, 64, &mut exact, &mut noise);
        for sampled in [by_heun, by_ddim, by_noise] {
            let n = sampled.len() as f64;
            let mean = sampled.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
            let variance = sampled.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
            assert!((mean - MEAN).abs() < 0.02, "mean {mean}");
            assert!((variance.sqrt() - DEVIATION).abs() < 0.02, "standard deviation {}", variance.sqrt());
        }
    }
}
