use standin_encode::{Embedding, Neighbours, nearest};

use crate::beside_holdout::beside_holdout;
use crate::context::{Comparison, Context, Side};
use crate::error::require_rows;
use crate::median::{FEWEST, median};
use crate::registry::Measure;
use crate::{Estimate, Result, mean};

/// Nearest-neighbour distance ratios of a set of images to the training set.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestRatio {
    /// Their mean.
    pub mean: Estimate,
    /// Their median.
    pub median: Estimate,
}

/// The nearest-neighbour distance ratio (NNDR) d₁/d₂ of a synthetic image's distances to its nearest and second nearest
/// training image (Lowe, IJCV 2004, for matching; Zhao et al., "CTAB-GAN", ACML 2021, for privacy): from 0 for an image
/// near to one training image alone to 1 for one as near to two. An exact copy has 0, also of a training image that is
/// there twice.
///
/// Ratios of new real images are nearer to 1 the more dimensions the data have, so a value means something only beside
/// that of holdout images. **Interval**: for the training images as they are; Student's for the mean, order statistics
/// for the median.
///
/// One neighbour search: O(s·t·d) time.
///
/// # Errors
/// If the protocols differ, or there are fewer than 6 synthetic or 2 training images.
pub fn nearest_ratio(synthetic: &Embedding, train: &Embedding) -> Result<NearestRatio> {
    require_rows("the nearest-neighbour distance ratio", synthetic.rows(), FEWEST)?;
    Ok(of_neighbours(&nearest(synthetic, train, 2, false)?))
}

fn of_neighbours(found: &Neighbours) -> NearestRatio {
    let ratios: Vec<f64> = (0..found.len()).map(|image| ratio(found.distances(image))).collect();
    let mean = mean(&ratios);
    NearestRatio {
        mean: Estimate { low: mean.low.max(0.0), high: mean.high.min(1.0), ..mean },
        median: median(&ratios),
    }
}

/// d₁/d₂ of ascending distances, of which there are at least two.
pub(crate) fn ratio(distances: &[f64]) -> f64 {
    if distances[0] == 0.0 { 0.0 } else { distances[0] / distances[1] }
}

/// One of the two as a registered measure.
#[derive(Debug)]
pub(crate) struct NearestRatioMeasure(pub(crate) fn(NearestRatio) -> Estimate);

impl Measure for NearestRatioMeasure {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        beside_holdout(context, "", |images| Ok(self.0(of_neighbours(&*context.neighbours(images, Side::AllTrain)?))))
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::Seed;

    use super::*;
    use crate::testing::{embed, gaussian};

    #[test]
    fn values_by_hand() {
        let train = embed(vec![0.0, 4.0, 4.0, 10.0], 1);
        let found = nearest_ratio(&embed(vec![1.0, 7.0, 4.0, 5.0, 10.0, -4.0], 1), &train).unwrap();
        // 1/3, 3/3, a copy of a double, 1/1, a copy, 4/8.
        assert!((found.mean.value - (1.0 / 3.0 + 1.0 + 0.0 + 1.0 + 0.0 + 0.5) / 6.0).abs() < 1e-15);
        assert!((found.median.value - (1.0 / 3.0 + 0.5) / 2.0).abs() < 1e-15);
    }

    #[test]
    fn copies_lower_the_ratio() {
        let [train, holdout] = [1, 2].map(|seed| gaussian(200, 6, 1.0, 0.0, seed));
        let near = train.values().iter().zip(holdout.values()).map(|(x, noise)| x + 0.01 * noise).collect();
        let (copies, honest) = (nearest_ratio(&embed(near, 6), &train), nearest_ratio(&holdout, &train));
        assert!(copies.unwrap().mean.high < 0.1 && honest.unwrap().mean.low > 0.7);
    }

    /// Training images at every whole number: u from the nearest, u uniform on [0, ½], the ratio is u/(1−u) with mean
    /// 2·ln 2 − 1 and median 1/3.
    #[test]
    fn intervals_cover_the_truth_of_a_grid() {
        let train = embed((0..=100).map(|x| x as f32).collect(), 1);
        let runs = 300;
        let (mut means, mut medians) = (0, 0);
        for run in 0..runs {
            let mut rng = Seed::new(run).rng();
            let synthetic = embed((0..120).map(|_| rng.random_range(1.0..99.0)).collect(), 1);
            let found = nearest_ratio(&synthetic, &train).unwrap();
            let covers = |estimate: &Estimate, truth: f64| usize::from(estimate.low <= truth && truth <= estimate.high);
            means += covers(&found.mean, 2.0 * 2.0_f64.ln() - 1.0);
            medians += covers(&found.median, 1.0 / 3.0);
        }
        for covered in [means, medians] {
            let share = covered as f64 / runs as f64;
            assert!((0.92..=0.98).contains(&share), "{share}");
        }
    }
}
