//! Attacks on generators that draw an image from latent values in one pass: how well can they draw the candidate?

use rand::RngExt;
use rand_distr::StandardNormal;
use standin_generate::{Decode, Misfit};

use super::GeneratorTarget;
use crate::{Attack, Need, Result, Target};

/// What is asked of the latent space. Latent values u of a candidate are found by Adam, with the class given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latent {
    /// The nearest image that the generator can draw (Chen et al. 2020, GAN-Leaks, the white-box attack):
    /// −min_u ‖y − G(u)‖²/d, found with (‖u‖²/k − 1)², k the latent values, as the paper's penalty on unlikely latents.
    /// The best of [`STARTS`](Latent::STARTS) beginnings that all candidates share.
    NearestImage,
    /// The variational bound of ln p(y | class) under the generator, with a Gaussian posterior of each candidate's own:
    /// E ln p(y | u) − KL(N(m, s²) ‖ N(0, I)) in nats. An autoencoder that was released without its encoder has that bound
    /// still, as far as the search finds it. From released autoencoders: Hilprecht, Härterich & Bernau 2019 (the
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
            Self::NearestImage => Ok(match decoder.parts().as_slice() {
                [] => nearest_image(decoder.as_ref(), &images, target),
                parts => nearest_of_parts(parts, &images, target),
            }),
            Self::Bound if decoder.has_likelihood() => Ok(bound(decoder.as_ref(), &images, target)),
            Self::Bound => Err(target.lacks(Need::Likelihood)),
        }
    }
}

/// Minus the least mean squared error of the networks of a mixture, each searched by itself: a search that may change between
/// them stays with the one that is nearest where it begins.
fn nearest_of_parts(parts: &[&dyn Decode], images: &[f32], target: &GeneratorTarget<'_>) -> Vec<f64> {
    let mut best = vec![f64::NEG_INFINITY; target.classes().len()];
    for part in parts {
        let found = nearest_image(*part, images, target);
        best.iter_mut().zip(found).for_each(|(best, found)| *best = best.max(found));
    }
    best
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

#[cfg(test)]
mod tests {
    use standin_data::{ImageSet, Labels, Seed, Shape};
    use standin_generate::{Description, Misfits, SampleRequest, Trained};

    use super::*;

    /// One latent value u and two pixels: values 0.5 + 0.1 u and 0.5 − 0.2 u, or of logits u and `OTHER`.
    #[derive(Debug)]
    struct Line {
        classes: Vec<String>,
        options: toml::Table,
    }

    const OTHER: f64 = 0.7;

    fn softplus(x: f64) -> f64 {
        x.max(0.0) + (-x.abs()).exp().ln_1p()
    }

    impl Decode for &Line {
        fn latent(&self) -> usize {
            1
        }

        fn has_likelihood(&self) -> bool {
            true
        }

        fn misfit(&self, kind: Misfit, latents: &[f32], images: &[f32], _: &[u32]) -> Misfits {
            let of = |(u, y): (&f32, &[f32])| {
                let (u, [a, b]) = (f64::from(*u), [f64::from(y[0]), f64::from(y[1])]);
                match kind {
                    Misfit::SquaredError => {
                        let (first, second) = (0.5 + 0.1 * u - a, 0.5 - 0.2 * u - b);
                        (first * first + second * second, 0.2 * first - 0.4 * second)
                    }
                    Misfit::CrossEntropy => {
                        let value = softplus(u) - u * a + softplus(OTHER) - OTHER * b;
                        (value, 1.0 / (1.0 + (-u).exp()) - a)
                    }
                }
            };
            let (values, slopes): (Vec<f64>, Vec<f64>) = latents.iter().zip(images.chunks_exact(2)).map(of).unzip();
            Misfits { values, slopes: slopes.into_iter().map(|slope| slope as f32).collect() }
        }
    }

    impl Trained for Line {
        fn sample(
            &self,
            _: &SampleRequest,
            _: Seed,
            _: &dyn standin_data::Progress,
        ) -> standin_generate::Result<ImageSet> {
            unreachable!("it is not sampled")
        }

        fn save(&self, _: &std::path::Path) -> standin_generate::Result<()> {
            unreachable!("it is not saved")
        }

        fn guarantee(&self) -> Option<&standin_privacy::Guarantee> {
            None
        }

        fn description(&self) -> Description<'_> {
            let shape = Shape { channels: 1, height: 1, width: 2 };
            let (classes, options) = (self.classes.as_slice(), &self.options);
            Description { family: "line", trained_on: "nothing", shape, classes, options, seed: "1" }
        }

        fn controls(&self) -> &'static [standin_generate::Control] {
            &[]
        }

        fn decoder(&self) -> Option<Box<dyn Decode + '_>> {
            Some(Box::new(self))
        }
    }

    fn scores(attack: Latent, pixels: &[u8]) -> Vec<f64> {
        let line = Line { classes: vec!["any".to_owned()], options: toml::Table::new() };
        let shape = Shape { channels: 1, height: 1, width: 2 };
        let labels = Labels { values: vec![0; pixels.len() / 2], classes: line.classes.clone() };
        let images = ImageSet::new(shape, pixels.to_vec()).unwrap().with_labels(labels).unwrap();
        let target = GeneratorTarget::new(&line, &images, &[], Seed::new(3)).unwrap();
        attack.score(&Target::Generator(target)).unwrap()
    }

    /// The nearest point of the line to (a, b) leaves the part of (a, b) − ½ across its direction (1, −2)/√5.
    #[test]
    fn the_nearest_image_is_the_projection() {
        let pixels = [150, 90, 100, 160, 140, 140];
        for (found, pixels) in scores(Latent::NearestImage, &pixels).iter().zip(pixels.chunks_exact(2)) {
            let [a, b] = [0, 1].map(|at| f64::from(pixels[at]) / 255.0 - 0.5);
            let across = (2.0 * a + b) / 5_f64.sqrt();
            let expected = -0.5 * across * across;
            assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }

    /// The likelihood is an integral over u, here by sums; the bound lies below, by little for a posterior near a Gaussian.
    #[test]
    fn the_bound_lies_just_below_the_likelihood() {
        let pixels = [255, 0, 0, 255, 128, 60];
        for (found, pixels) in scores(Latent::Bound, &pixels).iter().zip(pixels.chunks_exact(2)) {
            let [a, b] = [0, 1].map(|at| f64::from(pixels[at]) / 255.0);
            let density = |u: f64| {
                let ln = u * a - softplus(u) + OTHER * b - softplus(OTHER) - 0.5 * u * u;
                ln.exp() / (2.0 * std::f64::consts::PI).sqrt()
            };
            let likelihood: f64 = (-8000..=8000).map(|at| density(f64::from(at) * 1e-3) * 1e-3).sum();
            // Sixteen draws estimate the bound within some hundredths.
            let gap = likelihood.ln() - found;
            assert!((-0.1..0.15).contains(&gap), "{found} for {}", likelihood.ln());
        }
    }
}
