//! Gradients of each unit, against the loop that trains on one unit at a time.

use burn::module::Param;
use burn::tensor::{DType, Device};
use rand::RngExt;
use standin_data::Seed;
use standin_nn::layer::{
    Activation, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, Embedding, GroupNorm,
    LayerNorm, Linear, SelfAttention, indices, relu, silu, upsample_nearest,
};
use standin_nn::per_sample::{Recording, UnitGradients, Units};
use standin_nn::tensor::{Tensor, TensorData};
use standin_nn::{Clipping, DeviceChoice, Error, Module, burn, gradient, initial, loss};

/// The processor, or what `STANDIN_TEST_DEVICE` names.
fn device() -> Device {
    let name = std::env::var("STANDIN_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
    name.parse::<DeviceChoice>().unwrap().training()
}

/// Six samples of the given shape, standard normal.
fn samples<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    initial::normal(shape, 1.0, Seed::new(seed), &device())
}

/// One loss per row that no symmetry makes small: Σ w y² + v y with drawn weights, the same for each row.
fn losses<const D: usize>(y: Tensor<D>) -> Tensor<1> {
    let mut shape = y.dims();
    shape[0] = 1;
    let weights = initial::normal(shape, 1.0, Seed::new(71), &y.device());
    loss::per_example(y.clone().square() * 0.3 * weights.clone() + y * weights)
}

/// The units of a batch of six: one with three rows, one with two, one with one.
const MEMBERS: [&[usize]; 3] = [&[0, 3, 4], &[1, 5], &[2]];

fn recorded<M: Module>(
    model: &M,
    rows: usize,
    units: Units,
    losses: impl Fn(&M, &[usize]) -> Tensor<1>,
) -> UnitGradients {
    let recording = Recording::new(units);
    let all: Vec<usize> = (0..rows).collect();
    let losses = recording.during(|| losses(model, &all));
    recording.finish(model, losses.sum().backward()).unwrap()
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// Compares norms, and the sum of gradients clipped to half their mean norm, with the loop over units; and the sum with all
/// factors 1 with the ordinary gradient. The loop's own rounding in f32 is what 1e-5 leaves room for.
fn check<M: Module>(what: &str, model: &M, losses: impl Fn(&M, &[usize]) -> Tensor<1>) {
    let of_row = [0, 1, 2, 0, 0, 1];
    let gradients = recorded(model, 6, Units::new(of_row.to_vec(), 3), &losses);
    let loop_of = |members: &[usize]| -> Vec<f64> {
        gradient(model, &losses(model, members).sum()).into_iter().map(f64::from).collect()
    };
    let naive: Vec<Vec<f64>> = MEMBERS.iter().map(|members| loop_of(members)).collect();
    let squared = gradients.squared_norms();
    let expected: Vec<f64> = naive.iter().map(|gradient| norm(gradient)).collect();
    for (unit, &expected) in expected.iter().enumerate() {
        let found = squared.iter().map(|layer| layer[unit]).sum::<f64>().sqrt();
        assert!((found / expected - 1.0).abs() < 1e-5, "{what}: norm of unit {unit} is {found} for {expected}");
    }
    let bound = expected.iter().sum::<f64>() / 6.0;
    let clipped = gradients.weighted_sum(&Clipping::Flat { bound }.factors(&squared, bound));
    let factors: Vec<f64> = expected.iter().map(|norm| (bound / norm).min(1.0)).collect();
    close(what, &clipped, &sum(&naive, &factors));
    close(what, &gradients.weighted_sum(&[vec![1.0; 3]]), &loop_of(&[0, 1, 2, 3, 4, 5]));
}

fn sum(gradients: &[Vec<f64>], factors: &[f64]) -> Vec<f64> {
    let terms = |at: usize| gradients.iter().zip(factors).map(move |(gradient, factor)| gradient[at] * factor);
    (0..gradients[0].len()).map(|at| terms(at).sum()).collect()
}

fn close(what: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let error: Vec<f64> = found.iter().zip(expected).map(|(&found, expected)| f64::from(found) - expected).collect();
    let relative = norm(&error) / norm(expected);
    assert!(relative < 1e-5, "{what}: off by {relative:e}");
}

fn rows<const D: usize>(x: &Tensor<D>, members: &[usize]) -> Tensor<D> {
    x.clone().select(0, indices(members.iter().map(|&row| row as u32), &x.device()))
}

#[test]
fn convolutions_equal_the_loop_over_units() {
    let (seed, device) = (Seed::new(5), device());
    for (kernel, stride, padding, dilation) in [(3, 1, 1, 1), (3, 2, 1, 1), (1, 1, 0, 1), (2, 2, 0, 1), (3, 1, 2, 2)] {
        let what = format!("kernel {kernel}, stride {stride}, padding {padding}, dilation {dilation}");
        let (x1, x2, x3) = (samples([6, 4, 9], 1), samples([6, 4, 7, 6], 2), samples([6, 2, 5, 4, 6], 3));
        let layer = Conv1d::new(4, 5, kernel, seed, &device);
        let layer = layer.with_stride(stride).with_padding(padding).with_dilation(dilation);
        check(&what, &layer, |layer, members| losses(layer.forward(rows(&x1, members))));
        let layer = Conv2d::grouped(4, 6, kernel, 2, seed, &device);
        let layer = layer.with_stride(stride).with_padding(padding).with_dilation(dilation);
        check(&what, &layer, |layer, members| losses(layer.forward(rows(&x2, members))));
        let layer = Conv3d::new(2, 3, kernel, seed, &device);
        let layer = layer.with_stride(stride).with_padding(padding).with_dilation(dilation);
        check(&what, &layer, |layer, members| losses(layer.forward(rows(&x3, members))));
    }
}

#[test]
fn transposed_convolutions_equal_the_loop_over_units() {
    let (seed, device) = (Seed::new(6), device());
    for (kernel, stride, padding) in [(4, 2, 1), (3, 1, 1), (2, 2, 0), (3, 2, 1)] {
        let what = format!("transposed, kernel {kernel}, stride {stride}, padding {padding}");
        let (x1, x2, x3) = (samples([6, 4, 5], 1), samples([6, 3, 4, 5], 2), samples([6, 2, 3, 2, 3], 3));
        let layer = ConvTranspose1d::new(4, 3, kernel, seed, &device).with_stride(stride).with_padding(padding);
        check(&what, &layer, |layer, members| losses(layer.forward(rows(&x1, members))));
        let layer = ConvTranspose2d::new(3, 2, kernel, seed, &device).with_stride(stride).with_padding(padding);
        check(&what, &layer, |layer, members| losses(layer.forward(rows(&x2, members))));
        let layer = ConvTranspose3d::new(2, 3, kernel, seed, &device).with_stride(stride).with_padding(padding);
        check(&what, &layer, |layer, members| losses(layer.forward(rows(&x3, members))));
    }
}

/// Channels and positions so that the weights outweigh the activations: norms first, a weighted sum after.
#[test]
fn large_layers_equal_the_loop_over_units_without_keeping_gradients() {
    let (seed, device) = (Seed::new(7), device());
    let x = samples([6, 48, 4, 4], 1);
    let layer = Conv2d::new(48, 64, 3, seed, &device).with_padding(1);
    check("48 to 64 channels at 4 × 4", &layer, |layer, members| losses(layer.forward(rows(&x, members))));
    let layer = ConvTranspose2d::new(48, 40, 4, seed, &device).with_stride(2).with_padding(1);
    check("48 to 40 channels, transposed", &layer, |layer, members| losses(layer.forward(rows(&x, members))));
    let x = samples([6, 30, 24], 2);
    let layer = Linear::new(24, 40, seed, &device);
    check("linear at 30 positions", &layer, |layer, members| losses(layer.forward(rows(&x, members))));
    let x = samples([6, 24], 3);
    check("linear", &layer, |layer, members| losses(layer.forward(rows(&x, members))));
}

#[test]
fn normalisations_attention_and_embeddings_equal_the_loop_over_units() {
    let (seed, device) = (Seed::new(8), device());
    let x = samples([6, 6, 5, 4], 1);
    for activation in [Activation::Identity, Activation::Relu, Activation::Silu] {
        for groups in [1, 2, 6] {
            let layer = GroupNorm::new(groups, 6, &device);
            check(&format!("{groups} groups, {activation:?}"), &layer, |layer, members| {
                losses(layer.activated(rows(&x, members), activation))
            });
        }
    }
    let x = samples([6, 5, 8], 2);
    check("layer norm", &LayerNorm::new(8, &device), |layer, members| losses(layer.forward(rows(&x, members))));
    let layer = SelfAttention::new(8, 2, seed, &device);
    check("attention", &layer, |layer, members| losses(layer.forward(rows(&x, members))));
    let table = [2, 0, 2, 1, 2, 1];
    check("embedding", &Embedding::new(4, 3, seed, &device), |layer, members| {
        losses(layer.forward(indices(members.iter().map(|&row| table[row]), &device)))
    });
    check("embedding used twice", &Embedding::new(4, 3, seed, &device), |layer, members| {
        let look = |shift: u32| layer.forward(indices(members.iter().map(|&row| (table[row] + shift) % 4), &device));
        losses(look(0) * 2.0 - look(1))
    });
}

/// A layer of a drawn network.
#[derive(Module, Debug)]
enum Layer {
    Convolution(Conv2d),
    Transposed(ConvTranspose2d),
    Normalisation(GroupNorm),
    Attention(SelfAttention),
    OverWidth(LayerNorm),
    Positions(Linear),
    /// relu, silu, or nearest-neighbour enlargement, by the number of values.
    Plain(Param<Tensor<1>>),
}

/// Layers one after the other, and the first of them a second time at the end.
#[derive(Module, Debug)]
struct Drawn {
    layers: Vec<Layer>,
    head: Linear,
}

impl Drawn {
    fn new(seed: Seed) -> Self {
        let mut rng = seed.rng();
        let device = device();
        let (mut channels, mut side) = (2, 8);
        let mut layers = Vec::new();
        for index in 0..rng.random_range(2..7) {
            let seed = seed.derive(&format!("layer {index}"));
            layers.push(match rng.random_range(0..8) {
                0..3 => {
                    let groups = if channels % 2 == 0 { rng.random_range(1..3) } else { 1 };
                    let outputs = groups * rng.random_range(1..5);
                    let (kernel, stride) = (rng.random_range(1..4usize).min(side), rng.random_range(1..3));
                    let layer = Conv2d::grouped(channels, outputs, kernel, groups, seed, &device);
                    let layer = layer.with_stride(stride).with_padding(kernel / 2);
                    (channels, side) = (outputs, layer.output_size(side));
                    Layer::Convolution(layer)
                }
                3 if side <= 8 => {
                    let outputs = rng.random_range(1..5);
                    let layer =
                        ConvTranspose2d::new(channels, outputs, 4, seed, &device).with_stride(2).with_padding(1);
                    (channels, side) = (outputs, layer.output_size(side));
                    Layer::Transposed(layer)
                }
                4 => Layer::Normalisation(GroupNorm::new(if channels % 2 == 0 { 2 } else { 1 }, channels, &device)),
                5 => Layer::Attention(SelfAttention::new(channels, 1, seed, &device)),
                6 => Layer::OverWidth(LayerNorm::new(channels, &device)),
                _ if rng.random() => Layer::Positions(Linear::new(channels, channels, seed, &device)),
                _ => Layer::Plain(Param::from_tensor(Tensor::ones([rng.random_range(1..3)], &device))),
            });
        }
        let head = Linear::new(channels * side * side, 3, seed.derive("head"), &device);
        Self { layers, head }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let [n, ..] = x.dims();
        let positions = |x: Tensor<4>, function: &dyn Fn(Tensor<3>) -> Tensor<3>| {
            let [n, channels, height, width] = x.dims();
            let rows = x.reshape([n, channels, height * width]).swap_dims(1, 2);
            function(rows).swap_dims(1, 2).reshape([n, channels, height, width])
        };
        let y = self.layers.iter().fold(x, |x, layer| match layer {
            Layer::Convolution(layer) => silu(layer.forward(x)),
            Layer::Transposed(layer) => relu(layer.forward(x)),
            Layer::Normalisation(layer) => layer.activated(x, Activation::Silu),
            Layer::Attention(layer) => positions(x.clone(), &|x| layer.forward(x)) + x,
            Layer::OverWidth(layer) => positions(x, &|x| layer.forward(x)),
            Layer::Positions(layer) => positions(x, &|x| layer.forward(layer.forward(x))),
            Layer::Plain(kind) if kind.dims() == [1] => relu(x),
            Layer::Plain(_) if x.dims()[2] <= 8 => upsample_nearest(x, 1),
            Layer::Plain(_) => x,
        });
        let width = y.shape().num_elements() / n;
        self.head.forward(y.reshape([n, width]))
    }
}

#[test]
fn drawn_networks_equal_the_loop_over_units() {
    let x = samples([6, 2, 8, 8], 9);
    for seed in 0..60 {
        let model = Drawn::new(Seed::new(seed));
        check(&format!("network {seed}: {model:?}"), &model, |model, members| losses(model.forward(rows(&x, members))));
    }
}

/// In f64 the layers are composed of the tensor library's operations, as on another device: the gradient of a layer's output
/// is tapped there, and the result must be the same.
#[test]
fn composed_layers_leave_the_same_gradients() {
    struct Doubled;
    impl burn::module::ModuleMapper for Doubled {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            parameter.map(|tensor| {
                let values: Vec<f64> = tensor.clone().into_data().iter::<f64>().collect();
                Tensor::from_data(TensorData::new(values, tensor.shape()), (&device(), DType::F64)).require_grad()
            })
        }
    }
    let x = samples([6, 2, 8, 8], 9);
    for seed in 0..20 {
        let model = Drawn::new(Seed::new(seed));
        let forward = |model: &Drawn, members: &[usize]| losses(model.forward(rows(&x, members)));
        let fused = recorded(&model, 6, Units::each(6), forward);
        let values: Vec<f64> = x.clone().into_data().iter::<f64>().collect();
        let wide = Tensor::<4>::from_data(TensorData::new(values, x.shape()), (&device(), DType::F64));
        let composed =
            recorded(&model.clone().map(&mut Doubled), 6, Units::each(6), |model: &Drawn, members: &[usize]| {
                let y = model.forward(rows(&wide, members));
                let weights = initial::normal([1, 3], 1.0, Seed::new(71), &device()).cast(DType::F64);
                loss::per_example(y.clone().square() * 0.3 * weights.clone() + y * weights)
            });
        let factors = vec![vec![0.5, 1.0, 0.25, 2.0, 1.0, 0.0]];
        let expected: Vec<f64> = composed.weighted_sum(&factors).into_iter().map(f64::from).collect();
        close(&format!("network {seed}"), &fused.weighted_sum(&factors), &expected);
    }
}

#[test]
fn a_parameter_used_outside_the_layers_is_refused() {
    let model = Linear::new(3, 2, Seed::new(1), &device());
    let x = samples([6, 3], 4);
    let recording = Recording::new(Units::each(6));
    let losses = recording.during(|| losses(model.forward(x)) + model.weight.val().square().sum());
    let error = recording.finish(&model, losses.sum().backward()).unwrap_err();
    assert!(matches!(&error, Error::NotPerSample { parameter } if parameter == "weight"), "{error}");
}

#[test]
fn a_unit_of_factor_zero_does_not_enter_even_if_it_is_no_number() {
    let model = Linear::new(3, 2, Seed::new(1), &device());
    let mut values: Vec<f32> = samples([6, 3], 4).into_data().iter::<f32>().collect();
    values[4] = f32::NAN;
    let x = Tensor::<2>::from_data(TensorData::new(values, [6, 3]), &device());
    let gradients = recorded(&model, 6, Units::each(6), |model, members| losses(model.forward(rows(&x, members))));
    let factors = Clipping::default().factors(&gradients.squared_norms(), 1.0);
    assert_eq!(factors[0][1], 0.0);
    assert!(gradients.weighted_sum(&factors).iter().all(|value| value.is_finite()));
}
