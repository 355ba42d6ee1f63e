use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_data::{ImageSet, Progress, Seed, Silent};
use standin_encode::Embedding;
use standin_measure::{Estimate, Outcome, normalised_variety};
use standin_privacy::NoiseOrigin;

use super::gather::Gathering;
use super::{BoxedError, Division, MEAN_IMAGE_SIZE, Members, read_json, write_json};
use crate::gate::GateExpression;
use crate::leakage;
use crate::ranking;
use crate::stage::{Inputs, Stage, StageId, StageResult};
use crate::study::configuration::Study;
use crate::study::verdict;
use crate::summary::{DataSummary, MeasureRow, Release, ReleaseKind, SCHEMA, Summary};

/// The stages behind one repetition of a release.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// The trained generator, where it is the release itself.
    pub generate: Option<StageId>,
}

/// The stages behind a release.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Audits with canaries.
    pub audits: Vec<StageId>,
}

/// Gathers everything a study found. Outputs: `summary.json` and the pictures it names.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summarise {
    /// The study, without how it is carried out on a cluster.
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
        6
    }

    fn configuration(&self) -> Value {
        json!({ "study": self.study, "source": self.source, "version": env!("CARGO_PKG_VERSION") })
    }

    fn inputs(&self) -> Vec<StageId> {
        let mut inputs = vec![self.division, self.split];
        for release in &self.releases {
            for repetition in &release.repetitions {
                let Repetition { classify, real, on_sample, augmented, measures, attacks, sample, generate } =
                    repetition;
                let stages = [classify, real, on_sample, augmented, measures, attacks];
                inputs.extend(stages.into_iter().flatten().copied().chain(*sample).chain(*generate));
            }
            inputs.extend(release.gallery.into_iter().chain(release.scores).chain(release.audits.iter().copied()));
        }
        inputs
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
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
        let judged = verdict::judge(&releases, &self.study.thresholds, test.as_ref().map_or(0.0, most_common));
        // Sides that were given apart may be of two populations; those that were drawn from one set are not.
        let given_apart = self.releases.iter().all(|release| release.source.is_some());
        let population = if given_apart && members.train.len().min(members.holdout.len()) >= 2 {
            let [train, holdout] = [&members.train, &members.holdout].map(|rows| pixels(&pool.select(rows)));
            Some(standin_attack::population(&train?, &holdout?, Seed::new(self.study.data.split_seed))?)
        } else {
            None
        };
        let data = DataSummary {
            source: self.source.0.clone(),
            licence: self.source.1.clone(),
            shape: pool.shape(),
            classes: pool.labels().map_or_else(Vec::new, |labels| labels.classes.clone()),
            train: members.train.len(),
            holdout: members.holdout.len(),
            test: test.as_ref().map_or(0, ImageSet::len),
            duplicates_across_split: found.duplicates_with_test + found.duplicates_in_pool,
            population,
            grouped_by: self.study.data.group.clone(),
        };
        // Mitigations and the four questions are about generators and classifiers; images made elsewhere answer none.
        let mitigations = if given_apart { Vec::new() } else { verdict::mitigations(&self.study, &releases) };
        let questions = if given_apart {
            Vec::new()
        } else {
            verdict::answer(&releases, &judged, &mitigations, &self.study.thresholds)
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
            questions,
            verdict: judged,
            rankings: ranking::rankings(&releases),
            correlations: ranking::correlations(&releases),
            mitigations,
            post_processing: leakage::post_processing(&releases),
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

/// The pixels of images.
fn pixels(images: &ImageSet) -> Result<Embedding, BoxedError> {
    Ok(standin_encode::encoder("pixels")?.encode(images, &Silent)?)
}

/// The share of the most common class, 0 without labels.
fn most_common(test: &ImageSet) -> f64 {
    let most = test.labels().and_then(|labels| labels.counts().into_iter().max()).unwrap_or(0);
    most as f64 / test.len().max(1) as f64
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
    if let Some(share) = data.population.as_ref().filter(|share| share.low > 0.5) {
        warnings.push(format!(
            "Train and holdout differ by themselves: {:.3} [{:.3}, {:.3}] of them have their nearest other on their own side, where \
             0.5 is expected of one population. Attacks, near copies and references may then say \"leak\" without any; give a holdout \
             of the same population.",
            share.value, share.low, share.high
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
    let found = leakage::contradictions(releases);
    warnings.extend(found.failures.into_iter().chain(found.weak_attacks));
    warnings
}
