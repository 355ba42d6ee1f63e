use serde::{Deserialize, Serialize};
use standin_data::Shape;

use super::Design;
use super::residual::{BlockPlan, ConvolutionPlan, Order, Pooling, ResidualArchitecture};

/// Rows and columns a residual network needs: it halves three times.
const SMALLEST: usize = 8;

/// A residual network under its published name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preset {
    /// The registered name.
    pub(crate) name: &'static str,
    /// Channels of the first convolution as published; every other width is a multiple.
    channels: usize,
    /// What the channels of the first convolution must be a multiple of.
    multiple_of: usize,
    /// The network for this many channels of the first convolution and at most this many groups of a norm.
    build: fn(channels: usize, norm_groups: usize) -> ResidualArchitecture,
}

/// Page 2018, "How to train your ResNet": eight convolutions, two sums, max pools.
pub(crate) const RESNET_9: Preset = Preset {
    name: "resnet-9",
    channels: 64,
    multiple_of: 1,
    build: |channels, norm_groups| resnet_9(channels, norm_groups),
};

/// He et al. 2016 with the stem of its networks for small images: one 3 × 3 convolution of stride 1.
pub(crate) const RESNET_18: Preset = Preset {
    name: "resnet-18",
    channels: 64,
    multiple_of: 1,
    build: |channels, norm_groups| {
        let stages = [1, 2, 4, 8].map(|width| Stage { width: width * channels, blocks: 2 });
        let block = |width, stride| [ConvolutionPlan::new(width, 3, stride), ConvolutionPlan::new(width, 3, 1)].into();
        staged(channels, norm_groups, Order::After, &stages, block)
    },
};

/// Zagoruyko and Komodakis 2016: depth 16, four times as wide.
pub(crate) const WIDE_RESNET_16_4: Preset = Preset {
    name: "wide-resnet-16-4",
    channels: 16,
    multiple_of: 1,
    build: |channels, norm_groups| wide(channels, norm_groups, 16, 4),
};

/// Zagoruyko and Komodakis 2016: depth 28, ten times as wide.
pub(crate) const WIDE_RESNET_28_10: Preset = Preset {
    name: "wide-resnet-28-10",
    channels: 16,
    multiple_of: 1,
    build: |channels, norm_groups| wide(channels, norm_groups, 28, 10),
};

/// Xie et al. 2017 for small images: 29 layers, eight branches of 16 channels.
pub(crate) const RESNEXT_29: Preset = Preset {
    name: "resnext-29",
    channels: 64,
    multiple_of: 4,
    build: |channels, norm_groups| {
        let stages = [2, 4, 8].map(|width| Stage { width: width * channels, blocks: 3 });
        let block = |width, stride| {
            let branches = ConvolutionPlan { groups: 8, ..ConvolutionPlan::new(width, 3, stride) };
            [ConvolutionPlan::new(width, 1, 1), branches, ConvolutionPlan::new(2 * width, 1, 1)].into()
        };
        staged(channels, norm_groups, Order::After, &stages, block)
    },
};

/// Consecutive blocks of one width; the first block of every stage but the first halves the planes.
#[derive(Clone, Copy)]
struct Stage {
    width: usize,
    blocks: usize,
}

fn staged(
    channels: usize,
    norm_groups: usize,
    order: Order,
    stages: &[Stage],
    block: impl Fn(usize, usize) -> Vec<ConvolutionPlan>,
) -> ResidualArchitecture {
    let blocks = stages.iter().enumerate().flat_map(|(stage, &Stage { width, blocks })| {
        let stride = move |index| if stage > 0 && index == 0 { 2 } else { 1 };
        let block = &block;
        (0..blocks).map(move |index| BlockPlan { order, convolutions: block(width, stride(index)), halve: false })
    });
    ResidualArchitecture {
        norm_groups,
        logit_scale: 1.0,
        pooling: Pooling::Average,
        stem: ConvolutionPlan::new(channels, 3, 1),
        blocks: blocks.collect(),
    }
}

fn wide(channels: usize, norm_groups: usize, depth: usize, widening: usize) -> ResidualArchitecture {
    // Two convolutions a block in three stages, and four layers around them.
    let blocks = (depth - 4) / 6;
    let stages = [1, 2, 4].map(|width| Stage { width: width * widening * channels, blocks });
    let block = |width, stride| [ConvolutionPlan::new(width, 3, stride), ConvolutionPlan::new(width, 3, 1)].into();
    staged(channels, norm_groups, Order::Before, &stages, block)
}

fn resnet_9(channels: usize, norm_groups: usize) -> ResidualArchitecture {
    let convolutions = |width, count| vec![ConvolutionPlan::new(width, 3, 1); count];
    let plain = |width| BlockPlan { order: Order::Plain, convolutions: convolutions(width, 1), halve: true };
    let sum = |width| BlockPlan { order: Order::Inside, convolutions: convolutions(width, 2), halve: false };
    let [first, second, third] = [2, 4, 8].map(|width| width * channels);
    ResidualArchitecture {
        norm_groups,
        // Page's constant, without which the largest of many values makes the first logits too large.
        logit_scale: 0.125,
        pooling: Pooling::Max,
        stem: ConvolutionPlan::new(channels, 3, 1),
        blocks: vec![plain(first), sum(first), plain(second), plain(third), sum(third)],
    }
}

/// What can be set about a residual network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResidualSettings {
    /// Channels of the first convolution, at least 1; every other width follows.
    channels: usize,
    /// The normalisation.
    norm: Norm,
    /// Most groups of a norm, at least 1; fewer where they do not divide the channels.
    norm_groups: usize,
}

/// The normalisation of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
enum Norm {
    /// Group normalisation (Wu and He 2018).
    Group,
}

impl TryFrom<String> for Norm {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match name.as_str() {
            "group" => Ok(Self::Group),
            "batch" => {
                Err("`norm` = \"batch\": batch normalisation mixes the images of a batch, so that no image has a \
                            gradient of its own to clip and private training could promise nothing; give \"group\", \
                            with private training and without, so that both train the same network"
                    .into())
            }
            other => Err(format!("`norm` = \"{other}\"; it must be \"group\"")),
        }
    }
}

impl From<Norm> for String {
    fn from(norm: Norm) -> Self {
        match norm {
            Norm::Group => "group".into(),
        }
    }
}

impl Design for Preset {
    type Settings = ResidualSettings;
    type Architecture = ResidualArchitecture;
    const KEYS: &'static [&'static str] = &["channels", "norm", "norm_groups"];

    /// The published width, and 16 groups (De et al. 2022).
    fn defaults(&self) -> ResidualSettings {
        ResidualSettings { channels: self.channels, norm: Norm::Group, norm_groups: 16 }
    }

    fn check(&self, settings: &ResidualSettings) -> Result<(), String> {
        let ResidualSettings { channels, norm: Norm::Group, norm_groups } = settings;
        if *channels == 0 || *norm_groups == 0 {
            return Err("`channels` and `norm_groups` must be at least 1".into());
        }
        if !channels.is_multiple_of(self.multiple_of) {
            let multiple = self.multiple_of;
            return Err(format!(
                "`channels` is {channels}; it must be a multiple of {multiple}, as groups divide them"
            ));
        }
        Ok(())
    }

    fn architecture(&self, settings: &ResidualSettings, shape: Shape) -> Result<ResidualArchitecture, &'static str> {
        if shape.height.min(shape.width) < SMALLEST {
            return Err("it needs at least 8 rows and columns; use `cnn` or `logistic`");
        }
        Ok((self.build)(settings.channels, settings.norm_groups))
    }
}
