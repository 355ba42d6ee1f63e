use standin_nn::tensor::{Tensor, TensorData};

use crate::network::Contrasted;

/// Similarities are cut to these, so that no logarithm is infinite.
const LEAST: f64 = 0.0005;
const MOST: f64 = 0.9995;

/// How fast the weight of a pair falls with its rank, for pairs that are pulled together and for pairs pushed apart.
const PULL: f64 = 0.25;
const PUSH: f64 = 2.5;

/// L⁺(f) + L⁺(b) + L⁻(f, b) of the vectors of a batch (FBA-Net).
///
/// With s_ij the cosine of two vectors, cut to [0.0005, 0.9995], and r the rank of s_ij among s_i·, 0 for the most similar
/// (itself, where a vector is among those it is compared with):
/// L⁺ = mean e^{−0.25(r − 1)}·(−ln s_ij), L⁻ = mean e^{−2.5(r − 1)}·(−ln(1 − s_ij)).
pub fn contrast(vectors: Contrasted) -> Tensor<1> {
    let (foreground, background) = (unit(vectors.foreground), unit(vectors.background));
    let within = |x: Tensor<2>| cosine(x.clone(), x);
    let pull = |similarity: Tensor<2>| ranked(-similarity.clone().log(), similarity, PULL);
    let push = |similarity: Tensor<2>| ranked(-(-similarity.clone() + 1.0).log(), similarity, PUSH);
    pull(within(foreground.clone())) + pull(within(background.clone())) + push(cosine(foreground, background))
}

/// Rows of length 1.
fn unit(x: Tensor<2>) -> Tensor<2> {
    // A vector that ReLU made zero stays zero, and its gradient finite.
    let length = (x.clone().square().sum_dim(1) + 1e-16).sqrt();
    x / length
}

fn cosine(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    x.matmul(y.transpose()).clamp(LEAST, MOST)
}

/// The mean of what pairs lose, weighted by their ranks, which have no gradient.
fn ranked(losses: Tensor<2>, similarity: Tensor<2>, decay: f64) -> Tensor<1> {
    let [rows, columns] = similarity.dims();
    let device = similarity.device();
    let similarity: Vec<f32> = similarity.without_autodiff().into_data().iter::<f32>().collect();
    let mut weights = vec![0.0f32; rows * columns];
    for (weights, row) in weights.chunks_mut(columns).zip(similarity.chunks(columns)) {
        let mut order: Vec<usize> = (0..columns).collect();
        order.sort_by(|&one, &other| row[other].total_cmp(&row[one]));
        for (rank, column) in order.into_iter().enumerate() {
            weights[column] = (-decay * (rank as f64 - 1.0)).exp() as f32;
        }
    }
    (losses * Tensor::from_data(TensorData::new(weights, [rows, columns]), &device)).mean()
}
