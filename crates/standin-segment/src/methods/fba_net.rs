use standin_nn::tensor::Tensor;

use super::{Method, ONE_DECODER, Step, total};

/// ½ Dice + L⁺(f) + L⁺(b) + L⁻(f, b).
pub(super) const METHOD: Method = Method {
    name: "fba-net",
    summary: "foreground of all patches pulled together, background too, and the two pushed apart",
    cost: "one decoder and its contrast: 1.1 to 1.3 times v-net",
    source: "Chung et al. 2023, FBA-Net: foreground and background aware contrastive learning, arXiv 2306.15189",
    decoders: ONE_DECODER,
    uses_unlabelled: true,
    contrasts: true,
    has_teacher: false,
    loss,
};

fn loss(step: &Step<'_>) -> Tensor<1> {
    let mut answers = step.answers();
    let value = step.supervised(&mut answers[0], 0.5, 0.0);
    let contrasts = step.contrasts(&answers);
    let loss = total(answers, value);
    contrasts.map_or(loss.clone(), |contrasts| loss + contrasts)
}
