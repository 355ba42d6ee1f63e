//! Auditing a training with one run (Steinke, Nasr and Jagielski 2023, "Privacy auditing with one (1) training run").
//!
//! Some images of the training set become canaries: each gets a wrong label and a coin decides whether it takes part.
//! After training, whoever guesses well which coins fell how has shown that the training leaks, and by how much:
//! `standin_privacy::lower_bound` makes the guesses from scores, and a lower bound on ε from the guesses. An image with a wrong label can only be fitted by
//! remembering it, which is what makes it a good canary.

use rand::RngExt;
use rand::seq::index;
use standin_data::{ImageSet, Labels, Seed};

use crate::{Error, Result};

/// Images with wrong labels, and the coin of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canaries {
    /// Where they stand in the set they were made from, ascending.
    pub images: Vec<usize>,
    /// The wrong label of each.
    pub labels: Vec<u32>,
    /// Whether each takes part in the training.
    pub included: Vec<bool>,
}

impl Canaries {
    /// Makes `count` images of a labelled set into canaries: which ones, their wrong labels (uniform among the other classes)
    /// and their coins come from the seed.
    ///
    /// # Errors
    /// If the set has no labels, fewer than two classes, or fewer images than canaries are asked for.
    pub fn mislabelled(train: &ImageSet, count: usize, seed: Seed) -> Result<Self> {
        let labels = train.require_labels("making canaries")?;
        let classes = labels.classes.len() as u32;
        if classes < 2 || count > train.len() || count == 0 {
            return Err(Error::Canaries { count, images: train.len(), classes: labels.classes.len() });
        }
        let mut rng = seed.derive("canaries").rng();
        let mut images = index::sample(&mut rng, train.len(), count).into_vec();
        images.sort_unstable();
        let wrong = |&image: &usize| (labels.values[image] + rng.random_range(1..classes)) % classes;
        let labels = images.iter().map(wrong).collect();
        let mut coins = seed.derive("coins").rng();
        let included = images.iter().map(|_| coins.random()).collect();
        Ok(Self { images, labels, included })
    }

    /// The set to train on: the images that are no canaries, and the canaries that take part, with their wrong labels.
    ///
    /// # Errors
    /// If `train` is not the set they were made from.
    pub fn plant(&self, train: &ImageSet) -> Result<ImageSet> {
        let mut excluded = vec![false; train.len()];
        for (&image, &included) in self.images.iter().zip(&self.included) {
            excluded[image] = !included;
        }
        let kept: Vec<usize> = (0..train.len()).filter(|&image| !excluded[image]).collect();
        Ok(self.mislabel(train)?.select(&kept))
    }

    /// All canaries with their wrong labels, to ask the trained classifier about.
    ///
    /// # Errors
    /// As [`Canaries::plant`].
    pub fn questions(&self, train: &ImageSet) -> Result<ImageSet> {
        Ok(self.mislabel(train)?.select(&self.images))
    }

    fn mislabel(&self, train: &ImageSet) -> Result<ImageSet> {
        let Labels { mut values, classes } = train.require_labels("planting canaries")?.clone();
        for (&image, &label) in self.images.iter().zip(&self.labels) {
            values[image] = label;
        }
        Ok(train.clone().without_labels().with_labels(Labels { values, classes })?)
    }

    /// Scores of the canaries, such as minus the loss at the wrong label, apart for those that took part and those that did not.
    ///
    /// # Errors
    /// If there is not one score per canary.
    pub fn divide(&self, scores: &[f64]) -> Result<(Vec<f64>, Vec<f64>)> {
        let (found, expected) = (scores.len(), self.included.len());
        if found != expected {
            return Err(Error::Length { what: "scores".to_owned(), found, expected });
        }
        let of = |side: bool| {
            let scores = scores.iter().zip(&self.included).filter(move |(_, included)| **included == side);
            scores.map(|(&score, _)| score).collect()
        };
        Ok((of(true), of(false)))
    }
}

#[cfg(test)]
mod tests {
    use standin_data::digits;

    use super::*;

    fn train() -> ImageSet {
        digits().select(&(0..300).collect::<Vec<_>>())
    }

    #[test]
    fn canaries_have_wrong_labels_and_fair_coins() {
        let train = train();
        let canaries = Canaries::mislabelled(&train, 200, Seed::new(1)).unwrap();
        let labels = &train.labels().unwrap().values;
        assert!(canaries.images.is_sorted() && canaries.images.iter().all(|&image| image < 300));
        assert!(canaries.images.iter().zip(&canaries.labels).all(|(&image, &wrong)| labels[image] != wrong));
        let included = canaries.included.iter().filter(|&&included| included).count();
        assert!((70..130).contains(&included), "{included} of 200, four standard deviations are 28");
    }

    #[test]
    fn only_included_canaries_are_planted() {
        let train = train();
        let canaries = Canaries::mislabelled(&train, 100, Seed::new(2)).unwrap();
        let planted = canaries.plant(&train).unwrap();
        let included = canaries.included.iter().filter(|&&included| included).count();
        assert_eq!(planted.len(), 200 + included);
        let questions = canaries.questions(&train).unwrap();
        assert_eq!(questions.labels().unwrap().values, canaries.labels);
        for (at, &image) in canaries.images.iter().enumerate() {
            assert_eq!(questions.image(at), train.image(image));
        }
    }

    #[test]
    fn scores_are_divided_by_the_coins() {
        let canaries = Canaries { images: vec![0, 1, 2], labels: vec![0; 3], included: vec![true, false, true] };
        assert_eq!(canaries.divide(&[5.0, 4.0, 0.0]).unwrap(), (vec![5.0, 0.0], vec![4.0]));
        assert!(canaries.divide(&[5.0, 4.0]).is_err());
    }

    #[test]
    fn more_canaries_than_images_are_refused() {
        let message = Canaries::mislabelled(&train(), 301, Seed::new(1)).unwrap_err().to_string();
        assert!(message.contains("301") && message.contains("300"), "{message}");
    }
}
