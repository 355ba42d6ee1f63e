//! Milliseconds and peak memory of convolutions of volumes, each way, and of a training step of V-Net, beside PyTorch's:
//!
//! ```text
//! pip install torch
//! STANDIN_PEERS_PYTHON=python cargo bench -p standin -p standin-segment --bench volumes -- [--seconds S] [--only TEXT]
//! ```
//!
//! The layers are those of V-Net with 8 and 16 channels. Each is timed here and then, in the same second, by a PyTorch
//! process that was told the same sizes, each with `STANDIN_PEERS_THREADS` threads (2 unless set); a time is the least of the
//! runs that fit `--seconds` (1 unless said). Memory is what a run adds to what the process holds before it (Linux alone).
//! Without an interpreter only ours are measured.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Instant;

use standin_data::Seed;
use standin_kernels::Convolution;
use standin_nn::tensor::{Tensor, TensorData};
use standin_nn::{DeviceChoice, gradient, initial};
use standin_segment::losses::{Answer, cross_entropy, dice};
use standin_segment::network::{Architecture, Enlargement};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Inputs, outputs, depth, height, width, kernel, stride and padding.
type Layer = [usize; 8];

const LAYERS: &[(&str, Layer)] = &[
    ("first", [1, 16, 32, 48, 48, 3, 1, 1]),
    ("level 1", [8, 8, 32, 48, 48, 3, 1, 1]),
    ("level 1", [16, 16, 32, 48, 48, 3, 1, 1]),
    ("level 2", [32, 32, 16, 24, 24, 3, 1, 1]),
    ("level 3", [64, 64, 8, 12, 12, 3, 1, 1]),
    ("level 4", [128, 128, 4, 6, 6, 3, 1, 1]),
    ("level 5", [256, 256, 2, 3, 3, 3, 1, 1]),
    ("after enlargement", [32, 16, 32, 48, 48, 3, 1, 1]),
    ("halving", [16, 32, 32, 48, 48, 2, 2, 0]),
    ("output", [16, 2, 32, 48, 48, 1, 1, 0]),
];

/// Patches of a step.
const BATCH: usize = 4;

/// A PyTorch process that measures what it is told.
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

    /// Seconds and megabytes of each function of a case, in turns.
    fn measure(&mut self, case: &str) -> Vec<f64> {
        let mut line = String::new();
        let told = writeln!(self.to, "{case}").and_then(|()| self.to.flush());
        if told.and_then(|()| self.from.read_line(&mut line)).is_err() {
            return Vec::new();
        }
        line.split_whitespace().filter_map(|number| number.parse().ok()).collect()
    }
}

/// Megabytes of a field of what Linux says about this process.
fn resident(field: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
}

/// Least seconds of the runs that fit a time, and the megabytes that the first adds.
fn measured<T>(limit: f64, work: impl Fn() -> T) -> (f64, Option<f64>) {
    // Sets the peak to what is held now.
    let reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = resident("VmRSS:").filter(|_| reset);
    black_box(work());
    let added = before.and_then(|before| Some((resident("VmHWM:")? - before).max(0.0)));
    let start = Instant::now();
    let mut least = f64::INFINITY;
    while start.elapsed().as_secs_f64() < limit {
        let begin = Instant::now();
        black_box(work());
        least = least.min(begin.elapsed().as_secs_f64());
    }
    (least, added)
}

struct Table {
    only: String,
    limit: f64,
    peer: Option<Peer>,
}

impl Table {
    fn lines(&mut self, name: &str, case: &str, operations: f64, ours: &[(&str, (f64, Option<f64>))]) {
        let theirs = self.peer.as_mut().map(|peer| peer.measure(case)).unwrap_or_default();
        let megabytes = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.0}"));
        for (at, (function, (seconds, added))) in ours.iter().enumerate() {
            let label = if at == 0 { name } else { "" };
            let rate = if operations > 0.0 { format!("{:.0}", operations / seconds / 1e9) } else { String::new() };
            let peer = theirs.get(2 * at).map_or(String::new(), |theirs_seconds| {
                let held = megabytes(theirs.get(2 * at + 1).copied());
                format!("{:>12.2}{:>8.2}{held:>14}", theirs_seconds * 1e3, theirs_seconds / seconds)
            });
            let added = megabytes(*added);
            println!("{label:<38}{function:<18}{:>9.2}{rate:>9}{added:>7}{peer}", seconds * 1e3);
        }
    }

    fn layer(&mut self, name: &str, layer: Layer) {
        let [inputs, outputs, depth, height, width, kernel, stride, padding] = layer;
        let name = format!("{name}: {inputs}→{outputs} at {depth}×{height}×{width}, {kernel}³/{stride}");
        if !name.contains(&self.only) {
            return;
        }
        let geometry = Convolution {
            batch: BATCH,
            inputs,
            outputs,
            groups: 1,
            size: [depth, height, width],
            kernel: [kernel; 3],
            stride: [stride; 3],
            padding: [padding; 3],
            dilation: [1; 3],
        };
        let positions: usize = geometry.output().iter().product();
        let numbers = |count: usize| -> Vec<f32> {
            (0..count).map(|at| ((at * 7919 % 10_007) as f32).mul_add(2e-4, -1.0)).collect()
        };
        let x = numbers(BATCH * inputs * depth * height * width);
        let of_output = numbers(BATCH * outputs * positions);
        let (weight, bias) = (numbers(outputs * inputs * kernel.pow(3)), numbers(outputs));
        let limit = self.limit;
        let ours = [
            ("forward", measured(limit, || geometry.forward(&x, &weight, Some(&bias)))),
            ("input gradient", measured(limit, || geometry.input_gradient(&of_output, &weight))),
            ("weight gradient", measured(limit, || geometry.weight_gradient(&x, &of_output, None))),
        ];
        let operations = 2.0 * (BATCH * outputs * positions * inputs * kernel.pow(3)) as f64;
        let sizes = layer.map(|size| size.to_string()).join(" ");
        self.lines(&name, &format!("layer {BATCH} {sizes}"), operations, &ours);
    }

    fn step(&mut self, width: usize, [depth, height, across]: [usize; 3]) {
        let name = format!("V-Net of {width} at {depth}×{height}×{across}");
        if !name.contains(&self.only) {
            return;
        }
        let device = DeviceChoice::Cpu.training();
        let decoders = vec![Enlargement::Transposed];
        let network = Architecture { dimensions: 3, width, classes: 2, decoders }.build(Seed::new(1), &device);
        let shape = [BATCH, 1, depth, height, across];
        let images: Tensor<5> = initial::normal(shape, 1.0, Seed::new(2), &device);
        let labels: Vec<u8> = (0..BATCH * depth * height * across).map(|at| u8::from(at % 7 == 0)).collect();
        let images: Vec<f32> = images.into_data().iter::<f32>().collect();
        let work = || {
            let images = Tensor::<5>::from_data(TensorData::new(images.clone(), shape), &device);
            let mut answer = Answer::new(network.forward(images).remove(0));
            let maps = answer.maps();
            let (p, into) = answer.parts();
            let value = dice(maps, p, &labels, 0.5, into) + cross_entropy(maps, p, &labels, 0.5, into);
            gradient(&network, &answer.loss(value))
        };
        let ours = [("training step", measured(3.0 * self.limit, work))];
        self.lines(&name, &format!("step {BATCH} {width} {depth} {height} {across}"), 0.0, &ours);
    }
}

fn main() -> ExitCode {
    let (mut seconds, mut only) = (1.0, String::new());
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        match (argument.as_str(), value.parse::<f64>()) {
            ("--seconds", Ok(limit)) if limit > 0.0 => seconds = limit,
            ("--only", _) => only = value,
            _ => {
                eprintln!("{argument} {value}: expected --seconds S or --only TEXT");
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
    println!("{BATCH} patches, {threads} threads each");
    println!("{:<56}{:>9}{:>9}{:>7}{:>12}{:>8}{:>14}", "", "ms", "GFLOP/s", "MB", "PyTorch ms", "times", "PyTorch MB");
    pool.install(|| {
        LAYERS.iter().for_each(|&(name, layer)| table.layer(name, layer));
        table.step(8, [32, 48, 48]);
        table.step(16, [32, 48, 48]);
    });
    if let Some(Peer { mut process, to, .. }) = table.peer {
        drop(to);
        process.wait().expect("the process ends when its input does");
    }
    ExitCode::SUCCESS
}
