//! Initial weights and noise, drawn by our own generator.
//!
//! Burn's random generator is global: two trainings in two threads would disturb each other. Everything random that
//! becomes a tensor is drawn here, from a [`Seed`].

use burn::tensor::{Device, Shape, Tensor, TensorData};
use rand::RngExt;
use rand_distr::StandardNormal;
use standin_data::Seed;

/// Independent uniform values in [−`bound`, `bound`).
pub fn uniform<const D: usize>(shape: [usize; D], bound: f64, seed: Seed, device: &Device) -> Tensor<D> {
    let mut rng = seed.rng();
    let bound = bound as f32;
    let values = (0..count(shape)).map(|_| (rng.random::<f32>() * 2.0 - 1.0) * bound).collect::<Vec<f32>>();
    Tensor::from_data(TensorData::new(values, Shape::from(shape)), device)
}

/// Independent normal values of mean 0 and the given standard deviation.
pub fn normal<const D: usize>(shape: [usize; D], deviation: f64, seed: Seed, device: &Device) -> Tensor<D> {
    let mut rng = seed.rng();
    let deviation = deviation as f32;
    let values = (0..count(shape)).map(|_| rng.sample::<f32, _>(StandardNormal) * deviation).collect::<Vec<f32>>();
    Tensor::from_data(TensorData::new(values, Shape::from(shape)), device)
}

/// Uniform weights that keep the variance of activations through a layer followed by ReLU or SiLU: bound √(6 / fan-in).
///
/// He et al. 2015, "Delving deep into rectifiers", equation 10. `fan_in` is the number of inputs of one output.
pub fn he<const D: usize>(shape: [usize; D], fan_in: usize, seed: Seed, device: &Device) -> Tensor<D> {
    uniform(shape, (6.0 / fan_in.max(1) as f64).sqrt(), seed, device)
}

/// Uniform biases in ±1 / √fan-in, so that the units of a layer do not all switch at the same input.
pub fn bias(length: usize, fan_in: usize, seed: Seed, device: &Device) -> Tensor<1> {
    uniform([length], 1.0 / (fan_in.max(1) as f64).sqrt(), seed, device)
}

fn count<const D: usize>(shape: [usize; D]) -> usize {
    shape.iter().product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceChoice;

    fn moments(tensor: Tensor<1>) -> (f64, f64) {
        let values = tensor.into_data().try_into_vec::<f32>().unwrap();
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        (mean, values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n)
    }

    /// Tolerances are four standard errors of the mean and the variance at n = 40 000.
    #[test]
    fn draws_have_the_variance_of_their_formulas() {
        let device = DeviceChoice::Cpu.inference();
        let (mean, variance) = moments(normal([40_000], 2.0, Seed::new(1), &device));
        assert!(mean.abs() < 0.04 && (variance - 4.0).abs() < 0.12, "{mean} {variance}");
        let (mean, variance) = moments(he([40_000], 50, Seed::new(1), &device));
        assert!(mean.abs() < 0.004 && (variance - 2.0 / 50.0).abs() < 0.001, "{mean} {variance}");
    }

    #[test]
    fn the_same_seed_draws_the_same_values() {
        let device = DeviceChoice::Cpu.inference();
        let draw = |seed| normal([8], 1.0, Seed::new(seed), &device).into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
