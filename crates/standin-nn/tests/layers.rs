//! Each layer against its definition written as loops, and its gradients against finite differences, both in f64.

use burn::module::{ModuleDisplay, ModuleMapper, Param};
use burn::tensor::{DType, Device};
use standin_data::Seed;
use standin_nn::layer::{
    Conv2d, ConvTranspose2d, Embedding, GroupNorm, GroupNormSilu, Linear, indices, leaky_relu, relu, silu,
    upsample_nearest,
};
use standin_nn::tensor::{Tensor, TensorData};
use standin_nn::{DeviceChoice, Module, burn, gradient, initial, loss, shapes};

/// An input that has a gradient like a parameter, and the layer under test.
#[derive(Module, Debug)]
struct Probe<L: Module> {
    input: Param<Tensor<4>>,
    layer: L,
}

fn device() -> Device {
    DeviceChoice::Cpu.training()
}

fn input(shape: [usize; 4]) -> Tensor<4> {
    initial::normal(shape, 1.0, Seed::new(17), &device())
}

/// Doubles of a tensor of either precision.
fn doubles<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn leaf<const D: usize>(values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (&device(), DType::F64)).require_grad()
}

/// The network in f64, with `by` added to the parameter at flat position `at`.
struct Doubled {
    at: usize,
    by: f64,
    seen: usize,
}

impl ModuleMapper for Doubled {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        parameter.map(|tensor| {
            let shape = tensor.dims();
            let mut values = doubles(tensor);
            if let Some(value) = self.at.checked_sub(self.seen).and_then(|index| values.get_mut(index)) {
                *value += self.by;
            }
            self.seen += values.len();
            leaf(values, shape)
        })
    }
}

fn doubled<M: Module>(module: &M, at: usize, by: f64) -> M {
    module.clone().map(&mut Doubled { at, by, seen: 0 })
}

/// Compares the gradient of Σ wᵢ yᵢ (fixed w) with central differences of step 1e-5, for every input and parameter.
///
/// In f64 the difference is off by about 1e-10 (second order) and 1e-11 (rounding); the gradient is handed over as f32, so
/// 1e-6 relative to the largest entry is what can be asked.
fn check<L: Module + ModuleDisplay, const D: usize>(
    layer: L,
    x: Tensor<4>,
    forward: impl Fn(&L, Tensor<4>) -> Tensor<D>,
) {
    let probe = doubled(&Probe { input: Param::from_tensor(x), layer }, 0, 0.0);
    let objective = |probe: &Probe<L>| {
        let y = forward(&probe.layer, probe.input.val());
        let weights = (0..y.shape().num_elements()).map(|index| ((index * 37 % 101) as f64 / 50.0) - 1.0).collect();
        (y.clone() * leaf(weights, y.dims())).sum()
    };
    let value = |probe: &Probe<L>| doubles(objective(probe))[0];
    let gradient = gradient(&probe, &objective(&probe));
    let largest = gradient.iter().fold(0f64, |largest, &entry| largest.max(f64::from(entry).abs()));
    assert!(largest > 0.0);
    let step = 1e-5;
    for (at, &entry) in gradient.iter().enumerate() {
        let difference = (value(&doubled(&probe, at, step)) - value(&doubled(&probe, at, -step))) / (2.0 * step);
        let error = (difference - f64::from(entry)).abs();
        assert!(error < 1e-6 * largest.max(1.0), "{:?} at {at}: {entry} for {difference}", shapes(&probe));
    }
}

#[test]
fn gradients_equal_finite_differences() {
    let seed = Seed::new(4);
    check(Linear::new(4, 3, seed, &device()), input([2, 1, 2, 4]), |layer, x| layer.forward(x));
    for (kernel, stride, padding) in [(3, 1, 1), (3, 2, 1), (2, 2, 0), (5, 1, 0), (1, 1, 0)] {
        let layer = Conv2d::new(2, 3, kernel, seed, &device()).with_stride(stride).with_padding(padding);
        check(layer, input([2, 2, 6, 5]), |layer, x| layer.forward(x));
    }
    for (kernel, stride, padding) in [(4, 2, 1), (3, 1, 1), (2, 2, 0), (3, 2, 1)] {
        let layer = ConvTranspose2d::new(2, 3, kernel, seed, &device()).with_stride(stride).with_padding(padding);
        check(layer, input([2, 2, 3, 4]), |layer, x| layer.forward(x));
    }
    check(GroupNorm::new(2, 4, &device()), input([2, 4, 3, 2]), |layer, x| layer.forward(x));
    check(GroupNormSilu::new(1, 2, &device()), input([2, 2, 3, 2]), |layer, x| layer.forward(x));
    check(Linear::zero(1, 1, &device()), input([1, 2, 3, 4]), |_, x| upsample_nearest(x, 3));
    check(Linear::zero(1, 1, &device()), input([1, 2, 3, 4]), |_, x| silu(x));
    check(Linear::zero(1, 1, &device()), input([1, 2, 3, 4]), |_, x| relu(x));
    check(Linear::zero(1, 1, &device()), input([1, 2, 3, 4]), |_, x| leaky_relu(x, 0.2));
    check(Embedding::new(5, 3, seed, &device()), input([1, 1, 1, 1]), |layer, x| {
        layer.forward(indices([4, 1, 4], &device())) * x.reshape([1, 1])
    });
}

#[test]
fn gradients_of_losses_equal_finite_differences() {
    let none = || Linear::zero(1, 1, &device());
    let rows = |x: Tensor<4>| x.reshape([3, 4]);
    let target = |index: usize| (index * 7 % 5) as f64 / 5.0;
    let targets = || leaf((0..12).map(target).collect(), [3, 4]);
    check(none(), input([3, 1, 2, 2]), |_, x| loss::cross_entropy(rows(x), targets()));
    check(none(), input([3, 1, 2, 2]), |_, x| loss::binary_cross_entropy(rows(x), targets()));
    check(none(), input([3, 1, 2, 2]), |_, x| loss::squared_error(rows(x), targets()));
}

/// f32 sums of at most 50 products of size 1: within 1e-5 of the f64 loop.
fn close<const D: usize>(tensor: Tensor<D>, expected: &[f64]) {
    let values = doubles(tensor);
    assert_eq!(values.len(), expected.len());
    for (value, expected) in values.iter().zip(expected) {
        assert!((value - expected).abs() < 1e-5, "{value} for {expected}");
    }
}

#[test]
fn convolution_equals_the_loop() {
    for (kernel, stride, padding) in [(3usize, 1usize, 1usize), (3, 2, 1), (5, 2, 2), (2, 1, 0), (1, 2, 0)] {
        let layer = Conv2d::new(2, 3, kernel, Seed::new(2), &device()).with_stride(stride).with_padding(padding);
        let (height, width) = (7, 6);
        let x = input([2, 2, height, width]);
        let (pixels, weight, bias) = (doubles(x.clone()), doubles(layer.weight.val()), doubles(layer.bias.val()));
        let (rows, columns) = (layer.output_size(height), layer.output_size(width));
        let mut expected = Vec::new();
        for (n, out, row, column) in positions([2, 3, rows, columns]) {
            let mut sum = bias[out];
            for (into, down, right, _) in positions([2, kernel, kernel, 1]) {
                let (y, x) = (row * stride + down, column * stride + right);
                if (padding..padding + height).contains(&y) && (padding..padding + width).contains(&x) {
                    let pixel = ((n * 2 + into) * height + y - padding) * width + x - padding;
                    sum += pixels[pixel] * weight[((out * 2 + into) * kernel + down) * kernel + right];
                }
            }
            expected.push(sum);
        }
        close(layer.forward(x), &expected);
    }
}

#[test]
fn transposed_convolution_equals_the_loop() {
    for (kernel, stride, padding) in [(4usize, 2usize, 1usize), (3, 1, 1), (3, 2, 0)] {
        let layer =
            ConvTranspose2d::new(2, 3, kernel, Seed::new(2), &device()).with_stride(stride).with_padding(padding);
        let (height, width) = (4, 3);
        let x = input([2, 2, height, width]);
        let (pixels, weight, bias) = (doubles(x.clone()), doubles(layer.weight.val()), doubles(layer.bias.val()));
        let (rows, columns) = (layer.output_size(height), layer.output_size(width));
        let mut expected: Vec<f64> = positions([2, 3, rows, columns]).map(|(_, out, ..)| bias[out]).collect();
        for (n, into, row, column) in positions([2, 2, height, width]) {
            let pixel = pixels[((n * 2 + into) * height + row) * width + column];
            for (out, down, right, _) in positions([3, kernel, kernel, 1]) {
                let (y, x) = (row * stride + down, column * stride + right);
                if (padding..padding + rows).contains(&y) && (padding..padding + columns).contains(&x) {
                    expected[((n * 3 + out) * rows + y - padding) * columns + x - padding] +=
                        pixel * weight[((into * 3 + out) * kernel + down) * kernel + right];
                }
            }
        }
        close(layer.forward(x), &expected);
    }
}

/// All index tuples of a shape, the last fastest.
fn positions(shape: [usize; 4]) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    let [a, b, c, d] = shape;
    (0..a * b * c * d).map(move |at| (at / (b * c * d), at / (c * d) % b, at / d % c, at % d))
}

#[test]
fn group_norm_gives_each_group_of_each_example_mean_0_and_variance_1() {
    let y = GroupNorm::new(2, 6, &device()).forward(input([3, 6, 4, 5]) * 7.0 + 3.0);
    for group in doubles(y).chunks_exact(3 * 4 * 5) {
        let mean = group.iter().sum::<f64>() / 60.0;
        let variance = group.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 60.0;
        assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4, "{mean} {variance}");
    }
}

#[test]
fn upsampling_repeats_pixels() {
    let x = Tensor::<4>::from_data([[[[1.0, 2.0], [3.0, 4.0]]]], &device());
    let expected = [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 3.0, 3.0, 4.0, 4.0];
    close(upsample_nearest(x, 2), &expected);
}

/// Sizes above every threshold at which the CPU back end begins to share work among threads.
#[test]
fn large_layers_do_not_depend_on_threads() {
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let x = input([64, 16, 28, 28]);
            let probe = Probe {
                input: Param::from_tensor(x),
                layer: vec![
                    Conv2d::new(16, 32, 3, Seed::new(1), &device()).with_stride(2).with_padding(1),
                    Conv2d::new(32, 32, 3, Seed::new(2), &device()).with_padding(1),
                ],
            };
            let [first, second] = [&probe.layer[0], &probe.layer[1]];
            let hidden = relu(first.forward(probe.input.val()));
            let wide = Linear::new(32 * 14 * 14, 256, Seed::new(3), &device());
            let y = wide.forward(second.forward(hidden).reshape([64, 32 * 14 * 14]));
            let loss = loss::squared_error(y, Tensor::zeros([64, 256], &device())).mean();
            gradient(&probe, &loss).into_iter().map(f32::to_bits).collect::<Vec<_>>()
        })
    };
    let one = bits(1);
    assert!(one == bits(2) && one == bits(5));
}
