use standin_data::Seed;
use standin_nn::layer::{Activation, Conv3d, GroupNorm};
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{Module, burn};

use super::level::{Level, norm};
use super::{Architecture, LEVELS};

/// Convolutions of each level.
pub(super) const CONVOLUTIONS: [usize; LEVELS] = [1, 2, 3, 3, 3];

/// The contracting path: convolutions, then a convolution that halves, level by level.
#[derive(Module, Debug)]
pub struct Encoder {
    levels: Vec<Level>,
    halvings: Vec<Conv3d>,
    norms: Vec<GroupNorm>,
}

impl Encoder {
    pub(super) fn new(architecture: &Architecture, seed: Seed, device: &Device) -> Self {
        let level = |level: usize| {
            let channels = architecture.channels(level);
            let inputs = if level == 0 { 1 } else { channels };
            let seed = seed.derive(&format!("level {level}"));
            Level::new(CONVOLUTIONS[level], [inputs, channels], architecture.kernel(), seed, device)
        };
        let factors = architecture.factors();
        let halving = |level: usize| {
            let [from, to] = [level, level + 1].map(|level| architecture.channels(level));
            let seed = seed.derive(&format!("halving {level}"));
            Conv3d::shaped(from, to, [factors, factors, [0; 3]], seed, device)
        };
        Self {
            levels: (0..LEVELS).map(level).collect(),
            halvings: (0..LEVELS - 1).map(halving).collect(),
            norms: (1..LEVELS).map(|level| norm(architecture.channels(level), device)).collect(),
        }
    }

    /// The maps of each level, the finest first.
    pub(super) fn forward(&self, images: Tensor<5>) -> Vec<Tensor<5>> {
        let mut maps = vec![self.levels[0].forward(images)];
        for ((level, halving), norm) in self.levels[1..].iter().zip(&self.halvings).zip(&self.norms) {
            let finer = maps[maps.len() - 1].clone();
            maps.push(level.forward(norm.activated(halving.forward(finer), Activation::Relu)));
        }
        maps
    }
}
