use serde::{Deserialize, Serialize};
use standin_data::{Seed, Shape};
use standin_nn::burn::module::Param;
use standin_nn::layer::{Activation, Conv2d, GroupNorm, Linear, global_average_pool, global_max_pool, max_pool, relu};
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{Module, burn};

use super::{Architecture, Network};

/// Values that a group of a [`GroupNorm`] must hold at least: the fewer there are, the less of them is left.
const FEWEST_VALUES: usize = 4;

/// One convolution with square kernels and a border of zeros that keeps the planes' size at stride 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConvolutionPlan {
    pub(super) channels: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) groups: usize,
}

impl ConvolutionPlan {
    pub(super) fn new(channels: usize, kernel: usize, stride: usize) -> Self {
        Self { channels, kernel, stride, groups: 1 }
    }
}

/// Where norms and ReLUs stand in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// No shortcut; norm and ReLU after every convolution.
    Plain,
    /// Norm and ReLU after every convolution, then the sum with the input (Page 2018).
    Inside,
    /// Norm after every convolution, ReLU between them and after the sum (He et al. 2016).
    After,
    /// Norm and ReLU before every convolution, nothing after the sum (He et al. 2016, "Identity mappings").
    Before,
}

/// One block. Where a sum changes channels or size, its shortcut is a 1 × 1 convolution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockPlan {
    pub(super) order: Order,
    pub(super) convolutions: Vec<ConvolutionPlan>,
    /// Whether the block ends in a max pool of 2 × 2.
    pub(super) halve: bool,
}

/// What becomes of the last planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Pooling {
    Average,
    Max,
}

/// All that rebuilds a residual network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ResidualArchitecture {
    /// Most groups of a norm.
    pub(super) norm_groups: usize,
    /// Factor on the logits.
    pub(super) logit_scale: f64,
    pub(super) pooling: Pooling,
    /// The first convolution.
    pub(super) stem: ConvolutionPlan,
    pub(super) blocks: Vec<BlockPlan>,
}

impl ResidualArchitecture {
    /// Whether norms come before convolutions, so that the last block has none after it.
    fn norms_first(&self) -> bool {
        self.blocks.iter().any(|block| block.order == Order::Before)
    }
}

/// Builds layers while following channels and sizes.
struct Builder<'a> {
    shape: Shape,
    norm_groups: usize,
    device: &'a Device,
}

impl Builder<'_> {
    /// A convolution whose biases start at 0, as there are none where these networks were published.
    fn convolution(&mut self, plan: ConvolutionPlan, seed: Seed) -> Conv2d {
        let ConvolutionPlan { channels, kernel, stride, groups } = plan;
        let mut convolution = Conv2d::grouped(self.shape.channels, channels, kernel, groups, seed, self.device)
            .with_stride(stride)
            .with_padding(kernel / 2);
        convolution.bias = Param::from_tensor(Tensor::zeros([channels], self.device));
        self.shape = Shape {
            channels,
            height: convolution.output_size(self.shape.height),
            width: convolution.output_size(self.shape.width),
        };
        convolution
    }

    /// A norm of the planes there are, in as many groups as divide the channels, at most `norm_groups`, and hold
    /// [`FEWEST_VALUES`].
    fn norm(&self) -> GroupNorm {
        let Shape { channels, height, width } = self.shape;
        let fits =
            |groups: &usize| channels.is_multiple_of(*groups) && channels / groups * height * width >= FEWEST_VALUES;
        let groups = (1..=self.norm_groups.min(channels)).rev().find(fits).unwrap_or(1);
        GroupNorm::new(groups, channels, self.device)
    }

    fn block(&mut self, plan: &BlockPlan, seed: Seed) -> Block {
        let input = self.shape;
        let mut units = Vec::new();
        for (index, &convolution) in plan.convolutions.iter().enumerate() {
            let seed = seed.derive(&format!("convolution {index}"));
            let before = (plan.order == Order::Before).then(|| self.norm());
            let convolution = self.convolution(convolution, seed);
            units.push(Unit { convolution, norm: before.unwrap_or_else(|| self.norm()) });
        }
        let output = self.shape;
        let stride = plan.convolutions.iter().map(|convolution| convolution.stride).product();
        let sums = matches!(plan.order, Order::After | Order::Before);
        let projects = sums && (input.channels != output.channels || stride > 1);
        let mut projection = None;
        if projects {
            self.shape = input;
            let plan = ConvolutionPlan::new(output.channels, 1, stride);
            projection = Some(self.convolution(plan, seed.derive("shortcut")));
        }
        let projection_norm = (projects && plan.order == Order::After).then(|| self.norm());
        let halve = plan.halve && self.shape.height.min(self.shape.width) > 1;
        if halve {
            (self.shape.height, self.shape.width) = (self.shape.height / 2, self.shape.width / 2);
        }
        Block { order: plan.order, halve, units, projection, projection_norm }
    }
}

impl Architecture for ResidualArchitecture {
    type Network = ResidualNetwork;

    fn build(&self, shape: Shape, classes: usize, seed: Seed, device: &Device) -> ResidualNetwork {
        let mut builder = Builder { shape, norm_groups: self.norm_groups, device };
        let stem = builder.convolution(self.stem, seed.derive("stem"));
        let stem_norm = (!self.norms_first()).then(|| builder.norm());
        let blocks = self.blocks.iter().enumerate();
        let blocks = blocks.map(|(index, plan)| builder.block(plan, seed.derive(&format!("block {index}")))).collect();
        ResidualNetwork {
            stem,
            stem_norm,
            blocks,
            last_norm: self.norms_first().then(|| builder.norm()),
            out: Linear::new(builder.shape.channels, classes, seed.derive("out"), device),
            pooling: self.pooling,
            logit_scale: self.logit_scale,
        }
    }
}

/// A convolution with the norm before or after it.
#[derive(Module, Debug)]
struct Unit {
    convolution: Conv2d,
    norm: GroupNorm,
}

impl Unit {
    /// Convolution, then norm and an activation.
    fn normed(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        self.norm.activated(self.convolution.forward(x), activation)
    }
}

#[derive(Module, Debug)]
struct Block {
    #[module(skip)]
    order: Order,
    #[module(skip)]
    halve: bool,
    units: Vec<Unit>,
    projection: Option<Conv2d>,
    projection_norm: Option<GroupNorm>,
}

impl Block {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let activated = |x, unit: &Unit| unit.normed(x, Activation::Relu);
        let y = match self.order {
            Order::Plain => self.units.iter().fold(x, activated),
            Order::Inside => x.clone() + self.units.iter().fold(x, activated),
            Order::After => self.after(x),
            Order::Before => self.before(x),
        };
        if self.halve { max_pool(y, 2) } else { y }
    }

    fn after(&self, x: Tensor<4>) -> Tensor<4> {
        let mut shortcut = x.clone();
        if let Some(projection) = &self.projection {
            shortcut = projection.forward(shortcut);
        }
        if let Some(norm) = &self.projection_norm {
            shortcut = norm.forward(shortcut);
        }
        let last = self.units.len() - 1;
        let branch = self.units.iter().enumerate().fold(x, |x, (index, unit)| {
            unit.normed(x, if index < last { Activation::Relu } else { Activation::Identity })
        });
        relu(branch + shortcut)
    }

    /// The first norm and ReLU serve the shortcut's convolution too, where there is one (Zagoruyko and Komodakis 2016).
    fn before(&self, x: Tensor<4>) -> Tensor<4> {
        let mut shortcut = x.clone();
        let branch = self.units.iter().enumerate().fold(x, |x, (index, unit)| {
            let activated = unit.norm.activated(x, Activation::Relu);
            if let (0, Some(projection)) = (index, &self.projection) {
                shortcut = projection.forward(activated.clone());
            }
            unit.convolution.forward(activated)
        });
        branch + shortcut
    }
}

/// A residual network (He, Zhang, Ren and Sun 2016) with group norm in the place of batch norm; its features are the
/// pooled planes of the last block.
#[derive(Module, Debug)]
pub(crate) struct ResidualNetwork {
    stem: Conv2d,
    stem_norm: Option<GroupNorm>,
    blocks: Vec<Block>,
    last_norm: Option<GroupNorm>,
    out: Linear,
    #[module(skip)]
    pooling: Pooling,
    #[module(skip)]
    logit_scale: f64,
}

impl Network for ResidualNetwork {
    fn features(&self, x: Tensor<4>) -> Tensor<2> {
        let activated = |x, norm: &Option<GroupNorm>| match norm {
            Some(norm) => norm.activated(x, Activation::Relu),
            None => x,
        };
        let x = activated(self.stem.forward(x), &self.stem_norm);
        let x = activated(self.blocks.iter().fold(x, |x, block| block.forward(x)), &self.last_norm);
        match self.pooling {
            Pooling::Average => global_average_pool(x),
            Pooling::Max => global_max_pool(x),
        }
    }

    fn logits(&self, features: Tensor<2>) -> Tensor<2> {
        let logits = self.out.forward(features);
        if self.logit_scale == 1.0 { logits } else { logits * self.logit_scale }
    }

    fn dimension(&self) -> usize {
        self.out.weight.dims()[0]
    }
}

#[cfg(test)]
mod tests {
    use standin_nn::{DeviceChoice, shapes, with_values};

    use super::super::{Design, Preset, RESNET_9, RESNET_18, RESNEXT_29, WIDE_RESNET_16_4, WIDE_RESNET_28_10};
    use super::*;

    /// The numbers of `tests/fixtures/residual.py`, in [−1, 1].
    fn value(at: usize) -> f64 {
        ((at * 7919) % 10007) as f64 / 5003.0 - 1.0
    }

    /// Parameters by the formula of the fixture.
    fn filled(network: ResidualNetwork) -> ResidualNetwork {
        let mut values: Vec<f32> = Vec::new();
        for parameter in shapes(&network) {
            let fan_in: usize = match parameter.shape.as_slice() {
                [inputs, _] => *inputs,
                [_, rest @ ..] => rest.iter().product(),
                [] => 1,
            };
            let scale = if parameter.shape.len() > 1 { (3.0 / fan_in as f64).sqrt() } else { 0.5 };
            let shift = if parameter.name.ends_with("scale") { 1.0 } else { 0.0 };
            let first = values.len();
            values.extend((first..first + parameter.len()).map(|at| (value(at) * scale + shift) as f32));
        }
        with_values(network, &values)
    }

    /// `tests/fixtures/residual.py` put the same networks together from PyTorch's layers, in double precision. Logits of
    /// order 1 after up to 29 layers of f32.
    #[test]
    fn logits_equal_pytorch() {
        let fixture: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/fixtures/residual.json")).unwrap();
        let device = DeviceChoice::Cpu.inference();
        let shape = Shape { channels: 3, height: 12, width: 12 };
        let pixels: Vec<f32> = (0..2 * shape.volume()).map(|at| value(31 * at + 5) as f32).collect();
        let x = Tensor::<1>::from_data(pixels.as_slice(), &device).reshape([2, 3, 12, 12]);
        for preset in [RESNET_9, RESNET_18, WIDE_RESNET_16_4, WIDE_RESNET_28_10, RESNEXT_29] {
            let expected = &fixture[preset.name];
            let channels = expected["channels"].as_u64().unwrap() as usize;
            let network = narrow(preset, channels, 4).build(shape, 3, Seed::new(1), &device);
            let network = filled(network);
            assert_eq!(network.num_params() as u64, expected["parameters"].as_u64().unwrap(), "{}", preset.name);
            let logits: Vec<f32> = network.forward(x.clone()).into_data().iter::<f32>().collect();
            let rows = expected["logits"].as_array().unwrap();
            let expected = rows.iter().flat_map(|row| row.as_array().unwrap()).map(|logit| logit.as_f64().unwrap());
            for (&found, expected) in logits.iter().zip(expected) {
                assert!((f64::from(found) - expected).abs() < 2e-4, "{}: {found} for {expected}", preset.name);
            }
        }
    }

    fn narrow(preset: Preset, channels: usize, norm_groups: usize) -> ResidualArchitecture {
        let table = toml::Table::from_iter([
            ("channels".to_owned(), toml::Value::Integer(channels as i64)),
            ("norm".to_owned(), "group".into()),
            ("norm_groups".to_owned(), toml::Value::Integer(norm_groups as i64)),
        ]);
        let settings = <Preset as Design>::Settings::deserialize(table).unwrap();
        let shape = Shape { channels: 3, height: 12, width: 12 };
        preset.architecture(&settings, shape).unwrap()
    }

    /// For ten classes and three channels. Zagoruyko and Komodakis 2016, table 4, state 2.7 and 36.5 million for the wide ones,
    /// Page 2018 6.6 million; biases add less than 0.02 million to any.
    #[test]
    fn published_widths_give_the_published_sizes() {
        let shape = Shape { channels: 3, height: 32, width: 32 };
        let device = DeviceChoice::Cpu.inference();
        for (preset, millions) in [
            (RESNET_9, 6.57),
            (RESNET_18, 11.17),
            (WIDE_RESNET_16_4, 2.75),
            (WIDE_RESNET_28_10, 36.49),
            (RESNEXT_29, 5.66),
        ] {
            let architecture = preset.architecture(&preset.defaults(), shape).unwrap();
            let network = architecture.build(shape, 10, Seed::new(1), &device);
            let found = network.num_params() as f64 / 1e6;
            assert!((found - millions).abs() < 0.01, "{}: {found} million parameters", preset.name);
        }
    }

    #[test]
    fn norms_never_have_a_group_of_too_few_values() {
        let device = DeviceChoice::Cpu.inference();
        let groups = |channels, side, norm_groups| {
            let shape = Shape { channels, height: side, width: side };
            format!("{:?}", Builder { shape, norm_groups, device: &device }.norm())
        };
        for (channels, side, most, expected) in
            [(64, 28, 16, 16), (16, 32, 16, 16), (12, 8, 16, 12), (6, 1, 16, 1), (16, 1, 16, 4)]
        {
            let text = groups(channels, side, most);
            assert!(text.contains(&format!("groups: {expected}")), "{channels} channels of side {side}: {text}");
        }
    }
}
