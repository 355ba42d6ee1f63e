//! From the files that stages left to the parts of a summary.

use std::path::Path;

use serde::de::DeserializeOwned;
use standin_classify::Answers;
use standin_data::{Column, ImageSet, Labels};
use standin_measure::{Outcome, class_score, pool_outcomes_within};
use standin_privacy::Guarantee;

use super::classify::Predictions;
use super::pool::{pool_attacks, pool_measures, pool_utility};
use super::summarise::{ReleasedRun, Repetition};
use super::{BoxedError, damaged, read_json};
use crate::stage::{Inputs, StageId};
use crate::study::configuration::Study;
use crate::summary::{AttackRow, Gallery, GroupAccuracy, ImageScores, MeasureRow, Release, ReleaseKind, Utility};

/// Reads what the stages behind the releases found.
pub(super) struct Gathering<'a> {
    pub(super) study: &'a Study,
    pub(super) inputs: &'a Inputs,
    pub(super) test: Option<&'a ImageSet>,
    pub(super) out: &'a Path,
}

impl Gathering<'_> {
    pub(super) fn release(&self, release: &ReleasedRun) -> Result<Release, BoxedError> {
        let inputs = self.inputs;
        let utility = match self.test {
            Some(test) => (0..release.classifiers.len())
                .map(|position| self.utility(release, position, test))
                .collect::<Result<Vec<_>, BoxedError>>()?,
            None => Vec::new(),
        };
        let mut measures: Vec<Vec<MeasureRow>> = Vec::new();
        let mut attacks: Vec<Vec<AttackRow>> = Vec::new();
        for repetition in &release.repetitions {
            let mut rows = self.rows(&repetition.measures, "measures.json")?;
            rows.extend(self.class_scores(release, repetition)?);
            measures.push(rows);
            attacks.push(self.rows(&repetition.attacks, "attacks.json")?);
        }
        let guarantee = self.guarantee(release)?;
        let own = file_name(&release.name);
        Ok(Release {
            name: release.name.clone(),
            kind: release.kind,
            generator: release.generator.clone(),
            source: release.source.clone(),
            guarantee,
            utility,
            measures: pool_measures(&measures),
            attacks: pool_attacks(&attacks),
            gallery: release.gallery.map(|id| copy_gallery(inputs.folder(id)?, &own, self.out)).transpose()?,
            scores: release.scores.map(|id| copy_scores(inputs.folder(id)?, &own, self.out)).transpose()?,
            canaries: release
                .audits
                .iter()
                .map(|&id| read_json(&inputs.folder(id)?.join("canaries.json")))
                .collect::<Result<_, BoxedError>>()?,
        })
    }

    /// What a release promises about the private images: for everything made from a sample that is the promise of the
    /// sample's generator, whatever a classifier promises about the sample.
    fn guarantee(&self, release: &ReleasedRun) -> Result<Option<Guarantee>, BoxedError> {
        let Some(repetition) = release.repetitions.first() else { return Ok(None) };
        if let Some(generate) = repetition.generate {
            return Ok(standin_generate::load(self.inputs.folder(generate)?)?.guarantee().cloned());
        }
        match (repetition.sample, release.kind, repetition.classify.first()) {
            (Some(sample), ..) => read_json(&self.inputs.folder(sample)?.join("guarantee.json")),
            (None, ReleaseKind::ClassifierOnReal, Some(&classify)) => {
                Ok(standin_classify::load(self.inputs.folder(classify)?)?.guarantee().cloned())
            }
            _ => Ok(None),
        }
    }

    /// The class score of the sample, by each classifier trained on private images; real test images are the reference.
    fn class_scores(&self, release: &ReleasedRun, repetition: &Repetition) -> Result<Vec<MeasureRow>, BoxedError> {
        let score = |path: &Path| -> Result<(Outcome, usize), BoxedError> {
            let logits = Predictions::read(path)?;
            let score = match class_score(&logits.probabilities(), logits.classes(), 1) {
                Ok(estimate) => Outcome::Measured(estimate),
                Err(error) => Outcome::NotMeasurable(error.to_string()),
            };
            Ok((score, logits.rows()))
        };
        let stages = repetition.on_sample.iter().zip(&repetition.real);
        let names = release.classifiers.iter();
        names
            .zip(stages)
            .map(|(classifier, (&on_sample, &real))| {
                let (outcome, images) = score(&self.inputs.folder(on_sample)?.join("sample.npy"))?;
                Ok(MeasureRow {
                    measure: "class-score".into(),
                    aspect: "fidelity".into(),
                    against: String::new(),
                    outcome,
                    reference: Some(score(&self.inputs.folder(real)?.join("test.npy"))?.0),
                    better: "higher".into(),
                    stamp: format!("{classifier} trained on real images, 1 split; {images} synthetic"),
                })
            })
            .collect()
    }

    /// The rows of all encoders' stages of one repetition.
    fn rows<R: DeserializeOwned>(&self, stages: &[StageId], file: &str) -> Result<Vec<R>, BoxedError> {
        let mut rows = Vec::new();
        for &id in stages {
            rows.extend(read_json::<Vec<R>>(&self.inputs.folder(id)?.join(file))?);
        }
        Ok(rows)
    }

    fn utility(&self, release: &ReleasedRun, position: usize, test: &ImageSet) -> Result<Utility, BoxedError> {
        let labels = test.require_labels("measuring utility")?;
        let answers = |stages: fn(&Repetition) -> &Vec<StageId>| -> Result<Vec<Answers>, BoxedError> {
            let ids = release.repetitions.iter().filter_map(|repetition| stages(repetition).get(position));
            ids.map(|&id| answers_about(&self.inputs.folder(id)?.join("test.npy"), labels)).collect()
        };
        let (own, real) = (answers(|r| &r.classify)?, answers(|r| &r.real)?);
        let on_sample: Vec<Answers> = release
            .repetitions
            .iter()
            .filter_map(|repetition| Some((repetition.on_sample.get(position)?, repetition.sample?)))
            .map(|(&answered, sample)| {
                let sample = ImageSet::open(&self.inputs.folder(sample)?.join("images"))?;
                let labels = sample.require_labels("testing a classifier on synthetic images")?;
                answers_about(&self.inputs.folder(answered)?.join("sample.npy"), labels)
            })
            .collect::<Result<_, BoxedError>>()?;
        let mut utility = pool_utility(&release.classifiers[position], &own, &real);
        utility.real = accuracy(&real);
        utility.real_on_synthetic = accuracy(&on_sample);
        utility.augmented = accuracy(&answers(|r| &r.augmented)?);
        for name in &self.study.utility.groups {
            // The plan has found the column.
            let Some(column) = test.column(name) else { continue };
            utility.per_group.extend(by_group(column, &own, &real));
        }
        Ok(utility)
    }
}

/// What a classifier answered, beside the truth.
fn answers_about(logits: &Path, labels: &Labels) -> Result<Answers, BoxedError> {
    let predictions = Predictions::read(logits)?.predictions();
    if predictions.len() != labels.values.len() {
        return Err(damaged(logits, format!("{} answers about {} images", predictions.len(), labels.values.len())));
    }
    let correct = predictions.iter().zip(&labels.values).map(|(predicted, label)| predicted == label).collect();
    Ok(Answers { correct, labels: labels.values.clone(), classes: labels.classes.len() })
}

/// Accuracy pooled over repetitions, if there is any.
fn accuracy(repetitions: &[Answers]) -> Option<Outcome> {
    let accuracies: Vec<Outcome> = repetitions.iter().map(|answers| Outcome::Measured(answers.accuracy())).collect();
    (!accuracies.is_empty()).then(|| pool_outcomes_within(&accuracies, 0.0, 1.0))
}

/// Accuracy in each group, pooled over repetitions, groups in the order of their names.
fn by_group(column: &Column, own: &[Answers], real: &[Answers]) -> Vec<GroupAccuracy> {
    let pooled = |repetitions: &[Answers], group: usize| {
        let outcomes: Vec<Outcome> =
            repetitions.iter().map(|answers| answers.per_group(column)[group].outcome.clone()).collect();
        pool_outcomes_within(&outcomes, 0.0, 1.0)
    };
    let Some(first) = own.first() else { return Vec::new() };
    let groups = first.per_group(column);
    groups
        .into_iter()
        .enumerate()
        .map(|(at, group)| GroupAccuracy {
            column: column.name.clone(),
            group: group.group,
            images: group.n,
            accuracy: pooled(own, at),
            real: (!real.is_empty()).then(|| pooled(real, at)),
        })
        .collect()
}

/// A release's name as that of files.
fn file_name(release: &str) -> String {
    release.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

/// Copies the tables of single images next to the summary.
fn copy_scores(folder: &Path, own: &str, out: &Path) -> Result<ImageScores, BoxedError> {
    let mut scores: ImageScores = read_json(&folder.join("scores.json"))?;
    std::fs::create_dir_all(out.join("scores"))?;
    scores.table = format!("scores/{own}.csv");
    std::fs::copy(folder.join("scores.csv"), out.join(&scores.table))?;
    std::fs::copy(folder.join("scores.parquet"), out.join(format!("scores/{own}.parquet")))?;
    Ok(scores)
}

/// Copies the pictures of a release next to the summary.
fn copy_gallery(folder: &Path, own: &str, out: &Path) -> Result<Gallery, BoxedError> {
    let own = format!("pictures/{own}");
    std::fs::create_dir_all(out.join(&own))?;
    let copy = |picture: &mut String| -> Result<(), BoxedError> {
        let inside = format!("{own}/{picture}");
        std::fs::copy(folder.join(&*picture), out.join(&inside))?;
        *picture = inside;
        Ok(())
    };
    let mut gallery: Gallery = read_json(&folder.join("gallery.json"))?;
    copy(&mut gallery.grid)?;
    for near_copy in &mut gallery.near_copies {
        copy(&mut near_copy.synthetic_picture)?;
        copy(&mut near_copy.train_picture)?;
    }
    Ok(gallery)
}
