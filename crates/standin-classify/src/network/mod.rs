//! Networks: what each family's settings make of images of one shape.

mod cnn;
mod linear;
mod presets;
mod residual;

pub(crate) use cnn::Cnn;
pub(crate) use linear::Softmax;
pub(crate) use presets::{Preset, RESNET_9, RESNET_18, RESNEXT_29, WIDE_RESNET_16_4, WIDE_RESNET_28_10};

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use standin_data::{Seed, Shape};
use standin_nn::Module;
use standin_nn::tensor::{Device, Tensor};

/// A network that tells classes apart: features, and a linear layer on them.
pub(crate) trait Network: Module + Debug + Send + Sync {
    /// What the last layer sees: `n × channels × height × width` to `n × features`.
    fn features(&self, x: Tensor<4>) -> Tensor<2>;

    /// Features to logits, `n × classes`.
    fn logits(&self, features: Tensor<2>) -> Tensor<2>;

    /// Number of features.
    fn dimension(&self) -> usize;

    /// Inputs to logits, `n × classes`.
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        self.logits(self.features(x))
    }
}

/// Everything that rebuilds a network of one kind besides the shape of its inputs and its number of classes; saved beside
/// its weights.
pub(crate) trait Architecture: Clone + Debug + Serialize + DeserializeOwned + Send + Sync {
    /// The network.
    type Network: Network;

    /// A network with fresh weights for inputs of `shape`.
    fn build(&self, shape: Shape, classes: usize, seed: Seed, device: &Device) -> Self::Network;
}

/// A kind of network whose settings, together with the shape of its inputs, make an [`Architecture`].
pub(crate) trait Design: Send + Sync {
    /// What can be set.
    type Settings: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync;
    /// What is made of it.
    type Architecture: Architecture;
    /// The names of the settings.
    const KEYS: &'static [&'static str];

    /// The settings where nothing is set.
    fn defaults(&self) -> Self::Settings;

    /// Checks the settings.
    ///
    /// # Errors
    /// Names the first that is outside its range, and what is allowed.
    fn check(&self, settings: &Self::Settings) -> Result<(), String>;

    /// The architecture for inputs of `shape`.
    ///
    /// # Errors
    /// Says what it needs and what to use instead, if it cannot take inputs of this shape.
    fn architecture(&self, settings: &Self::Settings, shape: Shape) -> Result<Self::Architecture, &'static str>;
}
