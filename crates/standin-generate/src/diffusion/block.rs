use standin_data::Seed;
use standin_nn::layer::{Conv2d, GroupNorm, GroupNormSilu, Linear, SelfAttention};
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{Module, burn};

use super::low_rank::{LowRankAttention, LowRankConvolutions};

/// The most groups a normalisation cuts channels into.
const MOST_GROUPS: usize = 32;

/// Groups of at least four channels, as EDM has them: the largest number that divides the channels.
fn groups(channels: usize) -> usize {
    let most = (channels / 4).clamp(1, MOST_GROUPS);
    (1..=most).rev().find(|&groups| channels.is_multiple_of(groups)).unwrap_or(1)
}

/// Group normalisation and SiLU for a number of channels.
pub(super) fn norm_silu(channels: usize, device: &Device) -> GroupNormSilu {
    GroupNormSilu::new(groups(channels), channels, device)
}

/// Two convolutions, each behind group normalisation and SiLU, beside the identity (He et al. 2016). The embedding of noise
/// level and class shifts the channels between them.
///
/// The second convolution starts as 0, so that the block starts as its shortcut: EDM scales it by 10⁻⁵ and the sum by √½.
#[derive(Module, Debug)]
pub(crate) struct ResidualBlock {
    first_norm: GroupNormSilu,
    pub(super) first: Conv2d,
    shift: Linear,
    second_norm: GroupNormSilu,
    pub(super) second: Conv2d,
    /// A linear map of the channels, where their number changes.
    shortcut: Option<Conv2d>,
}

impl ResidualBlock {
    pub(super) fn new(inputs: usize, outputs: usize, embedding: usize, seed: Seed, device: &Device) -> Self {
        let convolution =
            |inputs, purpose| Conv2d::new(inputs, outputs, 3, seed.derive(purpose), device).with_padding(1);
        Self {
            first_norm: norm_silu(inputs, device),
            first: convolution(inputs, "first"),
            shift: Linear::new(embedding, outputs, seed.derive("shift"), device),
            second_norm: norm_silu(outputs, device),
            second: convolution(outputs, "second").zeroed(),
            shortcut: (inputs != outputs).then(|| Conv2d::new(inputs, outputs, 1, seed.derive("shortcut"), device)),
        }
    }

    /// `n × inputs × h × w` and `n × embedding` to `n × outputs × h × w`.
    pub(super) fn forward(
        &self,
        x: Tensor<4>,
        embedding: Tensor<2>,
        adapter: Option<&LowRankConvolutions>,
    ) -> Tensor<4> {
        let shift = self.shift.forward(embedding);
        let [n, channels] = shift.dims();
        let inner = self.first_norm.forward(x.clone());
        let mut y = self.first.forward(inner.clone());
        if let Some(adapter) = adapter {
            y = y + adapter.first.forward(inner);
        }
        let inner = self.second_norm.forward(y + shift.reshape([n, channels, 1, 1]));
        let mut y = self.second.forward(inner.clone());
        if let Some(adapter) = adapter {
            y = y + adapter.second.forward(inner);
        }
        y + match &self.shortcut {
            Some(shortcut) => shortcut.forward(x),
            None => x,
        }
    }
}

/// Channels of one attention head, at most.
const HEAD: usize = 64;

/// Self-attention between the positions of a plane, behind group normalisation and beside the identity. It starts as the
/// identity.
#[derive(Module, Debug)]
pub(crate) struct AttentionBlock {
    norm: GroupNorm,
    pub(super) attention: SelfAttention,
}

impl AttentionBlock {
    pub(super) fn new(channels: usize, seed: Seed, device: &Device) -> Self {
        let heads = channels.div_ceil(HEAD);
        let heads = (heads..=channels).find(|&heads| channels.is_multiple_of(heads)).unwrap_or(1);
        let mut attention = SelfAttention::new(channels, heads, seed, device);
        attention.out = Linear::zero(channels, channels, device);
        Self { norm: GroupNorm::new(groups(channels), channels, device), attention }
    }

    /// `n × channels × h × w`, unchanged in shape.
    pub(super) fn forward(&self, x: Tensor<4>, adapter: Option<&LowRankAttention>) -> Tensor<4> {
        let [n, channels, height, width] = x.dims();
        let positions = self.norm.forward(x.clone()).reshape([n, channels, height * width]).swap_dims(1, 2);
        let mut projected = self.attention.project.forward(positions.clone());
        if let Some(adapter) = adapter {
            projected = projected + adapter.project.forward(positions);
        }
        let mixed = self.attention.mix(projected);
        let mut y = self.attention.out.forward(mixed.clone());
        if let Some(adapter) = adapter {
            y = y + adapter.out.forward(mixed);
        }
        y.swap_dims(1, 2).reshape([n, channels, height, width]) + x
    }
}
