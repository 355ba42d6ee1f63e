use standin_data::Seed;
use standin_nn::layer::{Conv3d, GroupNorm, Linear, relu};
use standin_nn::tensor::{Device, Tensor, activation};
use standin_nn::{Module, burn};

/// Length of the vectors that are compared.
const WIDTH: usize = 128;

/// Vectors for the foreground and for the background of each patch (FBA-Net).
///
/// P = σ(norm(convolution 3³ of stride 2 of the logits)), f = P/HWD and b = (1 − P)/HWD over the positions of P, each
/// through a linear layer of its own and ReLU. The published network normalises over the batch, here each patch is
/// normalised on its own.
#[derive(Module, Debug)]
pub struct Contrast {
    convolution: Conv3d,
    norm: GroupNorm,
    foreground: Linear,
    background: Linear,
}

/// What is contrasted: `n × 128` each.
#[derive(Clone, Debug)]
pub struct Contrasted {
    /// Of the foreground.
    pub foreground: Tensor<2>,
    /// Of the background.
    pub background: Tensor<2>,
}

impl Contrast {
    /// For logits of so many classes on patches of this size (depth, height, width).
    pub fn new(classes: usize, patch: [usize; 3], seed: Seed, device: &Device) -> Self {
        // Along an axis of length 1 there is nothing to halve.
        let kernel = patch.map(|length| if length == 1 { 1 } else { 3 });
        let stride = patch.map(|length| if length == 1 { 1 } else { 2 });
        let positions = patch.map(|length| length.div_ceil(2)).iter().product();
        let shape = [kernel, stride, kernel.map(|length| length / 2)];
        Self {
            convolution: Conv3d::shaped(classes, 1, shape, seed.derive("convolution"), device),
            norm: GroupNorm::new(1, 1, device),
            foreground: Linear::new(positions, WIDTH, seed.derive("foreground"), device),
            background: Linear::new(positions, WIDTH, seed.derive("background"), device),
        }
    }

    /// The vectors of each patch from its logits.
    pub fn forward(&self, logits: Tensor<5>) -> Contrasted {
        let share = activation::sigmoid(self.norm.forward(self.convolution.forward(logits)));
        let [n, _, depth, height, width] = share.dims();
        let positions = depth * height * width;
        let share = share.reshape([n, positions]);
        let scale = 1.0 / positions as f64;
        let rest = share.clone() * -scale + scale;
        Contrasted {
            foreground: relu(self.foreground.forward(share * scale)),
            background: relu(self.background.forward(rest)),
        }
    }
}
