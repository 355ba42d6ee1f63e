use std::fmt;

use standin_encode::{Boundary, Embedding, Neighbours, count_within, nearest};

use crate::context::{Comparison, Context};
use crate::leave_one_out::{coverage, density, share_inside};
use crate::registry::Measure;
use crate::{Estimate, Result};

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
        let sign = match self.boundary() {
            Boundary::Open => "<",
            Boundary::Closed => "≤",
        };
        write!(f, "k={}, distance {sign} radius ({name})", self.k())
    }
}

/// Precision and recall (Kynkäänniemi et al., NeurIPS 2019), density and coverage (Naeem et al., ICML 2020): overlap of
/// two sets, each seen as balls around its images that reach to the k-th neighbour in the set.
///
/// **Intervals** are jackknife over both sets, exact: leaving an image out removes its ball and lets those that reached
/// to it as a neighbour grow, and both is followed up (see the module `leave_one_out`). The jackknife's variance is at
/// least the true one on average (Efron and Stein 1981), also for such unsmooth statistics: simulated intervals were
/// between 1.1 and 3 times as wide as they had to be, and taking either set as given made them too narrow by as much.
/// Shares get a Wilson interval with the number of trials that has this variance. With duplicated or constant features and an open boundary balls are
/// empty, and density and coverage 0: the definition, not an accident.
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

/// All four numbers. Nine passes over pairs of images: O((g + r)²·d) time, O(g + r) memory unless very many images lie
/// just outside very many balls.
///
/// # Errors
/// If the protocols differ, a set has fewer than k + 2 images, or the generated one fewer than 2.
pub fn manifold(generated: &Embedding, real: &Embedding, convention: Convention) -> Result<Manifold> {
    let within = |set| nearest(set, set, convention.k() + 1, true);
    let (generated_own, real_own) = (within(generated)?, within(real)?);
    let counts = |points, centres, own: &Neighbours| {
        count_within(points, centres, &own.at_rank(convention.k()), convention.boundary())
    };
    let in_real = counts(generated, real, &real_own)?;
    let in_generated = counts(real, generated, &generated_own)?;
    Ok(Manifold {
        precision: share_inside(generated, real, &real_own, &in_real, convention)?,
        recall: share_inside(real, generated, &generated_own, &in_generated, convention)?,
        density: density(generated, real, &real_own, &in_real, convention)?,
        coverage: coverage(&nearest(real, generated, 2, false)?, &real_own, generated.rows(), convention),
    })
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
        let convention = *convention;
        context.both_ways(&convention.to_string(), |generated, real| {
            let share = |points, centres| {
                let balls = context.within(points, centres, convention)?;
                let own = context.neighbours(centres, centres)?;
                share_inside(context.rows(points), context.rows(centres), &own, &balls, convention)
            };
            let rows = |side| context.rows(side);
            let real_own = context.neighbours(real, real)?;
            match quantity {
                Quantity::Precision => share(generated, real),
                Quantity::Recall => share(real, generated),
                Quantity::Density => {
                    let balls = context.within(generated, real, convention)?;
                    density(rows(generated), rows(real), &real_own, &balls, convention)
                }
                Quantity::Coverage => {
                    let to_generated = context.neighbours(real, generated)?;
                    Ok(coverage(&to_generated, &real_own, rows(generated).rows(), convention))
                }
            }
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
