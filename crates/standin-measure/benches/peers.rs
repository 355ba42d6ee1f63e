//! Seconds and memory beside the Python packages most used for the same number, on the same features and threads:
//!
//! ```text
//! pip install torch torch-fidelity prdc vendi-score scikit-learn numpy
//! STANDIN_PEERS_PYTHON=python cargo bench -p standin-measure --bench peers -- [--rows N] [--only CASE]…
//! ```
//!
//! Every case runs in a process of its own, ours and theirs one after the other, with as many threads for each
//! (`STANDIN_PEERS_THREADS`, 2 unless set), and gives the least of two runs without loading. Memory is the process's
//! peak, features included. A package that is not installed is said and skipped; without an interpreter all are.
//! Neighbour search is also compared with the matrix product that it rests on: their shares of the product's rate say how
//! near they come to what the machine can do.
//!
//! `--rows N` takes at most N rows a set, for a first look; `--only` takes the cases named, as they are printed.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use faer::{Mat, MatRef, Par};
use npyz::WriterBuilder;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use standin_data::Seed;
use standin_encode::{Embedding, Stamp, nearest};
use standin_measure::{
    Convention, cmmd, frechet_distance, kernel_distance, kernel_distance_on_subsets, manifold, vendi_score,
    vendi_score_of_order,
};

struct Case {
    name: &'static str,
    rows: usize,
    width: usize,
    ours: fn(&Embedding, &Embedding) -> f64,
    /// Function of `peers.py` and what it calls.
    peer: Option<(&'static str, &'static str)>,
    /// Pairs or products times 2, for the rate; 0 where it means nothing.
    operations: fn(f64, f64) -> f64,
}

const ENOUGH: &str = "the sets are large enough and of one protocol";

fn no_rate(_: f64, _: f64) -> f64 {
    0.0
}

const CASES: &[Case] = &[
    Case {
        name: "matrix product, f32",
        rows: 10_000,
        width: 2048,
        ours: |first, second| {
            let matrix =
                |set: &Embedding| MatRef::from_row_major_slice(set.values(), set.rows(), set.dimension()).to_owned();
            let (a, b) = (matrix(first), matrix(second));
            let mut into = Mat::<f32>::zeros(a.nrows(), b.nrows());
            faer::linalg::matmul::matmul(
                into.as_mut(),
                faer::Accum::Replace,
                a.as_ref(),
                b.transpose(),
                1.0,
                Par::rayon(rayon::current_num_threads()),
            );
            f64::from(into[(0, 0)])
        },
        peer: None,
        operations: |n, d| 2.0 * n * n * d,
    },
    Case {
        name: "5 nearest of another set",
        rows: 10_000,
        width: 2048,
        ours: |first, second| {
            let radii = nearest(first, second, 5, false).expect(ENOUGH).at_rank(5);
            radii.iter().sum::<f64>() / radii.len() as f64
        },
        peer: Some(("neighbours", "scikit-learn, brute force")),
        operations: |n, d| 2.0 * n * n * d,
    },
    Case {
        name: "5 nearest of the same set",
        rows: 10_000,
        width: 2048,
        ours: |first, _| nearest(first, first, 5, true).expect(ENOUGH).at_rank(5).iter().sum(),
        peer: None,
        operations: |n, d| n * n * d,
    },
    Case {
        name: "Fréchet distance",
        rows: 50_000,
        width: 2048,
        ours: |first, second| frechet_distance(first, second).expect(ENOUGH).value,
        peer: Some(("frechet", "torch-fidelity")),
        operations: no_rate,
    },
    Case {
        name: "KID, 100 subsets of 1000",
        rows: 10_000,
        width: 2048,
        ours: |first, second| {
            let size = first.rows().min(1000);
            kernel_distance_on_subsets(first, second, 100, size, Seed::new(1)).expect(ENOUGH).0
        },
        peer: Some(("kid", "torch-fidelity")),
        operations: no_rate,
    },
    Case {
        name: "KID, all pairs",
        rows: 10_000,
        width: 2048,
        ours: |first, second| kernel_distance(first, second).expect(ENOUGH).value,
        peer: None,
        operations: |n, d| 4.0 * n * n * d,
    },
    Case {
        name: "CMMD",
        rows: 10_000,
        width: 768,
        ours: |first, second| cmmd(first, second).expect(ENOUGH).value,
        peer: Some(("cmmd", "NumPy, the published formula in f32")),
        operations: no_rate,
    },
    Case {
        name: "PRDC",
        rows: 10_000,
        width: 2048,
        ours: |first, second| manifold(second, first, Convention::Prdc).expect(ENOUGH).coverage.value,
        peer: Some(("prdc", "prdc")),
        operations: no_rate,
    },
    Case {
        name: "PRDC, 50 000",
        rows: 50_000,
        width: 2048,
        ours: |first, second| manifold(second, first, Convention::Prdc).expect(ENOUGH).coverage.value,
        peer: None,
        operations: no_rate,
    },
    Case {
        name: "Vendi, 2048 wide",
        rows: 5000,
        width: 2048,
        ours: |first, _| vendi_score(first).expect(ENOUGH).value,
        peer: Some(("vendi", "vendi-score, kernel")),
        operations: no_rate,
    },
    Case {
        name: "Vendi, 2048 wide, order 2",
        rows: 5000,
        width: 2048,
        ours: |first, _| vendi_score_of_order(first, 2.0).expect(ENOUGH).value,
        peer: None,
        operations: no_rate,
    },
    Case {
        name: "Vendi, 2048 wide, dual",
        rows: 5000,
        width: 2048,
        ours: |first, _| vendi_score(first).expect(ENOUGH).value,
        peer: Some(("vendi_dual", "vendi-score, dual")),
        operations: no_rate,
    },
    Case {
        name: "Vendi, 512 wide",
        rows: 5000,
        width: 512,
        ours: |first, _| vendi_score(first).expect(ENOUGH).value,
        peer: Some(("vendi", "vendi-score, kernel")),
        operations: no_rate,
    },
];

/// What one process found.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Found {
    Measured { seconds: f64, value: f64, peak: u64 },
    Missing { missing: String },
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [child, index, first, second] = &arguments[..]
        && child == "child"
    {
        run(&CASES[index.parse::<usize>().expect("the parent gives an index")], Path::new(first), Path::new(second));
        return ExitCode::SUCCESS;
    }
    let (mut rows, mut only) = (usize::MAX, Vec::new());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match (argument.as_str(), rest.next()) {
            ("--rows", Some(value)) if value.parse::<usize>().is_ok_and(|value| value >= 20) => {
                rows = value.parse().expect("checked above");
            }
            ("--only", Some(name)) if CASES.iter().any(|case| case.name == name) => only.push(name.clone()),
            (argument, value) => {
                let names: Vec<_> = CASES.iter().map(|case| format!("'{}'", case.name)).collect();
                eprintln!(
                    "{argument} {}: expected --rows N (20 or more) or --only CASE, one of {}",
                    value.map_or("", |value| value.as_str()),
                    names.join(", ")
                );
                return ExitCode::from(2);
            }
        }
    }
    compare(rows, &only);
    ExitCode::SUCCESS
}

/// Prints the table.
fn compare(most: usize, only: &[String]) {
    let threads = std::env::var("STANDIN_PEERS_THREADS").unwrap_or_else(|_| "2".into());
    let python = std::env::var("STANDIN_PEERS_PYTHON").ok();
    if python.is_none() {
        println!("STANDIN_PEERS_PYTHON names no interpreter: peers are skipped");
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    println!(
        "{threads} threads each; seconds are the least of two runs, memory is the process's peak with the features\n"
    );
    println!(
        "{:<28}{:>15}{:>9}{:>10}{:>9}{:>10}{:>8}  peer and values",
        "", "rows × width", "ours", "memory", "peer", "memory", "ratio"
    );
    let mut features: Option<(usize, usize)> = None;
    let mut product = None;
    for (index, case) in
        CASES.iter().enumerate().filter(|(_, case)| only.is_empty() || only.iter().any(|name| name == case.name))
    {
        let size = (case.rows.min(most), case.width);
        let paths = ["first.npy", "second.npy"].map(|name| folder.path().join(name));
        if features != Some(size) {
            write(&paths[0], size, 1.0, "first");
            write(&paths[1], size, 1.1, "second");
            features = Some(size);
        }
        let run = |mut command: Command| {
            for variable in ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
                command.env(variable, &threads);
            }
            let output = command.args(&paths).output().expect("the process can be started");
            serde_json::from_slice::<Found>(&output.stdout)
                .map_err(|_| String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("no output").to_owned())
        };
        let mut own = Command::new(std::env::current_exe().expect("this program has a path"));
        own.arg("child").arg(index.to_string());
        let ours = match run(own) {
            Ok(Found::Measured { seconds, value, peak }) => (seconds, value, peak),
            Ok(Found::Missing { missing }) => unreachable!("only peers miss a package, not {missing}"),
            Err(text) => {
                println!("{:<28}failed: {text}", case.name);
                continue;
            }
        };
        let mebibytes = |bytes: u64| format!("{} MiB", bytes >> 20);
        print!("{:<28}{:>15}{:>8.2}s{:>10}", case.name, format!("{} × {}", size.0, size.1), ours.0, mebibytes(ours.2));
        let operations = (case.operations)(size.0 as f64, size.1 as f64);
        let rate = operations / ours.0 / 1e9;
        if index == 0 {
            product = Some(rate);
        }
        match (case.peer, &python) {
            (Some((function, name)), Some(python)) => {
                let mut command = Command::new(python);
                command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers.py")).arg(function);
                match run(command) {
                    Ok(Found::Measured { seconds, value, peak }) => {
                        let ratio = seconds / ours.0;
                        print!(
                            "{seconds:>8.2}s{:>10}{ratio:>7.1}×  {name}: {:.9e} and {value:.9e}",
                            mebibytes(peak),
                            ours.1
                        );
                    }
                    Ok(Found::Missing { missing }) => {
                        print!("  skipped: the Python package {missing} is not installed")
                    }
                    Err(text) => print!("  {name} failed: {text}"),
                }
            }
            _ => print!("{:>38}{:.9e}", "", ours.1),
        }
        if rate > 0.0 {
            print!("; {rate:.0} GFLOP/s");
            if let Some(product) = product {
                print!(", {:.0} % of the product's", 100.0 * rate / product);
            }
        }
        println!();
    }
}

/// One case in this process: prints what it found.
fn run(case: &Case, first: &Path, second: &Path) {
    let read = |path: &Path| {
        let array = npyz::NpyFile::new(std::io::BufReader::new(File::open(path).expect("the parent wrote it")));
        let array = array.expect("an array");
        let width = array.shape()[1] as usize;
        let stamp = Stamp::new("gaussian", "");
        Embedding::new(array.into_vec().expect("f32 values"), width, stamp).expect("finite values")
    };
    let (first, second) = (read(first), read(second));
    let (mut least, mut value) = (f64::INFINITY, f64::NAN);
    for _ in 0..2 {
        let start = Instant::now();
        value = (case.ours)(&first, &second);
        least = least.min(start.elapsed().as_secs_f64());
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    let found = Found::Measured { seconds: least, value, peak: 1024 * peak.unwrap_or(0u64) };
    println!("{}", serde_json::to_string(&found).expect("numbers"));
}

/// Normal features, each with a mean and scale of its own.
fn write(path: &Path, (rows, width): (usize, usize), factor: f32, purpose: &str) {
    let mut rng = Seed::new(1).derive(purpose).rng();
    let file = BufWriter::new(File::create(path).expect("the temporary folder can be written"));
    let shape = [rows as u64, width as u64];
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(file).begin_nd().expect("space");
    for at in 0..rows * width {
        let feature = (at % width) as f32 / width as f32;
        let normal: f32 = StandardNormal.sample(&mut rng);
        writer.push(&(0.3 * feature + factor * (0.2 + feature) * normal)).expect("space in the temporary folder");
    }
    writer.finish().expect("space in the temporary folder");
}
