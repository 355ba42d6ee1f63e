//! Milliseconds of the layers of three networks, each way and per unit, beside PyTorch's:
//!
//! ```text
//! pip install torch
//! STANDIN_PEERS_PYTHON=python cargo bench -p standin-kernels -- [--batch N] [--seconds S] [--only TEXT]
//! ```
//!
//! netA and netB are small networks for images of 28 × 28 (a classifier with strided convolutions; four residual blocks of
//! 64 channels), WRN-16-4 is the wide residual network for images of 32 × 32. Every layer is timed here and then, in the same
//! second, by a PyTorch process that was told the same sizes, each with `STANDIN_PEERS_THREADS` threads (2 unless set); a
//! time is the least of the runs that fit `--seconds` (0.3 unless said). Where PyTorch has no such function (gradients of
//! units), it gets what Opacus makes them of: unfolded inputs and a product per sample. Without an interpreter only ours are
//! timed.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Instant;

use standin_kernels::{Activation, Convolution, Linear, Normalisation, Units, silu};

/// Inputs, outputs, size, kernel, stride, padding and groups of a convolution of images.
type Layer = [usize; 7];

const NETWORKS: &[(&str, &[Layer])] = &[
    ("netA", &[[1, 32, 28, 3, 1, 1, 1], [32, 64, 28, 3, 2, 1, 1], [64, 128, 14, 3, 2, 1, 1]]),
    ("netB", &[[1, 64, 28, 3, 1, 1, 1], [64, 64, 28, 3, 1, 1, 1], [64, 1, 28, 3, 1, 1, 1]]),
    (
        "WRN-16-4",
        &[
            [3, 16, 32, 3, 1, 1, 1],
            [16, 64, 32, 3, 1, 1, 1],
            [16, 64, 32, 1, 1, 0, 1],
            [64, 64, 32, 3, 1, 1, 1],
            [64, 128, 32, 3, 2, 1, 1],
            [64, 128, 32, 1, 2, 0, 1],
            [128, 128, 16, 3, 1, 1, 1],
            [128, 256, 16, 3, 2, 1, 1],
            [256, 256, 8, 3, 1, 1, 1],
        ],
    ),
    ("small", &[[1, 16, 28, 3, 1, 1, 1], [16, 16, 8, 3, 1, 1, 1]]),
    ("large", &[[16, 16, 256, 3, 1, 1, 1], [64, 64, 128, 3, 1, 1, 1], [256, 64, 32, 1, 1, 0, 1]]),
    ("groups", &[[64, 64, 32, 3, 1, 1, 64], [128, 128, 16, 3, 1, 1, 8]]),
    ("deep", &[[512, 512, 4, 3, 1, 1, 1], [640, 640, 8, 3, 1, 1, 1]]),
];

/// A PyTorch process that times what it is told.
struct Peer {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    fn start(threads: &str, seconds: f64) -> Option<Self> {
        let Ok(python) = std::env::var("STANDIN_PEERS_PYTHON") else {
            println!("STANDIN_PEERS_PYTHON names no interpreter: PyTorch is skipped");
            return None;
        };
        let mut command = Command::new(python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peer.py")).arg(threads).arg(seconds.to_string());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the process can start");
        let to = process.stdin.take().expect("its input is a pipe");
        let from = BufReader::new(process.stdout.take().expect("its output is a pipe"));
        Some(Self { process, to, from })
    }

    /// Seconds of each function of a case, or none where it cannot.
    fn seconds(&mut self, case: &str) -> Vec<f64> {
        let mut line = String::new();
        let told = writeln!(self.to, "{case}").and_then(|()| self.to.flush());
        if told.and_then(|()| self.from.read_line(&mut line)).is_err() {
            return Vec::new();
        }
        line.split_whitespace().filter_map(|number| number.parse().ok()).collect()
    }
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 7919 % 10_007) as f32).mul_add(2e-4, -1.0)).collect()
}

/// Least seconds of the runs that fit a time.
fn least<T>(limit: f64, work: impl Fn() -> T) -> f64 {
    let start = Instant::now();
    let mut least = f64::INFINITY;
    while start.elapsed().as_secs_f64() < limit {
        let begin = Instant::now();
        black_box(work());
        least = least.min(begin.elapsed().as_secs_f64());
    }
    least
}

struct Table {
    only: String,
    limit: f64,
    peer: Option<Peer>,
}

impl Table {
    fn wanted(&self, name: &str) -> bool {
        name.contains(&self.only)
    }

    /// One line for each function: milliseconds, rate, PyTorch's milliseconds and how many times ours they are.
    fn lines(&mut self, name: &str, case: &str, operations: f64, ours: &[(&str, f64)]) {
        let theirs = self.peer.as_mut().map(|peer| peer.seconds(case)).unwrap_or_default();
        for (at, (function, seconds)) in ours.iter().enumerate() {
            let label = if at == 0 { name } else { "" };
            let rate = match operations {
                0.0 => String::new(),
                operations => format!("{:.0}", operations / seconds / 1e9),
            };
            let peer = theirs
                .get(at)
                .map_or(String::new(), |theirs| format!("{:>12.3}{:>8.2}", theirs * 1e3, theirs / seconds));
            println!("{label:<34}{function:<18}{:>10.3}{rate:>8}{peer}", seconds * 1e3);
        }
    }

    fn convolution(&mut self, network: &str, batch: usize, layer: Layer) {
        let [inputs, outputs, size, kernel, stride, padding, groups] = layer;
        let name = format!("{network} {inputs}→{outputs} at {size}, {kernel}×{kernel}/{stride}");
        if !self.wanted(&name) {
            return;
        }
        let mut geometry = Convolution::planar(batch, [inputs, outputs], [size, size], kernel, stride, padding);
        geometry.groups = groups;
        let positions: usize = geometry.output().iter().product();
        let x = numbers(batch * inputs * size * size);
        let gradient = numbers(batch * outputs * positions);
        let (weight, bias) = (numbers(outputs * inputs / groups * kernel * kernel), numbers(outputs));
        let units = Units::each(batch);
        let limit = self.limit;
        let ours = [
            ("forward", least(limit, || geometry.forward(&x, &weight, Some(&bias)))),
            ("input gradient", least(limit, || geometry.input_gradient(&gradient, &weight))),
            ("weight gradient", least(limit, || geometry.weight_gradient(&x, &gradient, None))),
            ("unit gradients", least(limit, || geometry.unit_gradients(&x, &gradient, &units))),
            ("unit norms", least(limit, || geometry.unit_squared_norms(&x, &gradient, &units))),
        ];
        let operations = 2.0 * (batch * outputs * positions * inputs / groups * kernel * kernel) as f64;
        let case = format!("convolution {batch} {inputs} {outputs} {size} {kernel} {stride} {padding} {groups}");
        self.lines(&name, &case, operations, &ours);
    }

    fn normalisation(&mut self, batch: usize, channels: usize, size: usize) {
        let name = format!("group norm and SiLU, {channels} at {size}");
        if !self.wanted(&name) {
            return;
        }
        let (positions, groups) = (size * size, 8);
        let activation = Activation::Silu;
        let geometry = Normalisation { batch, channels, positions, groups, epsilon: 1e-5, activation };
        let (x, gradient) = (numbers(batch * channels * positions), numbers(batch * channels * positions));
        let (scale, shift) = (numbers(channels), numbers(channels));
        let (_, statistics) = geometry.forward(&x, &scale, &shift);
        let limit = self.limit;
        let ours = [
            ("forward", least(limit, || geometry.forward(&x, &scale, &shift))),
            ("backward", least(limit, || geometry.backward(&x, &scale, &shift, &statistics, &gradient))),
        ];
        self.lines(&name, &format!("normalisation {batch} {channels} {size} {groups}"), 0.0, &ours);
    }

    fn linear(&mut self, batch: usize, positions: usize, inputs: usize, outputs: usize) {
        let name = format!("linear {positions} × {inputs}→{outputs}");
        if !self.wanted(&name) {
            return;
        }
        let layer = Linear { batch, positions, inputs, outputs };
        let (x, gradient) = (numbers(batch * positions * inputs), numbers(batch * positions * outputs));
        let (weight, bias) = (numbers(inputs * outputs), numbers(outputs));
        let units = Units::each(batch);
        let limit = self.limit;
        let ours = [
            ("forward", least(limit, || layer.forward(&x, &weight, Some(&bias)))),
            ("input gradient", least(limit, || layer.input_gradient(&gradient, &weight))),
            ("weight gradient", least(limit, || layer.weight_gradient(&x, &gradient, None))),
            ("unit gradients", least(limit, || layer.unit_gradients(&x, &gradient, &units))),
            ("unit norms", least(limit, || layer.unit_squared_norms(&x, &gradient, &units))),
        ];
        let operations = 2.0 * (batch * positions * inputs * outputs) as f64;
        self.lines(&name, &format!("linear {batch} {positions} {inputs} {outputs}"), operations, &ours);
    }

    fn silu(&mut self, count: usize) {
        let name = format!("SiLU of {count}");
        if !self.wanted(&name) {
            return;
        }
        let z = numbers(count);
        let ours = [("forward", least(self.limit, || silu(&z)))];
        self.lines(&name, &format!("silu {count}"), 0.0, &ours);
    }
}

fn main() -> ExitCode {
    let (mut batch, mut seconds, mut only) = (64, 0.3, String::new());
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        match (argument.as_str(), value.parse::<f64>()) {
            ("--batch", Ok(count)) if count >= 1.0 => batch = count as usize,
            ("--seconds", Ok(limit)) if limit > 0.0 => seconds = limit,
            ("--only", _) => only = value,
            _ => {
                eprintln!("{argument} {value}: expected --batch N, --seconds S or --only TEXT");
                return ExitCode::from(2);
            }
        }
    }
    let threads = std::env::var("STANDIN_PEERS_THREADS").unwrap_or_else(|_| "2".into());
    let Ok(count) = threads.parse() else {
        eprintln!("STANDIN_PEERS_THREADS is {threads}: expected a number of threads");
        return ExitCode::from(2);
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().expect("threads can be started");
    let mut table = Table { only, limit: seconds, peer: Peer::start(&threads, seconds) };
    println!("{batch} samples, {threads} threads each");
    println!("{:<52}{:>10}{:>8}{:>12}{:>8}", "", "ms", "GFLOP/s", "PyTorch ms", "times");
    pool.install(|| {
        for (network, layers) in NETWORKS {
            for &layer in *layers {
                table.convolution(network, batch, layer);
            }
        }
        for (channels, size) in [(32, 28), (64, 28), (128, 16), (256, 8)] {
            table.normalisation(batch, channels, size);
        }
        for (positions, inputs, outputs) in [(1, 6272, 10), (1, 256, 10), (64, 256, 1024), (16, 64, 64)] {
            table.linear(batch, positions, inputs, outputs);
        }
        table.silu(3_211_264);
    });
    if let Some(Peer { mut process, to, .. }) = table.peer {
        drop(to);
        process.wait().expect("the process ends when its input does");
    }
    ExitCode::SUCCESS
}
