use faer::Mat;
use standin_encode::Embedding;

use crate::context::{Comparison, Context, Side};
use crate::error::require_rows;
use crate::linear::{add_product, in_parts, product, squared_norms, symmetric_eigen};
use crate::registry::Measure;
use crate::uncertainty::{Z, average, influence_variance};
use crate::{Against, Estimate, Result};

/// The Vendi score (Friedman and Dieng, TMLR 2023), order 1: the exponential of the von Neumann entropy of K/n, with
/// the cosine kernel K. An effective number of different images, from 1 (all point the same way) to n.
///
/// K/n and the d×d matrix ρ = X̂ᵀX̂/n of the normalised rows X̂ have the same non-zero eigenvalues; the smaller one is
/// decomposed. An image without direction (all features 0) counts as alike to others of its kind and unlike all else.
///
/// The score grows with n until n passes the number of directions there are to find, so compare at equal n.
/// **Interval**: the entropy is a smooth function of ρ, in which image x̂ has influence −x̂ᵀ(ln ρ)x̂; their variance gives
/// a normal interval for the entropy (infinitesimal jackknife), exponentiated.
///
/// Time O(n·d² + d³) and memory O(d²) with d ≤ n, else with both exchanged.
///
/// # Errors
/// If there are fewer than 2 images or the decomposition does not converge.
pub fn vendi_score(set: &Embedding) -> Result<Estimate> {
    require_rows("the Vendi score", set.rows(), 2)?;
    let influences = if set.dimension() < set.rows() { by_features(set)? } else { by_images(set)? };
    let entropy = average(&influences);
    let half = Z * influence_variance(&influences).sqrt();
    Ok(Estimate {
        value: entropy.exp(),
        low: (entropy - half).exp().max(1.0).min(entropy.exp()),
        high: (entropy + half).exp().min(set.rows() as f64).max(entropy.exp()),
        n: set.rows(),
        method: "infinitesimal jackknife of the entropy".into(),
    })
}

/// −x̂ᵀ(ln ρ)x̂ for every image, from the eigenvectors of ρ. Their mean is the entropy.
fn by_features(set: &Embedding) -> Result<Vec<f64>> {
    let (n, d) = (set.rows() as f64, set.dimension());
    let mut density = Mat::zeros(d, d);
    in_parts(set, direction, |part| add_product(density.as_mut(), part, part.transpose()));
    density *= faer::Scale(n.recip());
    let (values, vectors) = symmetric_eigen(&density)?;
    let surprise = Mat::from_fn(d, d, |k, i| vectors[(i, k)] * weight(values[k]).sqrt());
    let mut influences = squared_norms(set, direction, surprise.as_ref());
    let still: Vec<usize> = (0..set.rows()).filter(|&row| set.row(row).iter().all(|&x| x == 0.0)).collect();
    for &row in &still {
        influences[row] = weight(still.len() as f64 / n);
    }
    Ok(influences)
}

/// The same from the eigenvectors u of K/n: Σₖ −n·λₖ·ln λₖ·uᵢₖ² for image i.
fn by_images(set: &Embedding) -> Result<Vec<f64>> {
    let (n, d) = (set.rows(), set.dimension());
    let mut rows = vec![0.0; n * d];
    for (row, into) in rows.chunks_exact_mut(d).enumerate() {
        direction(set.row(row), into);
    }
    let rows = faer::MatRef::from_row_major_slice(&rows, n, d);
    let mut kernel = product(rows, rows.transpose());
    let still: Vec<usize> = (0..n).filter(|&row| kernel[(row, row)] == 0.0).collect();
    for &a in &still {
        for &b in &still {
            kernel[(a, b)] = 1.0;
        }
    }
    kernel *= faer::Scale((n as f64).recip());
    let (values, vectors) = symmetric_eigen(&kernel)?;
    let at = |row: usize| {
        let terms =
            values.iter().enumerate().map(|(k, &value)| value.max(0.0) * weight(value) * vectors[(row, k)].powi(2));
        n as f64 * terms.sum::<f64>()
    };
    Ok((0..n).map(at).collect())
}

/// −ln λ, and 0 for an eigenvalue that is 0 but for rounding, on which no image has weight.
fn weight(eigenvalue: f64) -> f64 {
    if eigenvalue > 1e-14 { -eigenvalue.min(1.0).ln() } else { 0.0 }
}

fn direction(row: &[f32], into: &mut [f64]) {
    let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    let scale = if norm > 0.0 { norm.recip() } else { 0.0 };
    for (to, &x) in into.iter_mut().zip(row) {
        *to = f64::from(x) * scale;
    }
}

#[derive(Debug)]
pub(crate) struct VendiScore;

impl Measure for VendiScore {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        let of = |side| context.outcome(&[side], || vendi_score(context.rows(side)));
        let size = |side| context.size(side);
        Ok(vec![Comparison {
            against: Against::Nothing,
            outcome: of(Side::Synthetic)?,
            reference: Some(of(Side::Reference)?),
            parameters: format!(
                "cosine, order 1; {} synthetic, {} holdout in the reference",
                size(Side::Synthetic),
                size(Side::Reference)
            ),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embed, gaussian};

    /// Three images of which two have cosine similarity 0.9; the value is that of the `vendi-score` package.
    #[test]
    fn the_example_of_the_paper() {
        let third = 0.19_f32.sqrt();
        let set = embed(vec![1.0, 0.0, 0.0, 0.9, third, 0.0, 0.0, 0.0, 1.0], 3);
        assert!((vendi_score(&set).unwrap().value - 2.1573).abs() < 1e-4);
    }

    #[test]
    fn copies_count_once_and_orthogonal_images_each() {
        let identity = |n: usize, repeats: usize| {
            let row = |at: usize| (0..n).map(move |column| if column == at % n { 2.0 } else { 0.0 });
            embed((0..n * repeats).flat_map(row).collect(), n)
        };
        assert!((vendi_score(&identity(6, 1)).unwrap().value - 6.0).abs() < 1e-9);
        assert!((vendi_score(&identity(6, 5)).unwrap().value - 6.0).abs() < 1e-9);
        assert!((vendi_score(&embed(vec![0.5; 40], 4)).unwrap().value - 1.0).abs() < 1e-9);
    }

    #[test]
    fn both_matrices_give_one_score() {
        let set = gaussian(40, 30, 1.0, 0.5, 3);
        let (features, images) = (by_features(&set).unwrap(), by_images(&set).unwrap());
        for (a, b) in features.iter().zip(&images) {
            assert!((a - b).abs() < 1e-8, "{a} {b}");
        }
    }

    #[test]
    fn images_without_direction_are_one_kind_of_their_own() {
        let with = |zeros: usize, dimension: usize| {
            let row = |at: usize| (0..dimension).map(move |column| f32::from(u8::from(at < 4 && column == at % 2)));
            vendi_score(&embed((0..4 + zeros).flat_map(row).collect(), dimension)).unwrap().value
        };
        for dimension in [2, 20] {
            assert!((with(2, dimension) - 3.0).abs() < 1e-9);
        }
    }

    #[test]
    fn the_interval_covers_the_average_score_at_this_size() {
        let runs = 300;
        let estimates: Vec<Estimate> =
            (0..runs).map(|run| vendi_score(&gaussian(150, 4, 1.0, 0.5, run)).unwrap()).collect();
        let average = estimates.iter().map(|e| e.value).sum::<f64>() / runs as f64;
        let covered = estimates.iter().filter(|e| e.low <= average && average <= e.high).count();
        let share = covered as f64 / runs as f64;
        assert!((0.90..=0.99).contains(&share), "{share}");
    }
}
