//! Throughput of neighbour search and scattering: `cargo bench -p standin-encode`.
//!
//! Neighbour search is compared with the matrix product it rests on, at the same size and precision and without any
//! search; the share says how near it comes to what the machine can do.

use std::time::Instant;

use faer::Mat;
use standin_data::{ImageSet, Seed, Shape, Silent};
use standin_encode::{Boundary, Embedding, Stamp, closest_pairs, count_within, encoder, nearest};

const DIMENSION: usize = 784;
const ROWS: usize = 8192;

fn main() {
    let base = random(ROWS, "base");
    let queries = random(ROWS, "queries");
    let product = seconds(|| {
        let matrix = |rows: &Embedding| Mat::from_fn(DIMENSION, ROWS, |i, j| rows.row(j)[i]);
        let (a, b) = (matrix(&base), matrix(&queries));
        let start = Instant::now();
        std::hint::black_box(a.transpose() * &b);
        start.elapsed().as_secs_f64()
    });
    let flops = 2.0 * (ROWS * ROWS * DIMENSION) as f64;
    println!("{ROWS} × {ROWS} rows of {DIMENSION}");
    let line = |name: &str, seconds: f64| {
        let (rate, share) = (flops / seconds / 1e9, 100.0 * product / seconds);
        println!("{name:<28}{seconds:>8.2} s {rate:>8.1} GFLOP/s {share:>6.0} % of the product's speed");
    };
    line("matrix product alone", product);
    line("nearest, k = 5", timed(|| nearest(&queries, &base, 5, false)));
    let radii = nearest(&base, &base, 5, true).expect("enough rows").at_rank(5);
    line("count_within 5-NN balls", timed(|| count_within(&queries, &base, &radii, Boundary::Open)));
    line("closest_pairs, k = 100", timed(|| closest_pairs(&queries, &base, 100)));

    let count = 4096;
    let shape = Shape { channels: 1, height: 28, width: 28 };
    let pixels = (0..count * shape.volume()).map(|at| (at * at / 7) as u8).collect();
    let images = ImageSet::new(shape, pixels).expect("whole images");
    for name in ["scattering", "scattering-full"] {
        let seconds = timed(|| encoder(name).and_then(|encoder| encoder.encode(&images, &Silent)));
        println!("{name:<28}{seconds:>8.2} s {:>8.0} images of 28×28 a second", count as f64 / seconds);
    }
}

/// The least of three runs that time themselves.
fn seconds(run: impl Fn() -> f64) -> f64 {
    (0..3).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn timed<T, E: std::fmt::Debug>(run: impl Fn() -> Result<T, E>) -> f64 {
    seconds(|| {
        let start = Instant::now();
        std::hint::black_box(run().expect("valid input"));
        start.elapsed().as_secs_f64()
    })
}

fn random(rows: usize, purpose: &str) -> Embedding {
    let mut state = Seed::new(1).derive(purpose).value();
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let stamp = Stamp::new("random", "");
    Embedding::new((0..rows * DIMENSION).map(|_| next()).collect(), DIMENSION, stamp).expect("finite values")
}
