//! Seconds and memory of a training step, plain and private, beside PyTorch's and Opacus's:
//!
//! ```text
//! pip install torch opacus
//! STANDIN_PEERS_PYTHON=python cargo bench -p standin -p standin-nn --bench training -- [--steps N] [--only NETWORK]
//! ```
//!
//! Batches of 64 images, Adam. Every case runs in a process of its own, one after the other, with as many threads for each
//! (`STANDIN_PEERS_THREADS`, 2 unless set): one pass over all cases to warm up the machine, then the least of N steps (9 unless
//! said) of each. PyTorch runs in both memory layouts, and the better one counts. Memory is the process's peak. Without an
//! interpreter, or a package, the peer is said and skipped.
//!
//! | network | layers |
//! |---|---|
//! | a | convolutions 1→32, 32→64 (stride 2), 64→128 (stride 2), each with group norm and SiLU, linear; 28 × 28 |
//! | b | convolution 1→64, four residual blocks (group norm, SiLU, convolution 64→64), convolution 64→1; 28 × 28 |
//! | wide-resnet-16-4 | Zagoruyko & Komodakis 2016, with group norm and ReLU; 3 × 32 × 32 |

use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use standin_data::Seed;
use standin_nn::layer::{Activation, Conv2d, GroupNorm, Linear};
use standin_nn::tensor::Tensor;
use standin_nn::{
    Batch, DeviceChoice, Module, Optimization, Privacy, PrivateTrainer, Records, Result, Trainer, burn, initial, loss,
};
use standin_privacy::{Adjacency, Budget, Ledger, NoiseOrigin, Unit};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 64;
const NETWORKS: [&str; 3] = ["a", "b", "wide-resnet-16-4"];

/// A convolution with the normalisation and activation before it.
#[derive(Module, Debug)]
struct Block {
    norm: GroupNorm,
    convolution: Conv2d,
}

impl Block {
    fn new(inputs: usize, outputs: usize, stride: usize, seed: u64) -> Self {
        let device = DeviceChoice::Cpu.training();
        let convolution = Conv2d::new(inputs, outputs, 3, Seed::new(seed), &device).with_stride(stride);
        Self { norm: GroupNorm::new(8, inputs, &device), convolution: convolution.with_padding(1) }
    }

    fn forward(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        self.convolution.forward(self.norm.activated(x, activation))
    }
}

/// Two blocks beside the identity, or beside a convolution where the shape changes.
#[derive(Module, Debug)]
struct Residual {
    first: Block,
    second: Block,
    shortcut: Option<Conv2d>,
}

/// All three networks: which parts are used decides.
#[derive(Module, Debug)]
struct Network {
    stem: Conv2d,
    blocks: Vec<Block>,
    residuals: Vec<Residual>,
    norm: Option<GroupNorm>,
    head: Option<Linear>,
    last: Option<Conv2d>,
}

impl Network {
    fn new(name: &str) -> Self {
        let device = DeviceChoice::Cpu.training();
        let stem = |inputs, outputs| Conv2d::new(inputs, outputs, 3, Seed::new(1), &device).with_padding(1);
        let norm = |channels| Some(GroupNorm::new(8, channels, &device));
        let linear = |inputs| Some(Linear::new(inputs, 10, Seed::new(2), &device));
        match name {
            "a" => Self {
                stem: stem(1, 32),
                blocks: vec![Block::new(32, 64, 2, 3), Block::new(64, 128, 2, 4)],
                residuals: Vec::new(),
                norm: norm(128),
                head: linear(128 * 49),
                last: None,
            },
            "b" => Self {
                stem: stem(1, 64),
                blocks: (0..4).map(|index| Block::new(64, 64, 1, index + 3)).collect(),
                residuals: Vec::new(),
                norm: None,
                head: None,
                last: Some(Conv2d::new(64, 1, 3, Seed::new(9), &device).with_padding(1)),
            },
            _ => {
                let mut residuals = Vec::new();
                let mut channels = 16;
                for (group, outputs) in [64, 128, 256].into_iter().enumerate() {
                    for index in 0..2 {
                        let stride = if group > 0 && index == 0 { 2 } else { 1 };
                        let shortcut = (channels != outputs)
                            .then(|| Conv2d::new(channels, outputs, 1, Seed::new(7), &device).with_stride(stride));
                        let first = Block::new(channels, outputs, stride, 5);
                        residuals.push(Residual { first, second: Block::new(outputs, outputs, 1, 6), shortcut });
                        channels = outputs;
                    }
                }
                Self {
                    stem: stem(3, 16),
                    blocks: Vec::new(),
                    residuals,
                    norm: norm(256),
                    head: linear(256),
                    last: None,
                }
            }
        }
    }

    fn losses(&self, x: Tensor<4>) -> Tensor<1> {
        let input = x.clone();
        let mut x = self.stem.forward(x);
        for block in &self.blocks {
            let y = block.forward(x.clone(), Activation::Silu);
            x = if self.last.is_some() { y + x } else { y };
        }
        for Residual { first, second, shortcut } in &self.residuals {
            let y = second.forward(first.forward(x.clone(), Activation::Relu), Activation::Relu);
            x = y + match shortcut {
                Some(shortcut) => shortcut.forward(x),
                None => x,
            };
        }
        if let Some(last) = &self.last {
            return loss::squared_error(last.forward(x), input);
        }
        let activation = if self.residuals.is_empty() { Activation::Silu } else { Activation::Relu };
        let mut x = self.norm.as_ref().expect("a network with a head has a last norm").activated(x, activation);
        if !self.residuals.is_empty() {
            x = x.mean_dim(3).mean_dim(2);
        }
        let [n, channels, height, width] = x.dims();
        let head = self.head.as_ref().expect("a network without last convolution has a head");
        let labels: Vec<u32> = (0..n as u32).map(|label| label % 10).collect();
        let targets = loss::smoothed_targets(&labels, 10, 0.0, &x.device());
        loss::cross_entropy(head.forward(x.reshape([n, channels * height * width])), targets)
    }
}

fn batch(step: usize) -> Batch<'static> {
    Batch { step, steps: 1000, epoch: 0, steps_per_epoch: 1, indices: &[], seed: Seed::new(step as u64) }
}

/// The least seconds of a step of ours.
fn ours(network: &str, private: bool, steps: usize) -> Result<f64> {
    let device = DeviceChoice::Cpu.training();
    let shape = if network == "wide-resnet-16-4" { [BATCH, 3, 32, 32] } else { [BATCH, 1, 28, 28] };
    let x = initial::normal(shape, 1.0, Seed::new(8), &device);
    let model = Network::new(network);
    let optimization = Optimization::default();
    let least = |mut step: Box<dyn FnMut(usize) -> Result<f64>>| -> Result<f64> {
        let mut least = f64::INFINITY;
        for index in 0..steps + 2 {
            let start = Instant::now();
            step(index)?;
            if index >= 2 {
                least = least.min(start.elapsed().as_secs_f64());
            }
        }
        Ok(least)
    };
    if !private {
        let mut trainer = Trainer::new(model, &optimization)?;
        return least(Box::new(move |index| {
            let loss = trainer.model().losses(x.clone()).mean();
            trainer.step(&loss, &batch(index))
        }));
    }
    // A sampling rate of 1: every step has the same 64 images.
    let privacy = Privacy { noise: NoiseOrigin::Reproducible, physical_batch: BATCH, ..Privacy::new(BATCH, 1000) };
    let before = Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Reproducible);
    let budget = Budget { epsilon: 100.0, delta: 1e-3 };
    let mut trainer = PrivateTrainer::new(model, &optimization, &privacy, budget, &Records::each(BATCH), before)?;
    least(Box::new(move |index| trainer.step(&batch(index), |model, _| Ok(model.losses(x.clone())))))
}

/// Peak memory of this process in MiB, where the system says it.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: f64 = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(f64::NAN);
    kilobytes / 1024.0
}

/// Seconds and MiB that a process printed on its last line.
fn measured(command: &mut Command) -> Option<(f64, f64)> {
    let output = command.stderr(Stdio::inherit()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.lines().last()?.split_whitespace().map(str::parse::<f64>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let steps = value("--steps").and_then(|steps| steps.parse().ok()).unwrap_or(9);
    let threads = std::env::var("STANDIN_PEERS_THREADS").unwrap_or_else(|_| "2".into());
    if let Some(case) = value("--case") {
        let (network, kind) = case.split_once('/').unwrap_or((&case, "plain"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse().unwrap_or(2));
        pool.build_global().expect("no pool was built before");
        match ours(network, kind == "private", steps) {
            Ok(seconds) => println!("{seconds} {}", peak()),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
        return ExitCode::SUCCESS;
    }
    let only = value("--only");
    let program = std::env::current_exe().expect("a running program has a path");
    let python = std::env::var("STANDIN_PEERS_PYTHON").ok();
    let peers = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers.py");
    println!(
        "{:<18} {:<8} {:>20} {:>20} {:>14} {:>7} {:>7}",
        "network", "step", "ours", "peer", "layout", "time", "memory"
    );
    for network in NETWORKS.into_iter().filter(|&network| only.as_deref().is_none_or(|only| only == network)) {
        let mut plain = f64::NAN;
        for kind in ["plain", "private"] {
            let case = format!("{network}/{kind}");
            let run = || measured(Command::new(&program).args(["--case", &case, "--steps", &steps.to_string()]));
            let Some((seconds, memory)) = run() else {
                println!("{network:<18} {kind:<8} failed");
                return ExitCode::FAILURE;
            };
            let shown = |seconds: f64, memory: f64| format!("{:.1} ms {memory:.0} MiB", seconds * 1e3);
            let of_peer = |layout: &str| {
                let python = python.as_ref()?;
                measured(Command::new(python).args([peers, network, kind, layout, &steps.to_string(), &threads]))
            };
            let peer = ["contiguous", "channels_last"]
                .into_iter()
                .filter_map(|layout| Some((of_peer(layout)?, layout)))
                .min_by(|a, b| a.0.0.total_cmp(&b.0.0));
            // Ours again, after the peer: whatever else the machine does meets both.
            let (again, _) = run().unwrap_or((seconds, memory));
            let seconds = seconds.min(again);
            match peer {
                Some(((theirs, their_memory), layout)) => println!(
                    "{network:<18} {kind:<8} {:>20} {:>20} {layout:>14} {:>7.2} {:>7.2}",
                    shown(seconds, memory),
                    shown(theirs, their_memory),
                    seconds / theirs,
                    memory / their_memory
                ),
                None => println!("{network:<18} {kind:<8} {:>20} {:>20}", shown(seconds, memory), "no peer"),
            }
            if kind == "plain" {
                plain = seconds;
            } else {
                println!("{:<18} private / plain: {:.2}", "", seconds / plain);
            }
        }
    }
    ExitCode::SUCCESS
}
