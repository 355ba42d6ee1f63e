//! Seconds of attacks' scores, beside the same computation in NumPy on as many threads:
//!
//! ```text
//! pip install numpy
//! STANDIN_PEERS_PYTHON=python cargo bench -p standin -p standin-attack --bench attacks -- [--candidates N] [--shadows N] [--rows N]
//! ```
//!
//! LiRA and RMIA score 100 000 candidates by 256 shadows of 10 classes unless said, from logits on; nearest neighbours are those of
//! 60 000 images of 28×28 among as many. Each time is the least of two. Without an interpreter the other column is empty.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use rand::RngExt;
use rayon::prelude::*;
use standin_attack::{ClassifierTarget, ImagesTarget, Logits, Shadow, Target, attack};
use standin_data::Seed;
use standin_encode::{Embedding, Stamp};

const CLASSES: usize = 10;
const PIXELS: usize = 784;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (mut candidates, mut shadows, mut rows) = (100_000, 256, 60_000);
    for pair in arguments.chunks(2) {
        let into = match pair[0].as_str() {
            "--candidates" => &mut candidates,
            "--shadows" => &mut shadows,
            "--rows" => &mut rows,
            other => {
                eprintln!("there is no option {other}; known are --candidates, --shadows and --rows");
                return ExitCode::from(2);
            }
        };
        match pair.get(1).map(|text| text.parse()) {
            Some(Ok(number)) => *into = number,
            _ => {
                eprintln!("{} takes a number", pair[0]);
                return ExitCode::from(2);
            }
        }
    }
    println!("{} threads", rayon::current_num_threads());
    println!("{:<22} {:>28} {:>9} {:>9} {:>7}", "attack", "size", "ours, s", "NumPy, s", "ratio");
    let names = ["lira-online-fixed", "lira-offline-fixed", "rmia-online", "rmia-offline"];
    for (name, seconds) in names.into_iter().zip(scored(&names, candidates, shadows)) {
        let size = format!("{candidates} × {shadows} × {CLASSES}");
        print(name, &size, seconds, peer(name, [candidates, shadows, CLASSES]));
    }
    let seconds = neighbours(rows);
    print("gan-leaks", &format!("{rows} × {rows} × {PIXELS}"), seconds, peer("gan-leaks", [rows, rows, PIXELS]));
    ExitCode::SUCCESS
}

fn print(name: &str, size: &str, ours: f64, peer: Option<f64>) {
    let (peer, ratio) = match peer {
        Some(peer) => (format!("{peer:.2}"), format!("{:.1}", peer / ours)),
        None => ("–".to_owned(), "–".to_owned()),
    };
    println!("{name:<22} {size:>28} {ours:>9.2} {peer:>9} {ratio:>7}");
}

/// The least of two runs.
fn least(mut run: impl FnMut()) -> f64 {
    let mut timed = || {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    timed().min(timed())
}

/// Uniform values; those of a row depend on the seed and its place alone.
fn uniform(rows: usize, width: usize, seed: Seed) -> Vec<f32> {
    let mut values = vec![0.0; rows * width];
    values.par_chunks_exact_mut(width).enumerate().for_each(|(row, values)| {
        let mut rng = seed.rng();
        rng.set_stream(row as u64);
        values.iter_mut().for_each(|value| *value = rng.random());
    });
    values
}

fn scored(names: &[&str], candidates: usize, shadows: usize) -> Vec<f64> {
    let logits = |model: usize| uniform(candidates, CLASSES, Seed::new(model as u64));
    let target = logits(shadows);
    let labels: Vec<u32> = (0..candidates).map(|at| (at % CLASSES) as u32).collect();
    let members: Vec<Vec<bool>> = (0..shadows)
        .map(|shadow| {
            let mut rng = Seed::new(shadow as u64).derive("members").rng();
            (0..candidates).map(|_| rng.random()).collect()
        })
        .collect();
    let answers: Vec<Vec<f32>> = (0..shadows).map(logits).collect();
    let of = |values| Logits::new(values, CLASSES).expect("whole rows of finite values");
    let shadows: Vec<Shadow<'_>> =
        answers.iter().zip(&members).map(|(values, member)| Shadow { logits: of(values), member }).collect();
    let target = Target::Classifier(ClassifierTarget::new(of(&target), &labels, &shadows).expect("all lengths agree"));
    let time = |name: &&str| {
        let attack = attack(name).expect("it is registered").build();
        least(|| assert_eq!(attack.score(&target).expect("its needs are met").len(), candidates))
    };
    names.iter().map(time).collect()
}

fn neighbours(rows: usize) -> f64 {
    let set = |seed| {
        let stamp = Stamp::new("pixels", "uniform");
        Embedding::new(uniform(rows, PIXELS, Seed::new(seed)), PIXELS, stamp).expect("whole rows of finite values")
    };
    let (released, candidates) = (set(1), set(2));
    let target = Target::Images(ImagesTarget::new(&released, None, &candidates).expect("one protocol"));
    let attack = attack("gan-leaks").expect("it is registered").build();
    least(|| assert_eq!(attack.score(&target).expect("its needs are met").len(), rows))
}

/// Seconds in NumPy, if there is an interpreter with it.
fn peer(case: &str, sizes: [usize; 3]) -> Option<f64> {
    let python = std::env::var_os("STANDIN_PEERS_PYTHON")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/attacks.py");
    let threads = rayon::current_num_threads().to_string();
    let mut command = Command::new(python);
    command.arg(script).arg(case).args(sizes.map(|size| size.to_string()));
    for variable in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
        command.env(variable, &threads);
    }
    let output = command.output().ok()?;
    if !output.status.success() {
        eprintln!("{case}: {}", String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
