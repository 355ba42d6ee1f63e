//! How good a training set is, by what a classifier trained on it answers.
//!
//! | protocol | trained on | asked about |
//! |---|---|---|
//! | TRTR | real | real test images |
//! | TSTR | synthetic | real test images: can the synthetic set stand in for the real one? |
//! | TRTS | real | synthetic: are these images what their labels say? High for near copies too, so never alone |
//! | T+S | real and synthetic together | real test images: does the synthetic set add anything? |
//!
//! TSTR and TRTR are Esteban, Hyland & Rätsch 2017, section 4. All four are a [`fit`](crate::Classifier::fit) and an
//! [`Answers::of`]; for T+S the training set is [`ImageSet::concat`]. A test set has no way into a fit: no classifier
//! here stops early or picks settings by a score, so what is asked about has chosen nothing.

use std::collections::BTreeMap;

use rand::RngExt;
use standin_data::{Column, ImageSet, Labels, Seed};
use standin_measure::{Estimate, Outcome, wilson};

use crate::{Error, Logits, Result, TrainedClassifier};

/// Accuracy in one group of test images.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupAnswers {
    /// The attribute's value; [`GroupAnswers::MISSING`] for the images that have none.
    pub group: String,
    /// Test images of the group.
    pub n: usize,
    /// Accuracy, with the Wilson interval.
    pub outcome: Outcome,
}

impl GroupAnswers {
    /// Name of the group of images whose attribute is missing.
    pub const MISSING: &str = "(missing)";
}

/// Which images of a labelled test set a classifier got right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// For each test image whether its class was predicted.
    pub correct: Vec<bool>,
    /// The true class of each test image.
    pub labels: Vec<u32>,
    /// Number of classes.
    pub classes: usize,
}

impl Answers {
    /// Asks a classifier about a labelled test set.
    ///
    /// # Errors
    /// If the test set has no labels, or other classes or another shape than the training set had.
    pub fn of(classifier: &dyn TrainedClassifier, test: &ImageSet) -> Result<Self> {
        let labels = test.require_labels("measuring accuracy")?;
        if labels.classes != classifier.classes() {
            return Err(Error::OtherClasses {
                set: test.describe(),
                found: labels.classes.join(", "),
                expected: classifier.classes().join(", "),
            });
        }
        Ok(Self::from_logits(&classifier.logits(test)?, labels))
    }

    /// What logits on a labelled set come to.
    ///
    /// # Panics
    /// If there is not one row for each label.
    pub fn from_logits(logits: &Logits, labels: &Labels) -> Self {
        assert_eq!(logits.rows(), labels.values.len(), "one row of logits for each label");
        let correct = logits.predictions().iter().zip(&labels.values).map(|(a, b)| a == b).collect();
        Self { correct, labels: labels.values.clone(), classes: labels.classes.len() }
    }

    /// Share of right answers, with the Wilson interval.
    pub fn accuracy(&self) -> Estimate {
        wilson(self.correct.iter().filter(|&&correct| correct).count(), self.correct.len())
    }

    /// Accuracy of each class, in the order of the class names; not measurable for a class without test images.
    pub fn per_class(&self) -> Vec<Outcome> {
        let (mut right, mut all) = (vec![0; self.classes], vec![0; self.classes]);
        for (&label, &correct) in self.labels.iter().zip(&self.correct) {
            all[label as usize] += 1;
            right[label as usize] += usize::from(correct);
        }
        let outcome = |(right, all)| match all {
            0 => Outcome::NotMeasurable("no test image of this class".into()),
            _ => Outcome::Measured(wilson(right, all)),
        };
        right.into_iter().zip(all).map(outcome).collect()
    }

    /// Accuracy among the test images of each value of an attribute, in the order of the values' names; images without a
    /// value come last.
    ///
    /// The intervals take answers as independent. They are too narrow where one patient has many of a group's images.
    ///
    /// # Panics
    /// If the column is not of the test set: it has another number of values.
    pub fn per_group(&self, column: &Column) -> Vec<GroupAnswers> {
        assert_eq!(column.values.len(), self.correct.len(), "one value of \"{}\" for each test image", column.name);
        let mut groups: BTreeMap<(bool, &str), (usize, usize)> = BTreeMap::new();
        for (value, &correct) in column.values.iter().zip(&self.correct) {
            let (right, all) = groups.entry((value.is_empty(), value)).or_default();
            *right += usize::from(correct);
            *all += 1;
        }
        let name = |missing, value: &str| if missing { GroupAnswers::MISSING.to_owned() } else { value.to_owned() };
        groups
            .into_iter()
            .map(|((missing, value), (right, all))| GroupAnswers {
                group: name(missing, value),
                n: all,
                outcome: Outcome::Measured(wilson(right, all)),
            })
            .collect()
    }

    /// Mean of the accuracies of the classes that have test images: chance is 1 / classes whatever their sizes.
    ///
    /// The interval combines the Wilson intervals of the classes by the method of variance estimates recovery (Zou and
    /// Donner 2008): with classes c of weight 1 / C, the lower end is the mean minus √Σ (p_c − low_c)² / C, the upper end
    /// likewise. Unlike the normal interval it does not shrink to a point where every answer is right.
    pub fn balanced_accuracy(&self) -> Estimate {
        let classes: Vec<Estimate> =
            self.per_class().iter().filter_map(|outcome| outcome.estimate().cloned()).collect();
        let method = "Wilson per class, combined by variance recovery".to_owned();
        if classes.is_empty() {
            return Estimate { value: 0.0, low: 0.0, high: 1.0, n: 0, method };
        }
        let count = classes.len() as f64;
        let value = classes.iter().map(|class| class.value).sum::<f64>() / count;
        let root = |distance: fn(&Estimate) -> f64| {
            classes.iter().map(|class| distance(class).powi(2)).sum::<f64>().sqrt() / count
        };
        Estimate {
            value,
            low: (value - root(|class| class.value - class.low)).max(0.0),
            high: (value + root(|class| class.high - class.value)).min(1.0),
            n: self.correct.len(),
            method,
        }
    }
}

/// Resamples behind the interval of a [`replacement_ratio`].
const RESAMPLES: usize = 2000;

/// Accuracy after training on synthetic images divided by accuracy after training on real ones, both on the same real
/// test images (TSTR / TRTR).
///
/// The interval is a percentile bootstrap over test images (Efron 1979) that keeps the two answers on an image together:
/// images hard for one classifier are hard for the other, and pairs make the ratio much tighter than two separate
/// intervals would. Without one right answer after real training there is no ratio. Cost: 2000 × n draws.
///
/// # Panics
/// If the answers are not about the same test images.
pub fn replacement_ratio(synthetic: &Answers, real: &Answers, seed: Seed) -> Outcome {
    assert_eq!(synthetic.labels, real.labels, "both classifiers must have answered about the same test images");
    let n = synthetic.correct.len();
    // Only four kinds of images matter; 1 for a right answer after synthetic training, 2 after real training.
    let kinds: Vec<u8> =
        synthetic.correct.iter().zip(&real.correct).map(|(&s, &r)| u8::from(s) | u8::from(r) << 1).collect();
    let ratio = |kinds: &mut dyn Iterator<Item = u8>| {
        let mut counts = [0usize; 4];
        kinds.for_each(|kind| counts[kind as usize] += 1);
        (counts[1] + counts[3], counts[2] + counts[3])
    };
    let (right, reference) = ratio(&mut kinds.iter().copied());
    if reference == 0 {
        return Outcome::NotMeasurable(format!(
            "trained on real images, the classifier got none of {n} test images right"
        ));
    }
    let mut rng = seed.rng();
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let (right, reference) = ratio(&mut (0..n).map(|_| kinds[rng.random_range(0..n)]));
            right as f64 / (reference as f64).max(0.5)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let value = right as f64 / reference as f64;
    let quantile = |share: f64| ratios[(share * (RESAMPLES - 1) as f64).round() as usize];
    Outcome::Measured(Estimate {
        value,
        low: quantile(0.025).min(value),
        high: quantile(0.975).max(value),
        n,
        method: format!("paired bootstrap over test images, {RESAMPLES} resamples"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(correct: Vec<bool>, classes: usize) -> Answers {
        let labels = (0..correct.len()).map(|index| (index % classes) as u32).collect();
        Answers { correct, labels, classes }
    }

    #[test]
    fn balanced_accuracy_weighs_classes_not_images() {
        let labels = vec![0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
        let correct = vec![true, true, true, true, true, true, true, true, false, false];
        let answers = Answers { correct, labels, classes: 3 };
        assert_eq!(answers.accuracy().value, 0.8);
        let balanced = answers.balanced_accuracy();
        assert_eq!(balanced.value, 0.5);
        assert!(balanced.low < 0.5 && balanced.high > 0.5);
        assert!(matches!(&answers.per_class()[2], Outcome::NotMeasurable(_)));
    }

    #[test]
    fn groups_divide_the_answers_and_missing_values_are_a_group_of_their_own() {
        let answers = answers(vec![true, false, true, true, false, true], 2);
        let values = ["b", "a", "", "b", "b", "a"].map(str::to_owned).to_vec();
        let groups = answers.per_group(&Column { name: "site".into(), values });
        let found: Vec<_> = groups
            .iter()
            .map(|group| (group.group.as_str(), group.n, group.outcome.estimate().unwrap().value))
            .collect();
        assert_eq!(found, [("a", 2, 0.5), ("b", 3, 2.0 / 3.0), (GroupAnswers::MISSING, 1, 1.0)]);
        assert_eq!(groups[1].outcome, Outcome::Measured(wilson(2, 3)));
    }

    /// The groups' accuracies, weighted by their sizes, are the accuracy, however images are grouped.
    #[test]
    fn groups_add_up_to_all_answers() {
        let mut rng = Seed::new(4).rng();
        for groups in 1..6 {
            let answers = answers((0..97).map(|_| rng.random()).collect(), 3);
            let values = (0..97).map(|_| rng.random_range(0..groups).to_string()).collect();
            let per_group = answers.per_group(&Column { name: "group".into(), values });
            let right = |group: &GroupAnswers| group.outcome.estimate().unwrap().value * group.n as f64;
            let (right, all) =
                (per_group.iter().map(right).sum::<f64>(), per_group.iter().map(|group| group.n).sum::<usize>());
            assert_eq!(all, 97);
            assert!((right / 97.0 - answers.accuracy().value).abs() < 1e-12);
        }
    }

    #[test]
    fn one_class_alone_has_its_wilson_interval() {
        let answers = answers(vec![true, true, false, true], 1);
        let (balanced, wilson) = (answers.balanced_accuracy(), answers.accuracy());
        assert!((balanced.low - wilson.low).abs() < 1e-12 && (balanced.high - wilson.high).abs() < 1e-12);
    }

    /// 600 simulated test sets of 3 classes with accuracies 0.97, 0.8, 0.6 on 40, 60, 100 images: the interval must hold
    /// the truth in 95 % ± 2.7 % (three standard errors).
    #[test]
    fn balanced_accuracy_covers_the_truth_as_often_as_claimed() {
        let mut rng = Seed::new(8).rng();
        let truth = (0.97 + 0.8 + 0.6) / 3.0;
        let covered = (0..600).filter(|_| {
            let (mut correct, mut labels) = (Vec::new(), Vec::new());
            for (class, (share, n)) in [(0.97, 40), (0.8, 60), (0.6, 100)].into_iter().enumerate() {
                for _ in 0..n {
                    correct.push(rng.random::<f64>() < share);
                    labels.push(class as u32);
                }
            }
            let balanced = Answers { correct, labels, classes: 3 }.balanced_accuracy();
            balanced.low <= truth && truth <= balanced.high
        });
        let share = covered.count() as f64 / 600.0;
        assert!((0.923..=0.977).contains(&share), "{share}");
    }

    #[test]
    fn equal_classifiers_replace_each_other_exactly() {
        let same = answers((0..100).map(|index| index % 3 > 0).collect(), 2);
        let ratio = replacement_ratio(&same, &same, Seed::new(1));
        let estimate = ratio.estimate().unwrap();
        assert_eq!((estimate.value, estimate.low, estimate.high), (1.0, 1.0, 1.0));
    }

    #[test]
    fn the_ratio_of_nothing_is_not_measurable() {
        let (right, wrong) = (answers(vec![true; 9], 3), answers(vec![false; 9], 3));
        assert!(replacement_ratio(&right, &wrong, Seed::new(1)).estimate().is_none());
        assert_eq!(replacement_ratio(&wrong, &right, Seed::new(1)).estimate().unwrap().value, 0.0);
    }

    /// Delta method for a ratio of paired shares a / b: variance (r² / n) (1/a + 1/b − 2 p₁₁ / (a b)).
    #[test]
    fn the_interval_agrees_with_the_delta_method() {
        let n = 2000;
        let kind = |index: usize| index % 20;
        let synthetic = answers((0..n).map(|index| kind(index) < 14).collect(), 2);
        let real = answers((0..n).map(|index| kind(index) < 12 || kind(index) >= 16).collect(), 2);
        let ratio = replacement_ratio(&synthetic, &real, Seed::new(2));
        let estimate = ratio.estimate().unwrap();
        let (a, b, both) = (0.7f64, 0.8f64, 0.6f64);
        let deviation = (a / b) * ((1.0 / a + 1.0 / b - 2.0 * both / (a * b)) / n as f64).sqrt();
        let half = (estimate.high - estimate.low) / 2.0;
        assert!((estimate.value - a / b).abs() < 1e-12);
        assert!((half / (1.96 * deviation) - 1.0).abs() < 0.08, "{half} for {}", 1.96 * deviation);
    }
}
