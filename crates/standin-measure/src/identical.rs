use standin_encode::{Embedding, nearest};

use crate::beside_holdout::beside_holdout;
use crate::context::{Comparison, Context, Side};
use crate::error::require_rows;
use crate::registry::Measure;
use crate::{Estimate, Result, clopper_pearson};

/// The identical match share (IMS): synthetic images whose features equal those of a training image in every place.
///
/// Features of pixels are equal for equal images alone; those of other encoders may be equal for images that differ,
/// such as codes of a vector quantiser. Real sets hold duplicates too, so read it beside the share of holdout images
/// that match. **Interval**: Clopper–Pearson, for the training images as they are; exact for small shares, at which
/// this measure is used.
///
/// One neighbour search: O(s·t·d) time.
///
/// # Errors
/// If the protocols differ, or there is no synthetic or no training image.
pub fn identical_matches(synthetic: &Embedding, train: &Embedding) -> Result<Estimate> {
    require_rows("the identical match share", synthetic.rows(), 1)?;
    Ok(share(&nearest(synthetic, train, 1, false)?.at_rank(1)))
}

fn share(distances: &[f64]) -> Estimate {
    clopper_pearson(distances.iter().filter(|&&distance| distance == 0.0).count(), distances.len())
}

#[derive(Debug)]
pub(crate) struct IdenticalMatches;

impl Measure for IdenticalMatches {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        beside_holdout(context, "", |images| Ok(share(&context.neighbours(images, Side::AllTrain)?.at_rank(1))))
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::Seed;

    use super::*;
    use crate::testing::{embed, gaussian};

    #[test]
    fn copies_are_counted_and_near_copies_are_not() {
        let train = gaussian(50, 4, 1.0, 0.0, 1);
        let mut values = gaussian(40, 4, 1.0, 0.0, 2).values().to_vec();
        values[..12].copy_from_slice(&train.values()[40..52]);
        values[12..16].copy_from_slice(train.row(30));
        values[13] += 1e-6;
        let found = identical_matches(&embed(values, 4), &train).unwrap();
        assert_eq!((found.value, found.n), (3.0 / 40.0, 40));
        assert!(found.low > 0.0);
    }

    #[test]
    fn new_images_match_none() {
        let found = identical_matches(&gaussian(100, 4, 1.0, 0.0, 3), &gaussian(100, 4, 1.0, 0.0, 4)).unwrap();
        assert_eq!((found.value, found.low), (0.0, 0.0));
        assert!(found.high < 0.04);
    }

    #[test]
    fn the_interval_covers_the_share_that_is_copied() {
        let train = embed((0..20).map(|x| x as f32).collect(), 1);
        let runs = 300;
        let covered = (0..runs)
            .filter(|&run| {
                let mut rng = Seed::new(run).rng();
                let image = |copied: bool, at: u8| f32::from(at) + if copied { 0.0 } else { 0.5 };
                let set = (0..150).map(|_| image(rng.random_bool(0.2), rng.random_range(0..20))).collect();
                let found = identical_matches(&embed(set, 1), &train).unwrap();
                found.low <= 0.2 && 0.2 <= found.high
            })
            .count();
        let share = covered as f64 / runs as f64;
        assert!((0.92..=0.98).contains(&share), "{share}");
    }
}
