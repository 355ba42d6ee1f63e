use std::sync::Arc;

use standin_encode::{Embedding, Neighbours, nearest};

use crate::context::{Comparison, Context};
use crate::error::require_rows;
use crate::halves::{Spread, divide};
use crate::overlap::{Overlap, REACH, of_halves};
use crate::registry::Measure;
use crate::share::share_from_halves;
use crate::{Convention, Estimate, Result, t_quantile};

/// Precision and recall (Kynkäänniemi et al., NeurIPS 2019), density and coverage (Naeem et al., ICML 2020): overlap of
/// two sets, each seen as balls around its images that reach to the k-th neighbour in the set.
///
/// **Intervals** are for the expected value at these numbers of images, over both sets drawn anew: other real images
/// and the generator's next sample. The variance is that between random halves of both sets (see the module `halves`);
/// shares get a Clopper–Pearson interval with the number of independent trials that would vary as much. Simulated
/// intervals covered the expected value in 92 to 98 of 100 cases, more where a share is so near to 0 or 1 that less than
/// one image is expected to make the difference. With duplicated or constant features and an open boundary balls are
/// empty, and density and coverage 0: the definition, not an accident.
///
/// For equal populations the expected density is 1, and the expected coverage 1 − Π (r−1−i)/(r+g−1−i) over i < k for r
/// real and g generated images (Naeem et al., eq. 6, with the centre itself not counted).
#[derive(Clone, Debug, PartialEq)]
pub struct Manifold {
    /// Share of generated images inside a ball of the real set.
    pub precision: Estimate,
    /// Share of real images inside a ball of the generated set.
    pub recall: Estimate,
    /// Mean over generated images of the number of real balls they are in, divided by k: 1 for equal populations,
    /// unbounded above, more robust to outliers than precision.
    pub density: Estimate,
    /// Share of real images whose own ball holds a generated image.
    pub coverage: Estimate,
}

/// All four numbers. Three passes over pairs of images: within either set and between them. O((g + r)²·d) time,
/// O(g + r) memory beyond the inputs, about 1 KiB for each image.
///
/// # Errors
/// If the protocols differ or a set has fewer than 2k + 2 images, too few for balls within its halves.
pub fn manifold(generated: &Embedding, real: &Embedding, convention: Convention) -> Result<Manifold> {
    let overlap = Overlap::of(generated, &within(generated, convention)?, real, &within(real, convention)?)?;
    from_overlap(&overlap, generated, real, convention)
}

/// The neighbours within a set; fails if it is too small for its halves to have balls.
pub(crate) fn within(set: &Embedding, convention: Convention) -> Result<Arc<Neighbours>> {
    require_rows("precision, recall, density and coverage", set.rows(), 2 * convention.k() + 2)?;
    Ok(Arc::new(nearest(set, set, REACH.min(set.rows() - 1), true)?))
}

/// Precision, recall, density and coverage of both halves of a real and a generated set, for every division.
pub(crate) type Divisions = Vec<[[f64; 2]; 4]>;

pub(crate) fn divisions(overlap: &Overlap, generated: usize, real: usize, convention: Convention) -> Divisions {
    divide([real, generated], |[real, generated]| of_halves(overlap, convention, generated, real))
}

/// All four numbers from one search, which serves every convention.
pub(crate) fn from_overlap(
    overlap: &Overlap,
    generated: &Embedding,
    real: &Embedding,
    convention: Convention,
) -> Result<Manifold> {
    let divisions = divisions(overlap, generated.rows(), real.rows(), convention);
    from_divisions(overlap, &divisions, generated, real, convention)
}

pub(crate) fn from_divisions(
    overlap: &Overlap,
    divisions: &Divisions,
    generated: &Embedding,
    real: &Embedding,
    convention: Convention,
) -> Result<Manifold> {
    let in_real = overlap.in_real.whole(generated, real, convention)?;
    let in_generated = overlap.in_generated.whole(real, generated, convention)?;
    let (images, real_images) = (generated.rows(), real.rows());
    // An image shares its fate with about k others of its set.
    let neighbourhoods = images.min(real_images) as f64 / convention.k() as f64;
    let spread = |at: usize| Spread::of(divisions.iter().map(|halves| halves[at]), neighbourhoods);
    let precision = share_from_halves(in_real.share_inside(), &spread(0), images);
    Ok(Manifold {
        density: density(in_real.density(convention.k()), &spread(2), &precision),
        recall: share_from_halves(in_generated.share_inside(), &spread(1), real_images),
        coverage: share_from_halves(in_real.coverage(), &spread(3), real_images),
        precision,
    })
}

/// Density with Student's interval on the scale of its logarithm, because it is a mean of counts that vary the more the
/// larger they are. Without any image in a ball, those that might be are expected in about k balls each, so density ends
/// where precision does.
fn density(value: f64, spread: &Spread, precision: &Estimate) -> Estimate {
    let factor = (t_quantile(spread.degrees) * spread.variance.sqrt() / value).exp();
    let (low, high) = if value > 0.0 { (value / factor, value * factor) } else { (0.0, precision.high) };
    Estimate {
        value,
        low,
        high,
        n: precision.n,
        method: "Student's t of the logarithm, random halves of both sets".into(),
    }
}

/// One of the four as a registered measure.
#[derive(Debug)]
pub(crate) struct ManifoldMeasure(pub(crate) Quantity, pub(crate) Convention);

#[derive(Debug)]
pub(crate) enum Quantity {
    Precision,
    Recall,
    Density,
    Coverage,
}

impl Measure for ManifoldMeasure {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        let Self(quantity, convention) = self;
        context.both_ways(&convention.to_string(), |generated, real| {
            let found = context.manifold(generated, real, *convention)?;
            Ok(match quantity {
                Quantity::Precision => found.precision.clone(),
                Quantity::Recall => found.recall.clone(),
                Quantity::Density => found.density.clone(),
                Quantity::Coverage => found.coverage.clone(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embed, gaussian};

    #[test]
    fn a_tight_cluster_in_a_wide_population_is_precise_and_recalls_little() {
        let (real, cluster) = (gaussian(500, 4, 1.0, 0.0, 1), gaussian(500, 4, 0.1, 0.0, 2));
        let found = manifold(&cluster, &real, Convention::Prdc).unwrap();
        assert!(found.precision.value > 0.8 && found.recall.value < 0.3, "{found:?}");
        let swapped = manifold(&real, &cluster, Convention::Prdc).unwrap();
        assert_eq!((swapped.precision.value, swapped.recall.value), (found.recall.value, found.precision.value));
    }

    #[test]
    fn density_counts_every_ball_and_coverage_every_image_once() {
        // Ten real images on a line; every generated image sits on the fifth.
        let real = embed((0..10).map(|x| x as f32).collect(), 1);
        let generated = embed(vec![4.0; 8], 1);
        let found = manifold(&generated, &real, Convention::TorchFidelity).unwrap();
        // Balls to the third neighbour hold 4 from the centres 2, …, 6 (radius 2) and 1 (radius 2 is too short).
        assert!((found.density.value - 5.0 / 3.0).abs() < 1e-12);
        assert_eq!(found.coverage.value, 0.5);
        assert_eq!(found.precision.value, 1.0);
        assert_eq!(found.recall.value, 0.1);
    }

    #[test]
    fn with_an_open_boundary_constant_features_have_no_density() {
        let constant = embed(vec![1.0; 30], 1);
        let open = manifold(&constant, &constant, Convention::Prdc).unwrap();
        assert_eq!((open.density.value, open.coverage.value), (0.0, 0.0));
        let closed = manifold(&constant, &constant, Convention::TorchFidelity).unwrap();
        assert_eq!((closed.precision.value, closed.coverage.value), (1.0, 1.0));
    }

    #[test]
    fn equal_populations_have_density_near_one() {
        let (a, b) = (gaussian(1500, 8, 1.0, 0.0, 5), gaussian(1500, 8, 1.0, 0.0, 6));
        let density = manifold(&a, &b, Convention::Prdc).unwrap().density;
        assert!((density.value - 1.0).abs() < 0.1, "{density}");
    }
}
