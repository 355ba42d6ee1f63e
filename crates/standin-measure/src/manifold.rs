use std::fmt;

use standin_encode::{Boundary, Embedding, count_within, nearest};

use crate::context::{Comparison, Context, Side, comparison_sign};
use crate::registry::Measure;
use crate::{Estimate, Result, mean, wilson};

/// How balls around images are drawn. Public tools disagree, and their numbers do not compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Convention {
    /// The `prdc` package of Naeem et al.: to the 5th neighbour, boundary outside. The project's default.
    Prdc,
    /// The `torch-fidelity` package: to the 3rd neighbour, boundary inside.
    TorchFidelity,
    /// DPImageBench, through the `fld` package: to the 3rd neighbour, boundary outside. Its k = 4 counts the image itself.
    DpImageBench,
}

impl Convention {
    /// A ball reaches to this neighbour of its centre, not counting the centre.
    pub const fn k(self) -> usize {
        match self {
            Self::Prdc => 5,
            Self::TorchFidelity | Self::DpImageBench => 3,
        }
    }

    /// Whether an image at exactly the radius is inside.
    pub const fn boundary(self) -> Boundary {
        match self {
            Self::Prdc | Self::DpImageBench => Boundary::Open,
            Self::TorchFidelity => Boundary::Closed,
        }
    }
}

impl fmt::Display for Convention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Prdc => "prdc",
            Self::TorchFidelity => "torch-fidelity",
            Self::DpImageBench => "DPImageBench",
        };
        write!(f, "k={}, distance {} radius ({name})", self.k(), comparison_sign(self.boundary()))
    }
}

/// Precision and recall (Kynkäänniemi et al., NeurIPS 2019), density and coverage (Naeem et al., ICML 2020): overlap of
/// two sets, each seen as balls around its images that reach to the k-th neighbour in the set.
///
/// Intervals speak of the set that is counted over and take the set of the balls as given. With duplicated or constant
/// features and an open boundary balls are empty, and density and coverage 0: the definition, not an accident.
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

/// All four numbers. Five neighbour searches: O((g + r)²·d) time, O(g + r) memory.
///
/// # Errors
/// If the protocols differ or a set has no more than k images.
pub fn manifold(generated: &Embedding, real: &Embedding, convention: Convention) -> Result<Manifold> {
    let radii = |set| Ok::<_, crate::Error>(nearest(set, set, convention.k(), true)?.at_rank(convention.k()));
    let (generated_radii, real_radii) = (radii(generated)?, radii(real)?);
    let in_real = count_within(generated, real, &real_radii, convention.boundary())?;
    let in_generated = count_within(real, generated, &generated_radii, convention.boundary())?;
    let to_generated = nearest(real, generated, 1, false)?.at_rank(1);
    Ok(Manifold {
        precision: share_inside(&in_real, "generated"),
        recall: share_inside(&in_generated, "real"),
        density: density(&in_real, convention.k()),
        coverage: coverage(&to_generated, &real_radii, convention.boundary()),
    })
}

fn share_inside(balls: &[usize], counted: &str) -> Estimate {
    let share = wilson(balls.iter().filter(|&&balls| balls > 0).count(), balls.len());
    Estimate { method: format!("Wilson over {counted} images, balls as given"), ..share }
}

fn density(balls: &[usize], k: usize) -> Estimate {
    let shares: Vec<f64> = balls.iter().map(|&balls| balls as f64 / k as f64).collect();
    let mean = mean(&shares);
    Estimate { low: mean.low.max(0.0), method: "Student's t over generated images, balls as given".into(), ..mean }
}

fn coverage(to_generated: &[f64], radii: &[f64], boundary: Boundary) -> Estimate {
    let inside = |(distance, radius): &(&f64, &f64)| match boundary {
        Boundary::Open => distance < radius,
        Boundary::Closed => distance <= radius,
    };
    let share = wilson(to_generated.iter().zip(radii).filter(inside).count(), radii.len());
    Estimate { method: "Wilson over real images, generated images as given".into(), ..share }
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
        context.both_ways(&convention.to_string(), |generated: Side, real: Side| {
            Ok(match quantity {
                Quantity::Precision => share_inside(&context.within(generated, real, *convention)?, "generated"),
                Quantity::Recall => share_inside(&context.within(real, generated, *convention)?, "real"),
                Quantity::Density => density(&context.within(generated, real, *convention)?, convention.k()),
                Quantity::Coverage => coverage(
                    &context.neighbours(real, generated)?.at_rank(1),
                    &context.radii(real, *convention)?,
                    convention.boundary(),
                ),
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
