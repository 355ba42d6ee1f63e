//! The ways of learning from few labels, one file each, and the table that names them.

mod decoder_consistency;
mod fba_net;
mod fba_net_plus;
mod mean_teacher;
mod supervised;
mod uncertainty_teacher;

use standin_data::{Error as DataError, Seed};
use standin_nn::tensor::Tensor;

use crate::losses::{Answer, Maps, contrast, cross_entropy, dice, mutual_consistency, ramp};
use crate::network::{Enlargement, Segmenter, VNet};
use crate::{Result, Settings};

/// A way of learning from few labels.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// What it is called in a configuration and on the command line.
    pub name: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// What a step costs.
    pub cost: &'static str,
    /// Who published it.
    pub source: &'static str,
    /// The decoders of its network.
    pub decoders: &'static [Enlargement],
    /// Whether volumes without labels teach it anything.
    pub uses_unlabelled: bool,
    /// Whether it contrasts foreground with background.
    pub contrasts: bool,
    /// Whether a moving average of the network teaches it, and is what is used in the end.
    pub has_teacher: bool,
    /// The loss of a step.
    pub(crate) loss: fn(&Step<'_>) -> Tensor<1>,
}

/// Every method.
pub const METHODS: &[Method] = &[
    supervised::METHOD,
    mean_teacher::METHOD,
    uncertainty_teacher::METHOD,
    decoder_consistency::METHOD,
    fba_net::METHOD,
    fba_net_plus::METHOD,
];

/// The method of a name.
///
/// # Errors
/// If there is none; the message suggests the nearest.
pub fn method(name: &str) -> Result<&'static Method> {
    METHODS.iter().find(|method| method.name == name).ok_or_else(|| {
        DataError::unknown("method of segmentation", name, METHODS.iter().map(|method| method.name)).into()
    })
}

/// One decoder, as V-Net has it.
const ONE_DECODER: &[Enlargement] = &[Enlargement::Transposed];
/// Three decoders that differ in how they enlarge.
const THREE_DECODERS: &[Enlargement] = &[Enlargement::Transposed, Enlargement::Linear, Enlargement::Nearest];

/// How much the consistency with a teacher weighs when it has risen (UA-MT).
const TEACHER_WEIGHT: f64 = 0.1;

/// What a loss is computed from.
pub(crate) struct Step<'a> {
    /// The network in training.
    pub(crate) segmenter: &'a Segmenter,
    /// Its moving average, for methods that have a teacher.
    pub(crate) teacher: Option<&'a VNet>,
    /// Patches, those with labels first: `n × 1 × depth × height × width`.
    pub(crate) images: Tensor<5>,
    /// The same numbers.
    pub(crate) voxels: &'a [f32],
    /// A class for each voxel of the patches with labels.
    pub(crate) classes: &'a [u8],
    /// Patches with labels.
    pub(crate) labelled: usize,
    /// How the training is set up.
    pub(crate) settings: &'a Settings,
    /// How much of the ramp's rise is over.
    pub(crate) risen: f64,
    /// For this step's noise.
    pub(crate) seed: Seed,
}

impl Step<'_> {
    /// What each decoder says.
    fn answers(&self) -> Vec<Answer> {
        self.segmenter.network.forward(self.images.clone()).into_iter().map(Answer::new).collect()
    }

    /// The patches with labels.
    fn with_labels(&self, maps: Maps) -> Maps {
        maps.first(self.labelled)
    }

    /// Dice and cross-entropy on the patches with labels, each times a weight.
    fn supervised(&self, answer: &mut Answer, of_dice: f64, of_cross_entropy: f64) -> f64 {
        let maps = self.with_labels(answer.maps());
        let (probabilities, gradient) = answer.parts();
        let (probabilities, gradient) = (&probabilities[..maps.len()], &mut gradient[..maps.len()]);
        let mut value = 0.0;
        if of_dice > 0.0 {
            value += dice(maps, probabilities, self.classes, of_dice, gradient);
        }
        if of_cross_entropy > 0.0 {
            value += cross_entropy(maps, probabilities, self.classes, of_cross_entropy, gradient);
        }
        value
    }

    /// The consistency of the decoders with each other on all patches, times the ramp.
    fn consistency(&self, answers: &mut [Answer]) -> f64 {
        let sharpened: Vec<Vec<f32>> =
            answers.iter().map(|answer| answer.sharpened(self.settings.temperature)).collect();
        let (probabilities, mut gradients): (Vec<_>, Vec<_>) = answers.iter_mut().map(Answer::parts).unzip();
        mutual_consistency(&probabilities, &sharpened, ramp(self.risen), &mut gradients)
    }

    /// The contrast of foreground and background on all patches, for each decoder.
    fn contrasts(&self, answers: &[Answer]) -> Option<Tensor<1>> {
        let heads = answers.iter().zip(&self.segmenter.contrasts);
        heads.map(|(answer, head)| contrast(head.forward(answer.logits()))).reduce(|one, other| one + other)
    }
}

/// The terms of several decoders, `value` in all, as one loss.
fn total(answers: Vec<Answer>, value: f64) -> Tensor<1> {
    let mut rest = value;
    let losses = answers.into_iter().map(|answer| answer.loss(std::mem::take(&mut rest)));
    losses.reduce(|one, other| one + other).expect("a network has decoders")
}
