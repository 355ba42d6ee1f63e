//! The report as a page.

use askama::Template;
use standin_bench::augmentation::AugmentationSummary;

use super::Augmentation;
use crate::cell::{Cell, Note, Notes};
use crate::number::{Style, count, probability};
use crate::picture::{Budget, Shown};
use crate::section::{document, placed};

#[derive(Template)]
#[template(path = "augmentation_verdict.html")]
struct Verdict<'a> {
    warnings: &'a [String],
    headlines: Vec<String>,
    classes: Vec<ClassRow<'a>>,
    scenarios: Vec<&'a str>,
}

struct ClassRow<'a> {
    class: &'a str,
    /// Majority and minority: of the training images of each scenario, then of the test images.
    counts: Vec<usize>,
}

#[derive(Template)]
#[template(path = "augmentation_arms.html")]
struct Arms<'a> {
    tables: Vec<ArmTable<'a>>,
    notes: Vec<Note>,
    methods: String,
}

struct ArmTable<'a> {
    scenario: &'a str,
    anchor: String,
    rows: Vec<ArmRow<'a>>,
    comparisons: Vec<ComparisonRow<'a>>,
    skipped: Vec<String>,
}

struct ArmRow<'a> {
    backbone: &'a str,
    arm: String,
    generative: bool,
    cells: Vec<Cell>,
}

struct ComparisonRow<'a> {
    backbone: &'a str,
    arm: String,
    against: String,
    difference: Cell,
    p_value: String,
    corrected: String,
}

#[derive(Template)]
#[template(path = "augmentation_images.html")]
struct Images<'a> {
    scenarios: Vec<Made<'a>>,
    notes: Vec<Note>,
    methods: String,
}

struct Made<'a> {
    scenario: &'a str,
    anchor: String,
    accepted: Option<(String, String)>,
    judged: Vec<JudgedRow>,
    strengths: Vec<StrengthRow>,
    picture: Option<Shown>,
    rows_of_picture: String,
    memorised: Vec<MemorisedRow<'a>>,
    measures: Vec<MeasureRow<'a>>,
}

struct JudgedRow {
    what: &'static str,
    of_class: Cell,
    of_minority: Cell,
}

struct StrengthRow {
    strength: String,
    of_class: Cell,
    of_minority: Cell,
}

struct MemorisedRow<'a> {
    side: &'a str,
    encoder: &'a str,
    members: String,
    non_members: String,
    auc: Cell,
}

struct MeasureRow<'a> {
    measure: &'a str,
    against: &'a str,
    value: Cell,
    reference: Cell,
    better: &'a str,
}

/// What the study is about, in a line.
pub(super) fn facts(found: &AugmentationSummary) -> String {
    let values = |values: &[String]| values.join(", ");
    let seeds = found.seeds.len();
    let seeds = if seeds == 1 { "one seed".to_owned() } else { format!("{seeds} seeds") };
    format!(
        "{}; by {}: the majority is {}, the minority {}; {seeds}.",
        found.source,
        found.group,
        values(&found.majority),
        values(&found.minority),
    )
}

/// The whole page, one HTML document.
pub(super) fn page(report: &Augmentation) -> String {
    let found = &report.summary;
    let verdict = placed("verdict", "Verdict", Some(verdict(found)));
    let arms = placed("arms", "Arms", Some(arms(found)));
    let text = [&verdict, &arms].into_iter().flatten().map(|placed| placed.html.len()).sum();
    let images = images(report, text);
    let images = placed("images", "Images", (!images.scenarios.is_empty()).then_some(images));
    let title = format!("{}: do images of the minority help?", found.name);
    let sections = [verdict, arms, images].into_iter().flatten().collect();
    document(&found.name, title, &found.version, facts(found), sections)
}

fn verdict(found: &AugmentationSummary) -> Verdict<'_> {
    let counts_of = |at: usize| -> Vec<usize> {
        let scenarios = found.scenarios.iter().map(|scenario| scenario.train.get(at));
        let counts = scenarios.chain([found.test.get(at)]);
        counts.flat_map(|counts| counts.map_or([0, 0], |counts| [counts.majority, counts.minority])).collect()
    };
    Verdict {
        warnings: &found.warnings,
        headlines: found.scenarios.iter().map(Augmentation::headline).collect(),
        classes: found
            .classes
            .iter()
            .enumerate()
            .map(|(at, class)| ClassRow { class, counts: counts_of(at) })
            .collect(),
        scenarios: found.scenarios.iter().map(|scenario| scenario.name.as_str()).collect(),
    }
}

fn arms(found: &AugmentationSummary) -> Arms<'_> {
    let mut notes = Notes::new("arms");
    let tables = found
        .scenarios
        .iter()
        .enumerate()
        .map(|(at, scenario)| ArmTable {
            scenario: &scenario.name,
            anchor: format!("arms-{at}"),
            rows: scenario
                .arms
                .iter()
                .map(|result| ArmRow {
                    backbone: &result.backbone,
                    arm: result.arm.to_string(),
                    generative: result.arm.is_generative(),
                    cells: vec![
                        Cell::estimate(&result.minority_balanced, Style::Percent, &mut notes),
                        Cell::estimate(&result.minority, Style::Percent, &mut notes),
                        Cell::estimate(&result.majority_balanced, Style::Percent, &mut notes),
                        Cell::estimate(&result.worst, Style::Percent, &mut notes),
                        Cell::estimate(&result.gap, Style::Points, &mut notes),
                        Cell::estimate(&result.minority_calibration, Style::Decimal, &mut notes),
                    ],
                })
                .collect(),
            comparisons: scenario
                .comparisons
                .iter()
                .map(|comparison| ComparisonRow {
                    backbone: &comparison.backbone,
                    arm: comparison.arm.to_string(),
                    against: format!("{}{}", comparison.against, if comparison.best { " (best without)" } else { "" }),
                    difference: Cell::estimate(&comparison.difference, Style::Points, &mut notes),
                    p_value: comparison.p_value.map_or_else(|| "–".into(), probability),
                    corrected: comparison.corrected_p_value.map_or_else(|| "–".into(), probability),
                })
                .collect(),
            skipped: scenario
                .skipped
                .iter()
                .map(|skipped| match &skipped.backbone {
                    Some(backbone) => format!("{} with {backbone}: {}", skipped.arm, skipped.reason),
                    None => format!("{}: {}", skipped.arm, skipped.reason),
                })
                .collect(),
        })
        .collect();
    Arms { tables, notes: notes.list(), methods: notes.methods() }
}

fn images(report: &Augmentation, text: usize) -> Images<'_> {
    let mut notes = Notes::new("images");
    let mut budget = Budget::beside(text);
    let made = report.summary.scenarios.iter().enumerate().filter(|(_, scenario)| scenario.acceptance.is_some());
    let scenarios = made
        .map(|(at, scenario)| {
            let mut judged = Vec::new();
            if let Some(acceptance) = &scenario.acceptance {
                judged.push(JudgedRow {
                    what: "all made",
                    of_class: Cell::estimate(&acceptance.made_of_class, Style::Percent, &mut notes),
                    of_minority: Cell::estimate(&acceptance.made_of_minority, Style::Percent, &mut notes),
                });
                if let (Some(class), Some(minority)) = (&acceptance.accepted_of_class, &acceptance.accepted_of_minority)
                {
                    judged.push(JudgedRow {
                        what: "accepted",
                        of_class: Cell::estimate(class, Style::Percent, &mut notes),
                        of_minority: Cell::estimate(minority, Style::Percent, &mut notes),
                    });
                }
            }
            let picture = report.pictures.iter().find(|(name, _)| *name == scenario.name);
            let tried: Vec<String> = scenario.strengths.iter().map(|tried| tried.strength.to_string()).collect();
            Made {
                scenario: &scenario.name,
                anchor: format!("images-{at}"),
                accepted: scenario
                    .acceptance
                    .as_ref()
                    .map(|acceptance| (count(acceptance.accepted), count(acceptance.made))),
                judged,
                strengths: scenario
                    .strengths
                    .iter()
                    .map(|tried| StrengthRow {
                        strength: tried.strength.to_string(),
                        of_class: Cell::estimate(&tried.of_class, Style::Percent, &mut notes),
                        of_minority: Cell::estimate(&tried.of_minority, Style::Percent, &mut notes),
                    })
                    .collect(),
                picture: picture.map(|(_, png)| budget.show(png)),
                rows_of_picture: format!("sources, then strength {}", tried.join(", ")),
                memorised: scenario
                    .memorised
                    .iter()
                    .map(|finding| MemorisedRow {
                        side: &finding.side,
                        encoder: &finding.encoder,
                        members: count(finding.members),
                        non_members: count(finding.non_members),
                        auc: Cell::outcome(&finding.auc, Style::Decimal, &mut notes),
                    })
                    .collect(),
                measures: scenario
                    .measures
                    .iter()
                    .map(|row| MeasureRow {
                        measure: &row.measure,
                        against: &row.against,
                        value: Cell::outcome(&row.outcome, Style::Adaptive, &mut notes),
                        reference: Cell::optional(row.reference.as_ref(), Style::Adaptive, &mut notes),
                        better: &row.better,
                    })
                    .collect(),
            }
        })
        .collect();
    Images { scenarios, notes: notes.list(), methods: notes.methods() }
}
