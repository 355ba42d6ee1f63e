use std::fmt;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use standin_data::Seed;

use crate::error::positive;
use crate::{Error, NoiseOrigin, Result};

/// Gaussian draws summed into one, see [`NoiseSource`].
const DRAWS: usize = 4;

/// Values drawn from one cipher.
const CHUNK: usize = 1 << 16;

/// Draws the noise of privacy mechanisms, and knows whether that noise is secret.
///
/// There is no `Clone`: two sources with one state would give the same noise twice, and the difference of two releases
/// would be free of it.
///
/// # Finite precision
/// A Gaussian sampler in floating point cannot return every number: which ones it can return after the true value was
/// added may tell the true value (Mironov 2012 for Laplace noise; Jin, McMurtry, Rubinstein & Ohrimenko 2022 for
/// Gaussian samplers). Each value here is therefore the sum of four independent Gaussian draws of f64 divided by 2,
/// which is again Gaussian and whose preimages are too many to enumerate (Holohan & Braghin 2021). This is a mitigation
/// and no proof; nor does it defend against someone who measures how long drawing takes.
pub struct NoiseSource {
    generator: ChaCha20Rng,
    origin: NoiseOrigin,
}

impl NoiseSource {
    /// Noise nobody can reproduce: the ChaCha20 stream cipher keyed with 256 bits from the operating system.
    ///
    /// # Errors
    /// If the operating system gives no entropy.
    pub fn secret() -> Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| Error::NoEntropy { reason: error.to_string() })?;
        Ok(Self { generator: ChaCha20Rng::from_seed(key), origin: NoiseOrigin::Secret })
    }

    /// The same noise for the same seed, for experiments on public data. Nothing drawn with it is private, and every
    /// guarantee made with it must say so: [`NoiseSource::origin`] is [`NoiseOrigin::Reproducible`].
    pub fn reproducible(seed: Seed) -> Self {
        let generator = ChaCha20Rng::seed_from_u64(seed.derive("privacy noise").value());
        Self { generator, origin: NoiseOrigin::Reproducible }
    }

    /// Noise of the origin a configuration asks for; `seed` is used for reproducible noise alone.
    ///
    /// # Errors
    /// As for [`NoiseSource::secret`].
    pub fn of(origin: NoiseOrigin, seed: Seed) -> Result<Self> {
        match origin {
            NoiseOrigin::Secret => Self::secret(),
            NoiseOrigin::Reproducible => Ok(Self::reproducible(seed)),
        }
    }

    /// What a [`crate::Guarantee`] must state as the noise's origin.
    pub fn origin(&self) -> NoiseOrigin {
        self.origin
    }

    /// The units of a Poisson sample: each of `units` takes part with probability `rate`, independently of all others.
    /// Ascending. The rate is rounded down to a multiple of 2⁻⁶⁴, never up.
    ///
    /// # Errors
    /// If `rate` is not in (0, 1].
    pub fn sample(&mut self, rate: f64, units: usize) -> Result<Vec<usize>> {
        if !(rate > 0.0 && rate <= 1.0) {
            let expected = "above 0 and at most 1: the probability that a unit takes part in a step";
            return Err(Error::OutOfRange { parameter: "sampling_rate", value: rate, expected });
        }
        let below = (rate * 2f64.powi(64)) as u128;
        Ok((0..units).filter(|_| u128::from(self.generator.next_u64()) < below).collect())
    }

    /// Adds independent N(0, `sigma`²) noise to each value. Costs four Gaussian draws a value; more than 2¹⁶ values are
    /// drawn on all cores, each 2¹⁶ from a cipher keyed by this one, so that the number of threads changes nothing.
    ///
    /// # Errors
    /// If `sigma` is not positive and finite; a mechanism without noise has no guarantee.
    pub fn add_gaussian(&mut self, sigma: f64, values: &mut [f64]) -> Result<()> {
        positive("sigma", sigma)?;
        let scale = sigma / (DRAWS as f64).sqrt();
        if values.len() <= CHUNK {
            add(&mut self.generator, scale, values);
            return Ok(());
        }
        let keys = values.chunks(CHUNK).map(|_| self.generator.random::<[u8; 32]>()).collect::<Vec<_>>();
        values
            .par_chunks_mut(CHUNK)
            .zip(keys)
            .for_each(|(values, key)| add(&mut ChaCha20Rng::from_seed(key), scale, values));
        Ok(())
    }
}

fn add(generator: &mut ChaCha20Rng, scale: f64, values: &mut [f64]) {
    for value in values {
        let sum: f64 = (0..DRAWS).map(|_| -> f64 { StandardNormal.sample(generator) }).sum();
        *value += scale * sum;
    }
}

impl fmt::Debug for NoiseSource {
    /// Leaves out the state, from which all noise could be computed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoiseSource").field("origin", &self.origin).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{ContinuousCDF, Normal};

    use super::*;

    fn draw(source: &mut NoiseSource, sigma: f64, count: usize) -> Vec<f64> {
        let mut values = vec![0.0; count];
        source.add_gaussian(sigma, &mut values).unwrap();
        values
    }

    #[test]
    fn noise_is_gaussian_with_the_stated_deviation() {
        let sigma = 2.5;
        let count = 200_000;
        let mut values = draw(&mut NoiseSource::reproducible(Seed::new(1)), sigma, count);
        let variance = values.iter().map(|value| value * value).sum::<f64>() / count as f64;
        // The variance of 200 000 squares deviates by √(2/n) = 0.3 % in one standard deviation.
        assert!((variance / (sigma * sigma) - 1.0).abs() < 0.013, "variance {variance}");
        values.sort_by(f64::total_cmp);
        let normal = Normal::new(0.0, sigma).unwrap();
        let distance = values
            .iter()
            .enumerate()
            .map(|(rank, &value)| (normal.cdf(value) - (rank as f64 + 0.5) / count as f64).abs())
            .fold(0.0, f64::max);
        // Kolmogorov–Smirnov at level 0.001.
        assert!(distance < 1.95 / (count as f64).sqrt(), "distance {distance}");
    }

    #[test]
    fn noise_is_added_to_what_is_there() {
        let noise = draw(&mut NoiseSource::reproducible(Seed::new(2)), 0.5, 8);
        let mut values: Vec<f64> = (0..8).map(f64::from).collect();
        NoiseSource::reproducible(Seed::new(2)).add_gaussian(0.5, &mut values).unwrap();
        for (at, (value, noise)) in values.iter().zip(&noise).enumerate() {
            assert_eq!(*value, at as f64 + noise);
        }
    }

    #[test]
    fn secret_noise_differs_each_time_and_reproducible_noise_does_not() {
        let secret = || NoiseSource::of(NoiseOrigin::Secret, Seed::new(3)).unwrap();
        assert_ne!(draw(&mut secret(), 1.0, 4), draw(&mut secret(), 1.0, 4));
        let reproducible = || NoiseSource::of(NoiseOrigin::Reproducible, Seed::new(3)).unwrap();
        assert_eq!(draw(&mut reproducible(), 1.0, 4), draw(&mut reproducible(), 1.0, 4));
        assert_ne!(draw(&mut reproducible(), 1.0, 4), draw(&mut NoiseSource::reproducible(Seed::new(4)), 1.0, 4));
        assert_eq!((secret().origin(), reproducible().origin()), (NoiseOrigin::Secret, NoiseOrigin::Reproducible));
    }

    /// The threshold is four standard deviations of the binomial count.
    #[test]
    fn a_poisson_sample_takes_each_unit_with_the_stated_probability() {
        let (rate, units, draws) = (0.03, 1000, 2000);
        let mut source = NoiseSource::reproducible(Seed::new(8));
        let mut counts = vec![0usize; units];
        let mut sizes = Vec::new();
        for _ in 0..draws {
            let sample = source.sample(rate, units).unwrap();
            sizes.push(sample.len() as f64);
            sample.into_iter().for_each(|unit| counts[unit] += 1);
        }
        let total = sizes.iter().sum::<f64>();
        let all = (units * draws) as f64;
        assert!((total - rate * all).abs() < 4.0 * (rate * (1.0 - rate) * all).sqrt(), "{total}");
        let mean = total / f64::from(draws as u32);
        let variance = sizes.iter().map(|size| (size - mean).powi(2)).sum::<f64>() / f64::from(draws as u32);
        assert!((variance / (30.0 * 0.97) - 1.0).abs() < 0.15, "sizes vary as a binomial's: {variance}");
        let expected = rate * f64::from(draws as u32);
        assert!(counts.iter().all(|&count| (count as f64 - expected).abs() < 6.0 * expected.sqrt()));
        assert_eq!(source.sample(1.0, 5).unwrap(), [0, 1, 2, 3, 4]);
        for rate in [0.0, 1.1, f64::NAN] {
            assert!(source.sample(rate, 5).unwrap_err().to_string().starts_with("sampling_rate is"));
        }
    }

    #[test]
    fn many_values_have_the_same_noise_on_any_number_of_threads() {
        let draw = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| draw(&mut NoiseSource::reproducible(Seed::new(9)), 1.0, 3 * CHUNK + 5))
        };
        let values = draw(1);
        assert_eq!(values, draw(3));
        assert_ne!(values[..CHUNK], values[CHUNK..2 * CHUNK]);
        let variance = values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn one_source_never_repeats_its_noise() {
        let mut source = NoiseSource::reproducible(Seed::new(5));
        assert_ne!(draw(&mut source, 1.0, 16), draw(&mut source, 1.0, 16));
    }

    #[test]
    fn no_noise_is_no_mechanism() {
        for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = NoiseSource::reproducible(Seed::new(6)).add_gaussian(sigma, &mut [0.0]).unwrap_err();
            assert!(error.to_string().starts_with(&format!("sigma is {sigma}")), "{error}");
        }
    }

    #[test]
    fn the_state_is_never_printed() {
        let text = format!("{:?}", NoiseSource::reproducible(Seed::new(7)));
        assert_eq!(text, "NoiseSource { origin: Reproducible, .. }");
    }
}
