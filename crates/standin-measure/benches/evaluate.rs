//! Wall time of every measure of one comparison: `cargo bench -p standin-measure`, or with sizes
//! `cargo bench -p standin-measure --bench evaluate -- IMAGES FEATURES`.

use std::time::Instant;

use rand_distr::{Distribution, StandardNormal};
use standin_data::{Seed, Silent};
use standin_encode::{Embedding, Stamp};
use standin_measure::{MEASURES, Sets, evaluate, near_copies};

fn main() {
    let sizes: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let cases =
        if let [images, features] = sizes[..] { vec![(images, features)] } else { vec![(700, 64), (2000, 256)] };
    for (images, features) in cases {
        let [train, holdout, synthetic] = [1, 2, 3].map(|seed| gaussian(images, features, seed));
        let sets = Sets { train: &train, holdout: Some(&holdout), synthetic: &synthetic };
        println!("3 × {images} images, {features} features");
        let line = |name: &str, start: Instant| println!("{name:<28}{:>9.3} s", start.elapsed().as_secs_f64());
        let measure = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
            evaluate(&names, sets, Seed::new(1), &Silent).expect("valid sets")
        };
        let names: Vec<&str> = MEASURES.iter().map(|family| family.name).collect();
        for name in &names {
            let start = Instant::now();
            measure(&[*name]);
            line(name, start);
        }
        let start = Instant::now();
        measure(&names);
        line("all, sharing searches", start);
        let start = Instant::now();
        near_copies(&train, &holdout, &synthetic, 50).expect("valid sets");
        line("near copies", start);
    }
}

fn gaussian(rows: usize, dimension: usize, seed: u64) -> Embedding {
    let mut rng = Seed::new(seed).rng();
    let values = (0..rows * dimension).map(|_| StandardNormal.sample(&mut rng)).collect();
    let stamp = Stamp::new("gaussian", "");
    Embedding::new(values, dimension, stamp).expect("finite values")
}
