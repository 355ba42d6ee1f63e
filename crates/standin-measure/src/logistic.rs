//! Logistic regression on standardised features, for the two-sample test.

use std::collections::VecDeque;

use rayon::prelude::*;

/// Images that one task sums over.
const ROWS: usize = 256;
/// Steps whose curvature is remembered.
const MEMORY: usize = 10;
const MOST_STEPS: usize = 500;
/// The gradient's norm relative to that at the start.
const TOLERANCE: f64 = 1e-6;

/// A plane w·x + b = 0 between two classes.
pub(crate) struct Logistic {
    /// Its normal among standardised features.
    pub(crate) normal: Vec<f64>,
    weights: Vec<f64>,
    intercept: f64,
}

impl Logistic {
    /// The minimum of ½|w|² + Σ ln(1 + exp(−yᵢ(w·zᵢ + b))) over features z standardised to mean 0 and variance 1, with
    /// yᵢ = ±1: ridge of strength 1, the default of scikit-learn. By L-BFGS (Liu and Nocedal 1989), at most 500 steps of
    /// O(n·d) time each. A feature that never varies is left as it is.
    ///
    /// # Panics
    /// If there is no row.
    pub(crate) fn fit(rows: &[(&[f32], bool)]) -> Self {
        let scale = Scale::of(rows);
        let d = scale.mean.len();
        let mut at = vec![0.0; d + 1];
        let (mut loss, mut gradient) = scale.loss(rows, &at);
        let enough = TOLERANCE * norm(&gradient).max(1.0);
        let mut curvature = Curvature::default();
        for step in 0..MOST_STEPS {
            if norm(&gradient) <= enough {
                break;
            }
            let direction = curvature.direction(&gradient);
            let slope = dot(&direction, &gradient);
            let mut length = if step == 0 { norm(&gradient).recip() } else { 1.0 };
            let found = loop {
                let next: Vec<f64> = at.iter().zip(&direction).map(|(x, by)| x + length * by).collect();
                let (next_loss, next_gradient) = scale.loss(rows, &next);
                if next_loss <= loss + 1e-4 * length * slope {
                    break Some((next, next_loss, next_gradient));
                }
                length /= 2.0;
                if length < 1e-12 {
                    break None;
                }
            };
            // The loss is convex: no descent is left but that of rounding.
            let Some((next, next_loss, next_gradient)) = found else { break };
            curvature.add(
                next.iter().zip(&at).map(|(a, b)| a - b).collect(),
                next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect(),
            );
            (at, loss, gradient) = (next, next_loss, next_gradient);
        }
        let (weights, intercept) = scale.undone(&at);
        at.pop();
        Self { normal: at, weights, intercept }
    }

    /// Whether a row is on the side of the class labelled `true`.
    pub(crate) fn predicts(&self, row: &[f32]) -> bool {
        inner(row, &self.weights) + self.intercept > 0.0
    }
}

/// Mean and standard deviation of every feature.
struct Scale {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Scale {
    fn of(rows: &[(&[f32], bool)]) -> Self {
        let d = rows[0].0.len();
        let n = rows.len() as f64;
        let averages = |of: &(dyn Fn(usize, f64) -> f64 + Sync)| {
            let mut sums = sums(rows, d, |(row, _), sums| {
                sums.iter_mut().zip(*row).enumerate().for_each(|(at, (sum, &x))| *sum += of(at, f64::from(x)));
            });
            sums.iter_mut().for_each(|sum| *sum /= n);
            sums
        };
        let mean = averages(&|_, x| x);
        let deviation = averages(&|at, x| (x - mean[at]).powi(2))
            .into_iter()
            .zip(&mean)
            .map(|(variance, mean)| if varies(variance.sqrt(), *mean) { variance.sqrt() } else { 1.0 })
            .collect();
        Self { mean, deviation }
    }

    /// Weights and intercept for features as they are, from those for standardised ones.
    fn undone(&self, at: &[f64]) -> (Vec<f64>, f64) {
        let weights: Vec<f64> = at.iter().zip(&self.deviation).map(|(w, deviation)| w / deviation).collect();
        let intercept = at[weights.len()] - dot(&weights, &self.mean);
        (weights, intercept)
    }

    /// The penalised loss and its gradient at weights with the intercept last.
    fn loss(&self, rows: &[(&[f32], bool)], at: &[f64]) -> (f64, Vec<f64>) {
        let d = self.mean.len();
        let (weights, intercept) = self.undone(at);
        // The last two places hold the sum of the slopes and the loss.
        let mut sums = sums(rows, d + 2, |&(row, label), sums| {
            let y = if label { 1.0 } else { -1.0 };
            let margin = y * (inner(row, &weights) + intercept);
            let tail = (-margin.abs()).exp();
            let slope = -y * if margin > 0.0 { tail / (1.0 + tail) } else { 1.0 / (1.0 + tail) };
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += slope * f64::from(x));
            sums[d] += slope;
            sums[d + 1] += (-margin).max(0.0) + tail.ln_1p();
        });
        let penalty = at[..d].iter().map(|w| w * w).sum::<f64>() / 2.0;
        let loss = sums.pop().expect("d + 2 sums") + penalty;
        let slopes = sums[d];
        for (sum, (w, (mean, deviation))) in sums.iter_mut().zip(at.iter().zip(self.mean.iter().zip(&self.deviation))) {
            *sum = (*sum - mean * slopes) / deviation + w;
        }
        (loss, sums)
    }
}

/// Whether a feature's deviation is more than what rounding leaves of equal values around their mean.
pub(crate) fn varies(deviation: f64, mean: f64) -> bool {
    deviation > 1e-9 * mean.abs()
}

/// Sums over all rows, the same for any number of threads.
fn sums<Row: Sync>(rows: &[Row], size: usize, add: impl Fn(&Row, &mut [f64]) + Sync) -> Vec<f64> {
    let parts: Vec<Vec<f64>> = rows
        .par_chunks(ROWS)
        .map(|part| {
            let mut sums = vec![0.0; size];
            part.iter().for_each(|row| add(row, &mut sums));
            sums
        })
        .collect();
    let mut total = vec![0.0; size];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(total, sum)| *total += sum);
    }
    total
}

/// The last steps and what they did to the gradient.
#[derive(Default)]
struct Curvature(VecDeque<(Vec<f64>, Vec<f64>, f64)>);

impl Curvature {
    fn add(&mut self, step: Vec<f64>, change: Vec<f64>) {
        let along = dot(&step, &change);
        if along > 0.0 {
            self.0.push_back((step, change, along));
        }
        if self.0.len() > MEMORY {
            self.0.pop_front();
        }
    }

    /// Minus the approximate inverse Hessian times the gradient, by the two-loop recursion.
    fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut direction: Vec<f64> = gradient.iter().map(|x| -x).collect();
        let mut shares = Vec::with_capacity(self.0.len());
        for (step, change, along) in self.0.iter().rev() {
            let share = dot(step, &direction) / along;
            direction.iter_mut().zip(change).for_each(|(x, y)| *x -= share * y);
            shares.push(share);
        }
        if let Some((_, change, along)) = self.0.back() {
            let scale = along / dot(change, change);
            direction.iter_mut().for_each(|x| *x *= scale);
        }
        for ((step, change, along), share) in self.0.iter().zip(shares.into_iter().rev()) {
            let back = share - dot(change, &direction) / along;
            direction.iter_mut().zip(step).for_each(|(x, y)| *x += back * y);
        }
        direction
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// x·w in eight sums side by side, which the compiler can take at once.
fn inner(x: &[f32], w: &[f64]) -> f64 {
    let ((xs, x_rest), (ws, w_rest)) = (x.as_chunks::<8>(), w[..x.len()].as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (x, w) in xs.iter().zip(ws) {
        for ((sum, &x), w) in sums.iter_mut().zip(x).zip(w) {
            *sum += f64::from(x) * w;
        }
    }
    sums.iter().sum::<f64>() + x_rest.iter().zip(w_rest).map(|(&x, w)| f64::from(x) * w).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, case, expected, gaussian};
    use standin_encode::Embedding;

    fn labelled<'a>(first: &'a Embedding, second: &'a Embedding) -> Vec<(&'a [f32], bool)> {
        let rows = |set: &'a Embedding, label| (0..set.rows()).map(move |row| (set.row(row), label));
        rows(first, true).chain(rows(second, false)).collect()
    }

    #[test]
    fn weights_equal_scikit_learn() {
        let (case, expected) = (case(), expected());
        let outside_fold = |set: &Embedding| set.select(&(0..60).filter(|at| at % 5 != 0).collect::<Vec<_>>());
        let (synthetic, train) = (outside_fold(&case.synthetic), outside_fold(&case.train));
        let rows = labelled(&synthetic, &train);
        let (model, scale) = (Logistic::fit(&rows), Scale::of(&rows));
        for (at, weight) in expected["logistic_weights"].as_array().unwrap().iter().enumerate() {
            assert_near(model.normal[at], weight, 1e-5);
        }
        let intercept = model.intercept + dot(&model.weights, &scale.mean);
        assert_near(intercept, &expected["logistic_intercept"], 1e-5);
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let (a, b) = (gaussian(20, 3, 1.0, 0.5, 1), gaussian(30, 3, 2.0, 0.0, 2));
        let rows = labelled(&a, &b);
        let scale = Scale::of(&rows);
        let at = [0.3, -0.2, 0.1, 0.4];
        let (_, gradient) = scale.loss(&rows, &at);
        for (place, slope) in gradient.iter().enumerate() {
            let moved = |by: f64| {
                let mut at = at;
                at[place] += by;
                scale.loss(&rows, &at).0
            };
            assert!(((moved(1e-5) - moved(-1e-5)) / 2e-5 - slope).abs() < 1e-6);
        }
    }

    #[test]
    fn more_features_than_images_and_features_that_never_vary_are_no_obstacle() {
        let (a, b) = (gaussian(15, 60, 1.0, 1.0, 1), gaussian(15, 60, 1.0, -1.0, 2));
        let model = Logistic::fit(&labelled(&a, &b));
        assert!((0..15).all(|row| model.predicts(a.row(row)) && !model.predicts(b.row(row))));
        let constant = gaussian(10, 2, 0.0, 3.0, 1);
        assert!(!Logistic::fit(&labelled(&constant, &constant)).predicts(constant.row(0)));
    }
}
