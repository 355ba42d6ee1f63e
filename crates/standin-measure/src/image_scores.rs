use standin_data::Progress;
use standin_encode::{Embedding, nearest};

use crate::chance::{Chance, benjamini_hochberg};
use crate::error::require_rows;
use crate::nearest_ratio::ratio;
use crate::uncertainty::quantile;
use crate::{Error, Result, realism};

mod table;

/// Training images around a synthetic one whose mean distance says what is near there.
const AROUND: usize = 50;

/// What can be said of one synthetic image. [`ImageScores::COLUMNS`] says what each field means.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageScore {
    /// Index of the synthetic image.
    pub synthetic: usize,
    /// Index of the nearest training image.
    pub nearest_train: usize,
    /// Distance to it.
    pub distance: f64,
    /// That distance divided by the one to the second nearest.
    pub nearest_ratio: f64,
    /// Conformal p-value of the distance; none without a holdout.
    pub p_value: Option<f64>,
    /// The p-value adjusted for the number of synthetic images.
    pub adjusted_p_value: Option<f64>,
    /// Whether it is below the calibrated threshold; none without a holdout.
    pub copy: Option<bool>,
    /// Whether it is farther from its nearest training image than that one is from its own.
    pub authentic: bool,
    /// By how much.
    pub authenticity_margin: f64,
    /// Kynkäänniemi's realism.
    pub realism: f64,
    /// Distance relative to that of the training images around.
    pub memorisation: f64,
    /// Index of the nearest other synthetic image; none if there is no other.
    pub nearest_synthetic: Option<usize>,
    /// Distance to it.
    pub synthetic_distance: Option<f64>,
}

/// Scores of all synthetic images, with the figures that sum them up.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageScores {
    /// One for each synthetic image, in their order.
    pub scores: Vec<ImageScore>,
    /// The embeddings' stamp.
    pub stamp: String,
    /// How often an image that nobody copied would be flagged: the rate asked for or a little less, more only if there
    /// are fewer than 1/rate − 1 holdout images; 0 without any.
    pub false_match_rate: f64,
    /// Distance to the nearest training image below which a synthetic image counts as a copy; none without a holdout.
    pub threshold: Option<f64>,
    /// Synthetic images below the threshold.
    pub copies: usize,
    /// Copies expected by chance if synthetic images were like holdout images.
    pub expected_copies: f64,
    /// Distances to the nearest training image at the quantiles 0, 1/20, …, 1: of synthetic images.
    pub synthetic_quantiles: Vec<f64>,
    /// The same of holdout images; empty without any.
    pub holdout_quantiles: Vec<f64>,
}

/// Scores every synthetic image by itself: which images to look at, which to leave out of a release.
///
/// A synthetic image is flagged as a copy if it is nearer to its nearest training image than the threshold, which is
/// set so that new real images are at most with probability `false_match_rate`; what that means for all images together
/// is in the [adjusted p-values](benjamini_hochberg). Without a holdout (none, or an empty one) there is no threshold,
/// no p-value and no flag. With too few holdout images for the rate the threshold is the smallest distance among them,
/// and a warning says so.
///
/// The memorisation score compares with the 50 nearest training images as Carlini et al. do ("Extracting Training Data
/// from Diffusion Models", USENIX Security 2023; they halve the denominator): a dense region has small distances
/// without copying. Distances are those of the embedding's stamp.
///
/// Five neighbour searches: O((s + t + h)·t·d + s²·d) time, O(50·s + t + h) memory.
///
/// # Errors
/// If the protocols differ, the rate is not between 0 and 1, or there are no synthetic or fewer than 4 training images.
pub fn image_scores(
    train: &Embedding,
    holdout: Option<&Embedding>,
    synthetic: &Embedding,
    false_match_rate: f64,
    progress: &dyn Progress,
) -> Result<ImageScores> {
    if !(false_match_rate > 0.0 && false_match_rate < 1.0) {
        return Err(Error::FalseMatchRate { rate: false_match_rate });
    }
    require_rows("scores of single images", synthetic.rows(), 1)?;
    require_rows("the neighbourhood in a training set", train.rows(), realism::K + 1)?;

    progress.begin("scores of single images", 5);
    let stage = |name: &str| {
        progress.advance(u64::from(name != FIRST));
        progress.status(name);
    };
    stage(FIRST);
    let to_train = nearest(synthetic, train, AROUND.min(train.rows()), false)?;
    stage("within the training set");
    let within_train = nearest(train, train, realism::K, true)?;
    stage("holdout to training");
    let none = train.select(&[]);
    let chance = Chance::of(train, holdout.unwrap_or(&none))?;
    stage("within the synthetic set");
    let others = (synthetic.rows() > 1).then(|| nearest(synthetic, synthetic, 1, true)).transpose()?;
    stage("realism");
    let realism = realism::of_neighbours(synthetic, train, &within_train)?;
    progress.advance(1);
    progress.end();

    let distances = to_train.at_rank(1);
    let threshold = chance.threshold(false_match_rate);
    if let Some(threshold) = threshold
        && threshold.rate > false_match_rate
    {
        progress.warn(&format!(
            "{} holdout images cannot set a threshold with a false-match rate of {false_match_rate}; the nearest of \
             them sets one of {:.3}, and {} would be enough",
            chance.distances().len(),
            threshold.rate,
            (false_match_rate.recip() - 1.0).ceil(),
        ));
    }
    let p_values: Option<Vec<f64>> =
        threshold.map(|_| distances.iter().map(|&distance| chance.p_value(distance)).collect());
    let adjusted = p_values.as_deref().map(benjamini_hochberg);
    let is_copy = |distance: f64| threshold.map(|threshold| distance < threshold.distance);

    let score = |image: usize| {
        let (nearest_train, around) = (to_train.indices(image)[0], to_train.distances(image));
        let mean = around.iter().sum::<f64>() / around.len() as f64;
        let margin = around[0] - within_train.distances(nearest_train)[0];
        ImageScore {
            synthetic: image,
            nearest_train,
            distance: around[0],
            nearest_ratio: ratio(around),
            p_value: p_values.as_ref().map(|values| values[image]),
            adjusted_p_value: adjusted.as_ref().map(|values| values[image]),
            copy: is_copy(around[0]),
            authentic: margin > 0.0,
            authenticity_margin: margin,
            realism: realism[image],
            memorisation: if mean > 0.0 { around[0] / mean } else { 0.0 },
            nearest_synthetic: others.as_ref().map(|found| found.indices(image)[0]),
            synthetic_distance: others.as_ref().map(|found| found.distances(image)[0]),
        }
    };
    let rate = threshold.map_or(0.0, |threshold| threshold.rate);
    let mut ascending = distances.clone();
    ascending.sort_unstable_by(f64::total_cmp);
    Ok(ImageScores {
        scores: (0..synthetic.rows()).map(score).collect(),
        stamp: synthetic.stamp().to_string(),
        false_match_rate: rate,
        threshold: threshold.map(|threshold| threshold.distance),
        copies: distances.iter().filter(|&&distance| is_copy(distance) == Some(true)).count(),
        expected_copies: rate * synthetic.rows() as f64,
        synthetic_quantiles: quantiles(&ascending),
        holdout_quantiles: quantiles(chance.distances()),
    })
}

const FIRST: &str = "synthetic to training";

/// Quantiles 0, 1/20, …, 1 of ascending values; none of none.
fn quantiles(ascending: &[f64]) -> Vec<f64> {
    let last = if ascending.is_empty() { 0 } else { 21 };
    (0..last).map(|step| quantile(ascending, f64::from(step) / 20.0)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use standin_data::Silent;

    use super::*;
    use crate::authenticity;
    use crate::near_copies;
    use crate::testing::{embed, gaussian};

    fn sets() -> [Embedding; 3] {
        [1, 2, 3].map(|seed| gaussian([300, 199, 250][seed as usize - 1], 4, 1.0, 0.0, seed))
    }

    #[test]
    fn values_by_hand() {
        let train = embed(vec![0.0, 1.0, 4.0, 10.0], 1);
        let holdout = embed((1..=19).map(|at| 10.0 + at as f32).collect(), 1);
        let scores = image_scores(&train, Some(&holdout), &embed(vec![0.25, 12.0, 12.0], 1), 0.1, &Silent).unwrap();
        let first = &scores.scores[0];
        assert_eq!((first.nearest_train, first.distance, first.nearest_ratio), (0, 0.25, 0.25 / 0.75));
        // One of 20 with none as near; two others have 3/20.
        assert_eq!((first.p_value, first.adjusted_p_value), (Some(0.05), Some(0.15)));
        assert_eq!((first.copy, first.authentic, first.authenticity_margin), (Some(true), false, -0.75));
        assert_eq!(first.memorisation, 0.25 / ((0.25 + 0.75 + 3.75 + 9.75) / 4.0));
        assert_eq!((first.nearest_synthetic, first.synthetic_distance), (Some(1), Some(11.75)));
        // Radii to the third neighbour 10, 9, 6, 10: those of 1 and 4 are kept.
        assert_eq!(first.realism, 9.0 / 0.75);
        assert_eq!((scores.scores[1].nearest_synthetic, scores.scores[1].synthetic_distance), (Some(2), Some(0.0)));
        assert_eq!((scores.threshold, scores.false_match_rate), (Some(2.0), 0.1));
        assert_eq!((scores.copies, scores.expected_copies), (1, 0.1 * 3.0));
        assert_eq!(scores.synthetic_quantiles[10], 2.0);
        assert_eq!((scores.holdout_quantiles[0], scores.holdout_quantiles[20]), (1.0, 19.0));
    }

    #[test]
    fn scores_agree_with_the_measures_of_the_set() {
        let [train, holdout, synthetic] = sets();
        let found = image_scores(&train, Some(&holdout), &synthetic, 0.05, &Silent).unwrap();
        let authentic = found.scores.iter().filter(|score| score.authentic).count();
        assert_eq!(authentic as f64 / 250.0, authenticity(&synthetic, &train).unwrap().value);
        for copy in near_copies(&train, &holdout, &synthetic, 250).unwrap() {
            let score = &found.scores[copy.synthetic];
            assert_eq!((score.nearest_train, score.distance), (copy.train, copy.distance));
            assert_eq!(score.p_value, Some(copy.p_value));
            assert_eq!(score.copy, Some(copy.p_value <= 0.05));
        }
    }

    #[test]
    fn planted_copies_are_flagged_and_of_new_images_no_more_than_expected() {
        let [train, holdout, honest] = sets();
        let mut values = honest.values().to_vec();
        for copy in 0..40 {
            let blurred = train.row(7 * copy).iter().zip(honest.row(copy)).map(|(x, noise)| x + 0.01 * noise);
            values.splice(4 * copy..4 * copy + 4, blurred.collect::<Vec<_>>());
        }
        let found = image_scores(&train, Some(&holdout), &embed(values, 4), 0.01, &Silent).unwrap();
        for (image, score) in found.scores[..40].iter().enumerate() {
            assert_eq!((score.nearest_train, score.copy), (7 * image, Some(true)));
            assert!(score.adjusted_p_value.unwrap() < 0.05 && score.memorisation < 0.1 && !score.authentic);
        }
        assert!(found.copies < 45, "{}", found.copies);
        let honest = image_scores(&train, Some(&holdout), &honest, 0.01, &Silent).unwrap();
        assert!((honest.copies as f64) < honest.expected_copies + 3.0 * (2.0 * honest.expected_copies).sqrt());
        assert!(honest.scores.iter().all(|score| score.adjusted_p_value.unwrap() > 0.05));
    }

    #[test]
    fn without_a_holdout_nothing_is_flagged() {
        let [train, _, synthetic] = sets();
        for holdout in [None, Some(&embed(Vec::new(), 4))] {
            let found = image_scores(&train, holdout, &synthetic, 0.05, &Silent).unwrap();
            assert_eq!((found.threshold, found.copies, found.expected_copies), (None, 0, 0.0));
            assert!(found.holdout_quantiles.is_empty());
            assert!(found.scores.iter().all(|score| score.copy.is_none() && score.p_value.is_none()));
        }
    }

    #[test]
    fn too_few_holdout_images_set_the_strictest_threshold_and_a_warning() {
        #[derive(Default)]
        struct Warnings(Mutex<Vec<String>>);
        impl Progress for Warnings {
            fn begin(&self, _: &str, _: u64) {}
            fn advance(&self, _: u64) {}
            fn status(&self, _: &str) {}
            fn warn(&self, text: &str) {
                self.0.lock().unwrap().push(text.into());
            }
            fn end(&self) {}
        }
        let [train, holdout, synthetic] = sets();
        let warnings = Warnings::default();
        let found = image_scores(&train, Some(&holdout), &synthetic, 0.001, &warnings).unwrap();
        assert_eq!((found.threshold, found.false_match_rate), (Some(found.holdout_quantiles[0]), 1.0 / 200.0));
        let warnings = warnings.0.into_inner().unwrap();
        assert!(warnings.len() == 1 && warnings[0].contains("199 holdout images") && warnings[0].contains("999"));
    }

    #[test]
    fn impossible_rates_and_sets_are_errors() {
        let [train, holdout, synthetic] = sets();
        for rate in [0.0, 1.0, -0.1, f64::NAN] {
            let error = image_scores(&train, Some(&holdout), &synthetic, rate, &Silent).unwrap_err().to_string();
            assert!(error.contains("false-match rate"), "{error}");
        }
        let empty = embed(Vec::new(), 4);
        assert!(image_scores(&train, Some(&holdout), &empty, 0.01, &Silent).is_err());
        let error = image_scores(&train.select(&[0, 1, 2]), None, &synthetic, 0.01, &Silent).unwrap_err().to_string();
        assert!(error.contains("training") && error.contains("at least 4"), "{error}");
    }
}
