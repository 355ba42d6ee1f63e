use standin_nn::tensor::Tensor;

use super::mean_teacher::taught;
use super::{Method, ONE_DECODER, Step, TEACHER_WEIGHT, total};
use crate::losses::{Maps, certain_difference, entropy, ramp};

/// As the mean teacher, only where its mean over noisy passes has an entropy below (¾ + ¼·w(t))·ln 2.
pub(super) const METHOD: Method = Method {
    name: "ua-mt",
    summary: "a mean teacher that is heard only where its noisy passes agree",
    cost: "passes + 1 forward passes of the teacher more than v-net",
    source: "Yu et al. 2019, Uncertainty-aware self-ensembling model (UA-MT)",
    decoders: ONE_DECODER,
    uses_unlabelled: true,
    contrasts: false,
    has_teacher: true,
    loss,
};

fn loss(step: &Step<'_>) -> Tensor<1> {
    let mut answers = step.answers();
    let mut value = step.supervised(&mut answers[0], 0.5, 0.5);
    let maps = answers[0].maps();
    let start = step.with_labels(maps).len();
    if start < maps.len() {
        let without_labels = Maps { samples: maps.samples - step.labelled, ..maps };
        let targets = taught(step, maps, step.seed.derive("noise"));
        let mut mean = vec![0.0; without_labels.len()];
        let passes = step.settings.passes;
        for pass in 0..passes {
            let once = taught(step, maps, step.seed.derive(&format!("pass {pass}")));
            for (mean, once) in mean.iter_mut().zip(once) {
                *mean += once / passes as f32;
            }
        }
        let uncertainty = entropy(without_labels, &mean);
        let rise = ramp(step.risen);
        let threshold = (0.75 + 0.25 * rise) * 2.0f64.ln();
        let (probabilities, gradient) = answers[0].parts();
        value += certain_difference(
            without_labels,
            (&probabilities[start..], &targets),
            (&uncertainty, threshold),
            TEACHER_WEIGHT * rise,
            &mut gradient[start..],
        );
    }
    total(answers, value)
}
