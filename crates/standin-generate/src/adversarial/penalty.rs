//! Penalties on the gradient of a discriminator with respect to its images, without differentiating twice.
//!
//! Let gᵢ = ∇ₓD(xᵢ; θ), nᵢ = ‖gᵢ‖ and P(θ) = (1/n) Σ p(nᵢ). By the chain rule, ∇_θ P = (1/n) Σ p′(nᵢ) ∇_θ nᵢ, and since
//! nᵢ = maxᵤ ⟨u, gᵢ⟩ over unit vectors u, attained at uᵢ = gᵢ/nᵢ, ∇_θ nᵢ = ∇_θ ⟨uᵢ, ∇ₓD(xᵢ; θ)⟩ with uᵢ held fixed. The
//! inner product is the derivative of D along uᵢ, a central difference:
//!
//! ∇_θ P = ∇_θ (1/n) Σ p′(nᵢ) [D(xᵢ + h uᵢ; θ) − D(xᵢ − h uᵢ; θ)] / 2h + O(h²).
//!
//! One backward pass for the gᵢ and one on twice as many images give the gradient of the penalty that a library with
//! second derivatives would give. The remainder is h²/6 times the third derivative of D along uᵢ, so D must be smooth;
//! rounding adds about 10⁻⁷/h.

use standin_nn::Module;
use standin_nn::tensor::{Tensor, TensorData};

use super::convolutional::Discriminator;

/// h, the distance of the two points on either side of an image. Pixels are of order 1 and an image of tens, so that the
/// points are near, and f32 leaves 10⁻⁶ of a difference of scores of order 1.
const STEP: f64 = 0.1;

/// What is penalised, with its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Penalty {
    /// λ (‖g‖ − 1)² (Gulrajani et al. 2017, equation 3).
    UnitNorm(f64),
    /// γ/2 · ‖g‖² (Mescheder, Geiger & Nowozin 2018, equation 9).
    R1(f64),
}

impl Penalty {
    /// p′ at a norm.
    fn slope(self, norm: f64) -> f64 {
        match self {
            Self::UnitNorm(weight) => 2.0 * weight * (norm - 1.0),
            Self::R1(weight) => weight * norm,
        }
    }

    /// p at a norm.
    pub(crate) fn value(self, norm: f64) -> f64 {
        match self {
            Self::UnitNorm(weight) => weight * (norm - 1.0).powi(2),
            Self::R1(weight) => 0.5 * weight * norm * norm,
        }
    }
}

/// The gradient of each score with respect to its image, `n × volume` values row by row. Scores must each depend on their
/// own image alone.
pub(crate) fn image_gradients(score: impl FnOnce(Tensor<4>) -> Tensor<1>, images: Tensor<4>) -> Vec<f32> {
    let images = images.detach().require_grad();
    let mut gradients = score(images.clone()).sum().backward();
    match images.grad_remove(&mut gradients) {
        Some(gradient) => gradient.into_data().iter::<f32>().collect(),
        None => vec![0.0; images.shape().num_elements()],
    }
}

/// The norm of each row of `width` values.
pub(crate) fn norms(rows: &[f32], width: usize) -> Vec<f64> {
    let norm = |row: &[f32]| row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    rows.chunks_exact(width).map(norm).collect()
}

/// One value whose gradient with respect to the parameters of `score` is that of the mean penalty at `images`, and the mean
/// penalty itself.
///
/// `frozen` is the same function with constant parameters: with it the first pass computes no gradients of parameters.
pub(crate) fn penalised(
    penalty: Penalty,
    frozen: impl FnOnce(Tensor<4>) -> Tensor<1>,
    score: impl FnOnce(Tensor<4>) -> Tensor<1>,
    images: Tensor<4>,
) -> (Tensor<1>, f64) {
    let shape = images.dims();
    let (n, width) = (shape[0], shape[1..].iter().product::<usize>());
    let device = images.device();
    let mut directions = image_gradients(frozen, images.clone());
    let norms = norms(&directions, width);
    for (row, &norm) in directions.chunks_exact_mut(width).zip(&norms) {
        // Where the gradient vanishes so does the penalty's dependence on a direction; any finite one will do.
        let scale = if norm > 0.0 { (STEP / norm) as f32 } else { 0.0 };
        row.iter_mut().for_each(|value| *value *= scale);
    }
    let step = Tensor::<4>::from_data(TensorData::new(directions, shape), &device);
    let weight = |&norm: &f64| (penalty.slope(norm) / (2.0 * STEP * n as f64)) as f32;
    let ahead: Vec<f32> = norms.iter().map(weight).collect();
    let weights: Vec<f32> = ahead.iter().copied().chain(ahead.iter().map(|weight| -weight)).collect();
    let weights = Tensor::<1>::from_data(TensorData::new(weights, [2 * n]), &device);
    let images = images.detach();
    let scores = score(Tensor::cat(vec![images.clone() + step.clone(), images - step], 0));
    let value = norms.iter().map(|&norm| penalty.value(norm)).sum::<f64>() / n as f64;
    ((scores * weights).sum(), value)
}

/// [`penalised`] for a discriminator and the classes of the images.
pub(crate) fn of_discriminator(
    penalty: Penalty,
    discriminator: &Discriminator,
    images: Tensor<4>,
    labels: &[u32],
) -> (Tensor<1>, f64) {
    let frozen = discriminator.clone().no_grad();
    let both: Vec<u32> = [labels, labels].concat();
    penalised(penalty, |x| frozen.score(x, labels), |x| discriminator.score(x, &both), images)
}

#[cfg(test)]
mod tests {
    use standin_data::{Seed, Shape};
    use standin_nn::initial::normal;
    use standin_nn::layer::{Linear, silu};
    use standin_nn::tensor::Device;
    use standin_nn::{DeviceChoice, burn, gradient, values, with_values};

    use super::super::convolutional::Architecture;
    use super::*;

    const VOLUME: usize = 6;

    fn device() -> Device {
        DeviceChoice::chosen().training()
    }

    fn images(n: usize) -> Tensor<4> {
        normal([n, 1, 2, 3], 1.0, Seed::new(5), &device())
    }

    #[derive(Module, Debug)]
    struct Line {
        layer: Linear,
    }

    impl Line {
        fn score(&self, x: Tensor<4>) -> Tensor<1> {
            let n = x.dims()[0];
            self.layer.forward(x.reshape([n, VOLUME])).reshape([n])
        }
    }

    /// D(x) = ⟨w, x⟩ + b has the gradient w everywhere: the penalty's gradient is p′(‖w‖) w/‖w‖, and 0 for b.
    #[test]
    fn the_penalty_of_a_linear_function_has_its_closed_form() {
        let line = Line { layer: Linear::new(VOLUME, 1, Seed::new(1), &device()) };
        let weights: Vec<f64> = values(&line)[..VOLUME].iter().map(|&value| f64::from(value)).collect();
        let norm = weights.iter().map(|value| value * value).sum::<f64>().sqrt();
        for (penalty, slope) in [(Penalty::UnitNorm(10.0), 20.0 * (norm - 1.0)), (Penalty::R1(3.0), 3.0 * norm)] {
            let frozen = line.clone().no_grad();
            let (surrogate, value) = penalised(penalty, |x| frozen.score(x), |x| line.score(x), images(5));
            assert!((value - penalty.value(norm)).abs() < 1e-5);
            let found = gradient(&line, &surrogate);
            for (found, weight) in found.iter().zip(&weights) {
                let expected = slope * weight / norm;
                assert!((f64::from(*found) - expected).abs() < 1e-4 * slope.abs(), "{found} for {expected}");
            }
            assert!(found[VOLUME].abs() < 1e-4, "the bias moves no gradient");
        }
    }

    #[derive(Module, Debug)]
    struct Quadratic {
        layer: Linear,
    }

    impl Quadratic {
        /// ½ Σⱼ (xW + b)ⱼ², of gradient W(xW + b).
        fn score(&self, x: Tensor<4>) -> Tensor<1> {
            let n = x.dims()[0];
            (self.layer.forward(x.reshape([n, VOLUME])).square().sum_dim(1) * 0.5).reshape([n])
        }
    }

    /// With r = xW + b and g = W r, ½‖g‖² has the gradient g rᵀ + x (Wᵀg)ᵀ in W and Wᵀg in b.
    #[test]
    fn the_penalty_of_a_quadratic_function_has_its_closed_form() {
        const UNITS: usize = 2;
        let model = Quadratic { layer: Linear::new(VOLUME, UNITS, Seed::new(2), &device()) };
        let all: Vec<f64> = values(&model).iter().map(|&value| f64::from(value)).collect();
        let (w, b) = all.split_at(VOLUME * UNITS);
        let x: Vec<f64> = images(1).into_data().iter::<f32>().map(f64::from).collect();
        let r: Vec<f64> =
            (0..UNITS).map(|j| b[j] + (0..VOLUME).map(|i| x[i] * w[i * UNITS + j]).sum::<f64>()).collect();
        let g: Vec<f64> = (0..VOLUME).map(|i| (0..UNITS).map(|j| w[i * UNITS + j] * r[j]).sum()).collect();
        let back: Vec<f64> = (0..UNITS).map(|j| (0..VOLUME).map(|i| w[i * UNITS + j] * g[i]).sum()).collect();
        let in_weight = (0..VOLUME * UNITS).map(|at| g[at / UNITS] * r[at % UNITS] + x[at / UNITS] * back[at % UNITS]);
        let expected: Vec<f64> = in_weight.chain(back.iter().copied()).collect();

        let frozen = model.clone().no_grad();
        let (surrogate, _) = penalised(Penalty::R1(1.0), |x| frozen.score(x), |x| model.score(x), images(1));
        let found = gradient(&model, &surrogate);
        let scale = expected.iter().map(|value| value * value).sum::<f64>().sqrt();
        for (found, expected) in found.iter().zip(&expected) {
            assert!((f64::from(*found) - expected).abs() < 2e-4 * scale, "{found} for {expected}");
        }
    }

    /// Of the network itself: the directional derivative of the mean penalty along a drawn direction of the parameters,
    /// by differences of the penalty.
    #[test]
    fn the_gradient_is_that_of_the_penalty_of_the_discriminator() {
        let shape = Shape { channels: 1, height: 8, width: 8 };
        let architecture = Architecture { latent: 2, width: 4, classes: 2, shape };
        let model = Discriminator::initial(&architecture, Seed::new(3), &device());
        let images: Tensor<4> = normal([6, 1, 8, 8], 1.0, Seed::new(4), &device());
        let labels = [0, 1, 1, 0, 0, 1];
        let (surrogate, _) = of_discriminator(Penalty::UnitNorm(1.0), &model, images.clone(), &labels);
        let found = gradient(&model, &surrogate);
        let start = values(&model);
        let direction =
            normal::<1>([start.len()], 1.0, Seed::new(6), &device()).into_data().iter::<f32>().collect::<Vec<_>>();
        let penalty = |by: f32| {
            let moved: Vec<f32> = start.iter().zip(&direction).map(|(value, along)| value + by * along).collect();
            of_discriminator(Penalty::UnitNorm(1.0), &with_values(model.clone(), &moved), images.clone(), &labels).1
        };
        let along: f64 = found.iter().zip(&direction).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let difference = (penalty(1e-3) - penalty(-1e-3)) / 2e-3;
        assert!((along - difference).abs() < 0.01 * difference.abs().max(0.1), "{along} for {difference}");
    }

    #[test]
    fn a_discriminator_that_ignores_its_images_has_no_gradient_and_no_accident() {
        #[derive(Module, Debug)]
        struct Constant {
            layer: Linear,
        }
        let model = Constant { layer: Linear::zero(VOLUME, 1, &device()) };
        let score = |model: &Constant, x: Tensor<4>| {
            let n = x.dims()[0];
            silu(model.layer.forward(x.reshape([n, VOLUME]))).reshape([n])
        };
        let frozen = model.clone().no_grad();
        let (surrogate, value) =
            penalised(Penalty::UnitNorm(1.0), |x| score(&frozen, x), |x| score(&model, x), images(3));
        assert_eq!(value, 1.0);
        assert!(gradient(&model, &surrogate).iter().all(|value| value.is_finite()));
    }
}
