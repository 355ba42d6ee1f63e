use serde::{Deserialize, Serialize};
use standin_data::{Seed, Shape};
use standin_nn::layer::Linear;
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{Module, burn};

use super::{Architecture, Design, Network};

/// Multinomial logistic regression: one linear layer on all values of the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Softmax;

/// A linear layer has nothing to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SoftmaxSettings {}

/// What rebuilds it is the shape of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SoftmaxArchitecture {}

impl Design for Softmax {
    type Settings = SoftmaxSettings;
    type Architecture = SoftmaxArchitecture;
    const KEYS: &'static [&'static str] = &[];

    fn defaults(&self) -> SoftmaxSettings {
        SoftmaxSettings {}
    }

    fn check(&self, _: &SoftmaxSettings) -> Result<(), String> {
        Ok(())
    }

    fn architecture(&self, _: &SoftmaxSettings, _: Shape) -> Result<SoftmaxArchitecture, &'static str> {
        Ok(SoftmaxArchitecture {})
    }
}

impl Architecture for SoftmaxArchitecture {
    type Network = SoftmaxNetwork;

    fn build(&self, shape: Shape, classes: usize, _: Seed, device: &Device) -> SoftmaxNetwork {
        // The loss is convex: 0 is as good a start as any, and it is even between the classes.
        SoftmaxNetwork { out: Linear::zero(shape.volume(), classes, device) }
    }
}

/// The linear layer.
#[derive(Module, Debug)]
pub(crate) struct SoftmaxNetwork {
    out: Linear,
}

impl Network for SoftmaxNetwork {
    fn features(&self, x: Tensor<4>) -> Tensor<2> {
        let [n, channels, height, width] = x.dims();
        x.reshape([n, channels * height * width])
    }

    fn logits(&self, features: Tensor<2>) -> Tensor<2> {
        self.out.forward(features)
    }

    fn dimension(&self) -> usize {
        self.out.weight.dims()[0]
    }
}
