//! Attacks on generators that draw an image from latent values in one pass: how well can they draw the candidate?

use rand::RngExt;
use rand_distr::StandardNormal;
use standin_generate::{Decode, Misfit};

use super::GeneratorTarget;
use crate::{Attack, Need, Result, Target};

/// What is asked of the latent space. Latent values u of a candidate are found by Adam, with the class given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latent {
    /// The nearest image that the generator can draw (Chen et al. 2020, GAN-Leaks, the white-box attack, equation 7):
    /// −min_u ‖y − G(u)‖²/d, found with (‖u‖²/k − 1)², k the latent values, as the paper's penalty on unlikely latents.
    /// The best of [`STARTS`](Latent::STARTS) beginnings that all candidates share.
    NearestImage,
    /// The variational bound of ln p(y | class) under the generator, with a Gaussian posterior of each candidate's own:
    /// E ln p(y | u) − KL(N(m, s²) ‖ N(0, I)) in nats. An autoencoder that was released without its encoder has that bound
    /// still, and it is no lower than its encoder's. From released autoencoders: Hilprecht, Härterich & Bernau 2019 (the
    /// reconstruction attack), Chen et al. 2020.
    Bound,
}

impl Latent {
    /// Beginnings of the search for the nearest image.
    pub const STARTS: usize = 3;

    /// Steps of each search.
    pub const STEPS: usize = 200;
}

/// Draws that the bound is averaged over in the end.
const DRAWS: usize = 16;

/// Weight of the penalty on unlikely latents, for images with values in [0, 1] and the mean over pixels.
const UNLIKELY: f32 = 1e-3;

impl Attack for Latent {
    fn score(&self, target: &Target<'_>) -> Result<Vec<f64>> {
        let target = target.generator()?;
        let decoder = target.decoder()?;
        let images = target.values();
        match self {
            Self::NearestImage => Ok(nearest_image(decoder.as_ref(), &images, target)),
            Self::Bound if decoder.has_likelihood() => Ok(bound(decoder.as_ref(), &images, target)),
            Self::Bound => Err(target.lacks(Need::Likelihood)),
        }
    }
}

/// Minus the least mean squared error.
fn nearest_image(decoder: &dyn Decode, images: &[f32], target: &GeneratorTarget<'_>) -> Vec<f64> {
    let (classes, latent) = (target.classes(), decoder.latent());
    let pixels = (images.len() / classes.len()) as f32;
    let mut best = vec![f64::NEG_INFINITY; classes.len()];
    for start in 0..Latent::STARTS {
        let mut rng = target.seed().derive(&format!("start {start}")).rng();
        let start: Vec<f32> = (0..latent).map(|_| rng.sample::<f32, _>(StandardNormal)).collect();
        let mut latents = start.repeat(classes.len());
        let mut adam = Adam::new(latents.len());
        for step in 0..Latent::STEPS {
            let found = decoder.misfit(Misfit::SquaredError, &latents, images, classes);
            keep(&mut best, &found.values, pixels);
            let mut slopes = found.slopes;
            for (slopes, latents) in slopes.chunks_exact_mut(latent).zip(latents.chunks_exact(latent)) {
                let excess = latents.iter().map(|u| u * u).sum::<f32>() / latent as f32 - 1.0;
                let push = UNLIKELY * 4.0 * excess / latent as f32;
                slopes.iter_mut().zip(latents).for_each(|(slope, u)| *slope = *slope / pixels + push * u);
            }
            adam.step(&mut latents, &slopes, step);
        }
        keep(&mut best, &decoder.misfit(Misfit::SquaredError, &latents, images, classes).values, pixels);
    }
    best
}

/// Keeps the smaller of what was best and what was found.
fn keep(best: &mut [f64], found: &[f64], pixels: f32) {
    best.iter_mut().zip(found).for_each(|(best, found)| *best = best.max(-found / f64::from(pixels)));
}

/// The bound of each candidate, with the same noise for all.
fn bound(decoder: &dyn Decode, images: &[f32], target: &GeneratorTarget<'_>) -> Vec<f64> {
    let (classes, latent) = (target.classes(), decoder.latent());
    let mut rng = target.seed().derive("posterior").rng();
    let mut noise = || {
        let row: Vec<f32> = (0..latent).map(|_| rng.sample::<f32, _>(StandardNormal)).collect();
        row.repeat(classes.len())
    };
    let size = classes.len() * latent;
    // The first half are means and the second logarithms of deviations.
    let mut posterior = vec![0.0; 2 * size];
    posterior[size..].fill(-1.0);
    let drawn = |posterior: &[f32], noise: &[f32]| -> Vec<f32> {
        let (means, logarithms) = posterior.split_at(size);
        means.iter().zip(logarithms).zip(noise).map(|((mean, log), noise)| mean + log.exp() * noise).collect()
    };
    let mut adam = Adam::new(2 * size);
    for step in 0..Latent::STEPS {
        let noise = noise();
        let found = decoder.misfit(Misfit::CrossEntropy, &drawn(&posterior, &noise), images, classes);
        let slopes: Vec<f32> = (0..2 * size)
            .map(|at| match at < size {
                true => found.slopes[at] + posterior[at],
                false => {
                    let deviation = posterior[at].exp();
                    found.slopes[at - size] * deviation * noise[at - size] + deviation * deviation - 1.0
                }
            })
            .collect();
        adam.step(&mut posterior, &slopes, step);
    }
    let mut bounds = vec![0.0; classes.len()];
    for _ in 0..DRAWS {
        let found = decoder.misfit(Misfit::CrossEntropy, &drawn(&posterior, &noise()), images, classes);
        bounds.iter_mut().zip(found.values).for_each(|(bound, misfit)| *bound -= misfit / DRAWS as f64);
    }
    let (means, logarithms) = posterior.split_at(size);
    let rows = means.chunks_exact(latent).zip(logarithms.chunks_exact(latent));
    for (bound, (means, logarithms)) in bounds.iter_mut().zip(rows) {
        let divergence = |(mean, log): (&f32, &f32)| {
            let (mean, log) = (f64::from(*mean), f64::from(*log));
            0.5 * (mean * mean + (2.0 * log).exp() - 1.0) - log
        };
        *bound -= means.iter().zip(logarithms).map(divergence).sum::<f64>();
    }
    bounds
}

/// Adam (Kingma & Ba 2015) for values that do not know of each other, with a rate that falls to 0 along half a cosine.
struct Adam {
    mean: Vec<f32>,
    square: Vec<f32>,
}

impl Adam {
    const RATE: f32 = 0.1;

    fn new(size: usize) -> Self {
        Self { mean: vec![0.0; size], square: vec![0.0; size] }
    }

    fn step(&mut self, values: &mut [f32], slopes: &[f32], step: usize) {
        let done = step as f32 / Latent::STEPS as f32;
        let rate = Self::RATE * 0.5 * (1.0 + (std::f32::consts::PI * done).cos());
        let steps = step as i32 + 1;
        let (first, second) = (1.0 - 0.9_f32.powi(steps), 1.0 - 0.999_f32.powi(steps));
        let state = self.mean.iter_mut().zip(&mut self.square);
        for ((value, slope), (mean, square)) in values.iter_mut().zip(slopes).zip(state) {
            *mean += 0.1 * (slope - *mean);
            *square += 0.001 * (slope * slope - *square);
            *value -= rate * (*mean / first) / ((*square / second).sqrt() + 1e-8);
        }
    }
}
