use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::seq::index::sample;
use rayon::prelude::*;
use standin_data::Seed;
use standin_encode::Embedding;

use crate::context::{Comparison, Context};
use crate::error::{require_euclidean, require_rows};
use crate::registry::Measure;
use crate::uncertainty::{average, jackknife_variance, normal, squared_deviations};
use crate::{Estimate, Result};

/// Groups of rows that are summed apart, at most, whatever the number of threads.
const GROUPS: usize = 64;
/// Rows of a group, at least: the other set is turned to double precision once for each.
const ROWS: usize = 128;
/// Rows and columns of the kernel that are held at one time, per group.
const TILE: (usize, usize) = (256, 512);

/// The kernel distance, KID (Bińkowski et al., "Demystifying MMD GANs", ICLR 2018): the unbiased squared maximum mean
/// discrepancy under k(x, y) = (x·y/d + 1)³ over **all** pairs, in double precision.
///
/// Unbiased, so it may be negative, and comparable across n. **Interval**: the jackknife over both sets, whose
/// leave-one-out values follow exactly from the kernel's row sums. It is valid where the sets differ (Hoeffding's
/// projection dominates); where they do not, the jackknife also counts the second-order term and errs to the wide side.
///
/// Time O((n₁ + n₂)²·d) in matrix products, about half of the pairs within a set; memory O(n) for the row sums, the
/// kernel itself is streamed.
///
/// # Errors
/// If the protocols differ, a set has fewer than 3 images, or its features are codes.
pub fn kernel_distance(first: &Embedding, second: &Embedding) -> Result<Estimate> {
    first.require_same_protocol(second)?;
    let own = |set| SelfSums::of(set, Kernel::Cubic);
    distance(&own(first)?, &own(second)?, &cross_sums(first, second, Kernel::Cubic))
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
    let value = |subset: usize| {
        let mut rng = seed.derive(&format!("subset {subset}")).rng();
        let mut draw = |set: &Embedding| set.select(&sample(&mut rng, set.rows(), size).into_vec());
        Ok(kernel_distance(&draw(first), &draw(second))?.value)
    };
    let values: Vec<f64> = (0..subsets).into_par_iter().map(value).collect::<Result<_>>()?;
    Ok((average(&values), (squared_deviations(&values) / values.len() as f64).sqrt()))
}

/// A kernel that depends on the rows through their inner product and norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kernel {
    /// (x·y/d + 1)³.
    Cubic,
    /// exp(−‖x̂−ŷ‖²/2σ²) − 1 with σ = 10, of the rows at length 1. The 1 cancels in every discrepancy, and without it the
    /// kernel's few per thousand of variation keep all digits.
    UnitGaussian,
}

impl Kernel {
    /// The factor that each row is multiplied with.
    fn scale(self, row: &[f32]) -> f64 {
        match self {
            Self::Cubic => 1.0,
            Self::UnitGaussian => {
                let square: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum();
                if square > 0.0 { square.sqrt().recip() } else { 0.0 }
            }
        }
    }

    /// Turns inner products of one row with others into the kernel, given squared norms.
    fn apply(self, inner: &mut [f64], square: f64, squares: &[f64], dimension: usize) {
        match self {
            Self::Cubic => {
                let factor = (dimension as f64).recip();
                for value in inner {
                    let base = *value * factor + 1.0;
                    *value = base * base * base;
                }
            }
            Self::UnitGaussian => {
                for (value, other) in inner.iter_mut().zip(squares) {
                    // exp(−t) − 1 as a series: t is at most 4/2σ² = 0.02, so the next term is below 10⁻¹⁸.
                    let t = (square + other - 2.0 * *value) * (0.5 / (BANDWIDTH * BANDWIDTH));
                    let tail = 1.0 - t / 4.0 * (1.0 - t / 5.0 * (1.0 - t / 6.0 * (1.0 - t / 7.0)));
                    *value = -t * (1.0 - t / 2.0 * (1.0 - t / 3.0 * tail));
                }
            }
        }
    }
}

/// Width σ of the Gaussian kernel on rows of length 1.
const BANDWIDTH: f64 = 10.0;

/// For every row of a set the sum of its kernel with the others.
pub(crate) struct SelfSums(pub(crate) Vec<f64>);

impl SelfSums {
    pub(crate) fn of(set: &Embedding, kernel: Kernel) -> Result<Self> {
        let name = match kernel {
            Kernel::Cubic => "the kernel distance",
            Kernel::UnitGaussian => "CMMD",
        };
        require_euclidean(name, set)?;
        require_rows(name, set.rows(), 3)?;
        let (mut sums, columns) = kernel_sums(set, None, kernel);
        sums.iter_mut().zip(columns).for_each(|(sum, column)| *sum += column);
        Ok(Self(sums))
    }
}

/// For every row of two sets the sum of its kernel with the other set.
pub(crate) type CrossSums = (Vec<f64>, Vec<f64>);

/// The sums between two sets.
pub(crate) fn cross_sums(first: &Embedding, second: &Embedding, kernel: Kernel) -> CrossSums {
    kernel_sums(first, Some(second), kernel)
}

/// The distance and its jackknife from sums over the kernel (Gretton et al., JMLR 2012, eq. 3).
pub(crate) fn distance(
    SelfSums(first): &SelfSums,
    SelfSums(second): &SelfSums,
    (rows, columns): &CrossSums,
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

/// Row and column sums of the kernel matrix between two sets; without a second, of its part above the diagonal.
fn kernel_sums(first: &Embedding, second: Option<&Embedding>, kernel: Kernel) -> (Vec<f64>, Vec<f64>) {
    let rows = first.rows();
    let height = rows.div_ceil(GROUPS).max(ROWS);
    let groups: Vec<(Vec<f64>, Vec<f64>)> = (0..rows.div_ceil(height))
        .into_par_iter()
        .map(|group| group_sums(first, group * height..rows.min((group + 1) * height), second, kernel))
        .collect();
    let mut totals = (Vec::with_capacity(rows), vec![0.0; second.unwrap_or(first).rows()]);
    for (rows, columns) in groups {
        totals.0.extend(rows);
        totals.1.iter_mut().zip(columns).for_each(|(total, sum)| *total += sum);
    }
    totals
}

fn group_sums(
    first: &Embedding,
    range: Range<usize>,
    second: Option<&Embedding>,
    kernel: Kernel,
) -> (Vec<f64>, Vec<f64>) {
    let d = first.dimension();
    let others = second.unwrap_or(first);
    let (mut left, mut right) = (Block::default(), Block::default());
    let mut products = vec![0.0; TILE.0.min(range.len()) * TILE.1.max(TILE.0)];
    let mut row_sums = vec![0.0; range.len()];
    let mut column_sums = vec![0.0; others.rows()];
    let mut tile = |left: &Block, right: &Block| {
        let (height, width) = (left.squares.len(), right.squares.len());
        let products = &mut products[..height * width];
        matmul(
            MatMut::from_column_major_slice_mut(products, width, height),
            Accum::Replace,
            MatRef::from_row_major_slice(&right.values, width, d),
            MatRef::from_row_major_slice(&left.values, height, d).transpose(),
            1.0,
            Par::Seq,
        );
        for (row, inner) in products.chunks_exact_mut(width).enumerate() {
            kernel.apply(inner, left.squares[row], &right.squares, d);
            let sums = &mut column_sums[right.first..right.first + width];
            // Within a set a block meets itself: of each pair only the part above the diagonal counts.
            let start = if second.is_none() && left.first == right.first { row + 1 } else { 0 };
            let (inner, sums) = (&inner[start..], &mut sums[start..]);
            row_sums[left.first - range.start + row] += sum(inner);
            sums.iter_mut().zip(inner).for_each(|(sum, value)| *sum += *value);
        }
    };
    for top in range.clone().step_by(TILE.0) {
        let bottom = range.end.min(top + TILE.0);
        left.fill(first, top..bottom, kernel);
        if second.is_none() {
            tile(&left, &left);
        }
        for start in (if second.is_none() { bottom } else { 0 }..others.rows()).step_by(TILE.1) {
            right.fill(others, start..others.rows().min(start + TILE.1), kernel);
            tile(&left, &right);
        }
    }
    (row_sums, column_sums)
}

/// Some rows of a set in double precision, as the kernel takes them.
#[derive(Default)]
struct Block {
    first: usize,
    values: Vec<f64>,
    squares: Vec<f64>,
}

impl Block {
    fn fill(&mut self, set: &Embedding, range: Range<usize>, kernel: Kernel) {
        self.first = range.start;
        self.values.clear();
        self.squares.clear();
        for row in range.map(|row| set.row(row)) {
            let scale = kernel.scale(row);
            self.values.extend(row.iter().map(|&x| f64::from(x) * scale));
            self.squares.push(match kernel {
                Kernel::Cubic => f64::NAN,
                Kernel::UnitGaussian => f64::from(u8::from(scale > 0.0)),
            });
        }
    }
}

/// The sum, as eight side by side so that the compiler may use vector registers.
fn sum(values: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let chunks = values.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().sum();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value);
    }
    sums.iter().sum::<f64>() + rest
}

#[derive(Debug)]
pub(crate) struct KernelDistance;

impl Measure for KernelDistance {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        context.both_ways("(x·y/d + 1)³, all pairs", |generated, real| {
            distance(
                &*context.own_kernel(generated, Kernel::Cubic)?,
                &*context.own_kernel(real, Kernel::Cubic)?,
                &*context.cross_kernel(generated, real, Kernel::Cubic)?,
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
    fn tiles_and_groups_add_up_to_all_pairs() {
        let (a, b) = (gaussian(700, 3, 1.0, 0.0, 1), gaussian(300, 3, 1.0, 0.4, 2));
        for kernel in [Kernel::Cubic, Kernel::UnitGaussian] {
            let of = |x: &[f32], y: &[f32]| {
                let (one, other) = (kernel.scale(x), kernel.scale(y));
                let inner: f64 = x.iter().zip(y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
                match kernel {
                    Kernel::Cubic => (inner / 3.0 + 1.0).powi(3),
                    Kernel::UnitGaussian => (-(2.0 - 2.0 * inner * one * other) / 200.0).exp_m1(),
                }
            };
            let near = |found: &[f64], expected: &dyn Fn(usize) -> f64| {
                for (row, &found) in found.iter().enumerate() {
                    assert!((found - expected(row)).abs() < 1e-8, "{found} for {} of {kernel:?}", expected(row));
                }
            };
            let own = SelfSums::of(&a, kernel).unwrap().0;
            near(&own, &|row| (0..700).filter(|&at| at != row).map(|at| of(a.row(row), a.row(at))).sum());
            let (rows, columns) = cross_sums(&a, &b, kernel);
            near(&rows, &|row| (0..300).map(|at| of(a.row(row), b.row(at))).sum());
            near(&columns, &|row| (0..700).map(|at| of(a.row(at), b.row(row))).sum());
        }
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
        assert!((0.92..=0.98).contains(&share), "{share}");
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
