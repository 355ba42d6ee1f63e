use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use standin_classify::{Answers, replacement_ratio};
use standin_data::{Column, ImageSet, Labels, Progress, Seed};
use standin_measure::{
    Estimate, MEASURES, Outcome, class_score, normalised_variety, pool_outcomes, pool_outcomes_within, pool_within,
};
use standin_privacy::{Guarantee, NoiseOrigin};

use super::classify::Predictions;
use super::{BoxedError, Division, MEAN_IMAGE_SIZE, Members, damaged, read_json, write_json};
use crate::gate::GateExpression;
use crate::ranking;
use crate::stage::{Inputs, Stage, StageId, StageResult};
use crate::study::configuration::Study;
use crate::study::verdict;
use crate::summary::{
    AttackRow, DataSummary, Gallery, GroupAccuracy, ImageScores, MeasureRow, RateAt, Release, ReleaseKind, SCHEMA,
    Summary, Utility,
};

/// The stages behind one repetition of a release.
#[derive(Clone, Debug, Default)]
pub struct Repetition {
    /// The classifiers trained on the release, or the released one; as the release's `classifiers`.
    pub classify: Vec<StageId>,
    /// The same classifiers trained on the private images, to compare with; empty where that is the release itself.
    pub real: Vec<StageId>,
    /// What those trained on the private images answer about the sample; empty where it was not asked.
    pub on_sample: Vec<StageId>,
    /// The same classifiers trained on private and synthetic images together; empty where they were not.
    pub augmented: Vec<StageId>,
    /// Measures, one stage per encoder.
    pub measures: Vec<StageId>,
    /// Attacks.
    pub attacks: Vec<StageId>,
    /// The synthetic sample behind the release.
    pub sample: Option<StageId>,
}

/// The stages behind a release.
#[derive(Clone, Debug)]
pub struct ReleasedRun {
    /// Its name.
    pub name: String,
    /// What is released.
    pub kind: ReleaseKind,
    /// Name and family of the generator.
    pub generator: Option<(String, String)>,
    /// Where images came from that another tool made.
    pub source: Option<String>,
    /// Names of the classifiers that measure its utility.
    pub classifiers: Vec<String>,
    /// One per seed.
    pub repetitions: Vec<Repetition>,
    /// Pictures of the first repetition.
    pub gallery: Option<StageId>,
    /// Scores of its single images.
    pub scores: Option<StageId>,
}

/// Gathers everything a study found. Outputs: `summary.json` and the pictures it names.
pub struct Summarise {
    /// The study.
    pub study: Study,
    /// Source and licence of the images.
    pub source: (String, Option<String>),
    /// The division.
    pub division: StageId,
    /// The split of the first seed.
    pub split: StageId,
    /// The releases.
    pub releases: Vec<ReleasedRun>,
}

impl Stage for Summarise {
    fn kind(&self) -> &'static str {
        "summarise"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        json!({ "study": self.study, "source": self.source, "version": env!("CARGO_PKG_VERSION") })
    }

    fn inputs(&self) -> Vec<StageId> {
        let mut inputs = vec![self.division, self.split];
        for release in &self.releases {
            for repetition in &release.repetitions {
                let Repetition { classify, real, on_sample, augmented, measures, attacks, sample } = repetition;
                let stages = [classify, real, on_sample, augmented, measures, attacks];
                inputs.extend(stages.into_iter().flatten().copied().chain(*sample));
            }
            inputs.extend(release.gallery.into_iter().chain(release.scores));
        }
        inputs
    }

    fn run(&self, inputs: &Inputs, out: &Path, _: &dyn Progress) -> StageResult {
        let division = inputs.folder(self.division)?;
        let pool = ImageSet::open(&division.join("pool"))?;
        let test = if division.join("test").exists() { Some(ImageSet::open(&division.join("test"))?) } else { None };
        let members = Members::read(inputs.folder(self.split)?)?;
        let found: Division = read_json(&division.join("division.json"))?;

        let gathering = Gathering { study: &self.study, inputs, test: test.as_ref(), out };
        let mut releases =
            self.releases.iter().map(|release| gathering.release(release)).collect::<Result<Vec<_>, _>>()?;
        add_normalised_variety(&mut releases);
        let judged = verdict::judge(&releases, &self.study.thresholds);
        let data = DataSummary {
            source: self.source.0.clone(),
            licence: self.source.1.clone(),
            shape: pool.shape(),
            classes: pool.labels().map_or_else(Vec::new, |labels| labels.classes.clone()),
            train: members.train.len(),
            holdout: members.holdout.len(),
            test: test.map_or(0, |test| test.len()),
            duplicates_across_split: found.duplicates_with_test + found.duplicates_in_pool,
            grouped_by: self.study.data.group.clone(),
        };
        let mut summary = Summary {
            schema: SCHEMA.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            name: self.study.name.clone(),
            seeds: self.study.seeds.clone(),
            configuration: self.study.to_toml(),
            warnings: warnings(&self.study, &data, &found, &releases, pool.len()),
            data,
            thresholds: self.study.thresholds.clone(),
            // The four questions are about generators and classifiers; images made elsewhere answer none of them.
            questions: if self.releases.iter().all(|release| release.source.is_some()) {
                Vec::new()
            } else {
                verdict::answer(&releases, &judged, &self.study.thresholds)
            },
            verdict: judged,
            rankings: ranking::rankings(&releases),
            correlations: ranking::correlations(&releases),
            releases,
            gates: Vec::new(),
        };
        summary.gates = self
            .study
            .gates
            .iter()
            .map(|gate| Ok(gate.parse::<GateExpression>()?.evaluate(&summary)))
            .collect::<Result<_, BoxedError>>()?;
        write_json(&out.join("summary.json"), &summary)
    }
}

/// Reads what the stages behind the releases found.
struct Gathering<'a> {
    study: &'a Study,
    inputs: &'a Inputs,
    test: Option<&'a ImageSet>,
    out: &'a Path,
}

impl Gathering<'_> {
    fn release(&self, release: &ReleasedRun) -> Result<Release, BoxedError> {
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
        let sample = release.repetitions.first().and_then(|repetition| repetition.sample);
        let guarantee: Option<Guarantee> = match sample {
            Some(sample) => read_json(&inputs.folder(sample)?.join("guarantee.json"))?,
            None => None,
        };
        let own = own_folder(&release.name);
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
        })
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

/// Adds MedSynAnalyzer's variety, 1 − the size of the mean image normalised over the sets compared, if there are several.
fn add_normalised_variety(releases: &mut [Release]) {
    let row = |release: &Release| release.measures.iter().position(|row| row.measure == MEAN_IMAGE_SIZE);
    let sized: Vec<(usize, usize, Estimate)> = releases
        .iter()
        .enumerate()
        .filter_map(|(at, release)| {
            let row = row(release)?;
            Some((at, row, release.measures[row].outcome.estimate()?.clone()))
        })
        .collect();
    if sized.len() < 2 {
        return;
    }
    let sizes: Vec<f64> = sized.iter().map(|(.., size)| size.value).collect();
    let (least, most) = sizes.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
    let (varieties, count) = (normalised_variety(&sizes), sized.len());
    let scaled = |bytes: f64, otherwise: f64| if most > least { (most - bytes) / (most - least) } else { otherwise };
    for ((at, row, size), variety) in sized.into_iter().zip(varieties) {
        let estimate = Estimate {
            value: variety,
            low: scaled(size.high, variety).min(variety),
            high: scaled(size.low, variety).max(variety),
            n: size.n,
            method: format!("that of the size, in the range of the {count} sets compared"),
        };
        let row = MeasureRow {
            measure: "mean-image-variety".into(),
            outcome: Outcome::Measured(estimate),
            reference: None,
            better: "higher".into(),
            ..releases[at].measures[row].clone()
        };
        releases[at].measures.push(row);
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

fn pool_utility(classifier: &str, own: &[Answers], real: &[Answers]) -> Utility {
    let shares = |part: fn(&Answers) -> Estimate| pool_within(&own.iter().map(part).collect::<Vec<_>>(), 0.0, 1.0);
    let ratios: Vec<Outcome> = own
        .iter()
        .zip(real)
        .enumerate()
        .map(|(repetition, (own, real))| {
            replacement_ratio(own, real, Seed::new(repetition as u64).derive("replacement ratio"))
        })
        .collect();
    let ratio = if ratios.is_empty() { None } else { pool_outcomes(&ratios).estimate().cloned() };
    let classes = own.first().map_or(0, |answers| answers.classes);
    let by_class: Vec<Vec<Outcome>> = own.iter().map(Answers::per_class).collect();
    Utility {
        classifier: classifier.to_owned(),
        accuracy: shares(Answers::accuracy),
        balanced_accuracy: shares(Answers::balanced_accuracy),
        replacement_ratio: ratio,
        per_class: (0..classes)
            .map(|class| {
                let outcomes: Vec<Outcome> = by_class.iter().map(|outcomes| outcomes[class].clone()).collect();
                pool_outcomes_within(&outcomes, 0.0, 1.0)
            })
            .collect(),
        per_seed: own.iter().map(|answers| answers.accuracy().value).collect(),
        real: None,
        real_on_synthetic: None,
        augmented: None,
        per_group: Vec::new(),
    }
}

/// Rows with one key from all repetitions, in the order of the first.
fn pool_rows<R: Clone>(repetitions: &[Vec<R>], same: impl Fn(&R, &R) -> bool, merge: impl Fn(&[&R]) -> R) -> Vec<R> {
    let Some((first, _)) = repetitions.split_first() else { return Vec::new() };
    first
        .iter()
        .map(|row| {
            let rows: Vec<&R> = repetitions.iter().flatten().filter(|other| same(row, other)).collect();
            merge(&rows)
        })
        .collect()
}

fn pool_measures(repetitions: &[Vec<MeasureRow>]) -> Vec<MeasureRow> {
    let key = |row: &MeasureRow| (row.measure.clone(), row.against.clone(), row.stamp.clone());
    pool_rows(
        repetitions,
        |a, b| key(a) == key(b),
        |rows| {
            let outcomes = |part: fn(&MeasureRow) -> Option<&Outcome>| -> Vec<Outcome> {
                rows.iter().filter_map(|row| part(row).cloned()).collect()
            };
            let family = MEASURES.iter().find(|family| family.name == rows[0].measure);
            let (least, most) = family.map_or((f64::NEG_INFINITY, f64::INFINITY), |family| (family.least, family.most));
            let references = outcomes(|row| row.reference.as_ref());
            MeasureRow {
                outcome: pool_outcomes_within(&outcomes(|row| Some(&row.outcome)), least, most),
                reference: (!references.is_empty()).then(|| pool_outcomes_within(&references, least, most)),
                ..rows[0].clone()
            }
        },
    )
}

fn pool_attacks(repetitions: &[Vec<AttackRow>]) -> Vec<AttackRow> {
    let key = |row: &AttackRow| (row.attack.clone(), row.stamp.clone());
    pool_rows(
        repetitions,
        |a, b| key(a) == key(b),
        |rows| {
            let estimates = |part: fn(&AttackRow) -> &Estimate| {
                pool_within(&rows.iter().map(|row| part(row).clone()).collect::<Vec<_>>(), 0.0, 1.0)
            };
            let rates = rows[0].true_positive_rates.iter().enumerate().map(|(position, rate)| RateAt {
                false_positive_rate: rate.false_positive_rate,
                outcome: pool_outcomes_within(
                    &rows.iter().map(|row| row.true_positive_rates[position].outcome.clone()).collect::<Vec<_>>(),
                    0.0,
                    1.0,
                ),
            });
            let bounds: Vec<Outcome> = rows.iter().filter_map(|row| row.epsilon_lower.clone()).collect();
            AttackRow {
                auc: estimates(|row| &row.auc),
                balanced_accuracy: estimates(|row| &row.balanced_accuracy),
                true_positive_rates: rates.collect(),
                epsilon_lower: median_bound(bounds),
                ..rows[0].clone()
            }
        },
    )
}

/// The median repetition's bound: the largest of several would claim more confidence than each of them has.
fn median_bound(mut bounds: Vec<Outcome>) -> Option<Outcome> {
    let value = |outcome: &Outcome| outcome.estimate().map_or(0.0, |estimate| estimate.value);
    bounds.sort_by(|a, b| value(a).total_cmp(&value(b)));
    let middle = bounds.len().checked_sub(1)? / 2;
    Some(bounds.swap_remove(middle))
}

/// The folder of a release's files next to the summary.
fn own_folder(release: &str) -> String {
    let own: String = release.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    format!("pictures/{own}")
}

/// Copies the table of single images next to the summary.
fn copy_scores(folder: &Path, own: &str, out: &Path) -> Result<ImageScores, BoxedError> {
    let mut scores: ImageScores = read_json(&folder.join("scores.json"))?;
    std::fs::create_dir_all(out.join(own))?;
    for table in [scores.table.as_str(), "scores.parquet"] {
        std::fs::copy(folder.join(table), out.join(own).join(table))?;
    }
    scores.table = format!("{own}/{}", scores.table);
    Ok(scores)
}

/// Copies the pictures of a release next to the summary.
fn copy_gallery(folder: &Path, own: &str, out: &Path) -> Result<Gallery, BoxedError> {
    std::fs::create_dir_all(out.join(own))?;
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

fn warnings(study: &Study, data: &DataSummary, division: &Division, releases: &[Release], pool: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    let reproducible = releases
        .iter()
        .filter(|release| release.guarantee.as_ref().is_some_and(|g| g.noise == NoiseOrigin::Reproducible))
        .map(|release| release.name.as_str())
        .collect::<Vec<_>>();
    if !reproducible.is_empty() {
        warnings.push(format!(
            "The noise of {} came from the study's seeds, so anyone can remove it: these runs show what to expect and are \
             not private themselves. Set privacy.noise = \"secret\" to make a release.",
            reproducible.join(", ")
        ));
    }
    if study.attacks.shadows == 0 && !study.released_classifiers.is_empty() {
        warnings.push(
            "The released classifiers were attacked without shadow models, so LiRA, the strongest attack on them, was not \
             run: that they resist says little. Set attacks.shadows, for example to 16."
                .to_owned(),
        );
    }
    if division.duplicates_with_test > 0 {
        warnings.push(format!(
            "{} test images equal an image of train or holdout pixel by pixel: accuracy is flattered.",
            division.duplicates_with_test
        ));
    }
    if division.duplicates_in_pool > 0 {
        warnings.push(format!(
            "{} pairs among the {pool} images of train and holdout are equal pixel by pixel and may lie on both sides: \
             attacks are made to look weaker.",
            division.duplicates_in_pool
        ));
    }
    if data.holdout == 0 {
        warnings.push(
            "There are no holdout images, real ones that the generators did not see: whether training images were copied \
             or can be recognised was not measured, and fidelity to the training images rewards copies."
                .to_owned(),
        );
    } else if data.holdout < 1_000 {
        warnings.push(format!(
            "With {} holdout images, true-positive rates below {:.2} % false positives cannot be measured.",
            data.holdout,
            100.0 / data.holdout as f64
        ));
    }
    warnings.extend(ranking::unequal_sizes(releases));
    warnings.extend(verdict::reversals(releases));
    warnings.extend(releases.iter().flat_map(verdict::violations));
    warnings
}
