use rayon::prelude::*;
use standin_kernels::exponentials;

use crate::{Error, Result};

pub mod lira;
pub mod metric;
pub mod rmia;

/// Answers of one classifier: one row of finite logits (log-probabilities up to a constant per row) per candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logits<'a> {
    values: &'a [f32],
    classes: usize,
}

impl<'a> Logits<'a> {
    /// Logits from row-major values, `candidates × classes`.
    ///
    /// # Errors
    /// If the values do not fill whole rows, there are fewer than 2 classes, or a value is not finite.
    pub fn new(values: &'a [f32], classes: usize) -> Result<Self> {
        if classes < 2 || !values.len().is_multiple_of(classes) {
            return Err(Error::Ragged { values: values.len(), classes });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::NotFinite { candidate: at / classes, class: at % classes, value: values[at] });
        }
        Ok(Self { values, classes })
    }

    /// Number of candidates.
    pub fn rows(&self) -> usize {
        self.values.len() / self.classes
    }

    /// Number of classes, at least 2.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The logits of one candidate.
    ///
    /// # Panics
    /// If `candidate` is not below [`Logits::rows`].
    pub fn row(&self, candidate: usize) -> &'a [f32] {
        &self.values[candidate * self.classes..(candidate + 1) * self.classes]
    }
}

/// A model trained like the target on a known part of the candidates, for attacks that compare with such models.
///
/// If the target was trained on synthetic images, so must the shadow be: the whole way from private images through
/// generator and sampling to the classifier is repeated on the shadow's part of the candidates.
#[derive(Clone, Copy, Debug)]
pub struct Shadow<'a> {
    /// The shadow's answers to all candidates.
    pub logits: Logits<'a>,
    /// Whether each candidate was among the shadow's training images.
    pub member: &'a [bool],
}

/// A released classifier's answers to the candidates, and what the attacker has besides.
#[derive(Clone, Copy, Debug)]
pub struct ClassifierTarget<'a> {
    logits: Logits<'a>,
    labels: &'a [u32],
    shadows: &'a [Shadow<'a>],
}

impl<'a> ClassifierTarget<'a> {
    /// The target's answers, the true label of each candidate, and shadows (none for attacks without).
    ///
    /// # Errors
    /// If there is no candidate, the lengths or numbers of classes do not fit together, or a label is no class.
    pub fn new(logits: Logits<'a>, labels: &'a [u32], shadows: &'a [Shadow<'a>]) -> Result<Self> {
        let expected = logits.rows();
        if expected == 0 {
            return Err(Error::Empty { what: "candidates" });
        }
        let length = |what: String, found| {
            if found == expected { Ok(()) } else { Err(Error::Length { what, found, expected }) }
        };
        length("labels".into(), labels.len())?;
        let classes = logits.classes();
        if let Some(candidate) = labels.iter().position(|&label| label as usize >= classes) {
            return Err(Error::Label { candidate, label: labels[candidate], classes });
        }
        for (index, shadow) in shadows.iter().enumerate() {
            if shadow.logits.classes() != classes {
                return Err(Error::Classes { shadow: index, found: shadow.logits.classes(), expected: classes });
            }
            length(format!("answers of shadow {index}"), shadow.logits.rows())?;
            length(format!("membership flags of shadow {index}"), shadow.member.len())?;
        }
        Ok(Self { logits, labels, shadows })
    }

    /// The target's answers.
    pub fn logits(&self) -> Logits<'a> {
        self.logits
    }

    /// The true label of each candidate.
    pub fn labels(&self) -> &'a [u32] {
        self.labels
    }

    /// Models trained like the target.
    pub fn shadows(&self) -> &'a [Shadow<'a>] {
        self.shadows
    }
}

/// φ = log p_y − log Σ_{j≠y} p_j = z_y − log Σ_{j≠y} e^{z_j}, the logit of the probability of class y, for each row and its class.
///
/// Taken from the logits it neither saturates nor cancels, however confident the classifier (Carlini et al. 2022).
///
/// # Panics
/// If there are more labels than rows, or a label is none of the classes.
pub fn scaled_confidences(logits: Logits<'_>, labels: &[u32]) -> Vec<f64> {
    of_margins(logits, labels, |margins, sums| {
        margins.iter_mut().zip(sums).for_each(|(margin, sum)| *margin -= f64::ln(*sum));
    })
}

/// p_y for each row and its class, to some units in the last place however small it is.
pub(crate) fn probabilities(logits: Logits<'_>, labels: &[u32]) -> Vec<f64> {
    of_margins(logits, labels, |margins, sums| {
        // e to the minus |margin|: no power is above 1, so that none overflows.
        let mut powers: Vec<f64> = margins.iter().map(|margin| -margin.abs()).collect();
        exponentials(&mut powers);
        for ((margin, sum), power) in margins.iter_mut().zip(sums).zip(powers) {
            *margin = if *margin >= 0.0 { 1.0 / (1.0 + sum * power) } else { power / (power + sum) };
        }
    })
}

/// What `finish` makes of z_y − max_{j≠y} z_j and Σ_{j≠y} e^(z_j − max_{j≠y} z_j) of some rows at a time, for each row and its class y.
fn of_margins(logits: Logits<'_>, labels: &[u32], finish: impl Fn(&mut [f64], &[f64]) + Sync) -> Vec<f64> {
    let classes = logits.classes();
    let mut margins = vec![0.0; labels.len()];
    let blocks = margins.par_chunks_mut(TASK).zip(labels.par_chunks(TASK));
    blocks.zip(logits.values.par_chunks(TASK * classes)).for_each(|((margins, labels), logits)| {
        // Of some rows at a time, class by class: what follows is done to all these rows at once.
        let at_once = (SCRATCH / classes).clamp(1, labels.len());
        let mut scratch = vec![0.0; at_once * classes];
        let blocks = margins.chunks_mut(at_once).zip(labels.chunks(at_once));
        for ((margins, labels), logits) in blocks.zip(logits.chunks(at_once * classes)) {
            let rows = labels.len();
            let scratch = &mut scratch[..rows * classes];
            for (row, logits) in logits.chunks_exact(classes).enumerate() {
                logits.iter().enumerate().for_each(|(class, &z)| scratch[class * rows + row] = f64::from(z));
                let own = labels[row] as usize * rows + row;
                margins[row] = std::mem::replace(&mut scratch[own], f64::NEG_INFINITY);
            }
            let mut largest = vec![f64::NEG_INFINITY; rows];
            for of_class in scratch.chunks_exact(rows) {
                largest
                    .iter_mut()
                    .zip(of_class)
                    .for_each(|(largest, &z)| *largest = if z > *largest { z } else { *largest });
            }
            for of_class in scratch.chunks_exact_mut(rows) {
                of_class.iter_mut().zip(&largest).for_each(|(z, largest)| *z -= largest);
            }
            exponentials(scratch);
            let mut sums = vec![0.0; rows];
            for of_class in scratch.chunks_exact(rows) {
                sums.iter_mut().zip(of_class).for_each(|(sum, power)| *sum += power);
            }
            margins.iter_mut().zip(&largest).for_each(|(margin, largest)| *margin -= largest);
            finish(margins, &sums);
        }
    });
    margins
}

/// Rows of a task, and numbers that a task works on at a time.
const TASK: usize = 4096;
const SCRATCH: usize = 2048;

/// [`scaled_confidences`] of one row.
pub(crate) fn scaled_confidence(logits: &[f32], class: usize) -> f64 {
    scaled_confidences(Logits { values: logits, classes: logits.len() }, &[class as u32])[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_confidence_does_not_saturate() {
        assert_eq!(scaled_confidence(&[1000.0, 0.0], 0), 1000.0);
        assert_eq!(scaled_confidence(&[1000.0, 0.0], 1), -1000.0);
        assert!((scaled_confidence(&[0.0; 10], 3) + 9_f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn probabilities_are_those_of_the_softmax() {
        let values = [1000.0, 0.0, -2.0, 0.5, 0.4, 0.3, -3.0, 7.0, 7.0, 0.0, -200.0, 0.0];
        let labels = [0, 1, 0, 1];
        let found = probabilities(Logits::new(&values, 3).unwrap(), &labels);
        for ((row, &label), found) in values.chunks_exact(3).zip(&labels).zip(found) {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f64> = row.iter().map(|&z| f64::from(z - largest).exp()).collect();
            let expected = powers[label as usize] / powers.iter().sum::<f64>();
            assert!((found / expected - 1.0).abs() < 1e-14, "{found} for {expected}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let message = |result: Result<ClassifierTarget<'_>>| result.unwrap_err().to_string();
        let values = [0.0, 1.0, 2.0, 3.0];
        let logits = Logits::new(&values, 2).unwrap();
        assert!(message(ClassifierTarget::new(logits, &[0], &[])).contains("1 labels for 2 candidates"));
        assert!(
            message(ClassifierTarget::new(logits, &[0, 2], &[])).contains("label 2; the model knows labels 0 to 1")
        );
        let shadow = Shadow { logits, member: &[true] };
        assert!(message(ClassifierTarget::new(logits, &[0, 1], &[shadow])).contains("flags of shadow 0"));
        let other = Shadow { logits: Logits::new(&values, 4).unwrap(), member: &[true, false] };
        assert!(message(ClassifierTarget::new(logits, &[0, 1], &[other])).contains("has 4 classes and the target 2"));
        assert!(Logits::new(&values, 3).unwrap_err().to_string().contains("4 logits for rows of 3"));
        let message = Logits::new(&[0.0, 1.0, 0.0, f32::NAN], 2).unwrap_err().to_string();
        assert!(message.contains("candidate 1, class 1 is NaN"), "{message}");
    }
}
