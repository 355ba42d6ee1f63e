//! Seconds and memory beside the Python packages most used for the same number, on the same features and threads:
//!
//! ```text
//! pip install torch torch-fidelity prdc vendi-score scikit-learn numpy
//! STANDIN_PEERS_PYTHON=python cargo bench -p standin-measure --bench peers -- [--rows N] [--runs N] [--only CASE]…
//! ```
//!
//! Every case runs in a process of its own, ours and theirs one after the other, with as many threads for each
//! (`STANDIN_PEERS_THREADS`, 2 unless set), and gives the least seconds of its runs (two unless said) without loading.
//! Beside them stand the seconds that all its threads were busy: on a machine with other work these are what can be
//! compared. Memory is the process's peak, features included. A package that is not installed is said and skipped; without an interpreter all are.
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
    Measured(Measured),
    Missing { missing: String },
}

#[derive(Serialize, Deserialize)]
struct Measured {
    seconds: f64,
    busy: f64,
    value: f64,
    peak: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [child, index, runs, first, second] = &arguments[..]
        && child == "child"
    {
        let number = |text: &String| text.parse::<usize>().expect("the parent gives numbers");
        run(&CASES[number(index)], number(runs), Path::new(first), Path::new(second));
        return ExitCode::SUCCESS;
    }
    let (mut rows, mut runs, mut only) = (usize::MAX, 2, Vec::new());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match (argument.as_str(), rest.next()) {
            ("--rows", Some(value)) if value.parse::<usize>().is_ok_and(|value| value >= 20) => {
                rows = value.parse().expect("checked above");
            }
            ("--runs", Some(value)) if value.parse::<usize>().is_ok_and(|value| value >= 1) => {
                runs = value.parse().expect("checked above");
            }
            ("--only", Some(name)) if CASES.iter().any(|case| case.name == name) => only.push(name.clone()),
            (argument, value) => {
                let names: Vec<_> = CASES.iter().map(|case| format!("'{}'", case.name)).collect();
                eprintln!(
                    "{argument} {}: expected --rows N (20 or more), --runs N or --only CASE, one of {}",
                    value.map_or("", |value| value.as_str()),
                    names.join(", ")
                );
                return ExitCode::from(2);
            }
        }
    }
    compare(rows, runs, &only);
    ExitCode::SUCCESS
}

/// Prints the table.
fn compare(most: usize, runs: usize, only: &[String]) {
    let threads = std::env::var("STANDIN_PEERS_THREADS").unwrap_or_else(|_| "2".into());
    let python = std::env::var("STANDIN_PEERS_PYTHON").ok();
    if python.is_none() {
        println!("STANDIN_PEERS_PYTHON names no interpreter: peers are skipped");
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    println!("{threads} threads each; seconds and busy seconds are the least of {runs} runs");
    println!("{:<44}{:>14}{:>10}{:>10}{:>10}  value", "", "rows × width", "seconds", "busy", "MiB");
    let mut features: Option<(usize, usize)> = None;
    let mut product = None;
    for (index, case) in
        CASES.iter().enumerate().filter(|(_, case)| only.is_empty() || only.iter().any(|name| name == case.name))
    {
        let size = (case.rows.min(most), case.width);
        let paths = ["first.npy", "second.npy"].map(|name| folder.path().join(name));
        if features != Some(size) {
            write(&paths[0], size, 0.0, "first");
            write(&paths[1], size, 0.02, "second");
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
        own.arg("child").arg(index.to_string()).arg(runs.to_string());
        let Some(ours) = print_row(case.name, size, run(own)) else { continue };
        let operations = (case.operations)(size.0 as f64, size.1 as f64);
        if operations > 0.0 {
            let rate = operations / ours.busy / 1e9;
            let product = *product.get_or_insert(rate);
            println!("    {rate:.0} GFLOP per busy second, {:.0} % of the first line's", 100.0 * rate / product);
        }
        if let (Some((function, name)), Some(python)) = (case.peer, &python) {
            let mut command = Command::new(python);
            command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers.py")).arg(function).arg(runs.to_string());
            if let Some(peer) = print_row(&format!("    {name}"), size, run(command)) {
                let (wall, busy) = (peer.seconds / ours.seconds, peer.busy / ours.busy);
                println!("    {wall:.1} times as long, {busy:.1} times as busy as ours");
            }
        }
    }
}

/// One process in the table: what it measured, or nothing with the reason printed.
fn print_row(label: &str, (rows, width): (usize, usize), found: Result<Found, String>) -> Option<Measured> {
    match found {
        Ok(Found::Measured(measured)) => {
            let Measured { seconds, busy, value, peak } = &measured;
            let size = format!("{rows} × {width}");
            println!("{label:<44}{size:>14}{seconds:>10.3}{busy:>10.2}{:>10}  {value:.9e}", peak >> 20);
            Some(measured)
        }
        Ok(Found::Missing { missing }) => {
            println!("{label}: skipped, the Python package {missing} is not installed");
            None
        }
        Err(text) => {
            println!("{label}: failed, {text}");
            None
        }
    }
}

/// One case in this process: prints what it found.
fn run(case: &Case, runs: usize, first: &Path, second: &Path) {
    let read = |path: &Path| {
        let array = npyz::NpyFile::new(std::io::BufReader::new(File::open(path).expect("the parent wrote it")));
        let array = array.expect("an array");
        let width = array.shape()[1] as usize;
        let stamp = Stamp::new("gaussian", "");
        Embedding::new(array.into_vec().expect("f32 values"), width, stamp).expect("finite values")
    };
    let (first, second) = (read(first), read(second));
    let (mut seconds, mut busy, mut value) = (f64::INFINITY, f64::INFINITY, f64::NAN);
    for _ in 0..runs {
        let (start, before) = (Instant::now(), busy_seconds());
        value = (case.ours)(&first, &second);
        seconds = seconds.min(start.elapsed().as_secs_f64());
        busy = busy.min(busy_seconds() - before);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    let found = Found::Measured(Measured { seconds, busy, value, peak: 1024 * peak.unwrap_or(0u64) });
    println!("{}", serde_json::to_string(&found).expect("numbers"));
}

/// Processor time of all threads of this process so far; Linux counts it in hundredths of a second.
fn busy_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Normal features, each with a mean and scale of its own. Scales are those of the other set: in so many dimensions a set
/// of another scale lies in none or in all of its balls.
fn write(path: &Path, (rows, width): (usize, usize), shift: f32, purpose: &str) {
    let mut rng = Seed::new(1).derive(purpose).rng();
    let file = BufWriter::new(File::create(path).expect("the temporary folder can be written"));
    let shape = [rows as u64, width as u64];
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(file).begin_nd().expect("space");
    for at in 0..rows * width {
        let feature = (at % width) as f32 / width as f32;
        let normal: f32 = StandardNormal.sample(&mut rng);
        writer.push(&(0.3 * feature + (0.2 + feature) * (shift + normal))).expect("space in the temporary folder");
    }
    writer.finish().expect("space in the temporary folder");
}
