//! Linear algebra in double precision whose results do not depend on the number of threads: products are split by
//! columns of fixed width, sums run in a fixed order, and decompositions run on one thread.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rayon::prelude::*;
use standin_encode::Embedding;

use crate::{Error, Result};

/// Columns of a product that one task computes.
const COLUMNS: usize = 64;
/// Rows of an embedding that are in double precision at one time.
const ROWS: usize = 1024;

/// `into` += a·b. Time O(m·k·n).
pub(crate) fn add_product(into: MatMut<'_, f64>, a: MatRef<'_, f64>, b: MatRef<'_, f64>) {
    into.par_col_chunks_mut(COLUMNS).enumerate().for_each(|(chunk, mut part)| {
        let b = b.subcols(chunk * COLUMNS, part.ncols());
        matmul(part.as_mut(), Accum::Add, a, b, 1.0, Par::Seq);
    });
}

/// a·b.
pub(crate) fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut into = Mat::zeros(a.nrows(), b.ncols());
    add_product(into.as_mut(), a, b);
    into
}

/// Eigenvalues, ascending, and eigenvectors, one a column, of a symmetric matrix. Time O(d³), on one thread.
pub(crate) fn symmetric_eigen(matrix: &Mat<f64>) -> Result<(Vec<f64>, Mat<f64>)> {
    let n = matrix.nrows();
    let (mut values, mut vectors) = (Diag::zeros(n), Mat::zeros(n, n));
    let scratch = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, Par::Seq, Default::default());
    self_adjoint_evd(
        matrix.as_ref(),
        values.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .map_err(|_| Error::NoConvergence { decomposition: "eigendecomposition", rows: n, columns: n })?;
    Ok((values.column_vector().iter().copied().collect(), vectors))
}

/// Eigenvalues, ascending, of a symmetric matrix. Time O(d³), a third of [`symmetric_eigen`]'s, on one thread.
pub(crate) fn symmetric_eigenvalues(matrix: &Mat<f64>) -> Result<Vec<f64>> {
    let n = matrix.nrows();
    let mut values = Diag::zeros(n);
    let scratch = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::No, Par::Seq, Default::default());
    self_adjoint_evd(
        matrix.as_ref(),
        values.as_mut(),
        None,
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .map_err(|_| Error::NoConvergence { decomposition: "eigendecomposition", rows: n, columns: n })?;
    Ok(values.column_vector().iter().copied().collect())
}

/// Singular values, descending, with left and right singular vectors, one a column. Time O(m·n·min(m, n)), on one
/// thread.
pub(crate) fn singular_values(matrix: &Mat<f64>) -> Result<(Mat<f64>, Vec<f64>, Mat<f64>)> {
    let (m, n) = matrix.shape();
    let size = m.min(n);
    let (mut u, mut s, mut v) = (Mat::zeros(m, size), Diag::zeros(size), Mat::zeros(n, size));
    let thin = ComputeSvdVectors::Thin;
    let scratch = svd_scratch::<f64>(m, n, thin, thin, Par::Seq, Default::default());
    svd(
        matrix.as_ref(),
        s.as_mut(),
        Some(u.as_mut()),
        Some(v.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .map_err(|_| Error::NoConvergence { decomposition: "singular value decomposition", rows: m, columns: n })?;
    Ok((u, s.column_vector().iter().copied().collect(), v))
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

/// Hands over all rows, transformed by `prepare(row, column)`, some at a time and in order: `d × rows` matrices.
pub(crate) fn in_parts(
    rows: &Embedding,
    prepare: impl Fn(&[f32], &mut [f64]) + Sync,
    mut each: impl FnMut(MatRef<'_, f64>),
) {
    let d = rows.dimension();
    for part in rows.values().chunks(ROWS * d) {
        let mut columns = vec![0.0; part.len()];
        columns.par_chunks_mut(d).zip(part.par_chunks(d)).for_each(|(column, row)| prepare(row, column));
        each(MatRef::from_column_major_slice(&columns, d, part.len() / d));
    }
}

/// ‖A·x‖² for every row x, transformed as by [`in_parts`]. Time O(n·d·rows of A).
pub(crate) fn squared_norms(
    rows: &Embedding,
    prepare: impl Fn(&[f32], &mut [f64]) + Sync,
    a: MatRef<'_, f64>,
) -> Vec<f64> {
    let mut norms = Vec::with_capacity(rows.rows());
    in_parts(rows, prepare, |part| {
        norms.extend(product(a, part).col_iter().map(|column| column.squared_norm_l2()));
    });
    norms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decompositions_give_their_matrix_back() {
        let a = Mat::from_fn(90, 70, |i, j| ((i * 31 + j * 17 + i * j) % 23) as f64 - 11.0);
        let (u, s, v) = singular_values(&a).unwrap();
        let scaled = Mat::from_fn(90, 70, |i, j| u[(i, j)] * s[j]);
        assert!((product(scaled.as_ref(), v.transpose()) - &a).norm_max() < 1e-9);
        let gram = product(a.transpose(), a.as_ref());
        let (values, vectors) = symmetric_eigen(&gram).unwrap();
        let scaled = Mat::from_fn(70, 70, |i, j| vectors[(i, j)] * values[j]);
        assert!((product(scaled.as_ref(), vectors.transpose()) - &gram).norm_max() < 1e-7);
    }
}
