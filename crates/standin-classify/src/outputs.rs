use serde::{Deserialize, Serialize};

use crate::Logits;

/// What a released classifier answers with: what is left out, an attacker does not see. The prediction stays the same.
///
/// A mitigation at the last stage: it changes what is said and not what is known, so attacks that ask for labels alone (`gap`) lose
/// nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outputs {
    /// All logits.
    #[default]
    Logits,
    /// Probabilities, rounded to so many decimals, 1 to 6.
    Decimals(u8),
    /// The predicted class alone.
    Prediction,
}

/// The probability that stands for a prediction without one.
const CERTAIN: f64 = 0.99;

impl Outputs {
    /// The most decimals that make a difference to single precision.
    pub const MOST_DECIMALS: u8 = 6;

    /// Whether these outputs exist.
    pub fn is_valid(self) -> bool {
        !matches!(self, Self::Decimals(decimals) if !(1..=Self::MOST_DECIMALS).contains(&decimals))
    }

    /// What is left of answers, as logits of what is shown. A probability that was rounded to 0 counts as half of the last decimal, and a
    /// prediction alone as a probability of 0.99, the others equal.
    pub fn shown(self, logits: &Logits) -> Logits {
        let classes = logits.classes();
        let values = match self {
            Self::Logits => return logits.clone(),
            Self::Decimals(decimals) => {
                let scale = 10_f64.powi(i32::from(decimals));
                let rounded = |p: f64| ((p * scale).round().max(0.5) / scale).ln() as f32;
                logits.probabilities().into_iter().map(rounded).collect()
            }
            Self::Prediction => {
                let others = (1.0 - CERTAIN) / (classes.max(2) - 1) as f64;
                let one_hot = |predicted: u32| {
                    (0..classes as u32)
                        .map(move |class| if class == predicted { CERTAIN.ln() } else { others.ln() } as f32)
                };
                logits.predictions().into_iter().flat_map(one_hot).collect()
            }
        };
        Logits::new(values, classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Logits {
        Logits::new(vec![2.0, 1.9, -9.0, -1.0, 4.0, 0.0], 3)
    }

    #[test]
    fn what_is_shown_tells_less_and_predicts_the_same() {
        for outputs in [Outputs::Logits, Outputs::Decimals(6), Outputs::Decimals(2), Outputs::Prediction] {
            assert_eq!(outputs.shown(&answers()).predictions(), answers().predictions(), "{outputs:?}");
        }
        let rounded = Outputs::Decimals(2).shown(&answers());
        let (found, exact) = (rounded.probabilities(), answers().probabilities());
        // 0.525 and 0.475 and 0.00001: half a hundredth stands for what was rounded to nothing.
        let sum = 0.52 + 0.48 + 0.005;
        assert!((exact[0] - 0.525).abs() < 1e-3 && (found[0] - 0.52 / sum).abs() < 1e-6, "{found:?} {exact:?}");
        assert!((found[2] - 0.005 / sum).abs() < 1e-6, "{found:?}");
        let hidden = Outputs::Prediction.shown(&answers()).probabilities();
        assert!((hidden[0] - 0.99).abs() < 1e-6 && (hidden[1] - 0.005).abs() < 1e-6 && (hidden[4] - 0.99).abs() < 1e-6);
    }

    #[test]
    fn decimals_have_a_range() {
        assert!([0, 7].iter().all(|&decimals| !Outputs::Decimals(decimals).is_valid()));
        assert!(Outputs::Decimals(3).is_valid() && Outputs::Prediction.is_valid());
        let read: Outputs = serde_json::from_str("{\"decimals\": 2}").unwrap();
        assert_eq!(read, Outputs::Decimals(2));
    }
}
