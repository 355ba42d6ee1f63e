use serde::{Deserialize, Serialize};
use standin_data::Seed;
use standin_nn::layer::{Activation, Conv3d, ConvTranspose3d, GroupNorm, Interpolation, double_volume};
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{Module, burn};

use super::encoder::CONVOLUTIONS;
use super::level::{Level, norm};
use super::{Architecture, LEVELS};

/// How a decoder goes from one level to the finer one; decoders that differ in it err in different places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enlargement {
    /// A transposed convolution.
    Transposed,
    /// Linear interpolation, then a convolution.
    Linear,
    /// The nearest value, then a convolution.
    Nearest,
}

/// One step of enlargement, with normalisation and ReLU; it halves the channels.
#[derive(Module, Debug)]
struct Step {
    transposed: Option<ConvTranspose3d>,
    convolution: Option<Conv3d>,
    norm: GroupNorm,
    #[module(skip)]
    interpolation: Option<Interpolation>,
    #[module(skip)]
    doubled: [bool; 3],
}

impl Step {
    fn new(architecture: &Architecture, enlargement: Enlargement, level: usize, seed: Seed, device: &Device) -> Self {
        let [from, to] = [level + 1, level].map(|level| architecture.channels(level));
        let (kernel, factors) = (architecture.kernel(), architecture.factors());
        let interpolation = match enlargement {
            Enlargement::Transposed => None,
            Enlargement::Linear => Some(Interpolation::Linear),
            Enlargement::Nearest => Some(Interpolation::Nearest),
        };
        let padding = kernel.map(|length| length / 2);
        Self {
            transposed: interpolation
                .is_none()
                .then(|| ConvTranspose3d::enlarging(from, to, factors, seed.derive("transposed"), device)),
            convolution: interpolation
                .map(|_| Conv3d::shaped(from, to, [kernel, [1; 3], padding], seed.derive("convolution"), device)),
            norm: norm(to, device),
            interpolation,
            doubled: factors.map(|factor| factor == 2),
        }
    }

    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let x = match (&self.transposed, &self.convolution, self.interpolation) {
            (Some(transposed), ..) => transposed.forward(x),
            (None, Some(convolution), Some(interpolation)) => {
                convolution.forward(double_volume(x, self.doubled, interpolation))
            }
            _ => unreachable!("a step is made with either a transposed convolution or an interpolation"),
        };
        self.norm.activated(x, Activation::Relu)
    }
}

/// The expanding path: enlarge, add the encoder's maps, convolve, level by level; then one value per class and voxel.
#[derive(Module, Debug)]
pub struct Decoder {
    steps: Vec<Step>,
    levels: Vec<Level>,
    output: Conv3d,
}

impl Decoder {
    pub(super) fn new(architecture: &Architecture, enlargement: Enlargement, seed: Seed, device: &Device) -> Self {
        let coarse_to_fine = || (0..LEVELS - 1).rev();
        let steps = coarse_to_fine()
            .map(|level| Step::new(architecture, enlargement, level, seed.derive(&format!("step {level}")), device));
        let levels = coarse_to_fine().map(|level| {
            let channels = architecture.channels(level);
            let seed = seed.derive(&format!("level {level}"));
            Level::new(CONVOLUTIONS[level], [channels; 2], architecture.kernel(), seed, device)
        });
        let point = [[1; 3], [1; 3], [0; 3]];
        Self {
            steps: steps.collect(),
            levels: levels.collect(),
            output: Conv3d::shaped(architecture.width, architecture.classes, point, seed.derive("output"), device),
        }
    }

    /// Logits from the maps of each level, the finest first.
    pub(super) fn forward(&self, maps: &[Tensor<5>]) -> Tensor<5> {
        let (coarsest, finer) = maps.split_last().expect("an encoder has levels");
        let decoded = self
            .steps
            .iter()
            .zip(&self.levels)
            .zip(finer.iter().rev())
            .fold(coarsest.clone(), |x, ((step, level), skipped)| level.forward(step.forward(x) + skipped.clone()));
        self.output.forward(decoded)
    }
}
