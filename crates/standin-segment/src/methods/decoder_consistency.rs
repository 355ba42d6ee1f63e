use standin_nn::tensor::Tensor;

use super::{Method, Step, THREE_DECODERS, total};

/// ½ Σ Dice + w(t)·Σ_{i≠j} MSE(p_i, sharpen(p_j)).
pub(super) const METHOD: Method = Method {
    name: "mc-net-plus",
    summary: "three decoders that enlarge differently and must agree on what has no label",
    cost: "three decoders: 3 to 4 times v-net",
    source: "Wu et al. 2022, Mutual consistency learning for semi-supervised medical image segmentation (MC-Net+)",
    decoders: THREE_DECODERS,
    uses_unlabelled: true,
    contrasts: false,
    has_teacher: false,
    loss,
};

fn loss(step: &Step<'_>) -> Tensor<1> {
    let mut answers = step.answers();
    let mut value: f64 = answers.iter_mut().map(|answer| step.supervised(answer, 0.5, 0.0)).sum();
    value += step.consistency(&mut answers);
    total(answers, value)
}
