//! What a classifier's answers come to on either side, and whether one arm's are better than another's.

use standin_classify::Logits;
use standin_measure::{Estimate, mean};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Bins of confidence behind a calibration error.
const BINS: usize = 15;

/// The answers of one classifier on the test images of one side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SideScores {
    /// Share of right answers.
    pub(super) accuracy: f64,
    /// Mean of the classes' shares of right answers, over the classes that have test images.
    pub(super) balanced_accuracy: f64,
    /// Expected calibration error (Guo, Pleiss, Sun & Weinberger 2017, equation 3, 15 bins of equal width).
    pub(super) calibration_error: f64,
}

/// Scores of the answers in some rows.
///
/// # Panics
/// If there is no row.
pub(super) fn side_scores(logits: &Logits, labels: &[u32], rows: &[usize]) -> SideScores {
    assert!(!rows.is_empty(), "at least one test image");
    let (predictions, probabilities) = (logits.predictions(), logits.probabilities());
    let mut of_class = vec![(0usize, 0usize); logits.classes()];
    let mut bins = [(0usize, 0usize, 0.0f64); BINS];
    for &row in rows {
        let (label, predicted) = (labels[row] as usize, predictions[row] as usize);
        let right = usize::from(label == predicted);
        of_class[label].0 += right;
        of_class[label].1 += 1;
        let confidence = probabilities[row * logits.classes() + predicted];
        // The bins are (k/15, (k+1)/15].
        let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        bins[bin].0 += right;
        bins[bin].1 += 1;
        bins[bin].2 += confidence;
    }
    let present: Vec<f64> =
        of_class.iter().filter(|(_, all)| *all > 0).map(|&(right, all)| right as f64 / all as f64).collect();
    let n = rows.len() as f64;
    SideScores {
        accuracy: of_class.iter().map(|(right, _)| right).sum::<usize>() as f64 / n,
        balanced_accuracy: present.iter().sum::<f64>() / present.len() as f64,
        calibration_error: bins.iter().map(|&(right, _, confidence)| (right as f64 - confidence).abs()).sum::<f64>()
            / n,
    }
}

/// The mean of what one arm is better by, with Student's interval over the seeds, and the two-sided p-value of Student's paired test that
/// it is 0; none with fewer than two seeds, or where all differences are equal.
///
/// # Panics
/// If the arms have another number of seeds.
pub(super) fn paired(arm: &[f64], against: &[f64]) -> (Estimate, Option<f64>) {
    assert_eq!(arm.len(), against.len(), "one figure of each arm for every seed");
    let differences: Vec<f64> = arm.iter().zip(against).map(|(a, b)| a - b).collect();
    let estimate = mean(&differences);
    let n = differences.len() as f64;
    let squares: f64 = differences.iter().map(|difference| (difference - estimate.value).powi(2)).sum();
    if differences.len() < 2 || squares == 0.0 {
        return (estimate, None);
    }
    let standard_error = (squares / ((n - 1.0) * n)).sqrt();
    let student = StudentsT::new(0.0, 1.0, n - 1.0).expect("positive degrees of freedom");
    let p_value = 2.0 * student.sf((estimate.value / standard_error).abs());
    (estimate, Some(p_value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits(probabilities: &[[f64; 2]]) -> Logits {
        Logits::new(probabilities.iter().flatten().map(|p| p.ln() as f32).collect(), 2)
    }

    #[test]
    fn scores_are_those_of_the_rows_alone() {
        let logits = logits(&[[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.4, 0.6]]);
        let labels = [0, 1, 1, 1, 0];
        let scores = side_scores(&logits, &labels, &[0, 1, 2, 3]);
        // Class 0: one of one; class 1: one of three.
        assert!((scores.accuracy - 0.5).abs() < 1e-12);
        assert!((scores.balanced_accuracy - (1.0 + 1.0 / 3.0) / 2.0).abs() < 1e-12);
        // Four bins of one answer each: |1 − 0.9| + |0 − 0.8| + |1 − 0.7| + |0 − 0.6|, over 4.
        assert!((scores.calibration_error - 0.45).abs() < 1e-6, "{}", scores.calibration_error);
        assert_eq!(side_scores(&logits, &labels, &[4]).accuracy, 0.0);
    }

    #[test]
    fn answers_as_sure_as_they_are_right_are_calibrated() {
        let logits = logits(&[[0.75, 0.25]; 8]);
        let labels = [0, 0, 0, 1, 0, 0, 1, 0];
        let scores = side_scores(&logits, &labels, &(0..8).collect::<Vec<_>>());
        assert!(scores.calibration_error < 1e-6);
    }

    /// `scipy.stats.ttest_rel([0.61, 0.64, 0.70, 0.58, 0.66], [0.55, 0.60, 0.69, 0.57, 0.58])`, scipy 1.17.
    #[test]
    fn the_paired_test_equals_scipy() {
        let (estimate, p_value) = paired(&[0.61, 0.64, 0.70, 0.58, 0.66], &[0.55, 0.60, 0.69, 0.57, 0.58]);
        assert!((estimate.value - 0.04).abs() < 1e-12);
        assert!((p_value.unwrap() - 0.044_033_772_591_621_16).abs() < 1e-9, "{p_value:?}");
        assert!(paired(&[0.5, 0.5], &[0.4, 0.4]).1.is_none());
    }
}
