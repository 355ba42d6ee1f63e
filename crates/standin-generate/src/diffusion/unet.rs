use serde::{Deserialize, Serialize};
use standin_data::Seed;
use standin_nn::layer::{Conv2d, ConvTranspose2d, Embedding, GroupNormSilu, Linear, silu};
use standin_nn::tensor::{Device, Int, Tensor};
use standin_nn::{Module, burn};

use super::block::{AttentionBlock, ResidualBlock, norm_silu};
use super::low_rank::Adapters;

/// The sizes of a [`UNet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UNetSizes {
    /// Channels of input and output.
    pub(crate) channels: usize,
    /// Height of the plane; halved once per level after the first.
    pub(crate) height: usize,
    /// Width of the plane.
    pub(crate) width: usize,
    /// Number of classes; one more row stands for "no class".
    pub(crate) classes: usize,
    /// Number of groups, 0 where the network is not told them; one more row stands for "no group".
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) groups: usize,
    /// Channels of the first level, and values of the noise level's features.
    pub(crate) base_width: usize,
    /// Channels of each level as multiples of the first's.
    pub(crate) multipliers: Vec<usize>,
    /// Residual blocks on each side of each level.
    pub(crate) blocks: usize,
    /// Whether the positions of the coarsest level attend to each other.
    pub(crate) attention: bool,
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}

impl UNetSizes {
    /// Values of the embedding of noise level and class.
    fn embedding(&self) -> usize {
        4 * self.base_width
    }

    /// Channels of one level.
    fn of_level(&self, level: usize) -> usize {
        self.base_width * self.multipliers[level]
    }

    /// Says what does not fit, of sizes from a file.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let Self { channels, height, width, classes, base_width, multipliers, blocks, .. } = self;
        if [channels, height, width, classes, base_width, blocks].contains(&&0) || multipliers.contains(&0) {
            return Err("a size of the U-Net is 0");
        }
        let halvings = 1usize.checked_shl(multipliers.len().saturating_sub(1) as u32).unwrap_or(0);
        if multipliers.is_empty()
            || halvings == 0
            || !height.is_multiple_of(halvings)
            || !width.is_multiple_of(halvings)
        {
            return Err("the U-Net's plane cannot be halved once for each level after the first");
        }
        Ok(())
    }

    /// Multiplications of one forward pass of one image in convolutions and linear layers, in pairs with an addition.
    #[cfg(test)]
    pub(crate) fn multiplications(&self) -> usize {
        let area = |level: usize| (self.height >> level) * (self.width >> level);
        let block = |inputs: usize, outputs: usize, area: usize| {
            let shortcut = if inputs == outputs { 0 } else { inputs * outputs };
            area * (9 * (inputs * outputs + outputs * outputs) + shortcut)
        };
        let last = self.multipliers.len() - 1;
        let mut sum = 2 * 9 * self.channels * self.of_level(0) * area(0);
        for level in 0..last {
            let (own, next) = (self.of_level(level), self.of_level(level + 1));
            sum += (2 * self.blocks - 1) * block(own, own, area(level)) + block(2 * own, own, area(level));
            sum += (9 + 4) * own * next * area(level + 1);
        }
        let own = self.of_level(last);
        sum += 2 * self.blocks * block(own, own, area(last));
        if self.attention {
            sum += 4 * own * own * area(last) + 2 * own * area(last).pow(2);
        }
        sum
    }

    #[cfg(test)]
    pub(crate) fn small_for_tests() -> Self {
        Self {
            channels: 4,
            height: 4,
            width: 4,
            classes: 2,
            groups: 0,
            base_width: 8,
            multipliers: vec![1, 2],
            blocks: 1,
            attention: true,
        }
    }
}

/// What planes show: one number for each.
pub(crate) struct Shown {
    /// The class; the number of classes for none.
    pub(crate) classes: Tensor<1, Int>,
    /// The group, for a network that is told it; the number of groups for none.
    pub(crate) groups: Option<Tensor<1, Int>>,
}

impl From<Tensor<1, Int>> for Shown {
    /// Classes, and nothing of groups.
    fn from(classes: Tensor<1, Int>) -> Self {
        Self { classes, groups: None }
    }
}

/// The network of the diffusion models: a U-Net (Ronneberger et al. 2015) of residual blocks with attention at the coarsest
/// level, which is told the noise level and the class (as in Ho et al. 2020; Song et al. 2021), and the group where there are groups.
///
/// It is smaller and plainer than EDM's DDPM++: one skip connection a level instead of one a block; the embedding shifts
/// channels and does not scale them; no dropout; strided convolutions halve the planes and 2 × 2 transposed ones double them;
/// residual branches start as 0 instead of being scaled. All its parameters lie in layers whose gradients are known for each
/// image.
#[derive(Module, Debug)]
pub(crate) struct UNet {
    stem: Conv2d,
    first: Linear,
    second: Linear,
    pub(super) classes: Embedding,
    pub(super) groups: Option<Embedding>,
    /// In the order in which they are used.
    pub(super) residuals: Vec<ResidualBlock>,
    down: Vec<Conv2d>,
    pub(super) attention: Option<AttentionBlock>,
    up: Vec<ConvTranspose2d>,
    norm: GroupNormSilu,
    head: Conv2d,
    #[module(skip)]
    blocks: usize,
}

impl UNet {
    /// A network of checked sizes that gives 0 at first.
    pub(crate) fn new(sizes: &UNetSizes, seed: Seed, device: &Device) -> Self {
        let embedding = sizes.embedding();
        let last = sizes.multipliers.len() - 1;
        let mut residuals = Vec::new();
        let mut residual = |inputs, outputs| {
            let seed = seed.derive(&format!("block {}", residuals.len()));
            residuals.push(ResidualBlock::new(inputs, outputs, embedding, seed, device));
        };
        let (mut down, mut up) = (Vec::new(), Vec::new());
        for level in 0..last {
            let (own, next) = (sizes.of_level(level), sizes.of_level(level + 1));
            (0..sizes.blocks).for_each(|_| residual(own, own));
            let seed = seed.derive(&format!("down {level}"));
            down.push(Conv2d::new(own, next, 3, seed, device).with_stride(2).with_padding(1));
        }
        let coarsest = sizes.of_level(last);
        (0..2 * sizes.blocks).for_each(|_| residual(coarsest, coarsest));
        for level in (0..last).rev() {
            let (own, next) = (sizes.of_level(level), sizes.of_level(level + 1));
            up.push(ConvTranspose2d::new(next, own, 2, seed.derive(&format!("up {level}")), device).with_stride(2));
            residual(2 * own, own);
            (1..sizes.blocks).for_each(|_| residual(own, own));
        }
        let base = sizes.of_level(0);
        let convolution =
            |inputs, outputs, purpose| Conv2d::new(inputs, outputs, 3, seed.derive(purpose), device).with_padding(1);
        Self {
            stem: convolution(sizes.channels, base, "stem"),
            first: Linear::new(sizes.base_width, embedding, seed.derive("first"), device),
            second: Linear::new(embedding, embedding, seed.derive("second"), device),
            classes: Embedding::new(sizes.classes + 1, embedding, seed.derive("classes"), device),
            groups: (sizes.groups > 0)
                .then(|| Embedding::new(sizes.groups + 1, embedding, seed.derive("groups"), device)),
            residuals,
            down,
            attention: sizes.attention.then(|| AttentionBlock::new(coarsest, seed.derive("attention"), device)),
            up,
            norm: norm_silu(base, device),
            head: convolution(base, sizes.channels, "head").zeroed(),
            blocks: sizes.blocks,
        }
    }

    /// F(x; noise level, class, group): `n × channels × height × width` planes, the features of their noise levels
    /// (`n × base_width`) and what they show, to planes of the same shape.
    pub(crate) fn forward(
        &self,
        x: Tensor<4>,
        features: Tensor<2>,
        shown: Shown,
        adapters: Option<&Adapters>,
    ) -> Tensor<4> {
        let classes = adapters.and_then(|adapters| adapters.classes.as_ref()).unwrap_or(&self.classes);
        let mut condition = classes.forward(shown.classes);
        let groups = adapters.and_then(|adapters| adapters.groups.as_ref()).or(self.groups.as_ref());
        if let (Some(groups), Some(of_rows)) = (groups, shown.groups) {
            condition = condition + groups.forward(of_rows);
        }
        let embedding = silu(self.second.forward(silu(self.first.forward(features))) + condition);
        let mut blocks = self.residuals.iter().enumerate();
        let mut residuals = |mut x: Tensor<4>, count: usize| {
            for (index, block) in blocks.by_ref().take(count) {
                let adapter = adapters.and_then(|adapters| adapters.convolutions.get(index));
                x = block.forward(x, embedding.clone(), adapter);
            }
            x
        };
        let mut x = self.stem.forward(x);
        let mut skips = Vec::new();
        for down in &self.down {
            x = residuals(x, self.blocks);
            skips.push(x.clone());
            x = down.forward(x);
        }
        x = residuals(x, self.blocks);
        if let Some(attention) = &self.attention {
            x = attention.forward(x, adapters.and_then(|adapters| adapters.attention.as_ref()));
        }
        x = residuals(x, self.blocks);
        for (up, skip) in self.up.iter().zip(skips.into_iter().rev()) {
            x = residuals(Tensor::cat(vec![up.forward(x), skip], 1), self.blocks);
        }
        self.head.forward(self.norm.forward(x))
    }
}

#[cfg(test)]
mod tests {
    use standin_nn::layer::indices;
    use standin_nn::per_sample::{Recording, Units};
    use standin_nn::tensor::TensorData;
    use standin_nn::{DeviceChoice, gradient, initial, loss, values, with_values};

    use super::*;

    /// A network whose every parameter matters: at the start, branches that are 0 hide others.
    fn network(sizes: &UNetSizes, device: &Device) -> UNet {
        let network = UNet::new(sizes, Seed::new(1), device);
        let noise = initial::normal([values(&network).len()], 0.15, Seed::new(2), &device.clone().without_autodiff());
        with_values(network, &noise.into_data().iter::<f32>().collect::<Vec<f32>>())
    }

    fn losses(network: &UNet, sizes: &UNetSizes, rows: std::ops::Range<usize>, device: &Device) -> Tensor<1> {
        let n = rows.len();
        let volume = sizes.channels * sizes.height * sizes.width;
        let plane = |row: usize| (0..volume).map(move |at| ((row * 31 + at * 7) % 13) as f32 / 6.0 - 1.0);
        let x: Vec<f32> = rows.clone().flat_map(plane).collect();
        let features: Vec<f32> = rows.clone().flat_map(|row| vec![row as f32 / 3.0; sizes.base_width]).collect();
        let x = Tensor::<4>::from_data(TensorData::new(x, [n, sizes.channels, sizes.height, sizes.width]), device);
        let features = Tensor::<2>::from_data(TensorData::new(features, [n, sizes.base_width]), device);
        let labels = indices(rows.map(|row| (row % 3) as u32), device);
        loss::squared_error(network.forward(x.clone(), features, labels.into(), None), x * 0.5)
    }

    #[test]
    fn planes_of_every_size_keep_their_shape() {
        let device = DeviceChoice::chosen().inference();
        for (channels, height, width, multipliers) in
            [(4, 14, 14, vec![1, 2]), (3, 8, 12, vec![1, 1, 2]), (1, 5, 3, vec![2])]
        {
            let sizes = UNetSizes { channels, height, width, multipliers, ..UNetSizes::small_for_tests() };
            sizes.check().unwrap();
            let network = network(&sizes, &device);
            let x = Tensor::ones([2, channels, height, width], &device);
            let y = network.forward(x, Tensor::ones([2, 8], &device), indices([0, 2], &device).into(), None);
            assert_eq!(y.dims(), [2, channels, height, width]);
            let y: Vec<f32> = y.into_data().iter().collect();
            assert!(y[..y.len() / 2] != y[y.len() / 2..], "the class changes nothing");
        }
    }

    #[test]
    fn every_parameter_has_the_gradient_of_each_image_on_its_own() {
        let device = DeviceChoice::chosen().training();
        let sizes = UNetSizes::small_for_tests();
        let network = network(&sizes, &device);
        let recording = Recording::new(Units::each(3));
        let all = recording.during(|| losses(&network, &sizes, 0..3, &device));
        let gradients = recording.finish(&network, all.sum().backward()).unwrap();
        let squared = gradients.squared_norms();
        for row in 0..3 {
            let alone = gradient(&network, &losses(&network, &sizes, row..row + 1, &device).sum());
            let norm: f64 = alone.iter().map(|&value| f64::from(value).powi(2)).sum();
            let found: f64 = squared.iter().map(|layer| layer[row]).sum();
            assert!((found - norm).abs() < 1e-4 * norm, "{found} for {norm}");
            let mut factors = vec![0.0; 3];
            factors[row] = 1.0;
            let found = gradients.weighted_sum(&[factors]);
            let error = found.iter().zip(&alone).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
            assert!(error < 1e-8 * norm, "{error} of {norm}");
        }
        let whole = gradients.weighted_sum(&[vec![1.0; 3]]);
        let idle = whole.iter().filter(|&&value| value == 0.0).count();
        assert!(idle < whole.len() / 50, "{idle} of {} parameters have no gradient", whole.len());
    }

    #[test]
    fn sizes_that_do_not_fit_are_named() {
        let sizes = UNetSizes::small_for_tests();
        assert!(UNetSizes { width: 5, ..sizes.clone() }.check().unwrap_err().contains("halved"));
        assert!(UNetSizes { multipliers: vec![], ..sizes.clone() }.check().unwrap_err().contains("halved"));
        assert!(UNetSizes { blocks: 0, ..sizes }.check().unwrap_err().contains("is 0"));
    }
}
