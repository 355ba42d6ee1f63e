use rand::RngExt;
use rand_distr::StandardNormal;
use standin_data::Seed;
use standin_nn::DeviceChoice;
use standin_nn::tensor::{Tensor, TensorData};

use super::{Method, ONE_DECODER, Step, TEACHER_WEIGHT, total};
use crate::losses::{Maps, ramp, squared_difference};

/// ½ (cross-entropy + Dice) + 0.1·w(t)·MSE(student, teacher under noise) on the patches without labels.
pub(super) const METHOD: Method = Method {
    name: "mean-teacher",
    summary: "a moving average of the network sees noisier images and teaches what to say of those without labels",
    cost: "a forward pass of the teacher more than v-net",
    source: "Tarvainen and Valpola 2017, Mean teachers are better role models",
    decoders: ONE_DECODER,
    uses_unlabelled: true,
    contrasts: false,
    has_teacher: true,
    loss,
};

/// Noise is cut to this many of its deviations.
const DEVIATIONS: f32 = 2.0;

fn loss(step: &Step<'_>) -> Tensor<1> {
    let mut answers = step.answers();
    let mut value = step.supervised(&mut answers[0], 0.5, 0.5);
    let maps = answers[0].maps();
    let start = step.with_labels(maps).len();
    if start < maps.len() {
        let targets = taught(step, maps, step.seed.derive("noise"));
        let (probabilities, gradient) = answers[0].parts();
        let weight = TEACHER_WEIGHT * ramp(step.risen);
        value += squared_difference(&probabilities[start..], &targets, weight, &mut gradient[start..]);
    }
    total(answers, value)
}

/// What the teacher says of the patches without labels under one draw of noise.
pub(super) fn taught(step: &Step<'_>, maps: Maps, seed: Seed) -> Vec<f32> {
    let teacher = step.teacher.expect("the method has a teacher");
    let mut rng = seed.rng();
    let deviation = step.settings.noise as f32;
    let noisy: Vec<f32> = step.voxels[step.labelled * maps.voxels..]
        .iter()
        .map(|&voxel| {
            let noise: f32 = rng.sample(StandardNormal);
            noise.clamp(-DEVIATIONS, DEVIATIONS).mul_add(deviation, voxel)
        })
        .collect();
    let mut shape = step.images.dims();
    shape[0] -= step.labelled;
    let images = Tensor::from_data(TensorData::new(noisy, shape), &DeviceChoice::chosen().inference());
    let logits: Vec<f32> = teacher.forward(images).remove(0).into_data().iter::<f32>().collect();
    Maps { samples: shape[0], ..maps }.softmax(&logits, 1.0)
}
