use serde::{Deserialize, Serialize};
use standin_nn::layer::relu;
use standin_nn::tensor::Tensor;

/// What generator and discriminator play for. Each function gives one value per image, to be minimised, from the
/// discriminator's scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Objective {
    /// Scores of real images are to be above 1 and of generated ones below −1 (Lim & Ye 2017; Miyato et al. 2018,
    /// equations 16 and 17).
    Hinge,
    /// The logistic loss; the generator maximises the logarithm of the probability of real (Goodfellow et al. 2014,
    /// section 3).
    NonSaturating,
    /// The difference of scores (Arjovsky, Chintala & Bottou 2017): an estimate of the Wasserstein distance where the
    /// discriminator's gradient is bounded by 1.
    Wasserstein,
}

impl Objective {
    /// Of the discriminator, for scores of real images.
    pub(crate) fn real(self, scores: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Hinge => relu(-scores + 1.0),
            Self::NonSaturating => softplus(-scores),
            Self::Wasserstein => -scores,
        }
    }

    /// Of the discriminator, for scores of generated images.
    pub(crate) fn generated(self, scores: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Hinge => relu(scores + 1.0),
            Self::NonSaturating => softplus(scores),
            Self::Wasserstein => scores,
        }
    }

    /// Of the generator, for scores of its images.
    pub(crate) fn generator(self, scores: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Hinge | Self::Wasserstein => -scores,
            Self::NonSaturating => softplus(-scores),
        }
    }
}

/// ln(1 + eˣ), computed as max(x, 0) + ln(1 + e^−|x|), which overflows nowhere.
fn softplus(x: Tensor<1>) -> Tensor<1> {
    relu(x.clone()) + (-x.abs()).exp().log1p()
}

#[cfg(test)]
mod tests {
    use standin_nn::DeviceChoice;

    use super::*;

    fn at(score: f32, loss: impl Fn(Tensor<1>) -> Tensor<1>) -> f64 {
        f64::from(loss(Tensor::from_data([score], &DeviceChoice::chosen().inference())).into_scalar::<f32>())
    }

    #[test]
    fn losses_equal_their_formulas() {
        for score in [-100.0f32, -0.7, 0.0, 1.3, 100.0] {
            let x = f64::from(score);
            let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
            let expected = [
                (Objective::Hinge, (1.0 - x).max(0.0), (1.0 + x).max(0.0), -x),
                (Objective::NonSaturating, softplus(-x), softplus(x), softplus(-x)),
                (Objective::Wasserstein, -x, x, -x),
            ];
            for (objective, real, generated, generator) in expected {
                assert!((at(score, |scores| objective.real(scores)) - real).abs() < 1e-5);
                assert!((at(score, |scores| objective.generated(scores)) - generated).abs() < 1e-5);
                assert!((at(score, |scores| objective.generator(scores)) - generator).abs() < 1e-5);
            }
        }
    }
}
