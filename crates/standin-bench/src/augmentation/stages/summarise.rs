use std::path::Path;

use serde_json::{Value, json};
use standin_data::{ImageSet, Progress};
use standin_measure::{Estimate, Outcome, mean, pool_outcomes, pool_outcomes_within, wilson};

use super::accept::Acceptance;
use super::arm::UNTRAINED;
use super::examine::Examined;
use super::prepare::{Prepared, counts};
use super::trial::StrengthTried;
use super::{MINORITY, SIDE};
use crate::augmentation::arms::Arm;
use crate::augmentation::configuration::AugmentationStudy;
use crate::augmentation::scores::{SideScores, paired, side_scores};
use crate::augmentation::summary::{
    AcceptanceSummary, ArmResult, AugmentationSummary, ClassCounts, Comparison, GroupFinding, SCHEMA, ScenarioSummary,
    Skipped, StrengthSummary,
};
use crate::stage::{Inputs, Stage, StageId, StageResult};
use crate::study::stages::{BoxedError, Predictions, read_json, write_json};
use crate::summary::MeasureRow;

/// The stages behind one classifier.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Name of the backbone.
    pub backbone: String,
    /// The arm.
    pub arm: Arm,
    /// The stage.
    pub stage: StageId,
}

/// The stages behind one seed of a scenario.
#[derive(Clone, Debug)]
pub struct Repetition {
    /// The training images.
    pub scarce: StageId,
    /// The accepted synthetic images, where there are some.
    pub accept: Option<StageId>,
    /// What was found about them.
    pub examine: Option<StageId>,
    /// The classifiers, in the same order for every seed.
    pub trained: Vec<Trained>,
}

/// The stages behind a scenario.
#[derive(Clone, Debug, Default)]
pub struct Branch {
    /// Its name.
    pub name: String,
    /// One for each seed.
    pub repetitions: Vec<Repetition>,
    /// The trial of strengths.
    pub trial: Option<StageId>,
    /// Arms that are left out.
    pub skipped: Vec<Skipped>,
}

/// Gathers everything an augmentation study found. Outputs: `augmentation.json`, and `trial-N.png` for each scenario with a trial.
pub struct Summarise {
    /// The study.
    pub study: AugmentationStudy,
    /// Where the images come from.
    pub source: String,
    /// What a reader must know of how groups were told.
    pub warnings: Vec<String>,
    /// The division.
    pub prepare: StageId,
    /// The scenarios.
    pub branches: Vec<Branch>,
}

/// The test images as answers are judged.
struct Test {
    labels: Vec<u32>,
    /// Rows of the majority and of the minority.
    sides: [Vec<usize>; 2],
}

impl Stage for Summarise {
    fn kind(&self) -> &'static str {
        "summarise-augmentation"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        json!({
            "study": self.study, "source": self.source, "warnings": self.warnings, "version": env!("CARGO_PKG_VERSION"),
        })
    }

    fn inputs(&self) -> Vec<StageId> {
        let mut inputs = vec![self.prepare];
        for branch in &self.branches {
            for Repetition { scarce, accept, examine, trained } in &branch.repetitions {
                inputs.extend([*scarce].into_iter().chain(*accept).chain(*examine));
                inputs.extend(trained.iter().map(|trained| trained.stage));
            }
            inputs.extend(branch.trial);
        }
        inputs
    }

    fn run(&self, inputs: &Inputs, out: &Path, _: &dyn Progress) -> StageResult {
        let prepare = inputs.folder(self.prepare)?;
        let prepared: Prepared = read_json(&prepare.join("prepared.json"))?;
        let set = ImageSet::open(&prepare.join("test"))?;
        let values = set.column(SIDE).map_or(&[][..], |column| &column.values);
        let (minority, majority) =
            (0..set.len()).partition(|&image| values.get(image).is_some_and(|side| side == MINORITY));
        let labels = set.require_labels("summarising")?.values.clone();
        let test = Test { labels, sides: [majority, minority] };
        let scenarios: Vec<ScenarioSummary> = self
            .branches
            .iter()
            .enumerate()
            .map(|(at, branch)| scenario(branch, &format!("trial-{at}.png"), inputs, &test, out))
            .collect::<Result<_, _>>()?;
        let summary = AugmentationSummary {
            schema: SCHEMA.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            name: self.study.name.clone(),
            seeds: self.study.seeds.clone(),
            configuration: self.study.to_toml(),
            source: self.source.clone(),
            group: self.study.data.group.clone(),
            majority: self.study.data.majority.clone(),
            minority: self.study.data.minority.clone(),
            classes: prepared.classes.clone(),
            test: class_counts(&prepared.test),
            warnings: self.all_warnings(&prepared, &scenarios),
            scenarios,
        };
        write_json(&out.join("augmentation.json"), &summary)
    }
}

impl Summarise {
    fn all_warnings(&self, prepared: &Prepared, scenarios: &[ScenarioSummary]) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        if prepared.of_neither_side > 0 {
            warnings.push(format!("{} images are of neither side and were left out.", prepared.of_neither_side));
        }
        if prepared.without_group > 0 {
            warnings.push(format!(
                "{} images have no value in the column \"{}\" and were left out.",
                prepared.without_group, self.study.data.group
            ));
        }
        if prepared.duplicates_with_test > 0 {
            warnings.push(format!(
                "{} pairs of a test and a training image are equal pixel by pixel: accuracy is flattered.",
                prepared.duplicates_with_test
            ));
        }
        let alone: Vec<&str> = prepared
            .classes
            .iter()
            .zip(&prepared.pool)
            .filter(|(_, of_class)| of_class[0] > 0 && of_class[1] == 0)
            .map(|(class, _)| class.as_str())
            .collect();
        if !alone.is_empty() {
            warnings.push(format!("The minority has no training image of {}, in any scenario.", alone.join(", ")));
        }
        let untested: Vec<&str> = prepared
            .classes
            .iter()
            .zip(&prepared.test)
            .filter(|(_, of_class)| of_class[1] < 10)
            .map(|(class, _)| class.as_str())
            .collect();
        if !untested.is_empty() {
            warnings.push(format!(
                "The minority has fewer than 10 test images of {}: the mean over classes is uncertain beyond what differs from seed to seed, \
                 because all seeds are tested on the same ones.",
                untested.join(", ")
            ));
        }
        if self.study.patient_is_unknown() {
            warnings.push(
                "data.patient is not set: if several images are of one patient or lesion, some are trained on and some tested on.".into(),
            );
        }
        for scenario in scenarios {
            if scenario.train.iter().all(|of_class| of_class.minority == 0) {
                warnings.push(format!(
                    "In the scenario \"{}\" no real image of the minority is trained on, and it is tested on.",
                    scenario.name
                ));
            }
        }
        warnings
    }
}

fn class_counts(counts: &[[usize; 2]]) -> Vec<ClassCounts> {
    counts.iter().map(|&[majority, minority]| ClassCounts { majority, minority }).collect()
}

fn scenario(
    branch: &Branch,
    picture: &str,
    inputs: &Inputs,
    test: &Test,
    out: &Path,
) -> Result<ScenarioSummary, BoxedError> {
    let first = branch.repetitions.first();
    let train = match first {
        None => Vec::new(),
        Some(first) => class_counts(&counts(&ImageSet::open(&inputs.folder(first.scarce)?.join("train"))?)),
    };
    let (arms, untrained) = arm_results(branch, inputs, test)?;
    let comparisons = comparisons(&arms);
    let mut strengths = Vec::new();
    if let Some(trial) = branch.trial {
        let folder = inputs.folder(trial)?;
        let tried: Vec<StrengthTried> = read_json(&folder.join("trial.json"))?;
        strengths.extend(tried.into_iter().map(|tried| StrengthSummary {
            strength: tried.strength,
            of_class: wilson(tried.of_class, tried.images),
            of_minority: wilson(tried.of_minority, tried.images),
        }));
        std::fs::copy(folder.join("trial.png"), out.join(picture))?;
    }
    let (memorised, measures) = examined(branch, inputs)?;
    Ok(ScenarioSummary {
        name: branch.name.clone(),
        train,
        acceptance: acceptance(branch, inputs)?,
        comparisons,
        arms,
        skipped: branch.skipped.iter().cloned().chain(untrained).collect(),
        strengths,
        picture: branch.trial.map(|_| picture.to_owned()),
        memorised,
        measures,
    })
}

/// How each arm does, and those of which not every seed has a classifier.
fn arm_results(branch: &Branch, inputs: &Inputs, test: &Test) -> Result<(Vec<ArmResult>, Vec<Skipped>), BoxedError> {
    let Some(first) = branch.repetitions.first() else { return Ok((Vec::new(), Vec::new())) };
    let (mut results, mut untrained) = (Vec::new(), Vec::new());
    for (at, Trained { backbone, arm, .. }) in first.trained.iter().enumerate() {
        let folders: Vec<&Path> = branch
            .repetitions
            .iter()
            .map(|repetition| inputs.folder(repetition.trained[at].stage))
            .collect::<Result<_, _>>()?;
        if let Some(folder) = folders.iter().find(|folder| folder.join(UNTRAINED).exists()) {
            let reason = read_json(&folder.join(UNTRAINED))?;
            untrained.push(Skipped { backbone: Some(backbone.clone()), arm: *arm, reason });
            continue;
        }
        let mut scores: Vec<[SideScores; 2]> = Vec::new();
        for folder in folders {
            let logits = Predictions::read(&folder.join("test.npy"))?;
            scores.push(test.sides.each_ref().map(|rows| side_scores(&logits, &test.labels, rows)));
        }
        let of = |figure: &dyn Fn(&[SideScores; 2]) -> f64| mean(&scores.iter().map(figure).collect::<Vec<_>>());
        let share = |figure: &dyn Fn(&[SideScores; 2]) -> f64| within(of(figure), 0.0);
        results.push(ArmResult {
            backbone: backbone.clone(),
            arm: *arm,
            by_seed: scores.iter().map(|[_, minority]| minority.balanced_accuracy).collect(),
            minority_balanced: share(&|[_, minority]| minority.balanced_accuracy),
            minority: share(&|[_, minority]| minority.accuracy),
            majority_balanced: share(&|[majority, _]| majority.balanced_accuracy),
            majority: share(&|[majority, _]| majority.accuracy),
            worst: share(&|[majority, minority]| majority.balanced_accuracy.min(minority.balanced_accuracy)),
            gap: within(of(&|[majority, minority]| majority.balanced_accuracy - minority.balanced_accuracy), -1.0),
            minority_calibration: share(&|[_, minority]| minority.calibration_error),
            majority_calibration: share(&|[majority, _]| majority.calibration_error),
        });
    }
    results.sort_by_key(|result| {
        (first.trained.iter().position(|trained| trained.backbone == result.backbone), result.arm)
    });
    Ok((results, untrained))
}

/// An interval cut to what is possible: with one seed that is all that is known of it.
fn within(estimate: Estimate, least: f64) -> Estimate {
    Estimate { low: estimate.low.max(least), high: estimate.high.min(1.0), ..estimate }
}

/// Each arm with synthetic images against "real" (or what stands in its place) and against the best of those without.
fn comparisons(arms: &[ArmResult]) -> Vec<Comparison> {
    let mut backbones: Vec<&str> = arms.iter().map(|result| result.backbone.as_str()).collect();
    backbones.dedup();
    let mut found = Vec::new();
    for backbone in backbones {
        let of_backbone = || arms.iter().filter(|result| result.backbone == backbone);
        let plain = || of_backbone().filter(|result| !result.arm.is_generative());
        let best = plain().max_by(|a, b| a.minority_balanced.value.total_cmp(&b.minority_balanced.value));
        let real = plain()
            .find(|result| result.arm == Arm::Real)
            .or_else(|| plain().find(|result| result.arm == Arm::MajorityOnly));
        for result in of_backbone().filter(|result| result.arm.is_generative()) {
            let others = real.into_iter().chain(best.filter(|best| Some(best.arm) != real.map(|real| real.arm)));
            for against in others {
                let (difference, p_value) = paired(&result.by_seed, &against.by_seed);
                found.push(Comparison {
                    backbone: backbone.to_owned(),
                    arm: result.arm,
                    against: against.arm,
                    best: best.is_some_and(|best| best.arm == against.arm),
                    difference: within(difference, -1.0),
                    p_value,
                    corrected_p_value: None,
                });
            }
        }
    }
    let tested: Vec<f64> = found.iter().filter_map(|comparison| comparison.p_value).collect();
    let mut corrected = standin_attack::holm(&tested).into_iter();
    for comparison in found.iter_mut().filter(|comparison| comparison.p_value.is_some()) {
        comparison.corrected_p_value = corrected.next();
    }
    found
}

fn acceptance(branch: &Branch, inputs: &Inputs) -> Result<Option<AcceptanceSummary>, BoxedError> {
    let mut all = Vec::new();
    for accept in branch.repetitions.iter().filter_map(|repetition| repetition.accept) {
        all.push(read_json::<Acceptance>(&inputs.folder(accept)?.join("acceptance.json"))?);
    }
    let Some(first) = all.first() else { return Ok(None) };
    let sum = |figure: &dyn Fn(&Acceptance) -> usize| all.iter().map(figure).sum::<usize>();
    let (made, accepted) = (sum(&|one| one.made), sum(&|one| one.accepted.iter().sum()));
    let of_accepted = |judge: usize| (accepted > 0).then(|| wilson(sum(&|one| one.accepted_right[judge]), accepted));
    Ok(Some(AcceptanceSummary {
        made,
        accepted,
        by_class: first.accepted.clone(),
        made_of_class: wilson(sum(&|one| one.made_right[0]), made),
        made_of_minority: wilson(sum(&|one| one.made_right[1]), made),
        accepted_of_class: of_accepted(0),
        accepted_of_minority: of_accepted(1),
    }))
}

/// What was found about the synthetic images, pooled over the seeds.
fn examined(branch: &Branch, inputs: &Inputs) -> Result<(Vec<GroupFinding>, Vec<MeasureRow>), BoxedError> {
    let mut all: Vec<Vec<Examined>> = Vec::new();
    for examine in branch.repetitions.iter().filter_map(|repetition| repetition.examine) {
        all.push(read_json(&inputs.folder(examine)?.join("examined.json"))?);
    }
    let (mut memorised, mut measures) = (Vec::new(), Vec::new());
    let Some(first) = all.iter().max_by_key(|found| found.len()) else { return Ok((memorised, measures)) };
    for one in first {
        let same: Vec<&Examined> = all.iter().flatten().filter(|other| other.encoder == one.encoder).collect();
        for (at, side) in one.memorised.iter().enumerate() {
            let outcomes: Vec<Outcome> =
                same.iter().filter_map(|other| other.memorised.get(at)).map(|other| other.auc.clone()).collect();
            memorised.push(GroupFinding {
                encoder: one.encoder.clone(),
                side: side.side.clone(),
                members: side.members,
                non_members: side.non_members,
                auc: pool_outcomes_within(&outcomes, 0.0, 1.0),
            });
        }
        for row in &one.measures {
            let alike = |other: &&MeasureRow| other.measure == row.measure && other.against == row.against;
            let rows: Vec<&MeasureRow> = same.iter().filter_map(|other| other.measures.iter().find(alike)).collect();
            let references: Vec<Outcome> = rows.iter().filter_map(|row| row.reference.clone()).collect();
            measures.push(MeasureRow {
                outcome: pool_outcomes(&rows.iter().map(|row| row.outcome.clone()).collect::<Vec<_>>()),
                reference: (!references.is_empty()).then(|| pool_outcomes(&references)),
                ..row.clone()
            });
        }
    }
    Ok((memorised, measures))
}
