//! Auditing a training with one run (Steinke, Nasr and Jagielski 2023, "Privacy auditing with one (1) training run").
//!
//! Some images of the training set become canaries, and a coin decides whether each takes part. After training, whoever
//! guesses well which coins fell how has shown that the training leaks, and by how much: `standin_privacy::lower_bound` makes the
//! guesses from scores, and a lower bound on ε from the guesses.
//!
//! Canaries that can only be fitted by remembering them show the worst case: an image with a wrong label, noise, an image from
//! elsewhere. Natural ones show the average case, which flatters (Aerni, Zhang & Tramèr 2024, "Evaluations of machine learning
//! privacy defenses are misleading").

pub mod runs;

use rand::RngExt;
use rand::seq::index;
use standin_data::{ImageSet, Labels, Seed};

use crate::{Error, Result};

/// Images of a training set that are audited with, and the coin of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Canaries {
    /// Where they stand in the set they were made from, ascending. Canaries that are no images of that set stand in the place of one.
    pub images: Vec<usize>,
    /// The label of each.
    pub labels: Vec<u32>,
    /// Whether each takes part in the training.
    pub included: Vec<bool>,
    /// What they look like, one after the other; none for the images of the set themselves.
    pixels: Option<Vec<u8>>,
}

impl Canaries {
    /// Makes `count` images of a labelled set into canaries with wrong labels: which ones, their labels (uniform among the other
    /// classes) and their coins come from the seed.
    ///
    /// # Errors
    /// If the set has no labels, fewer than two classes, or fewer images than canaries are asked for.
    pub fn mislabelled(train: &ImageSet, count: usize, seed: Seed) -> Result<Self> {
        let mut rng = seed.derive("canaries").rng();
        let mut canaries = Self::natural_with(train, count, seed, &mut rng)?;
        let classes = train.require_labels("making canaries")?.classes.len() as u32;
        let wrong = |label: &mut u32| *label = (*label + rng.random_range(1..classes)) % classes;
        canaries.labels.iter_mut().for_each(wrong);
        Ok(canaries)
    }

    /// Makes `count` images of a labelled set into canaries as they are: no worst case, but members like any other.
    ///
    /// # Errors
    /// As [`Canaries::mislabelled`].
    pub fn natural(train: &ImageSet, count: usize, seed: Seed) -> Result<Self> {
        Self::natural_with(train, count, seed, &mut seed.derive("canaries").rng())
    }

    /// Puts `count` images of uniform noise with uniform labels in the place of images of a set.
    ///
    /// # Errors
    /// As [`Canaries::mislabelled`].
    pub fn noise(train: &ImageSet, count: usize, seed: Seed) -> Result<Self> {
        let mut rng = seed.derive("canaries").rng();
        let mut canaries = Self::natural_with(train, count, seed, &mut rng)?;
        canaries.pixels = Some((0..count * train.shape().volume()).map(|_| rng.random()).collect());
        canaries.label_at_random(train, &mut rng)?;
        Ok(canaries)
    }

    /// Puts `count` images of another set, drawn without replacement, with uniform labels in the place of images of a set.
    ///
    /// # Errors
    /// As [`Canaries::mislabelled`], and if the other set has images of another shape or fewer than are asked for.
    pub fn foreign(train: &ImageSet, others: &ImageSet, count: usize, seed: Seed) -> Result<Self> {
        if others.shape() != train.shape() || count > others.len() {
            let (found, expected) = (others.shape(), train.shape());
            return Err(Error::Foreign { images: others.len(), found, count, expected });
        }
        let mut rng = seed.derive("canaries").rng();
        let mut canaries = Self::natural_with(train, count, seed, &mut rng)?;
        let chosen = index::sample(&mut rng, others.len(), count).into_vec();
        canaries.pixels = Some(others.select(&chosen).pixels().to_vec());
        canaries.label_at_random(train, &mut rng)?;
        Ok(canaries)
    }

    /// The same canaries with other coins, for another run.
    #[must_use]
    pub fn with_coins(mut self, seed: Seed) -> Self {
        let mut coins = seed.derive("coins").rng();
        self.included.iter_mut().for_each(|included| *included = coins.random());
        self
    }

    fn natural_with(train: &ImageSet, count: usize, seed: Seed, rng: &mut impl rand::Rng) -> Result<Self> {
        let labels = train.require_labels("making canaries")?;
        if labels.classes.len() < 2 || count > train.len() || count == 0 {
            return Err(Error::Canaries { count, images: train.len(), classes: labels.classes.len() });
        }
        let mut images = index::sample(rng, train.len(), count).into_vec();
        images.sort_unstable();
        let mut coins = seed.derive("coins").rng();
        let included = images.iter().map(|_| coins.random()).collect();
        let labels = images.iter().map(|&image| labels.values[image]).collect();
        Ok(Self { images, labels, included, pixels: None })
    }

    fn label_at_random(&mut self, train: &ImageSet, rng: &mut impl rand::Rng) -> Result<()> {
        let classes = train.require_labels("making canaries")?.classes.len() as u32;
        self.labels.iter_mut().for_each(|label| *label = rng.random_range(0..classes));
        Ok(())
    }

    /// The set to train on: the images that are no canaries, and the canaries that take part, with their labels.
    ///
    /// # Errors
    /// If `train` is not the set they were made from.
    pub fn plant(&self, train: &ImageSet) -> Result<ImageSet> {
        let mut excluded = vec![false; train.len()];
        for (&image, &included) in self.images.iter().zip(&self.included) {
            excluded[image] = !included;
        }
        let kept: Vec<usize> = (0..train.len()).filter(|&image| !excluded[image]).collect();
        Ok(self.inserted(train)?.select(&kept))
    }

    /// All canaries with their labels, to ask what was trained about.
    ///
    /// # Errors
    /// As [`Canaries::plant`].
    pub fn questions(&self, train: &ImageSet) -> Result<ImageSet> {
        Ok(self.inserted(train)?.select(&self.images))
    }

    /// The set with all canaries in their places.
    fn inserted(&self, train: &ImageSet) -> Result<ImageSet> {
        let Labels { mut values, classes } = train.require_labels("planting canaries")?.clone();
        for (&image, &label) in self.images.iter().zip(&self.labels) {
            values[image] = label;
        }
        let mut set = train.clone().without_labels();
        if let Some(canaries) = &self.pixels {
            let volume = train.shape().volume();
            let mut pixels = train.pixels().to_vec();
            for (&image, canary) in self.images.iter().zip(canaries.chunks_exact(volume)) {
                pixels[image * volume..][..volume].copy_from_slice(canary);
            }
            let columns = set.columns().to_vec();
            set = ImageSet::new(train.shape(), pixels)?;
            for column in columns {
                set = set.with_column(column)?;
            }
        }
        Ok(set.with_labels(Labels { values, classes })?)
    }

    /// Scores of the canaries, such as minus the loss at the label, apart for those that took part and those that did not.
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
    fn other_coins_leave_the_canaries_as_they_are() {
        let train = train();
        let canaries = Canaries::mislabelled(&train, 200, Seed::new(1)).unwrap();
        let again = canaries.clone().with_coins(Seed::new(2));
        assert_eq!(again.questions(&train).unwrap().digest(), canaries.questions(&train).unwrap().digest());
        let same = again.included.iter().zip(&canaries.included).filter(|(a, b)| a == b).count();
        assert!((70..130).contains(&same), "{same} of 200, four standard deviations are 28");
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
    fn natural_canaries_are_the_images_and_others_stand_in_their_place() {
        let (train, seed) = (train(), Seed::new(3));
        let natural = Canaries::natural(&train, 100, seed).unwrap();
        assert_eq!(natural.questions(&train).unwrap().pixels(), train.select(&natural.images).pixels());
        let values = &train.labels().unwrap().values;
        assert!(natural.images.iter().zip(&natural.labels).all(|(&image, &label)| values[image] == label));

        let others = digits().select(&(300..450).collect::<Vec<_>>());
        let known: Vec<&[u8]> = (0..others.len()).map(|image| others.image(image)).collect();
        let foreign = Canaries::foreign(&train, &others, 100, seed).unwrap();
        let questions = foreign.questions(&train).unwrap();
        assert!((0..100).all(|at| known.contains(&questions.image(at))));
        assert_eq!(questions.labels().unwrap().values, foreign.labels);
        let noise = Canaries::noise(&train, 100, seed).unwrap();
        let pixels = noise.questions(&train).unwrap().pixels().to_vec();
        let mean = pixels.iter().map(|&value| f64::from(value)).sum::<f64>() / pixels.len() as f64;
        // 6400 uniform values of deviation 74: four standard errors.
        assert!((mean - 127.5).abs() < 3.7, "{mean}");
        for canaries in [natural, foreign, noise] {
            let (planted, asked) = (canaries.plant(&train).unwrap(), canaries.questions(&train).unwrap());
            let included = canaries.included.iter().filter(|&&included| included).count();
            assert_eq!(planted.len(), 200 + included);
            let there: Vec<&[u8]> = (0..planted.len()).map(|image| planted.image(image)).collect();
            for (at, &included) in canaries.included.iter().enumerate() {
                assert!(!included || there.contains(&asked.image(at)), "canary {at}");
            }
        }
        let message = Canaries::foreign(&train, &others, 151, seed).unwrap_err().to_string();
        assert!(message.contains("151") && message.contains("150"), "{message}");
    }

    #[test]
    fn scores_are_divided_by_the_coins() {
        let canaries =
            Canaries { images: vec![0, 1, 2], labels: vec![0; 3], included: vec![true, false, true], pixels: None };
        assert_eq!(canaries.divide(&[5.0, 4.0, 0.0]).unwrap(), (vec![5.0, 0.0], vec![4.0]));
        assert!(canaries.divide(&[5.0, 4.0]).is_err());
    }

    #[test]
    fn more_canaries_than_images_are_refused() {
        let message = Canaries::mislabelled(&train(), 301, Seed::new(1)).unwrap_err().to_string();
        assert!(message.contains("301") && message.contains("300"), "{message}");
    }
}
