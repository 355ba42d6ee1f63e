use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use standin_data::Seed;

use crate::fused::{Copied, Rows};
use crate::initial;
use crate::per_sample::Recording;

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

    /// The rows at `n` indices, one per example: `n × dimension`.
    pub fn forward(&self, indices: Tensor<1, Int>) -> Tensor<2> {
        let Some(recording) = Recording::current() else { return self.weight.val().select(0, indices) };
        let [batch] = indices.dims();
        let [entries, width] = self.weight.dims();
        let rows: Arc<[u32]> = indices.clone().into_data().iter::<i64>().map(|index| index as u32).collect();
        let geometry = standin_kernels::Embedding { batch, positions: 1, entries, width };
        let y = self.weight.val().without_autodiff().select(0, indices);
        recording.tap(y, Copied::default(), &self.weight, None, Arc::new(Rows { geometry, indices: rows }))
    }
}

/// Class or token numbers as a tensor.
pub fn indices(values: impl IntoIterator<Item = u32>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}
