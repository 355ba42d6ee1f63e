use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};
use standin_data::Seed;
use standin_kernels::Attention;

use super::Linear;
use crate::fused::{Attended, evaluate};

/// Multi-head self-attention (Vaswani et al. 2017, section 3.2): every position looks at every other of the same example.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// Queries, keys and values of all heads: `width` to `3 · width`.
    pub project: Linear,
    /// The heads' outputs together: `width` to `width`.
    pub out: Linear,
    #[module(skip)]
    heads: usize,
}

impl SelfAttention {
    /// A layer for positions of `width` values in `heads` of equal size.
    ///
    /// # Panics
    /// If `heads` does not divide `width`.
    pub fn new(width: usize, heads: usize, seed: Seed, device: &Device) -> Self {
        assert!(heads > 0 && width.is_multiple_of(heads), "{heads} heads must divide a width of {width}");
        Self {
            project: Linear::new(width, 3 * width, seed.derive("project"), device),
            out: Linear::new(width, width, seed.derive("out"), device),
            heads,
        }
    }

    /// `n × positions × width`, unchanged in shape. Time and memory grow with the square of the positions.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.out.forward(self.mix(self.project.forward(x)))
    }

    /// What lies between the two linear layers: queries, keys and values of all heads, `n × positions × 3 · width`, to the
    /// heads' outputs beside each other, `n × positions × width`. For networks that add something to either layer.
    pub fn mix(&self, projected: Tensor<3>) -> Tensor<3> {
        let [n, positions, width] = projected.dims();
        let width = width / 3;
        let size = width / self.heads;
        let attention = Attention { batch: n, positions, heads: self.heads, size };
        evaluate(projected, Attended(attention), |projected| {
            let projected = projected.reshape([n, positions, 3, self.heads, size]);
            let part = |index: usize| {
                projected.clone().narrow(2, index, 1).reshape([n, positions, self.heads, size]).swap_dims(1, 2)
            };
            let (queries, keys, values) = (part(0), part(1), part(2));
            let scores = queries.matmul(keys.swap_dims(2, 3)) / (size as f64).sqrt();
            let mixed = activation::softmax(scores, 3).matmul(values);
            mixed.swap_dims(1, 2).reshape([n, positions, width])
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;

    use super::*;
    use crate::{DeviceChoice, initial};

    #[test]
    fn fused_and_composed_attention_agree() {
        let device = DeviceChoice::Cpu.inference();
        let layer = SelfAttention::new(24, 3, Seed::new(1), &device);
        let projected: Tensor<3> = initial::normal([2, 19, 72], 1.0, Seed::new(2), &device);
        let fused: Vec<f32> = layer.mix(projected.clone()).into_data().iter().collect();
        // Double precision is not served by the fused operation.
        let composed: Vec<f32> = layer.mix(projected.cast(DType::F64)).into_data().iter().collect();
        for (fused, composed) in fused.iter().zip(composed) {
            assert!((fused - composed).abs() < 1e-5, "{fused} for {composed}");
        }
    }
}
