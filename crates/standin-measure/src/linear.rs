//! Linear algebra in double precision whose results do not depend on the number of threads: products are split by
//! columns of fixed width, sums run in a fixed order, and decompositions are cut for a fixed number of threads.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::triangular_inverse::invert_lower_triangular;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rand::RngExt;
use rayon::prelude::*;
use standin_data::Seed;
use standin_encode::Embedding;

use crate::{Error, Result};

/// Rows of an embedding that are in double precision at one time: no power of two, so that the values of one row lie in
/// different sets of the cache when features are made contiguous.
const ROWS: usize = 1000;

/// Rows or columns that one task takes of `size`: eight tasks at least, and tiles that stay in the second-level cache.
fn share(size: usize) -> usize {
    size.div_ceil(8).next_multiple_of(8).clamp(16, 256)
}

/// How decompositions are cut into tasks: for the same number of threads whatever number there is, since the cut decides
/// in which order they add.
fn decomposition() -> Par {
    Par::rayon(4)
}

/// `into` += a·b. Time O(m·k·n).
pub(crate) fn add_product(into: MatMut<'_, f64>, a: MatRef<'_, f64>, b: MatRef<'_, f64>) {
    let columns = share(into.ncols());
    into.par_col_chunks_mut(columns).enumerate().for_each(|(chunk, mut part)| {
        let b = b.subcols(chunk * columns, part.ncols());
        matmul(part.as_mut(), Accum::Add, a, b, 1.0, Par::Seq);
    });
}

/// a·b.
pub(crate) fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut into = Mat::zeros(a.nrows(), b.ncols());
    add_product(into.as_mut(), a, b);
    into
}

/// aᵀ·a of a matrix in column-major order, of which half is computed. Time O(m·n²).
pub(crate) fn self_product(a: MatRef<'_, f64>) -> Mat<f64> {
    let mut tiles = Tiles::new(a.ncols());
    tiles.add(a);
    tiles.finish()
}

/// Σᵢ sᵢ²·(xᵢ−m)(xᵢ−m)ᵀ over the rows xᵢ, `d × d`, for the shift m and the scale s of each row.
///
/// Time O(n·d²) in double precision, for half of the matrix; memory O(d²) beyond the rows.
pub(crate) fn scatter(rows: &Embedding, shift: &[f64], scale: impl Fn(usize) -> f64 + Sync) -> Mat<f64> {
    /// Features whose values of one row share a cache line.
    const LINE: usize = 16;
    let d = rows.dimension();
    let mut tiles = Tiles::new(d);
    let mut columns = vec![0.0; ROWS.min(rows.rows()) * d];
    for (part, values) in rows.values().chunks(ROWS * d).enumerate() {
        let height = values.len() / d;
        let columns = &mut columns[..height * d];
        let scales: Vec<f64> = (0..height).map(|row| scale(part * ROWS + row)).collect();
        columns.par_chunks_mut(LINE * height).enumerate().for_each(|(line, into)| {
            let first = line * LINE;
            for (at, (row, scale)) in values.chunks_exact(d).zip(&scales).enumerate() {
                let features = row[first..].iter().zip(&shift[first..]);
                for (column, (&x, shift)) in into.chunks_exact_mut(height).zip(features) {
                    column[at] = (f64::from(x) - shift) * scale;
                }
            }
        });
        tiles.add(MatRef::from_column_major_slice(columns, height, d));
    }
    tiles.finish()
}

/// The lower half of a symmetric matrix in square tiles, to which products aᵀ·a are added.
struct Tiles {
    size: usize,
    side: usize,
    tiles: Vec<(usize, usize, Mat<f64>)>,
}

impl Tiles {
    fn new(size: usize) -> Self {
        let side = share(size);
        let starts = || (0..size).step_by(side);
        let width = |start: usize| side.min(size - start);
        let tiles = starts()
            .flat_map(|j| starts().filter(move |&i| i >= j).map(move |i| (i, j)))
            .map(|(i, j)| (i, j, Mat::zeros(width(i), width(j))))
            .collect();
        Self { size, side, tiles }
    }

    fn add(&mut self, a: MatRef<'_, f64>) {
        let width = |start: usize| self.side.min(self.size - start);
        self.tiles.par_iter_mut().for_each(|(i, j, tile)| {
            let (left, right) = (a.subcols(*i, width(*i)), a.subcols(*j, width(*j)));
            if i == j {
                let all = BlockStructure::Rectangular;
                let lower = BlockStructure::TriangularLower;
                triangular::matmul(tile.as_mut(), lower, Accum::Add, left.transpose(), all, right, all, 1.0, Par::Seq);
            } else {
                matmul(tile.as_mut(), Accum::Add, left.transpose(), right, 1.0, Par::Seq);
            }
        });
    }

    fn finish(self) -> Mat<f64> {
        let mut whole = Mat::zeros(self.size, self.size);
        for (i, j, mut tile) in self.tiles {
            if i == j {
                let lower = tile.clone();
                tile = Mat::from_fn(lower.nrows(), lower.ncols(), |i, j| lower[(i.max(j), i.min(j))]);
            }
            whole.as_mut().submatrix_mut(i, j, tile.nrows(), tile.ncols()).copy_from(&tile);
            whole.as_mut().submatrix_mut(j, i, tile.ncols(), tile.nrows()).copy_from(tile.transpose());
        }
        whole
    }
}

/// The Cholesky factor L of a symmetric matrix LLᵀ and its inverse, both lower triangular; nothing if a squared pivot is
/// below `least`, as in a matrix without full rank. Time O(d³).
pub(crate) fn cholesky(matrix: &Mat<f64>, least: f64) -> Option<(Mat<f64>, Mat<f64>)> {
    let d = matrix.nrows();
    let mut factor = matrix.clone();
    let scratch = cholesky_in_place_scratch::<f64>(d, decomposition(), Default::default());
    cholesky_in_place(
        factor.as_mut(),
        Default::default(),
        decomposition(),
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .ok()?;
    if (0..d).any(|at| factor[(at, at)].powi(2) < least) {
        return None;
    }
    for column in 1..d {
        factor.as_mut().col_mut(column).subrows_mut(0, column).fill(0.0);
    }
    let mut inverse = Mat::zeros(d, d);
    invert_lower_triangular(inverse.as_mut(), factor.as_ref(), decomposition());
    Some((factor, inverse))
}

/// Eigenvalues, ascending, and eigenvectors, one a column, of a symmetric matrix. Time O(d³).
pub(crate) fn symmetric_eigen(matrix: &Mat<f64>) -> Result<(Vec<f64>, Mat<f64>)> {
    let n = matrix.nrows();
    let (mut values, mut vectors) = (Diag::zeros(n), Mat::zeros(n, n));
    let scratch = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, decomposition(), Default::default());
    self_adjoint_evd(
        matrix.as_ref(),
        values.as_mut(),
        Some(vectors.as_mut()),
        decomposition(),
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .map_err(|_| Error::NoConvergence { decomposition: "eigendecomposition", rows: n, columns: n })?;
    Ok((values.column_vector().iter().copied().collect(), vectors))
}

/// Eigenvalues, ascending, of a symmetric matrix. Time O(d³), a third of [`symmetric_eigen`]'s.
pub(crate) fn symmetric_eigenvalues(matrix: &Mat<f64>) -> Result<Vec<f64>> {
    let n = matrix.nrows();
    let mut values = Diag::zeros(n);
    let scratch = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::No, decomposition(), Default::default());
    self_adjoint_evd(
        matrix.as_ref(),
        values.as_mut(),
        None,
        decomposition(),
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .map_err(|_| Error::NoConvergence { decomposition: "eigendecomposition", rows: n, columns: n })?;
    Ok(values.column_vector().iter().copied().collect())
}

/// Singular values with left and right singular vectors, one a column; those that are 0 but for rounding are left out.
///
/// The eigenvectors of M·Mᵀ are the left singular vectors, and a decomposition of that matrix is several times faster
/// than one of M; but it loses half the digits, so eigenvectors are kept only where the eigenvalue is not small beside
/// the largest. What M does in the other directions is decomposed in the same way, until nothing is left. The values
/// are the norms ‖Mᵀu‖. Eigenvectors of eigenvalues a share s of the largest apart are mixed by up to ε/s, and of the
/// least value kept at s = 10⁻¹⁰ that moves 10⁻⁵·ε/s ≈ 10⁻¹¹: values are right to that share of the largest, not just to
/// the root of ε.
///
/// Time O(m·n·min(m, n)).
pub(crate) fn singular_values(matrix: MatRef<'_, f64>) -> Result<(Mat<f64>, Vec<f64>, Mat<f64>)> {
    /// Squared singular values below this share of the largest are decomposed again.
    const TRUSTED: f64 = 1e-10;
    let (m, n) = matrix.shape();
    if m > n {
        let (right, values, left) = singular_values(matrix.transpose())?;
        return Ok((left, values, right));
    }
    let (mut lefts, mut values, mut rights) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = matrix.transpose().to_owned();
    let mut basis: Option<Mat<f64>> = None;
    let nothing = f64::EPSILON * (m + n) as f64 * rest.norm_l2();
    while rest.norm_l2() > nothing {
        let (squares, vectors) = symmetric_eigen(&self_product(rest.as_ref()))?;
        let most = squares.last().copied().unwrap_or(0.0);
        let first = squares.partition_point(|&square| square <= TRUSTED * most);
        let (small, large) = vectors.split_at_col(first);
        let within = |vectors: MatRef<'_, f64>| match &basis {
            Some(basis) => product(basis.as_ref(), vectors),
            None => vectors.to_owned(),
        };
        let mut right = product(rest.as_ref(), large);
        for mut column in right.col_iter_mut() {
            let value = column.norm_l2();
            column *= faer::Scale(value.recip());
            values.push(value);
        }
        lefts.push(within(large));
        rights.push(right);
        rest = product(rest.as_ref(), small);
        basis = Some(within(small));
    }
    Ok((side_by_side(&lefts, m), values, side_by_side(&rights, n)))
}

fn side_by_side(parts: &[Mat<f64>], rows: usize) -> Mat<f64> {
    let mut whole = Mat::zeros(rows, parts.iter().map(Mat::ncols).sum());
    let mut first = 0;
    for part in parts {
        whole.as_mut().subcols_mut(first, part.ncols()).copy_from(part);
        first += part.ncols();
    }
    whole
}

/// Rows that [`in_parts`] hands over at one time.
const PART: usize = 512;

/// Hands over all rows, transformed by `prepare(row, column)`, some at a time and in order: `d × rows` matrices.
pub(crate) fn in_parts(
    rows: &Embedding,
    prepare: impl Fn(&[f32], &mut [f64]) + Sync,
    mut each: impl FnMut(MatRef<'_, f64>),
) {
    let d = rows.dimension();
    for part in rows.values().chunks(PART * d) {
        let mut columns = vec![0.0; part.len()];
        columns.par_chunks_mut(d).zip(part.par_chunks(d)).for_each(|(column, row)| prepare(row, column));
        each(MatRef::from_column_major_slice(&columns, d, part.len() / d));
    }
}

/// Mean of every feature.
pub(crate) fn mean(rows: &Embedding) -> Vec<f64> {
    let d = rows.dimension();
    let parts: Vec<Vec<f64>> = rows
        .values()
        .par_chunks(ROWS * d)
        .map(|part| {
            let mut sums = vec![0.0; d];
            for row in part.chunks_exact(d) {
                sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
            }
            sums
        })
        .collect();
    let mut mean = vec![0.0; d];
    for part in parts {
        mean.iter_mut().zip(part).for_each(|(mean, sum)| *mean += sum / rows.rows() as f64);
    }
    mean
}

/// Rows drawn for a quantity that needs no more than `most`: one from each of so many parts of equal length, so that a
/// set in any order is drawn from evenly. All rows if there are no more.
pub(crate) fn spread(rows: usize, most: usize) -> Vec<usize> {
    if rows <= most {
        return (0..rows).collect();
    }
    let mut rng = Seed::new(0).derive("spread").rng();
    let start = |part: usize| part * rows / most;
    (0..most).map(|part| rng.random_range(start(part)..start(part + 1))).collect()
}

/// The chosen rows as columns, `d × rows`, transformed by `prepare(row, column)`.
pub(crate) fn columns_of(rows: &Embedding, chosen: &[usize], prepare: impl Fn(&[f32], &mut [f64]) + Sync) -> Mat<f64> {
    let mut columns = Mat::zeros(rows.dimension(), chosen.len());
    columns.par_col_iter_mut().zip(chosen).for_each(|(column, &row)| {
        let into = column.try_as_col_major_mut().expect("a new matrix is in column-major order").as_slice_mut();
        prepare(rows.row(row), into);
    });
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decompositions_give_their_matrix_back() {
        let a = Mat::from_fn(90, 70, |i, j| ((i * 31 + j * 17 + i * j) % 23) as f64 - 11.0);
        for a in [a.as_ref(), a.transpose()] {
            let (u, s, v) = singular_values(a).unwrap();
            let scaled = Mat::from_fn(a.nrows(), s.len(), |i, j| u[(i, j)] * s[j]);
            assert!((product(scaled.as_ref(), v.transpose()) - a).norm_max() < 1e-9);
        }
        let gram = product(a.transpose(), a.as_ref());
        let (values, vectors) = symmetric_eigen(&gram).unwrap();
        let scaled = Mat::from_fn(70, 70, |i, j| vectors[(i, j)] * values[j]);
        assert!((product(scaled.as_ref(), vectors.transpose()) - &gram).norm_max() < 1e-7);
    }

    #[test]
    fn singular_values_are_right_to_rounding_over_many_orders_of_magnitude() {
        // Two orthogonal matrices around 10⁰, 10⁻¹, …, 10⁻¹³ and three zeros: an eigendecomposition of M·Mᵀ alone would
        // see nothing below 10⁻⁸.
        let orthogonal = |seed: usize| {
            let a = Mat::from_fn(17, 17, |i, j| ((i * 29 + j * 13 + i * j * seed) % 31) as f64 - 15.0);
            symmetric_eigen(&(&a + a.transpose())).unwrap().1
        };
        let truth: Vec<f64> = (0..17).map(|at| if at < 14 { 10_f64.powi(-at) } else { 0.0 }).collect();
        let (u, v) = (orthogonal(3), orthogonal(7));
        let scaled = Mat::from_fn(17, 17, |i, j| u[(i, j)] * truth[j]);
        let (_, mut values, _) = singular_values(product(scaled.as_ref(), v.transpose()).as_ref()).unwrap();
        values.sort_by(|a, b| b.total_cmp(a));
        for (found, expected) in values.iter().zip(&truth) {
            assert!((found - expected).abs() < 1e-11, "{found} for {expected}");
        }
    }

    #[test]
    fn a_cholesky_factor_and_its_inverse_undo_each_other() {
        let rows = crate::testing::gaussian(60, 40, 1.0, 0.0, 1);
        let a = Mat::from_fn(60, 40, |i, j| f64::from(rows.row(i)[j]));
        let gram = self_product(a.as_ref());
        assert!((&gram - product(a.transpose(), a.as_ref())).norm_max() < 1e-9);
        let (factor, inverse) = cholesky(&gram, 1e-6).unwrap();
        assert!((product(factor.as_ref(), factor.transpose()) - &gram).norm_max() < 1e-9);
        assert!((product(factor.as_ref(), inverse.as_ref()) - Mat::<f64>::identity(40, 40)).norm_max() < 1e-9);
        assert!(cholesky(&self_product(a.transpose()), 1e-6).is_none(), "40 columns cannot span 60 directions");
    }

    #[test]
    fn scatter_is_the_sum_of_outer_products() {
        let rows = crate::testing::gaussian(2100, 37, 1.0, 0.5, 1);
        let (shift, scale) = (mean(&rows), |row: usize| 1.0 + (row % 3) as f64);
        let all: Vec<usize> = (0..2100).collect();
        let columns = columns_of(&rows, &all, |row, column| {
            column.iter_mut().zip(row).zip(&shift).for_each(|((to, &x), m)| *to = f64::from(x) - m);
        });
        let scaled = Mat::from_fn(37, 2100, |i, j| columns[(i, j)] * scale(j));
        let expected = product(scaled.as_ref(), scaled.transpose());
        assert!((scatter(&rows, &shift, scale) - expected).norm_max() < 1e-8);
    }

    #[test]
    fn a_spread_choice_takes_one_of_every_part() {
        assert_eq!(spread(5, 9), [0, 1, 2, 3, 4]);
        let chosen = spread(1000, 10);
        assert!(chosen.iter().enumerate().all(|(part, &row)| row / 100 == part), "{chosen:?}");
    }
}
