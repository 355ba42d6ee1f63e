//! Low-rank adapters (Hu et al. 2022, "LoRA"): a trained network stays as it is, and what is learned beside each layer has
//! few parameters. Few parameters need little noise to protect.

use standin_data::Seed;
use standin_nn::burn::module::Param;
use standin_nn::layer::{Conv2d, Embedding, Linear};
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{Module, burn, with_values};

use super::unet::UNet;

/// What is learned beside a linear layer: x A B with A of `inputs × rank` and B of `rank × outputs`, which starts as 0.
///
/// Both factors have a bias, as every layer here.
#[derive(Module, Debug)]
pub(crate) struct LowRankLinear {
    down: Linear,
    up: Linear,
}

impl LowRankLinear {
    fn new(inputs: usize, outputs: usize, rank: usize, seed: Seed, device: &Device) -> Self {
        Self { down: Linear::new(inputs, rank, seed, device), up: Linear::zero(rank, outputs, device) }
    }

    pub(super) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.up.forward(self.down.forward(x))
    }

    /// The layer with this added to it.
    fn fold(&self, layer: &mut Linear) {
        let up = self.up.weight.val();
        let [rank, outputs] = up.dims();
        let weight = layer.weight.val() + self.down.weight.val().matmul(up.clone());
        let bias = self.down.bias.val().reshape([1, rank]).matmul(up).reshape([outputs]);
        layer.bias = Param::from_tensor(layer.bias.val() + bias + self.up.bias.val());
        layer.weight = Param::from_tensor(weight);
    }
}

/// What is learned beside a 3 × 3 convolution: one to `rank` channels, then a 1 × 1 convolution that starts as 0.
#[derive(Module, Debug)]
pub(crate) struct LowRankConvolution {
    down: Conv2d,
    up: Conv2d,
}

impl LowRankConvolution {
    fn new(beside: &Conv2d, rank: usize, seed: Seed, device: &Device) -> Self {
        let [outputs, inputs, kernel, _] = beside.weight.dims();
        Self {
            down: Conv2d::new(inputs, rank, kernel, seed.derive("down"), device).with_padding(kernel / 2),
            up: Conv2d::new(rank, outputs, 1, seed.derive("up"), device).zeroed(),
        }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.up.forward(self.down.forward(x))
    }

    /// The convolution with this added to it.
    fn fold(&self, layer: &mut Conv2d) {
        let [outputs, inputs, kernel, _] = layer.weight.dims();
        let [rank, ..] = self.down.weight.dims();
        let up = self.up.weight.val().reshape([outputs, rank]);
        let down = self.down.weight.val().reshape([rank, inputs * kernel * kernel]);
        let weight = up.clone().matmul(down).reshape([outputs, inputs, kernel, kernel]);
        let bias = up.matmul(self.down.bias.val().reshape([rank, 1])).reshape([outputs]);
        layer.weight = Param::from_tensor(layer.weight.val() + weight);
        layer.bias = Param::from_tensor(layer.bias.val() + bias + self.up.bias.val());
    }
}

/// Adapters of both convolutions of a residual block.
#[derive(Module, Debug)]
pub(crate) struct LowRankConvolutions {
    pub(super) first: LowRankConvolution,
    pub(super) second: LowRankConvolution,
}

/// Adapters of the projection to queries, keys and values, and of the outputs' layer.
#[derive(Module, Debug)]
pub(crate) struct LowRankAttention {
    pub(super) project: LowRankLinear,
    pub(super) out: LowRankLinear,
}

/// Everything that is trained beside a U-Net that stays as it is: the adapters, and the rows of the classes and of the groups,
/// which the network was not trained with.
#[derive(Module, Debug)]
pub(crate) struct Adapters {
    /// The rows of the classes, where they are trained too.
    pub(super) classes: Option<Embedding>,
    /// The rows of the groups, where the network is told groups.
    pub(super) groups: Option<Embedding>,
    pub(super) attention: Option<LowRankAttention>,
    /// One per residual block; empty where only attention is adapted.
    pub(super) convolutions: Vec<LowRankConvolutions>,
}

impl Adapters {
    /// Adapters that change nothing yet.
    pub(super) fn new(network: &UNet, rank: usize, convolutions: bool, seed: Seed, device: &Device) -> Self {
        let classes = Some(copied(&network.classes, device));
        let groups = network.groups.as_ref().map(|groups| copied(groups, device));
        let attention = network.attention.as_ref().map(|block| {
            let [channels, _] = block.attention.out.weight.dims();
            LowRankAttention {
                project: LowRankLinear::new(channels, 3 * channels, rank, seed.derive("project"), device),
                out: LowRankLinear::new(channels, channels, rank, seed.derive("out"), device),
            }
        });
        let beside = if convolutions { network.residuals.as_slice() } else { &[] };
        let pairs = beside.iter().enumerate().map(|(index, block)| {
            let seed = seed.derive(&format!("block {index}"));
            LowRankConvolutions {
                first: LowRankConvolution::new(&block.first, rank, seed.derive("first"), device),
                second: LowRankConvolution::new(&block.second, rank, seed.derive("second"), device),
            }
        });
        Self { classes, groups, attention, convolutions: pairs.collect() }
    }

    /// The rows of the groups alone, as learnt tokens (Gal et al. 2023, textual inversion).
    pub(super) fn tokens(network: &UNet, device: &Device) -> Self {
        let groups = network.groups.as_ref().map(|groups| copied(groups, device));
        Self { classes: None, groups, attention: None, convolutions: Vec::new() }
    }

    /// The network with the adapters in its weights: of the same shape as before, and as fast.
    pub(super) fn folded(&self, mut network: UNet) -> UNet {
        if let Some(classes) = &self.classes {
            network.classes.weight = Param::from_tensor(classes.weight.val());
        }
        if let (Some(adapted), Some(groups)) = (&self.groups, &mut network.groups) {
            groups.weight = Param::from_tensor(adapted.weight.val());
        }
        if let (Some(adapter), Some(block)) = (&self.attention, &mut network.attention) {
            adapter.project.fold(&mut block.attention.project);
            adapter.out.fold(&mut block.attention.out);
        }
        for (adapter, block) in self.convolutions.iter().zip(&mut network.residuals) {
            adapter.first.fold(&mut block.first);
            adapter.second.fold(&mut block.second);
        }
        network
    }
}

/// Rows of the same values on another device.
fn copied(rows: &Embedding, device: &Device) -> Embedding {
    let [count, width] = rows.weight.dims();
    let values = rows.weight.val().without_autodiff().into_data();
    // The initial rows are replaced, so their seed does not matter.
    let empty = Embedding::new(count, width, Seed::new(0), device);
    with_values(empty, &values.iter::<f32>().collect::<Vec<f32>>())
}

#[cfg(test)]
mod tests {
    use standin_nn::DeviceChoice;
    use standin_nn::layer::indices;
    use standin_nn::tensor::TensorData;
    use standin_nn::{shapes, values};

    use super::*;
    use crate::diffusion::unet::{Shown, UNetSizes};

    fn random<M: Module>(module: M, seed: u64) -> M {
        let count = values(&module).len();
        let device = DeviceChoice::chosen().inference();
        let noise = standin_nn::initial::normal([count], 0.1, Seed::new(seed), &device);
        with_values(module, &noise.into_data().iter::<f32>().collect::<Vec<f32>>())
    }

    #[test]
    fn folded_adapters_compute_what_adapters_beside_the_network_do() {
        let device = DeviceChoice::chosen().inference();
        let sizes = UNetSizes::small_for_tests();
        let network = random(UNet::new(&sizes, Seed::new(1), &device), 2);
        let adapters = random(Adapters::new(&network, 2, true, Seed::new(3), &device), 4);
        let x = standin_nn::initial::normal([3, sizes.channels, sizes.height, sizes.width], 1.0, Seed::new(5), &device);
        let features =
            Tensor::<2>::from_data(TensorData::new(vec![0.3f32; 3 * sizes.base_width], [3, sizes.base_width]), &device);
        let labels = || Shown::from(indices([0, 1, 2], &device));
        let beside = network.forward(x.clone(), features.clone(), labels(), Some(&adapters));
        let plain = network.forward(x.clone(), features.clone(), labels(), None);
        let folded = adapters.folded(network).forward(x, features, labels(), None);
        let values = |tensor: Tensor<4>| tensor.into_data().iter::<f32>().collect::<Vec<f32>>();
        let (beside, plain, folded) = (values(beside), values(plain), values(folded));
        assert!(beside.iter().zip(&folded).all(|(a, b)| (a - b).abs() < 1e-4 * a.abs().max(1.0)));
        assert!(beside.iter().zip(&plain).any(|(a, b)| (a - b).abs() > 1e-2), "the adapters change nothing");
    }

    #[test]
    fn new_adapters_change_nothing() {
        let device = DeviceChoice::chosen().inference();
        let sizes = UNetSizes::small_for_tests();
        let network = random(UNet::new(&sizes, Seed::new(1), &device), 2);
        let before = values(&network);
        let adapters = Adapters::new(&network, 3, true, Seed::new(3), &device);
        assert!(shapes(&adapters).len() > 10);
        assert_eq!(values(&adapters.folded(network)), before);
    }
}
