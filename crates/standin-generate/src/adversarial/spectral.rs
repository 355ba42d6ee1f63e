//! Spectral normalisation (Miyato, Kataoka, Koyama & Yoshida 2018): every weight matrix divided by its largest singular
//! value, so that each layer stretches by at most 1.
//!
//! The network computes with W̄ = W/σ(W) and the optimiser moves W. Instead of differentiating through σ, the network is
//! given the values of W̄ and its gradient G = ∂L/∂W̄ is pulled back: with the leading singular vectors u and v,
//! ∂σ/∂W = u vᵀ, hence ∂L/∂W = (G − ⟨G, W̄⟩ u vᵀ) / σ (equation 12 there). Both are plain functions on slices, and any
//! network can be normalised without a change of its layers.
//!
//! A kernel `outputs × inputs × …` is taken as a matrix of one row per output. Its largest singular value bounds the
//! convolution only up to a factor that depends on kernel and stride, as in the paper.

use serde::{Deserialize, Serialize};
use standin_data::Seed;
use standin_nn::ParameterShape;

use rand::RngExt;
use rand_distr::StandardNormal;

/// Power iterations before the first step; afterwards one a step follows weights that move slowly.
const FIRST_ITERATIONS: usize = 30;

/// The leading left singular vectors of a network's weights, kept from step to step.
#[derive(Clone, Debug)]
pub(crate) struct SpectralNorm {
    matrices: Vec<Matrix>,
}

/// One weight as a matrix, in the flat vector of all parameters.
#[derive(Clone, Debug)]
struct Matrix {
    start: usize,
    rows: usize,
    columns: usize,
    left: Vec<f64>,
    right: Vec<f64>,
    sigma: f64,
}

/// What a checkpoint keeps: the left vectors, from which all else follows.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    left: Vec<Vec<f64>>,
}

impl SpectralNorm {
    /// For a network of these parameters and initial values. Biases (one axis) are left alone.
    pub(crate) fn new(shapes: &[ParameterShape], values: &[f32], seed: Seed) -> Self {
        let mut start = 0;
        let mut matrices = Vec::new();
        for parameter in shapes {
            let length = parameter.len();
            if parameter.shape.len() > 1 && length > 0 {
                let rows = parameter.shape[0];
                let mut rng = seed.derive(&parameter.name).rng();
                let left = (0..rows).map(|_| rng.sample(StandardNormal)).collect();
                let columns = length / rows;
                matrices.push(Matrix { start, rows, columns, left, right: vec![0.0; columns], sigma: 1.0 });
            }
            start += length;
        }
        let mut norm = Self { matrices };
        (0..FIRST_ITERATIONS).for_each(|_| norm.iterate(values));
        norm
    }

    /// One power iteration on every matrix.
    pub(crate) fn iterate(&mut self, values: &[f32]) {
        self.matrices.iter_mut().for_each(|matrix| matrix.iterate(values));
    }

    /// The parameters with every weight divided by its largest singular value.
    pub(crate) fn normalised(&self, values: &[f32]) -> Vec<f32> {
        let mut normalised = values.to_vec();
        for matrix in &self.matrices {
            let scale = (1.0 / matrix.sigma) as f32;
            normalised[matrix.range()].iter_mut().for_each(|value| *value *= scale);
        }
        normalised
    }

    /// The gradient with respect to the parameters, from that with respect to the normalised ones.
    pub(crate) fn pull_back(&self, normalised: &[f32], mut gradient: Vec<f32>) -> Vec<f32> {
        for matrix in &self.matrices {
            let part = &mut gradient[matrix.range()];
            let along = part.iter().zip(&normalised[matrix.range()]);
            let along: f64 = along.map(|(&g, &w)| f64::from(g) * f64::from(w)).sum();
            for (row, &left) in part.chunks_exact_mut(matrix.columns).zip(&matrix.left) {
                for (value, &right) in row.iter_mut().zip(&matrix.right) {
                    *value = ((f64::from(*value) - along * left * right) / matrix.sigma) as f32;
                }
            }
        }
        gradient
    }

    /// What a checkpoint keeps, as text.
    pub(crate) fn memory(&self) -> String {
        let left = self.matrices.iter().map(|matrix| matrix.left.clone()).collect();
        toml::to_string(&Memory { left }).expect("lists of numbers have a TOML form")
    }

    /// Continues from the memory of a checkpoint.
    ///
    /// # Errors
    /// Says what does not fit.
    pub(crate) fn recall(&mut self, memory: &str) -> Result<(), String> {
        let Memory { left } =
            toml::from_str(memory).map_err(|error| format!("its singular vectors are not readable ({error})"))?;
        let fits = |(matrix, left): (&Matrix, &Vec<f64>)| matrix.rows == left.len();
        if left.len() != self.matrices.len() || !self.matrices.iter().zip(&left).all(fits) {
            return Err("its singular vectors are of another network".to_owned());
        }
        self.matrices.iter_mut().zip(left).for_each(|(matrix, left)| matrix.left = left);
        Ok(())
    }
}

impl Matrix {
    fn range(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.rows * self.columns
    }

    /// v ← Wᵀu/‖Wᵀu‖, u ← Wv/‖Wv‖, σ ← ⟨u, Wv⟩ (algorithm 1 there).
    fn iterate(&mut self, values: &[f32]) {
        let weights = &values[self.range()];
        self.right.fill(0.0);
        for (row, &left) in weights.chunks_exact(self.columns).zip(&self.left) {
            self.right.iter_mut().zip(row).for_each(|(sum, &weight)| *sum += left * f64::from(weight));
        }
        normalise(&mut self.right);
        let product = |row: &[f32]| row.iter().zip(&self.right).map(|(&w, v)| f64::from(w) * v).sum();
        self.left = weights.chunks_exact(self.columns).map(product).collect();
        self.sigma = normalise(&mut self.left);
    }
}

/// To length 1; returns the length before. A vector of zeros stays, and has length 1.
fn normalise(vector: &mut [f64]) -> f64 {
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    if length < f64::MIN_POSITIVE {
        return 1.0;
    }
    vector.iter_mut().for_each(|value| *value /= length);
    length
}

#[cfg(test)]
mod tests {
    use standin_nn::initial::normal;
    use standin_nn::layer::Linear;
    use standin_nn::{DeviceChoice, Module, burn, gradient, shapes, values, with_values};

    use super::*;

    fn parameter(name: &str, shape: &[usize]) -> ParameterShape {
        ParameterShape { name: name.to_owned(), shape: shape.to_vec() }
    }

    /// diag(3, 2) turned by 45° on the left, with a bias behind it.
    #[test]
    fn weights_are_divided_by_their_largest_singular_value_and_biases_are_not() {
        let half = 0.5f32.sqrt();
        let weights = [3.0 * half, -2.0 * half, 3.0 * half, 2.0 * half, 7.0];
        let shapes = [parameter("weight", &[2, 2]), parameter("bias", &[1])];
        let norm = SpectralNorm::new(&shapes, &weights, Seed::new(1));
        let normalised = norm.normalised(&weights);
        for (found, weight) in normalised.iter().zip(&weights).take(4) {
            assert!((found - weight / 3.0).abs() < 1e-6, "{normalised:?}");
        }
        assert_eq!(normalised[4], 7.0);
    }

    #[derive(Module, Debug)]
    struct Two {
        first: Linear,
        second: Linear,
    }

    fn two() -> Two {
        let device = DeviceChoice::chosen().training();
        Two { first: Linear::new(4, 5, Seed::new(1), &device), second: Linear::new(5, 3, Seed::new(2), &device) }
    }

    fn loss(model: &Two) -> standin_nn::tensor::Tensor<1> {
        let device = DeviceChoice::chosen().training();
        let x: standin_nn::tensor::Tensor<2> = normal([6, 4], 1.0, Seed::new(3), &device);
        model.second.forward(model.first.forward(x).tanh()).square().mean()
    }

    /// Differences of the loss of the normalised network, with σ found anew at every point.
    #[test]
    fn the_gradient_is_that_of_the_loss_as_a_function_of_the_weights_before() {
        let model = two();
        let start = values(&model);
        let converged = |values: &[f32]| {
            let mut norm = SpectralNorm::new(&shapes(&model), values, Seed::new(5));
            (0..200).for_each(|_| norm.iterate(values));
            norm
        };
        let norm = converged(&start);
        let normalised = norm.normalised(&start);
        let network = with_values(model.clone(), &normalised);
        let found = norm.pull_back(&normalised, gradient(&network, &loss(&network)));
        let at = |index: usize, by: f32| {
            let mut moved = start.clone();
            moved[index] += by;
            let network = with_values(model.clone(), &converged(&moved).normalised(&moved));
            f64::from(loss(&network).into_scalar::<f32>())
        };
        let scale = found.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        for index in 0..start.len() {
            let difference = (at(index, 0.01) - at(index, -0.01)) / 0.02;
            let error = (difference - f64::from(found[index])).abs();
            assert!(error < 0.01 * f64::from(scale), "{index}: {} for {difference}", found[index]);
        }
    }

    #[test]
    fn a_checkpoint_continues_with_the_same_vectors() {
        let model = two();
        let norm = SpectralNorm::new(&shapes(&model), &values(&model), Seed::new(1));
        let mut other = SpectralNorm::new(&shapes(&model), &values(&model), Seed::new(2));
        other.recall(&norm.memory()).unwrap();
        let continued = |mut norm: SpectralNorm| {
            norm.iterate(&values(&model));
            norm.normalised(&values(&model))
        };
        assert_eq!(continued(other.clone()), continued(norm.clone()));
        let foreign = SpectralNorm::new(&shapes(&model.first), &values(&model.first), Seed::new(1));
        assert!(other.recall(&foreign.memory()).unwrap_err().contains("another network"));
        assert!(other.recall("left = 3").unwrap_err().contains("not readable"));
    }
}
