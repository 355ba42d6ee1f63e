use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::seq::index::sample;
use rayon::prelude::*;
use standin_data::Seed;
use standin_encode::Embedding;

use crate::context::{Comparison, Context};
use crate::error::require_rows;
use crate::registry::Measure;
use crate::uncertainty::{average, jackknife_variance, normal, squared_deviations};
use crate::{Estimate, Result};

/// Groups of rows that are summed apart, whatever the number of threads.
const GROUPS: usize = 64;
/// Rows and columns of the kernel that are held at one time, per group.
const TILE: (usize, usize) = (128, 512);

/// The kernel distance, KID (Bińkowski et al., "Demystifying MMD GANs", ICLR 2018): the unbiased squared maximum mean
/// discrepancy under k(x, y) = (x·y/d + 1)³ over **all** pairs, in double precision.
///
/// Unbiased, so it may be negative, and comparable across n. **Interval**: the jackknife over both sets, whose
/// leave-one-out values follow exactly from the kernel's row sums. It is valid where the sets differ (Hoeffding's
/// projection dominates); where they do not, the jackknife also counts the second-order term and errs to the wide side.
///
/// Time O((n₁ + n₂)²·d) in matrix products; memory O(n) for the row sums, the kernel itself is streamed.
///
/// # Errors
/// If the protocols differ or a set has fewer than 3 images.
pub fn kernel_distance(first: &Embedding, second: &Embedding) -> Result<Estimate> {
    first.require_same_protocol(second)?;
    distance(&SelfSums::of(first)?, &SelfSums::of(second)?, &cross_sums(first, second))
}

/// Mean and standard deviation of [`kernel_distance`] over random subsets, the convention under which KID is usually
/// reported (100 subsets of 1000). Subsets overlap, so the deviation is **no** confidence interval.
///
/// # Errors
/// If the protocols differ, or a set has fewer than `size` images or `size` is below 3.
pub fn kernel_distance_on_subsets(
    first: &Embedding,
    second: &Embedding,
    subsets: usize,
    size: usize,
    seed: Seed,
) -> Result<(f64, f64)> {
    for set in [first, second] {
        require_rows("the kernel distance on subsets", set.rows(), size)?;
    }
    let mut values = Vec::with_capacity(subsets);
    for subset in 0..subsets {
        let mut rng = seed.derive(&format!("subset {subset}")).rng();
        let mut draw = |set: &Embedding| set.select(&sample(&mut rng, set.rows(), size).into_vec());
        values.push(kernel_distance(&draw(first), &draw(second))?.value);
    }
    Ok((average(&values), (squared_deviations(&values) / values.len() as f64).sqrt()))
}

/// For every row of a set the sum of its kernel with the others.
pub(crate) struct SelfSums(Vec<f64>);

impl SelfSums {
    pub(crate) fn of(set: &Embedding) -> Result<Self> {
        require_rows("the kernel distance", set.rows(), 3)?;
        let (mut sums, _) = kernel_sums(set, set, false);
        for (row, sum) in sums.iter_mut().enumerate() {
            let square: f64 = set.row(row).iter().map(|&x| f64::from(x).powi(2)).sum();
            *sum -= kernel(square, set.dimension());
        }
        Ok(Self(sums))
    }
}

/// For every row of each set the sum of its kernel with the other set.
pub(crate) fn cross_sums(first: &Embedding, second: &Embedding) -> (Vec<f64>, Vec<f64>) {
    kernel_sums(first, second, true)
}

/// The distance and its jackknife from sums over the kernel (Gretton et al., JMLR 2012, eq. 3).
pub(crate) fn distance(
    SelfSums(first): &SelfSums,
    SelfSums(second): &SelfSums,
    (rows, columns): &(Vec<f64>, Vec<f64>),
) -> Result<Estimate> {
    let (n, m) = (first.len() as f64, second.len() as f64);
    let (within_first, within_second) = (first.iter().sum::<f64>(), second.iter().sum::<f64>());
    let between: f64 = rows.iter().sum();
    let discrepancy = |within_first: f64, within_second: f64, between: f64, n: f64, m: f64| {
        within_first / (n * (n - 1.0)) + within_second / (m * (m - 1.0)) - 2.0 * between / (n * m)
    };
    let without_first: Vec<f64> = first
        .iter()
        .zip(rows)
        .map(|(own, row)| discrepancy(within_first - 2.0 * own, within_second, between - row, n - 1.0, m))
        .collect();
    let without_second: Vec<f64> = second
        .iter()
        .zip(columns)
        .map(|(own, column)| discrepancy(within_first, within_second - 2.0 * own, between - column, n, m - 1.0))
        .collect();
    let variance = jackknife_variance(&without_first) + jackknife_variance(&without_second);
    let value = discrepancy(within_first, within_second, between, n, m);
    Ok(normal(value, variance.sqrt(), first.len().min(second.len()), "jackknife over both sets"))
}

/// k = (x·y/d + 1)³ from the inner product.
fn kernel(inner: f64, dimension: usize) -> f64 {
    let base = inner / dimension as f64 + 1.0;
    base * base * base
}

/// Row sums of the kernel matrix, and its column sums if they are wanted.
fn kernel_sums(first: &Embedding, second: &Embedding, columns: bool) -> (Vec<f64>, Vec<f64>) {
    let height = first.rows().div_ceil(GROUPS);
    let groups: Vec<(Vec<f64>, Vec<f64>)> = (0..GROUPS)
        .into_par_iter()
        .map(|group| {
            let range = group * height..first.rows().min((group + 1) * height);
            group_sums(first, range, second, columns)
        })
        .collect();
    let mut totals = (Vec::with_capacity(first.rows()), vec![0.0; if columns { second.rows() } else { 0 }]);
    for (rows, columns) in groups {
        totals.0.extend(rows);
        totals.1.iter_mut().zip(columns).for_each(|(total, sum)| *total += sum);
    }
    totals
}

fn group_sums(first: &Embedding, range: Range<usize>, second: &Embedding, columns: bool) -> (Vec<f64>, Vec<f64>) {
    let d = first.dimension();
    let double = |set: &Embedding, start: usize, end: usize, into: &mut Vec<f64>| {
        into.clear();
        into.extend(set.values()[start * d..end * d].iter().map(|&x| f64::from(x)));
    };
    let (mut left, mut right, mut products) = (Vec::new(), Vec::new(), vec![0.0; TILE.0 * TILE.1]);
    let mut row_sums = vec![0.0; range.len()];
    let mut column_sums = vec![0.0; if columns { second.rows() } else { 0 }];
    for top in range.clone().step_by(TILE.0) {
        let bottom = range.end.min(top + TILE.0);
        double(first, top, bottom, &mut left);
        for start in (0..second.rows()).step_by(TILE.1) {
            let end = second.rows().min(start + TILE.1);
            double(second, start, end, &mut right);
            let products = &mut products[..(bottom - top) * (end - start)];
            matmul(
                MatMut::from_column_major_slice_mut(products, end - start, bottom - top),
                Accum::Replace,
                MatRef::from_row_major_slice(&right, end - start, d),
                MatRef::from_row_major_slice(&left, bottom - top, d).transpose(),
                1.0,
                Par::Seq,
            );
            for (row, inner) in products.chunks_exact_mut(end - start).enumerate() {
                inner.iter_mut().for_each(|value| *value = kernel(*value, d));
                row_sums[top - range.start + row] += inner.iter().sum::<f64>();
                if columns {
                    column_sums[start..end].iter_mut().zip(inner).for_each(|(sum, value)| *sum += *value);
                }
            }
        }
    }
    (row_sums, column_sums)
}

#[derive(Debug)]
pub(crate) struct KernelDistance;

impl Measure for KernelDistance {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        context.both_ways("(x·y/d + 1)³, all pairs", |generated, real| {
            distance(
                &*context.own_kernel(generated)?,
                &*context.own_kernel(real)?,
                &*context.cross_kernel(generated, real)?,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embed, gaussian};

    #[test]
    fn values_by_hand() {
        // d = 1. Kernels within {0, 1, 2}: 1, 1, 27; within {1, 1, 1}: 8; between, per 1: 1, 8, 27.
        let (a, b) = (embed(vec![0.0, 1.0, 2.0], 1), embed(vec![1.0; 3], 1));
        let value = kernel_distance(&a, &b).unwrap().value;
        assert!((value - (29.0 / 3.0 + 8.0 - 2.0 * 12.0)).abs() < 1e-12, "{value}");
    }

    #[test]
    fn leaving_one_out_follows_from_the_sums() {
        let (a, b) = (gaussian(150, 3, 1.0, 0.0, 1), gaussian(140, 3, 1.0, 0.4, 2));
        let value = |a: &Embedding, b: &Embedding| kernel_distance(a, b).unwrap().value;
        let without =
            |set: &Embedding, out: usize| set.select(&(0..set.rows()).filter(|&at| at != out).collect::<Vec<_>>());
        let first: Vec<f64> = (0..150).map(|out| value(&without(&a, out), &b)).collect();
        let second: Vec<f64> = (0..140).map(|out| value(&a, &without(&b, out))).collect();
        let error = (jackknife_variance(&first) + jackknife_variance(&second)).sqrt();
        let estimate = kernel_distance(&a, &b).unwrap();
        assert!((estimate.high - estimate.value - crate::uncertainty::Z * error).abs() < 1e-9);
    }

    #[test]
    fn the_interval_covers_the_population_value() {
        // For N(0,1) against N(1,1) in one dimension E k(x, y) is a polynomial in the first three moments:
        // (xy+1)³ = x³y³ + 3x²y² + 3xy + 1 with moments (0, 1, 0) and (1, 2, 4).
        let pair = |a: [f64; 3], b: [f64; 3]| a[2] * b[2] + 3.0 * a[1] * b[1] + 3.0 * a[0] * b[0] + 1.0;
        let (p, q) = ([0.0, 1.0, 0.0], [1.0, 2.0, 4.0]);
        let truth = pair(p, p) + pair(q, q) - 2.0 * pair(p, q);
        let runs = 400;
        let covered = (0..runs)
            .filter(|run| {
                let (a, b) = (gaussian(300, 1, 1.0, 0.0, 2 * run), gaussian(300, 1, 1.0, 1.0, 2 * run + 1));
                let estimate = kernel_distance(&a, &b).unwrap();
                estimate.low <= truth && truth <= estimate.high
            })
            .count();
        let share = covered as f64 / runs as f64;
        assert!((0.90..=0.98).contains(&share), "{share}");
    }

    #[test]
    fn equal_populations_are_rarely_told_apart() {
        let runs = 300;
        let rejected = (0..runs)
            .filter(|run| {
                let (a, b) = (gaussian(60, 4, 1.0, 0.0, 2 * run), gaussian(60, 4, 1.0, 0.0, 2 * run + 1));
                kernel_distance(&a, &b).unwrap().low > 0.0
            })
            .count();
        assert!(rejected <= runs as usize * 5 / 100, "{rejected} of {runs}");
    }

    #[test]
    fn subsets_centre_on_the_value_over_all_pairs() {
        let (a, b) = (gaussian(400, 3, 1.0, 0.0, 7), gaussian(400, 3, 1.0, 0.5, 8));
        let (mean, deviation) = kernel_distance_on_subsets(&a, &b, 50, 100, Seed::new(1)).unwrap();
        let all = kernel_distance(&a, &b).unwrap().value;
        assert!((mean - all).abs() < 4.0 * deviation / 50_f64.sqrt(), "{mean} against {all}");
    }
}
