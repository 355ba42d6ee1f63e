use standin_encode::{Boundary, Embedding, Neighbours, count_within, nearest};

use crate::beside_holdout::beside_holdout;
use crate::context::{Comparison, Context};
use crate::error::require_rows;
use crate::feature_spread::feature_spread;
use crate::registry::Measure;
use crate::{Estimate, Result, wilson};

/// A ball that makes an image realistic reaches to this neighbour of its centre.
const K: usize = 5;
/// Feature spread up to which a set counts as collapsed, and by how much the balls of copies then grow.
const COLLAPSED: f64 = 0.05;

/// The three shares by which MedSynAnalyzer judges synthetic medical images.
#[derive(Clone, Debug, PartialEq)]
pub struct Medsyn {
    /// Share of images in a ball that reaches to the 5th neighbour of a real image: precision.
    pub fidelity: Estimate,
    /// Share of images in no ball that reaches to the nearest neighbour of a real image.
    pub privacy: Estimate,
    /// Share of images for which both hold: realistic, and no copy.
    pub fidelity_and_privacy: Estimate,
}

/// Fidelity, privacy, and both at once as MedSynAnalyzer defines them, with the boundary outside: balls are drawn
/// around the training images, to the 5th nearest other one for fidelity and to the nearest one for privacy. Where the
/// mean [`feature_spread`] of the synthetic images is at most 0.05 they have collapsed to few modes, and the balls for
/// privacy grow by 0.05. Distances are those of the embedding's stamp: Hamming for codes, else Euclidean.
///
/// A new real image is inside a nearest-neighbour ball rather often: privacy is far below 1 for the holdout as well, so
/// read it beside that. **Intervals**: Wilson, for the training images as they are.
///
/// Three passes over pairs of images: O((s + t)·t·d) time, O(s + t) memory.
///
/// # Errors
/// If the protocols differ, or there are fewer than 2 synthetic or 6 training images.
pub fn medsyn(synthetic: &Embedding, train: &Embedding) -> Result<Medsyn> {
    of_neighbours(synthetic, train, &nearest(train, train, K, true)?)
}

/// The three shares, given at least five neighbours within the training set.
pub(crate) fn of_neighbours(synthetic: &Embedding, train: &Embedding, own: &Neighbours) -> Result<Medsyn> {
    require_rows("the shares of MedSynAnalyzer", synthetic.rows(), 2)?;
    let margin = if feature_spread(synthetic)?.value <= COLLAPSED { COLLAPSED } else { 0.0 };
    let copying: Vec<f64> = own.at_rank(1).into_iter().map(|radius| radius + margin).collect();
    let realistic = count_within(synthetic, train, &own.at_rank(K), Boundary::Open)?;
    let copies = count_within(synthetic, train, &copying, Boundary::Open)?;
    let share = |holds: fn(usize, usize) -> bool| {
        wilson(realistic.iter().zip(&copies).filter(|&(&real, &copy)| holds(real, copy)).count(), realistic.len())
    };
    Ok(Medsyn {
        fidelity: share(|real, _| real > 0),
        privacy: share(|_, copy| copy == 0),
        fidelity_and_privacy: share(|real, copy| real > 0 && copy == 0),
    })
}

/// One of the three as a registered measure.
#[derive(Debug)]
pub(crate) struct MedsynMeasure(pub(crate) fn(&Medsyn) -> &Estimate);

impl Measure for MedsynMeasure {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        beside_holdout(context, "k=5, distance < radius", |images| Ok(self.0(&*context.medsyn(images)?).clone()))
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::Seed;

    use super::*;
    use crate::testing::{embed, gaussian};
    use crate::{Convention, manifold};

    #[test]
    fn fidelity_is_precision() {
        let (synthetic, train) = (gaussian(150, 4, 1.3, 0.2, 1), gaussian(130, 4, 1.0, 0.0, 2));
        let found = medsyn(&synthetic, &train).unwrap();
        assert_eq!(found.fidelity.value, manifold(&synthetic, &train, Convention::Prdc).unwrap().precision.value);
        assert!(found.fidelity_and_privacy.value <= found.fidelity.value.min(found.privacy.value));
    }

    #[test]
    fn a_copy_is_realistic_and_not_private() {
        let train = gaussian(100, 4, 1.0, 0.0, 3);
        let found = medsyn(&train, &train).unwrap();
        assert_eq!((found.fidelity.value, found.privacy.value, found.fidelity_and_privacy.value), (1.0, 0.0, 0.0));
    }

    #[test]
    fn of_collapsed_images_those_a_little_outside_a_ball_are_copies_too() {
        let train = embed((0..8).map(|x| x as f32).collect(), 1);
        // Every ball to the nearest neighbour has radius 1, so -1.03 is in none unless they grow.
        let collapsed = medsyn(&embed(vec![-1.03; 4], 1), &train).unwrap();
        assert_eq!((collapsed.fidelity.value, collapsed.privacy.value), (1.0, 0.0));
        let spread = medsyn(&embed(vec![-1.03, -1.03, -1.2, -1.2], 1), &train).unwrap();
        assert_eq!((spread.fidelity.value, spread.privacy.value), (1.0, 1.0));
        let far = medsyn(&embed(vec![-1.06; 4], 1), &train).unwrap();
        assert_eq!(far.privacy.value, 1.0);
    }

    /// Training images in pairs at 10j and 10j + 1: balls to the nearest are [10j−1, 10j+2], 3/10 of the line; balls to
    /// the fifth cover all of it. Every other synthetic image is far away.
    #[test]
    fn intervals_cover_the_truth_of_pairs_on_a_line() {
        let train = embed((0..40).map(|at| (at / 2 * 10 + at % 2) as f32).collect(), 1);
        let runs = 300;
        let mut covered = [0; 3];
        for run in 0..runs {
            let mut rng = Seed::new(run).rng();
            let mut image = || rng.random_range(50.0..150.0) + if rng.random_bool(0.5) { 1e4 } else { 0.0 };
            let synthetic = embed((0..200).map(|_| image()).collect(), 1);
            let found = medsyn(&synthetic, &train).unwrap();
            let truths = [(&found.fidelity, 0.5), (&found.privacy, 0.85), (&found.fidelity_and_privacy, 0.35)];
            for (covered, (estimate, truth)) in covered.iter_mut().zip(truths) {
                *covered += usize::from(estimate.low <= truth && truth <= estimate.high);
            }
        }
        for covered in covered {
            let share = covered as f64 / runs as f64;
            assert!((0.92..=0.98).contains(&share), "{share}");
        }
    }
}
