//! The search behind an audit of identities: every synthetic × real pair, beside a blocked search in NumPy and a flat index of FAISS
//! on as many threads:
//!
//! ```text
//! pip install numpy faiss-cpu
//! STANDIN_PEERS_PYTHON=python cargo bench -p standin -p standin-encode --bench matches -- [--left N] [--right N] [--dimension N]
//! ```
//!
//! 20 000 × 100 000 rows of 512 unless said. Ours and NumPy find the best match of every row of both sides; FAISS those of the left
//! side only, because that is what its index can do; ours finds the 1 000 best of all pairs beside, and is exact. The share is of the
//! speed of matrix products alone, in tiles of 4096 × 4096. Memory is the most that was held during the search beyond the inputs.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use faer::Mat;
use rayon::prelude::*;
use standin_data::{Seed, Silent};
use standin_encode::{Embedding, Stamp, matches};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (mut left, mut right, mut dimension) = (20_000, 100_000, 512);
    for pair in arguments.chunks(2) {
        let into = match pair[0].as_str() {
            "--left" => &mut left,
            "--right" => &mut right,
            "--dimension" => &mut dimension,
            other => {
                eprintln!("there is no option {other}; known are --left, --right and --dimension");
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
    let operations = 2.0 * left as f64 * right as f64 * dimension as f64;
    let peak = product_speed(dimension);
    println!("{left} × {right} rows of {dimension}, {} threads", rayon::current_num_threads());
    println!("{:<28} {:>9} {:>10} {:>9} {:>11}", "", "seconds", "GFLOP/s", "of peak", "memory, MiB");
    println!("{:<28} {:>9} {:>10.1} {:>9}", "matrix products alone", "", peak / 1e9, "100 %");
    let ours = {
        let (synthetic, real) = (directions(left, dimension, "left"), directions(right, dimension, "right"));
        let before = resident("VmRSS:");
        reset_peak();
        let begun = Instant::now();
        let found = matches(&synthetic, &real, 1, 1_000, &Silent).expect("both sets have rows of one dimension");
        let seconds = begun.elapsed().as_secs_f64();
        assert_eq!((found.of_left.len(), found.of_right.len()), (left, right));
        print("standin", seconds, operations, peak, Some(resident("VmHWM:").saturating_sub(before)));
        seconds
    };
    for peer in ["NumPy", "FAISS"] {
        match peer_seconds(peer, [left, right, dimension]) {
            Some(seconds) => {
                print(peer, seconds, operations, peak, None);
                println!("{:<28} {:>9.2}", format!("{peer} / standin"), seconds / ours);
            }
            None => println!("{peer:<28} {:>9}", "–"),
        }
    }
    ExitCode::SUCCESS
}

fn print(name: &str, seconds: f64, operations: f64, peak: f64, kibibytes: Option<usize>) {
    let speed = operations / seconds;
    let memory = kibibytes.map_or_else(|| "–".to_owned(), |kibibytes| (kibibytes / 1024).to_string());
    println!("{name:<28} {seconds:>9.1} {:>10.1} {:>7.0} % {memory:>11}", speed / 1e9, 100.0 * speed / peak);
}

/// Operations a second of matrix products alone, the best of several.
fn product_speed(dimension: usize) -> f64 {
    const ROWS: usize = 4096;
    let matrix = |shift: usize| Mat::from_fn(dimension, ROWS, |i, j| ((i * 31 + j * 17 + shift) % 97) as f32);
    let (a, b) = (matrix(0), matrix(5));
    let fastest = (0..5).map(|_| {
        let begun = Instant::now();
        std::hint::black_box(a.transpose() * &b);
        begun.elapsed().as_secs_f64()
    });
    2.0 * (ROWS * ROWS * dimension) as f64 / fastest.fold(f64::INFINITY, f64::min)
}

/// Rows of length 1 in random directions.
fn directions(rows: usize, dimension: usize, purpose: &str) -> Embedding {
    let seed = Seed::new(1).derive(purpose).value();
    let mut values = vec![0.0_f32; rows * dimension];
    values.par_chunks_exact_mut(dimension).enumerate().for_each(|(row, values)| {
        let mut state = seed ^ (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for value in values {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *value = (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        }
    });
    let features = Embedding::new(values, dimension, Stamp::new("random", "")).expect("finite values");
    features.into_directions().expect("no row is zero").0
}

/// A line of the process's memory account, in KiB; 0 where there is none.
fn resident(line: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|text| text.strip_prefix(line));
    found.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Lets the most that is held begin at what is held now.
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn peer_seconds(peer: &str, sizes: [usize; 3]) -> Option<f64> {
    let python = std::env::var("STANDIN_PEERS_PYTHON").ok()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/matches.py");
    let output = Command::new(python)
        .arg(script)
        .arg(peer)
        .args(sizes.map(|size| size.to_string()))
        .arg(rayon::current_num_threads().to_string())
        .output()
        .ok()?;
    if !output.status.success() {
        eprintln!("{peer}: {}", String::from_utf8_lossy(&output.stderr).trim_end());
        return None;
    }
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}
