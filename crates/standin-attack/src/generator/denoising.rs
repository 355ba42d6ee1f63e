//! Attacks on diffusion models: what a network answers to a noised training image, and what to another's.
//!
//! The papers state noise as time steps t of DDPM's schedule (Ho, Jain & Abbeel 2020): x_t = √ᾱ_t y + √(1 − ᾱ_t) n. Divided by
//! √ᾱ_t that is y + σ_t n with σ_t = √((1 − ᾱ_t)/ᾱ_t), which is how these models see it, for every schedule alike. In these
//! coordinates a step of DDIM from one noise level to another is x + (σ′ − σ) ε̂(x; σ).

use rand::RngExt;
use rand_distr::StandardNormal;
use standin_data::Seed;
use standin_generate::Denoise;

use super::GeneratorTarget;
use crate::{Attack, Result, Target};

/// Candidates whose planes are in memory at a time.
const BLOCK: usize = 2048;

/// What a diffusion model is asked about a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denoising {
    /// The error of the noise that it sees, at t = 100, averaged over [`DRAWS`](Denoising::DRAWS) noises which all
    /// candidates share (Carlini et al. 2023; Matsumoto, Miura & Yanai 2023).
    Loss,
    /// SecMI (Duan, Kong, Wang, Shi & Xu 2023, the statistic): the candidate is taken to t = 100 by
    /// deterministic steps of 10, then one step on and one back; the squared distance from where it was.
    StepwiseError,
    /// PIA (Kong et al. 2024): ε̂(y; t = 0) is the noise that takes the candidate to t; the distance of what
    /// is seen there from it, in the norm of p = 4, summed over t = 20, 40, … 100.
    ///
    /// PIAN, which scales that noise to the mean absolute value of normal noise, is left out: a network that knows an image by
    /// heart sees next to no noise in it, and what is scaled up is arbitrary. It ranked members below others where all other
    /// attacks found them.
    ProximalInitialisation,
}

impl Denoising {
    /// Noises of the loss.
    pub const DRAWS: usize = 8;

    /// Errors of planes of one class each, one for each: small where the network knows the image.
    fn errors(self, network: &dyn Denoise, planes: &[f32], classes: &[u32], seed: Seed) -> Vec<f64> {
        let volume = network.volume();
        match self {
            Self::Loss => losses(network, planes, classes, seed),
            Self::StepwiseError => {
                let mut x = planes.to_vec();
                let step = |x: &mut [f32], from: f64, to: f64| {
                    let noise = network.noise(x, from, classes);
                    follow(x, &noise, to - from);
                };
                for time in (0..100).step_by(10) {
                    step(&mut x, sigma(time), sigma(time + 10));
                }
                let at = x.clone();
                step(&mut x, sigma(100), sigma(110));
                step(&mut x, sigma(110), sigma(100));
                distances(&x, &at, volume, 2)
            }
            Self::ProximalInitialisation => {
                let initial = network.noise(planes, sigma(0), classes);
                let mut sums = vec![0.0; classes.len()];
                for time in (20..=100).step_by(20) {
                    let mut x = planes.to_vec();
                    follow(&mut x, &initial, sigma(time));
                    let seen = network.noise(&x, sigma(time), classes);
                    let norms = distances(&seen, &initial, volume, 4);
                    sums.iter_mut().zip(norms).for_each(|(sum, norm)| *sum += norm.powf(0.25));
                }
                sums
            }
        }
    }
}

impl Attack for Denoising {
    fn score(&self, target: &Target<'_>) -> Result<Vec<f64>> {
        let target = target.generator()?;
        let network = target.denoiser()?;
        let errors = of_blocks(target, network.as_ref(), |planes, classes| {
            self.errors(network.as_ref(), planes, classes, target.seed())
        });
        Ok(errors?.into_iter().map(|error| -error).collect())
    }
}

/// The losses of all candidates under a diffusion model.
pub(super) fn all_losses(network: &dyn Denoise, target: &GeneratorTarget<'_>) -> Result<Vec<f64>> {
    of_blocks(target, network, |planes, classes| losses(network, planes, classes, target.seed()))
}

/// Calls `errors` with the planes and classes of blocks of candidates.
fn of_blocks(
    target: &GeneratorTarget<'_>,
    network: &dyn Denoise,
    mut errors: impl FnMut(&[f32], &[u32]) -> Vec<f64>,
) -> Result<Vec<f64>> {
    let mut all = Vec::with_capacity(target.classes().len());
    for (block, classes) in target.classes().chunks(BLOCK).enumerate() {
        let rows: Vec<usize> = (block * BLOCK..block * BLOCK + classes.len()).collect();
        all.extend(errors(&network.planes(&target.candidates().select(&rows))?, classes));
    }
    Ok(all)
}

/// The mean squared error of the noise seen at t = 100.
fn losses(network: &dyn Denoise, planes: &[f32], classes: &[u32], seed: Seed) -> Vec<f64> {
    let volume = network.volume();
    let mut rng = seed.derive("noise of the loss").rng();
    let mut sums = vec![0.0; classes.len()];
    for _ in 0..Denoising::DRAWS {
        let noise: Vec<f32> = (0..volume).map(|_| rng.sample::<f32, _>(StandardNormal)).collect();
        let noises = noise.repeat(classes.len());
        let mut x = planes.to_vec();
        follow(&mut x, &noises, sigma(100));
        let errors = distances(&network.noise(&x, sigma(100), classes), &noises, volume, 2);
        sums.iter_mut().zip(errors).for_each(|(sum, error)| *sum += error);
    }
    let scale = ((Denoising::DRAWS * volume) as f64).recip();
    sums.into_iter().map(|sum| sum * scale).collect()
}

/// σ_t of DDPM's linear schedule, β from 10⁻⁴ to 0.02 in 1000 steps; t from 0 to 999.
fn sigma(time: usize) -> f64 {
    let kept: f64 = (0..=time).map(|step| 1.0 - (1e-4 + (0.02 - 1e-4) * step as f64 / 999.0)).product();
    ((1.0 - kept) / kept).sqrt()
}

/// x ← x + `by` · `direction`.
fn follow(x: &mut [f32], direction: &[f32], by: f64) {
    let by = by as f32;
    x.iter_mut().zip(direction).for_each(|(x, direction)| *x += by * direction);
}

/// Σ |a − b|^p over each row.
fn distances(a: &[f32], b: &[f32], width: usize, p: i32) -> Vec<f64> {
    let rows = a.chunks_exact(width).zip(b.chunks_exact(width));
    rows.map(|(a, b)| a.iter().zip(b).map(|(a, b)| f64::from(a - b).abs().powi(p)).sum()).collect()
}

#[cfg(test)]
mod tests {
    use standin_data::ImageSet;

    use super::*;

    /// The exact denoiser of images whose values are N(0, `VARIANCE`): ε̂ = σ x / (`VARIANCE` + σ²).
    struct Exact;

    const VARIANCE: f64 = 0.3;

    fn share(sigma: f64) -> f64 {
        sigma / (VARIANCE + sigma * sigma)
    }

    impl Denoise for Exact {
        fn volume(&self) -> usize {
            2
        }

        fn planes(&self, _: &ImageSet) -> standin_generate::Result<Vec<f32>> {
            unreachable!("planes are given")
        }

        fn noise(&self, planes: &[f32], sigma: f64, _: &[u32]) -> Vec<f32> {
            planes.iter().map(|x| x * share(sigma) as f32).collect()
        }
    }

    fn errors(attack: Denoising, seed: u64) -> Vec<f64> {
        attack.errors(&Exact, &[0.5, -1.0, 0.25, 0.0], &[0, 1], Seed::new(seed))
    }

    fn close(found: &[f64], expected: [f64; 2]) {
        let fits = |(found, expected): (&f64, f64)| (found / expected - 1.0).abs() < 1e-3;
        assert!(found.iter().zip(expected).all(fits), "{found:?} for {expected:?}");
    }

    /// Each step multiplies by 1 + (σ′ − σ) `share(σ)`.
    #[test]
    fn stepwise_errors_are_those_of_deterministic_steps() {
        let factor = |from: usize, to: usize| 1.0 + (sigma(to) - sigma(from)) * share(sigma(from));
        let there: f64 = (0..100).step_by(10).map(|time| factor(time, time + 10)).product();
        let moved = there * (factor(100, 110) * factor(110, 100) - 1.0);
        close(&errors(Denoising::StepwiseError, 1), [1.25, 0.0625].map(|square| square * moved * moved));
    }

    /// ε̂ at t = 0 is `share(σ₀)` y; at t it is `share(σ_t)` (1 + σ_t `share(σ₀)`) y.
    #[test]
    fn proximal_errors_are_norms_of_differences_of_noise() {
        let first = share(sigma(0));
        let after = |scale: f64| -> f64 {
            (20..=100).step_by(20).map(|t| (share(sigma(t)) * (1.0 + sigma(t) * scale) - scale).abs()).sum()
        };
        let fourth = |a: f64, b: f64| (a.powi(4) + b.powi(4)).powf(0.25);
        let expected = [fourth(0.5, 1.0), 0.25].map(|norm| after(first) * norm);
        close(&errors(Denoising::ProximalInitialisation, 1), expected);
    }

    /// At one noise level the expected loss of x = y + σ n is the mean of (share² y² + (σ share − 1)²).
    #[test]
    fn losses_are_the_errors_of_the_noise() {
        let repeats = 400;
        let mut mean = [0.0; 2];
        for seed in 0..repeats {
            let found = errors(Denoising::Loss, seed);
            mean.iter_mut().zip(found).for_each(|(mean, found)| *mean += found / repeats as f64);
        }
        let (level, share) = (sigma(100), share(sigma(100)));
        let expected = [0.625, 0.03125].map(|square| share * share * square + (level * share - 1.0).powi(2));
        // 6400 products of normal values: three standard errors are below 4 %.
        let fits = |(found, expected): (&f64, f64)| (found / expected - 1.0).abs() < 0.04;
        assert!(mean.iter().zip(expected).all(fits), "{mean:?} for {expected:?}");
    }

    #[test]
    fn noise_levels_are_those_of_the_linear_schedule() {
        // By Python, from the definition.
        for (time, expected) in [(0, 0.010_000_500), (10, 0.046_885_490), (100, 0.342_259_699), (200, 0.723_591_259)] {
            assert!((sigma(time) - expected).abs() < 1e-8, "σ at {time} is {} for {expected}", sigma(time));
        }
    }
}
