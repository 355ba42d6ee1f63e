use standin_data::Seed;
use standin_nn::layer::{Activation, Conv3d, GroupNorm};
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{Module, burn};

/// Channels that are normalised together: batches are of few patches, and statistics over them would be noise.
const CHANNELS_PER_GROUP: usize = 4;

/// A normalisation of so many channels.
pub(super) fn norm(channels: usize, device: &Device) -> GroupNorm {
    let groups = if channels.is_multiple_of(CHANNELS_PER_GROUP) { channels / CHANNELS_PER_GROUP } else { 1 };
    GroupNorm::new(groups, channels, device)
}

/// Convolutions of one resolution, each with normalisation and ReLU.
#[derive(Module, Debug)]
pub struct Level {
    convolutions: Vec<Conv3d>,
    norms: Vec<GroupNorm>,
}

impl Level {
    /// `count` convolutions, the first from `inputs` channels, that keep the size.
    pub(super) fn new(
        count: usize,
        [inputs, outputs]: [usize; 2],
        kernel: [usize; 3],
        seed: Seed,
        device: &Device,
    ) -> Self {
        let padding = kernel.map(|length| length / 2);
        let convolution = |at: usize| {
            let from = if at == 0 { inputs } else { outputs };
            Conv3d::shaped(from, outputs, [kernel, [1; 3], padding], seed.derive(&at.to_string()), device)
        };
        Self {
            convolutions: (0..count).map(convolution).collect(),
            norms: (0..count).map(|_| norm(outputs, device)).collect(),
        }
    }

    pub(super) fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        self.convolutions
            .iter()
            .zip(&self.norms)
            .fold(x, |x, (convolution, norm)| norm.activated(convolution.forward(x), Activation::Relu))
    }
}
