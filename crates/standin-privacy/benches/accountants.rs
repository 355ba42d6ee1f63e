//! Milliseconds for one ε, beside dp-accounting's, on the same machine in the same minute:
//!
//! ```text
//! pip install dp-accounting==0.6.0
//! STANDIN_PEERS_PYTHON=python cargo bench -p standin-privacy --bench accountants [-- --runs N]
//! ```
//!
//! Each line is one composition: least time of the runs (five unless said), ε, and how many times as long the peer takes.
//! The peer's distributions use its default interval of 1e-4 and give an upper end only; ours give a bracket. Without an
//! interpreter the peer is skipped. At the end stands the median over the grid that the tests compare.

use std::process::{Command, ExitCode};
use std::time::Instant;

use standin_privacy::{Adjacency, EpsilonBounds, Event, Ledger, NoiseOrigin, Unit};

const CASES: [(&str, f64); 8] = [
    ("poisson:0.01,1*10000", 1e-5),
    ("poisson:0.004,0.7*5000", 1e-5),
    ("poisson:0.1,5*1000", 1e-5),
    ("poisson:0.5,1*100", 1e-5),
    ("poisson:0.001,1*1000000", 1e-5),
    ("poisson:0.00001,0.5*100000", 1e-10),
    ("laplace:20*1000", 1e-6),
    ("gaussian:5*1;poisson:0.01,1*10000", 1e-5),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runs = match &arguments[..] {
        [] => 5,
        [name, value] if name == "--runs" && value.parse::<usize>().is_ok_and(|runs| runs > 0) => {
            value.parse().expect("checked")
        }
        other => {
            eprintln!("{other:?}: expected --runs N");
            return ExitCode::from(2);
        }
    };
    let python = std::env::var("STANDIN_PEERS_PYTHON").ok();
    if python.is_none() {
        println!("STANDIN_PEERS_PYTHON names no interpreter: dp-accounting is skipped");
    }
    println!("{:<40}{:>10}{:>24}{:>12}{:>14}{:>8}", "least of the runs", "ms", "bracket", "peer ms", "peer ε", "times");
    for (events, delta) in CASES {
        let (milliseconds, bounds) = ours(events, delta, runs);
        let bracket = format!("[{:.5}, {:.5}]", bounds.low, bounds.high);
        print!("{events:<40}{milliseconds:>10.2}{bracket:>24}");
        match python.as_deref().map(|python| peer(python, events, delta, runs)) {
            Some(Ok((theirs, epsilon))) => println!("{theirs:>12.1}{epsilon:>14.5}{:>8.0}", theirs / milliseconds),
            Some(Err(reason)) => println!("  {reason}"),
            None => println!(),
        }
    }
    let mut grid: Vec<f64> = include_str!("../tests/fixtures/accountants.csv")
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let events = format!("poisson:{},{}*{}", fields[0], fields[1], fields[2]);
            ours(&events, fields[3].parse().expect("the table holds numbers"), 1).0
        })
        .collect();
    grid.sort_by(f64::total_cmp);
    let quantile = |share: f64| grid[((grid.len() - 1) as f64 * share) as usize];
    println!(
        "grid of {}: median {:.1} ms, 90 % within {:.0} ms, longest {:.0} ms",
        grid.len(),
        quantile(0.5),
        quantile(0.9),
        quantile(1.0)
    );
    ExitCode::SUCCESS
}

/// Least milliseconds, and the bracket.
fn ours(events: &str, delta: f64, runs: usize) -> (f64, EpsilonBounds) {
    let mut ledger = Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Secret);
    for event in events.split(';') {
        let (event, count) = Event::parse_repeated(event).expect("the cases are written correctly");
        ledger.record(event, count).expect("the cases are possible");
    }
    let timed = |_| {
        let start = Instant::now();
        let bounds = ledger.epsilon(delta).expect("the cases have an answer");
        (start.elapsed().as_secs_f64() * 1e3, bounds)
    };
    (0..runs).map(timed).min_by(|a, b| a.0.total_cmp(&b.0)).expect("at least one run")
}

/// The same by dp-accounting, or why not.
fn peer(python: &str, events: &str, delta: f64, runs: usize) -> Result<(f64, f64), String> {
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/accountants.py"))
        .args([events, &delta.to_string(), &runs.to_string()])
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    match numbers[..] {
        [milliseconds, epsilon] => Ok((milliseconds, epsilon)),
        _ => Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("no output").to_owned()),
    }
}
