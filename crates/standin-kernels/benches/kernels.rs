//! quick
use standin_kernels::{Convolution, Units};
use std::time::Instant;
fn main() {
    let threads: usize = std::env::var("T").map_or(1, |t| t.parse().unwrap());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(run);
}
fn run() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    for (n, i, o, s, k, st, p) in [
        (16, 1, 32, 28, 3, 1, 1),
        (16, 32, 64, 28, 3, 2, 1),
        (16, 64, 128, 14, 3, 2, 1),
        (16, 1, 64, 28, 3, 1, 1),
        (16, 64, 64, 28, 3, 1, 1),
        (16, 64, 1, 28, 3, 1, 1),
        (16, 1, 16, 28, 3, 1, 1),
        (16, 3, 16, 32, 3, 1, 1),
        (16, 16, 64, 32, 3, 1, 1),
        (16, 16, 64, 32, 1, 1, 0),
        (16, 64, 64, 32, 3, 1, 1),
        (16, 64, 128, 32, 3, 2, 1),
        (16, 64, 128, 32, 1, 2, 0),
        (16, 128, 128, 16, 3, 1, 1),
        (16, 128, 256, 16, 3, 2, 1),
        (16, 256, 256, 8, 3, 1, 1),
        (16, 640, 640, 8, 3, 1, 1),
        (16, 512, 512, 4, 3, 1, 1),
    ] {
        let g = Convolution::planar(n, [i, o], [s, s], k, st, p);
        let name = format!("{i}->{o} {s} k{k} s{st}");
        if !name.contains(&filter) && filter != "--bench" {
            continue;
        }
        let q: usize = g.output().iter().product();
        let x: Vec<f32> = (0..n * i * s * s).map(|v| ((v * 7919) % 1013) as f32 / 500.0 - 1.0).collect();
        let dy: Vec<f32> = (0..n * o * q).map(|v| ((v * 7907) % 1019) as f32 / 500.0 - 1.0).collect();
        let w: Vec<f32> = (0..o * i * k * k).map(|v| ((v * 7901) % 1021) as f32 / 500.0 - 1.0).collect();
        let b = vec![0.0; o];
        let units = Units::each(n);
        let flop = 2.0 * (n * o * q * i * k * k) as f64;
        let busy = || {
            std::fs::read_to_string("/proc/thread-self/schedstat")
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
                .parse::<f64>()
                .unwrap()
                * 1e-9
        };
        let time = |f: &(dyn Fn() -> f32 + Sync)| {
            let start = Instant::now();
            let (b, mut reps) = (busy(), 0);
            while start.elapsed().as_secs_f64() < 0.4 {
                std::hint::black_box(f());
                reps += 1;
            }
            std::thread::yield_now();
            (busy() - b) / reps as f64
        };
        let f = time(&|| g.forward(&x, &w, Some(&b))[0]);
        let d = time(&|| g.input_gradient(&dy, &w)[0]);
        let e = time(&|| g.weight_gradient(&x, &dy, None)[0]);
        let u = time(&|| g.unit_gradients(&x, &dy, &units)[0]);
        let m = time(&|| g.unit_squared_norms(&x, &dy, &units)[0] as f32);
        print!("{name:22}");
        for t in [f, d, e, u, m] {
            print!(" {:8.3} ms {:5.0}", t * 1e3, flop / t / 1e9);
        }
        println!();
    }
}
