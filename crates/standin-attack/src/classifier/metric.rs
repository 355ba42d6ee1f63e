use rayon::prelude::*;

use crate::classifier::scaled_confidence;
use crate::{Attack, Result, Target};

/// Attacks that read membership off a single answer, without shadows. They mostly find candidates that are easy, member
/// or not, and so lower-bound what LiRA finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// log p_y, the negative cross-entropy of the true label y (Yeom et al. 2018).
    Loss,
    /// The logit of max_j p_j, which needs no label (Salem et al. 2019).
    Confidence,
    /// Σ_j p_j log p_j, the negative entropy, which needs no label (Salem et al. 2019).
    Entropy,
    /// (1 − p_y) log p_y + Σ_{j≠y} p_j log(1 − p_j), which is 0 for a confident right answer and very negative for a
    /// confident wrong one (Song & Mittal 2021).
    ModifiedEntropy,
    /// 1 if the true label has the largest logit (the first, of equals), else 0: what the gap between training and test
    /// accuracy gives away (Yeom et al. 2018).
    Gap,
}

impl Metric {
    /// The score of one candidate.
    fn of(self, logits: &[f32], label: usize) -> f64 {
        match self {
            Self::Loss => log_sigmoid(scaled_confidence(logits, label)),
            Self::Confidence => scaled_confidence(logits, predicted(logits)),
            Self::Entropy => {
                let (log_p, p) = distribution(logits);
                log_p.iter().zip(&p).map(|(log_p, p)| p * log_p).sum()
            }
            Self::ModifiedEntropy => {
                let (log_p, p) = distribution(logits);
                let others = (0..p.len()).filter(|&class| class != label);
                let unsure: f64 = others.clone().map(|class| p[class]).sum();
                // 0 · log 0 = 0: a class of no probability adds nothing.
                let term = |p: f64, log: f64| if p == 0.0 { 0.0 } else { p * log };
                term(unsure, log_p[label])
                    + others.map(|class| term(p[class], log_sigmoid(-scaled_confidence(logits, class)))).sum::<f64>()
            }
            Self::Gap => f64::from(predicted(logits) == label),
        }
    }
}

impl Attack for Metric {
    fn score(&self, target: &Target<'_>) -> Result<Vec<f64>> {
        let target = target.classifier()?;
        let labels = target.labels().par_iter().enumerate();
        Ok(labels.map(|(candidate, &label)| self.of(target.logits().row(candidate), label as usize)).collect())
    }
}

/// The class of the largest logit, the first of equals.
fn predicted(logits: &[f32]) -> usize {
    (1..logits.len()).fold(0, |best, class| if logits[class] > logits[best] { class } else { best })
}

/// log p_j and p_j of the softmax.
fn distribution(logits: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted: Vec<f64> = logits.iter().map(|&z| f64::from(z) - f64::from(largest)).collect();
    let normaliser = shifted.iter().map(|z| z.exp()).sum::<f64>().ln();
    let log_p: Vec<f64> = shifted.iter().map(|z| z - normaliser).collect();
    let p = log_p.iter().map(|log_p| log_p.exp()).collect();
    (log_p, p)
}

/// log(1/(1 + e^(−x))), exact in both tails.
fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confident_answers_do_not_tie() {
        // In single precision both probabilities are 1.
        let (sure, surer) = ([40.0, 0.0, 0.0], [60.0, 0.0, 0.0]);
        for metric in [Metric::Loss, Metric::Confidence, Metric::Entropy, Metric::ModifiedEntropy] {
            assert!(metric.of(&surer, 0) > metric.of(&sure, 0), "{metric:?}");
        }
    }

    #[test]
    fn a_uniform_answer_has_known_scores() {
        let uniform = [2.5; 4];
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-14, "{found} for {expected}");
        near(Metric::Loss.of(&uniform, 2), -(4_f64.ln()));
        near(Metric::Entropy.of(&uniform, 2), -(4_f64.ln()));
        near(Metric::Confidence.of(&uniform, 2), -(3_f64.ln()));
        near(Metric::ModifiedEntropy.of(&uniform, 2), 0.75 * 0.25_f64.ln() + 0.75 * 0.75_f64.ln());
        assert_eq!(Metric::Gap.of(&uniform, 0), 1.0);
        assert_eq!(Metric::Gap.of(&uniform, 2), 0.0);
    }

    #[test]
    fn extreme_logits_give_no_nan() {
        let extreme = [f32::MAX, -f32::MAX, 0.0];
        for metric in [Metric::Loss, Metric::Confidence, Metric::Entropy, Metric::ModifiedEntropy, Metric::Gap] {
            for label in 0..3 {
                assert!(!metric.of(&extreme, label).is_nan(), "{metric:?} at label {label}");
            }
        }
    }

    #[test]
    fn only_modified_entropy_tells_a_confident_error_from_a_confident_success() {
        let logits = [8.0, 0.0, 0.0];
        assert_eq!(Metric::Entropy.of(&logits, 0), Metric::Entropy.of(&logits, 1));
        assert!(Metric::ModifiedEntropy.of(&logits, 0) > Metric::ModifiedEntropy.of(&logits, 1) + 5.0);
    }
}
