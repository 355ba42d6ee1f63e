use standin_nn::tensor::Tensor;

use super::{Method, ONE_DECODER, Step, total};

/// Labels alone: ½ (cross-entropy + Dice).
pub(super) const METHOD: Method = Method {
    name: "v-net",
    summary: "supervised: labels alone, all of a batch with labels",
    cost: "the least: one decoder",
    source: "Milletari, Navab and Ahmadi 2016, V-Net",
    decoders: ONE_DECODER,
    uses_unlabelled: false,
    contrasts: false,
    has_teacher: false,
    loss,
};

fn loss(step: &Step<'_>) -> Tensor<1> {
    let mut answers = step.answers();
    let value = step.supervised(&mut answers[0], 0.5, 0.5);
    total(answers, value)
}
