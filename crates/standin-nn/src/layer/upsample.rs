use burn::tensor::Tensor;
use standin_kernels::{Interpolation, Upsampling};

use crate::fused::{Upsampled, evaluate};

/// Repeats each pixel `factor` times along both axes: `n × c × h × w` to `n × c × (factor h) × (factor w)`.
///
/// Followed by a convolution it enlarges planes without the checkerboards a transposed convolution can draw.
pub fn upsample_nearest(x: Tensor<4>, factor: usize) -> Tensor<4> {
    let [n, channels, height, width] = x.dims();
    x.reshape([n * channels, height, 1, width, 1]).expand([n * channels, height, factor, width, factor]).reshape([
        n,
        channels,
        height * factor,
        width * factor,
    ])
}

/// Volumes, `n × c × depth × height × width`, made twice as long along the axes of `doubled`, by the nearest value or
/// linearly between the middles of voxels (trilinear, where all three are doubled).
pub fn double_volume(x: Tensor<5>, doubled: [bool; 3], interpolation: Interpolation) -> Tensor<5> {
    let [n, channels, depth, height, width] = x.dims();
    let geometry = Upsampling { images: n * channels, size: [depth, height, width], doubled, interpolation };
    evaluate(x, Upsampled { geometry, images: [n, channels] }, |mut x| {
        for axis in (0..3).filter(|&axis| doubled[axis]).map(|axis| axis + 2) {
            x = match interpolation {
                Interpolation::Nearest => interleaved(x.clone(), x, axis),
                Interpolation::Linear => {
                    let length = x.dims()[axis];
                    let (first, last) = (x.clone().narrow(axis, 0, 1), x.clone().narrow(axis, length - 1, 1));
                    let before = Tensor::cat(vec![first, x.clone().narrow(axis, 0, length - 1)], axis);
                    let after = Tensor::cat(vec![x.clone().narrow(axis, 1, length - 1), last], axis);
                    let most = x * 0.75;
                    interleaved(most.clone() + before * 0.25, most + after * 0.25, axis)
                }
            };
        }
        x
    })
}

/// Two tensors in turns along an axis.
fn interleaved(even: Tensor<5>, odd: Tensor<5>, axis: usize) -> Tensor<5> {
    let mut shape = even.dims();
    shape[axis] *= 2;
    let pair: Tensor<6> = Tensor::stack(vec![even, odd], axis + 1);
    pair.reshape(shape)
}

#[cfg(test)]
mod tests {
    use standin_data::Seed;

    use super::*;
    use crate::{DeviceChoice, initial};

    fn values(x: Tensor<5>) -> Vec<f32> {
        x.into_data().iter::<f32>().collect()
    }

    #[test]
    fn fused_and_composed_doubling_agree() {
        let device = DeviceChoice::Cpu.inference();
        let x: Tensor<5> = initial::normal([2, 3, 4, 3, 5], 1.0, Seed::new(1), &device);
        for interpolation in [Interpolation::Nearest, Interpolation::Linear] {
            for doubled in [[true; 3], [false, true, true], [true, false, false]] {
                let fused = double_volume(x.clone(), doubled, interpolation);
                // Double precision is not served by the fused operation.
                let composed = double_volume(x.clone().cast(burn::tensor::DType::F64), doubled, interpolation);
                assert_eq!(fused.dims(), composed.dims());
                for (fused, composed) in values(fused).iter().zip(values(composed)) {
                    assert!((fused - composed).abs() < 1e-6, "{fused} for {composed}");
                }
            }
        }
    }
}
