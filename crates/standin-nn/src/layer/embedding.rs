use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use standin_data::Seed;

use crate::initial;

/// One learned row per class or token.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `rows × dimension`.
    pub weight: Param<Tensor<2>>,
}

impl Embedding {
    /// Rows of standard normal values.
    pub fn new(rows: usize, dimension: usize, seed: Seed, device: &Device) -> Self {
        Self { weight: Param::from_tensor(initial::normal([rows, dimension], 1.0, seed.derive("weight"), device)) }
    }

    /// The rows at `n` indices: `n × dimension`.
    pub fn forward(&self, indices: Tensor<1, Int>) -> Tensor<2> {
        self.weight.val().select(0, indices)
    }
}

/// Class or token numbers as a tensor.
pub fn indices(values: impl IntoIterator<Item = u32>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}
