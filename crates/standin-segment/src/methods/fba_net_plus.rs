use standin_nn::tensor::Tensor;

use super::{Method, Step, THREE_DECODERS, total};

/// ½ Σ Dice + w(t)·Σ_{i≠j} MSE(p_i, sharpen(p_j)) + Σ [L⁺(f) + L⁺(b) + L⁻(f, b)].
pub(super) const METHOD: Method = Method {
    name: "fba-net-plus",
    summary: "three decoders that must agree, and the contrast of foreground and background for each",
    cost: "three decoders and their contrasts: 3 to 4 times v-net",
    source: "Chung et al. 2023, FBA-Net: foreground and background aware contrastive learning, arXiv 2306.15189",
    decoders: THREE_DECODERS,
    uses_unlabelled: true,
    contrasts: true,
    has_teacher: false,
    loss,
};

fn loss(step: &Step<'_>) -> Tensor<1> {
    let mut answers = step.answers();
    let mut value: f64 = answers.iter_mut().map(|answer| step.supervised(answer, 0.5, 0.0)).sum();
    value += step.consistency(&mut answers);
    let contrasts = step.contrasts(&answers);
    let loss = total(answers, value);
    contrasts.map_or(loss.clone(), |contrasts| loss + contrasts)
}
