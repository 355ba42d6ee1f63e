//! Seconds of a training step and of a pass of sampling of the diffusion models' U-Net, beside PyTorch's:
//!
//! ```text
//! pip install torch
//! STANDIN_PEERS_PYTHON=python cargo bench -p standin -p standin-generate --bench diffusion -- [--steps N]
//! ```
//!
//! The default network, 28 × 28 grey images, batches of 64. A training step is all of it: noise, loss, gradient, Adam and the
//! moving average. A pass of sampling is one evaluation of the denoiser for 64 images. A private row is one of the rows of a
//! step of DPDM, clipping and noise included. Each measurement is a process of its own with as many threads
//! (`STANDIN_PEERS_THREADS`, 2 unless set), ours before and after the peer's, and the least of N steps (12 unless said) counts.
//! PyTorch runs in both memory layouts, and the better one counts.

use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use standin_data::{ImageSet, Labels, Progress, Seed, Shape, Silent};
use standin_generate::{Fit, Protection, SampleRequest, Solver, family};
use standin_privacy::{Delta, NoiseOrigin, PrivacyTarget, Unit};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 64;

/// The least time between two steps.
struct Stopwatch(Mutex<(Option<Instant>, Duration)>);

impl Progress for Stopwatch {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, steps: u64) {
        let mut state = self.0.lock().expect("no step panicked");
        let now = Instant::now();
        if let (Some(before), true) = (state.0, steps > 0) {
            state.1 = state.1.min(now - before);
        }
        state.0 = Some(now);
    }
    fn status(&self, _: &str) {}
    fn warn(&self, _: &str) {}
    fn end(&self) {}
}

fn images() -> ImageSet {
    let shape = Shape { channels: 1, height: 28, width: 28 };
    let classes = (0..10).map(|class| class.to_string()).collect();
    let labels = Labels { values: (0..BATCH as u32).map(|image| image % 10).collect(), classes };
    let pixels = (0..BATCH * shape.volume()).map(|at| (at * 37 % 256) as u8).collect();
    let set = ImageSet::new(shape, pixels).and_then(|set| set.with_labels(labels));
    set.expect("as many pixels and labels as images")
}

/// Seconds of one step, pass or row of ours.
fn ours(case: &str, steps: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let watch = Stopwatch(Mutex::new((None, Duration::MAX)));
    let fit = Fit::new(Seed::new(1), &watch);
    let plain = |steps: usize| toml::from_str(&format!("training = {{ least_steps = {steps}, epochs = 0.1 }}"));
    match case {
        "sampling" => {
            let trained = (family("edm")?.build)(&plain(1)?)?.fit(&images(), fit)?;
            let request = SampleRequest { solver: Some(Solver::Ddim), steps: Some(1), ..SampleRequest::new(BATCH) };
            let mut least = f64::INFINITY;
            for step in 0..steps + 2 {
                let start = Instant::now();
                trained.sample(&request, Seed::new(step as u64), &Silent)?;
                least = least.min(start.elapsed().as_secs_f64());
            }
            return Ok(least);
        }
        "private row" => {
            let options = format!("private = {{ steps = {}, multiplicity = 1, batch_size = {BATCH} }}", steps + 2);
            let target = PrivacyTarget { epsilon: 100.0, delta: Delta::Auto, allow_large_delta: false };
            let protection = Protection { target, unit: Unit::Image, noise: NoiseOrigin::Reproducible };
            (family("dpdm")?.build)(&toml::from_str(&options)?)?.fit(&images(), fit.protected(Some(protection)))?;
        }
        _ => drop((family("edm")?.build)(&plain(steps + 2)?)?.fit(&images(), fit)?),
    }
    let least = watch.0.lock().expect("no step panicked").1.as_secs_f64();
    Ok(if case == "private row" { least / BATCH as f64 } else { least })
}

/// The number that a process printed on its last line.
fn measured(command: &mut Command) -> Option<f64> {
    let output = command.stderr(Stdio::inherit()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.lines().last()?.trim().parse().ok()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let steps = value("--steps").and_then(|steps| steps.parse().ok()).unwrap_or(12);
    let threads = std::env::var("STANDIN_PEERS_THREADS").unwrap_or_else(|_| "2".into());
    if let Some(case) = value("--case") {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.parse().unwrap_or(2));
        pool.build_global().expect("no pool was built before");
        return match ours(&case, steps) {
            Ok(seconds) => {
                println!("{seconds}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let program = std::env::current_exe().expect("a running program has a path");
    let python = std::env::var("STANDIN_PEERS_PYTHON").ok();
    let peers = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers_diffusion.py");
    println!("{:<14} {:>12} {:>12} {:>14} {:>6}", "", "ours", "peer", "layout", "time");
    for case in ["training", "sampling", "private row"] {
        let run = || measured(Command::new(&program).args(["--case", case, "--steps", &steps.to_string()]));
        let Some(seconds) = run() else {
            println!("{case:<14} failed");
            return ExitCode::FAILURE;
        };
        let of_peer = |layout: &str| {
            measured(Command::new(python.as_ref()?).args([peers, case, layout, &steps.to_string(), &threads]))
        };
        let peer = ["contiguous", "channels_last"]
            .into_iter()
            .filter(|_| case != "private row")
            .filter_map(|layout| Some((of_peer(layout)?, layout)))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let seconds = seconds.min(run().unwrap_or(seconds));
        match peer {
            Some((theirs, layout)) => println!(
                "{case:<14} {:>9.1} ms {:>9.1} ms {layout:>14} {:>6.2}",
                seconds * 1e3,
                theirs * 1e3,
                seconds / theirs
            ),
            None => println!("{case:<14} {:>9.1} ms {:>12}", seconds * 1e3, "no peer"),
        }
    }
    ExitCode::SUCCESS
}
