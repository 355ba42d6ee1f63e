//! Time of one training step (forward, backward, Adam) of small networks on the CPU.
//!
//! `cargo run --release -p standin-nn --example step_time [THREADS]` prints the fastest of twenty steps each. Convolutions of
//! stride 2 and ReLU are what keeps a network fast here: element-wise functions run on one thread.

use std::time::Instant;

use standin_data::Seed;
use standin_nn::layer::{Conv2d, GroupNormSilu, Linear, relu};
use standin_nn::tensor::Tensor;
use standin_nn::{Batch, DeviceChoice, Module, Optimization, Trainer, burn, initial, loss};

#[derive(Module, Debug)]
struct Perceptron {
    layers: Vec<Linear>,
}

#[derive(Module, Debug)]
struct Convolutional {
    convolutions: Vec<Conv2d>,
    norms: Vec<GroupNormSilu>,
    out: Linear,
}

trait Classify: Module {
    fn logits(&self, x: Tensor<4>) -> Tensor<2>;
}

impl Classify for Perceptron {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        let [n, channels, height, width] = x.dims();
        let x = x.reshape([n, channels * height * width]);
        let (last, hidden) = self.layers.split_last().expect("a perceptron has layers");
        last.forward(hidden.iter().fold(x, |x, layer| relu(layer.forward(x))))
    }
}

impl Classify for Convolutional {
    fn logits(&self, mut x: Tensor<4>) -> Tensor<2> {
        for (index, convolution) in self.convolutions.iter().enumerate() {
            x = convolution.forward(x);
            x = match self.norms.get(index) {
                Some(norm) => norm.forward(x),
                None => relu(x),
            };
        }
        let [n, channels, height, width] = x.dims();
        self.out.forward(x.reshape([n, channels * height * width]))
    }
}

fn perceptron(sizes: &[usize]) -> Perceptron {
    let device = DeviceChoice::Cpu.training();
    let layers = sizes.windows(2).map(|pair| Linear::new(pair[0], pair[1], Seed::new(pair[0] as u64), &device));
    Perceptron { layers: layers.collect() }
}

/// Convolutions given as (channels, kernel, stride) of images of `size` × `size` pixels.
fn convolutional(size: usize, layers: &[(usize, usize, usize)], norm: bool) -> Convolutional {
    let device = DeviceChoice::Cpu.training();
    let (mut inputs, mut size) = (1, size);
    let mut convolutions = Vec::new();
    for &(channels, kernel, stride) in layers {
        let layer = Conv2d::new(inputs, channels, kernel, Seed::new(1), &device).with_stride(stride);
        let layer = layer.with_padding(kernel / 2);
        (inputs, size) = (channels, layer.output_size(size));
        convolutions.push(layer);
    }
    let norms = layers.iter().filter(|_| norm).map(|&(channels, ..)| GroupNormSilu::new(8, channels, &device));
    let out = Linear::new(inputs * size * size, 10, Seed::new(2), &device);
    Convolutional { convolutions, norms: norms.collect(), out }
}

fn measure(name: &str, size: usize, batch_size: usize, model: impl Classify) {
    let device = DeviceChoice::Cpu.training();
    let x = initial::normal([batch_size, 1, size, size], 1.0, Seed::new(3), &device);
    let labels: Vec<u32> = (0..batch_size as u32).map(|index| index % 10).collect();
    let targets = loss::smoothed_targets(&labels, 10, 0.0, &device);
    let parameters = model.num_params();
    let mut trainer = Trainer::new(model, &Optimization::default()).expect("default settings are in range");
    let (mut forward, mut step) = (f64::INFINITY, f64::INFINITY);
    for number in 0..20 {
        let batch = Batch { step: number, steps: 20, epoch: 0, steps_per_epoch: 20, indices: &[], seed: Seed::new(0) };
        let start = Instant::now();
        let loss = loss::cross_entropy(trainer.model().logits(x.clone()), targets.clone()).mean();
        forward = start.elapsed().as_secs_f64().min(forward);
        trainer.step(&loss, &batch).expect("the loss of a small network is finite");
        step = start.elapsed().as_secs_f64().min(step);
    }
    println!(
        "{name:34} batch {batch_size:4} {parameters:8} parameters {:7.2} ms, forward {:7.2} ms {:8.0} images/s",
        step * 1e3,
        forward * 1e3,
        batch_size as f64 / step
    );
}

fn main() {
    let threads = std::env::args().nth(1).and_then(|threads| threads.parse().ok()).unwrap_or(0);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads");
    pool.install(|| {
        for batch_size in [64, 256] {
            measure("perceptron 784-256-10", 28, batch_size, perceptron(&[784, 256, 10]));
            measure("28² 5/16/2 3/32/2", 28, batch_size, convolutional(28, &[(16, 5, 2), (32, 3, 2)], false));
            measure("28² 5/32/2 3/64/2", 28, batch_size, convolutional(28, &[(32, 5, 2), (64, 3, 2)], false));
            measure(
                "28² 3/32/1 3/32/2 3/64/2",
                28,
                batch_size,
                convolutional(28, &[(32, 3, 1), (32, 3, 2), (64, 3, 2)], false),
            );
            measure("28² 3/32/2 3/64/2", 28, batch_size, convolutional(28, &[(32, 3, 2), (64, 3, 2)], false));
            measure(
                "28² 3/32/2 3/64/2, norm and SiLU",
                28,
                batch_size,
                convolutional(28, &[(32, 3, 2), (64, 3, 2)], true),
            );
        }
        for batch_size in [32, 64] {
            measure("8² 3/16/1 3/32/2", 8, batch_size, convolutional(8, &[(16, 3, 1), (32, 3, 2)], false));
            measure("8² 3/32/1 3/64/2", 8, batch_size, convolutional(8, &[(32, 3, 1), (64, 3, 2)], false));
            measure("perceptron 64-128-10", 8, batch_size, perceptron(&[64, 128, 10]));
        }
    });
}
