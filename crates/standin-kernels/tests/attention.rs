//! Attention against plain sums in double precision.

mod drawn;

use drawn::{Numbers, apart, on_threads};
use standin_kernels::Attention;

/// The softmax of each row of q·kᵀ/√size of one head of one sample, and where its parts of a position begin.
fn softmax(of: &Attention, projected: &[f64], head: usize) -> Vec<Vec<f64>> {
    let width = of.heads * of.size;
    let at = |position: usize, part: usize, number: usize| {
        projected[position * 3 * width + part * width + head * of.size + number]
    };
    let row = |query: usize| {
        let score = |key: usize| (0..of.size).map(|number| at(query, 0, number) * at(key, 1, number)).sum::<f64>();
        let values: Vec<f64> = (0..of.positions).map(|key| (score(key) / (of.size as f64).sqrt()).exp()).collect();
        let sum: f64 = values.iter().sum();
        values.iter().map(|value| value / sum).collect()
    };
    (0..of.positions).map(row).collect()
}

fn outputs(of: &Attention, projected: &[f64]) -> Vec<f64> {
    let width = of.heads * of.size;
    let mut y = vec![0.0; of.batch * of.positions * width];
    for (y, projected) in y.chunks_mut(of.positions * width).zip(projected.chunks(of.positions * 3 * width)) {
        for head in 0..of.heads {
            for (query, shares) in softmax(of, projected, head).into_iter().enumerate() {
                for (key, share) in shares.into_iter().enumerate() {
                    for number in head * of.size..(head + 1) * of.size {
                        y[query * width + number] += share * projected[key * 3 * width + 2 * width + number];
                    }
                }
            }
        }
    }
    y
}

#[test]
fn outputs_are_the_plain_sums_and_gradients_their_differences() {
    let mut numbers = Numbers::new(5);
    let mut geometries = vec![(2, 49, 2, 48), (3, 1, 1, 1), (1, 16, 3, 16), (2, 5, 1, 33)];
    for _ in 0..20 {
        let mut draw = |most| numbers.between(1, most);
        geometries.push((draw(3), draw(40), draw(3), draw(40)));
    }
    for (batch, positions, heads, size) in geometries {
        let layer = Attention { batch, positions, heads, size };
        let projected = numbers.normal(batch * positions * 3 * heads * size);
        let gradient = numbers.normal(batch * positions * heads * size);
        let precise: Vec<f64> = projected.iter().map(|&number| f64::from(number)).collect();
        let (y, logarithms) = layer.forward(&projected);
        let error = apart(&y, &outputs(&layer, &precise));
        assert!(error < 2e-6, "output of {layer:?}: {error}");

        // Along a direction, the outputs' gradient times the change of the outputs is the inputs' gradient times it.
        let found = layer.backward(&projected, &logarithms, &gradient);
        for _ in 0..3 {
            let direction = numbers.normal(projected.len());
            let moved = |step: f64| -> Vec<f64> {
                let moved: Vec<f64> = precise.iter().zip(&direction).map(|(x, d)| x + step * f64::from(*d)).collect();
                outputs(&layer, &moved)
            };
            let (ahead, behind) = (moved(1e-5), moved(-1e-5));
            let terms = ahead.iter().zip(&behind).zip(&gradient).map(|((a, b), g)| (a - b) / 2e-5 * f64::from(*g));
            let expected: f64 = terms.sum();
            let along: f64 = found.iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
            let size: f64 = found.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            assert!((along - expected).abs() < 1e-5 * size.max(1e-3), "{along} for {expected}, {layer:?}");
        }
        let (again, _) = on_threads(3, || layer.forward(&projected));
        assert!(again == y, "threads change the output of {layer:?}");
    }
}

#[test]
fn what_is_no_number_is_not_hidden() {
    let layer = Attention { batch: 1, positions: 20, heads: 1, size: 4 };
    for place in [0, 12 * 19 + 4] {
        let mut projected = Numbers::new(7).normal(20 * 12);
        projected[place] = f32::NAN;
        let (y, _) = layer.forward(&projected);
        assert!(y[place / 12 * 4].is_nan(), "{place}: {y:?}");
    }
}

#[test]
fn large_scores_do_not_overflow() {
    let layer = Attention { batch: 1, positions: 20, heads: 1, size: 4 };
    let mut numbers = Numbers::new(6);
    for factor in [1e3, -1e3] {
        let projected: Vec<f32> = numbers.normal(20 * 12).iter().map(|number| number * factor).collect();
        let (y, logarithms) = layer.forward(&projected);
        let gradient = layer.backward(&projected, &logarithms, &vec![1.0; 20 * 4]);
        assert!(y.iter().chain(&gradient).all(|number| number.is_finite()), "{y:?}");
    }
}
