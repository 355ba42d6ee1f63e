use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Tensor, module};

/// The largest value of every square of `side` × `side` pixels, `n × c × h × w` to `n × c × ⌊h / side⌋ × ⌊w / side⌋`; rows
/// and columns that fill no square are left out.
///
/// # Panics
/// If `side` is 0 or larger than the planes.
pub fn max_pool(x: Tensor<4>, side: usize) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    assert!((1..=height.min(width)).contains(&side), "squares of side {side} in planes of {height}×{width}");
    module::max_pool2d(x, MaxPoolOptions::new([side; 2]))
}

/// The mean of every plane, `n × c × h × w` to `n × c`: what a network has seen, wherever it was.
pub fn global_average_pool(x: Tensor<4>) -> Tensor<2> {
    let [n, channels, height, width] = x.dims();
    x.reshape([n, channels, height * width]).mean_dim(2).reshape([n, channels])
}

/// The largest value of every plane, `n × c × h × w` to `n × c`.
pub fn global_max_pool(x: Tensor<4>) -> Tensor<2> {
    let [n, channels, height, width] = x.dims();
    x.reshape([n, channels, height * width]).max_dim(2).reshape([n, channels])
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, Param};
    use burn::tensor::TensorData;

    use super::*;
    use crate::{DeviceChoice, gradient};

    #[derive(Module, Debug)]
    struct Input {
        x: Param<Tensor<4>>,
    }

    /// Two planes of 3 × 5 distinct values.
    fn input() -> Input {
        let values: Vec<f32> = (0..30).map(|at| ((at * 17) % 31) as f32).collect();
        let device = DeviceChoice::Cpu.training();
        Input { x: Param::from_tensor(Tensor::from_data(TensorData::new(values, [1, 2, 3, 5]), &device)) }
    }

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().iter::<f32>().collect()
    }

    #[test]
    fn pools_equal_their_definitions() {
        let x = input().x.val();
        let all = values(x.clone());
        let at = |plane: usize, row: usize, column: usize| all[(plane * 3 + row) * 5 + column];
        let square = |plane, column| at(plane, 0, column).max(at(plane, 0, column + 1)).max(at(plane, 1, column));
        let square = |plane, column| f32::max(square(plane, column), at(plane, 1, column + 1));
        let pooled = max_pool(x.clone(), 2);
        assert_eq!(pooled.dims(), [1, 2, 1, 2]);
        assert_eq!(values(pooled), [square(0, 0), square(0, 2), square(1, 0), square(1, 2)]);
        let largest = |plane: &[f32]| plane.iter().copied().fold(f32::MIN, f32::max);
        assert_eq!(values(global_max_pool(x.clone())), all.chunks(15).map(largest).collect::<Vec<_>>());
        for (mean, plane) in values(global_average_pool(x)).iter().zip(all.chunks(15)) {
            assert!((mean - plane.iter().sum::<f32>() / 15.0).abs() < 1e-5);
        }
    }

    /// The gradient of a sum of maxima is 1 where the maximum is and 0 elsewhere; of a mean it is even.
    #[test]
    fn gradients_reach_what_was_pooled() {
        let input = input();
        let all = values(input.x.val());
        let maxima = |side: Vec<f32>| all.iter().map(|value| f32::from(side.contains(value))).collect::<Vec<_>>();
        let pooled = max_pool(input.x.val(), 2);
        assert_eq!(gradient(&input, &pooled.clone().sum()), maxima(values(pooled)));
        let pooled = global_max_pool(input.x.val());
        assert_eq!(gradient(&input, &pooled.clone().sum()), maxima(values(pooled)));
        let even = gradient(&input, &global_average_pool(input.x.val()).sum());
        assert!(even.iter().all(|value| (value - 1.0 / 15.0).abs() < 1e-7));
    }
}
