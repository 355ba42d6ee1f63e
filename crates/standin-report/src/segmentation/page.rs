//! The scores as a page.

use askama::Template;
use standin_segment::{LabelScores, Plane};

use super::Segmentation;
use crate::cell::{Cell, Note, Notes};
use crate::number::{Style, count, fixed, probability};
use crate::picture::{Budget, Shown};
use crate::section::{document, placed};

#[derive(Template)]
#[template(path = "segmentation_scores.html")]
struct Scores<'a> {
    warnings: Vec<String>,
    headlines: Vec<String>,
    rows: Vec<Row<'a>>,
    notes: Vec<Note>,
    methods: String,
}

struct Row<'a> {
    name: &'a str,
    label: u32,
    volumes: String,
    cells: [Cell; 5],
    without: usize,
}

#[derive(Template)]
#[template(path = "segmentation_comparison.html")]
struct Comparison {
    rows: Vec<Compared>,
    runs: [usize; 2],
    notes: Vec<Note>,
    methods: String,
}

struct Compared {
    label: u32,
    score: String,
    first: String,
    second: String,
    difference: Cell,
    better: [usize; 2],
    p: String,
    wilcoxon: String,
}

#[derive(Template)]
#[template(path = "segmentation_volumes.html")]
struct Volumes<'a> {
    tables: Vec<Table<'a>>,
}

struct Table<'a> {
    name: &'a str,
    anchor: String,
    rows: Vec<Volume<'a>>,
}

struct Volume<'a> {
    name: &'a str,
    label: u32,
    predicted: String,
    reference: String,
    numbers: [(String, f64); 2],
    distances: [Option<(String, f64)>; 3],
}

#[derive(Template)]
#[template(path = "segmentation_pictures.html")]
struct Pictures<'a> {
    run: &'a str,
    volumes: Vec<Pictured<'a>>,
}

struct Pictured<'a> {
    name: &'a str,
    dice: String,
    planes: Vec<(&'static str, usize, Shown)>,
}

/// The whole page, one HTML document.
pub(super) fn page(found: &Segmentation) -> String {
    let scores = placed("scores", "Scores", Some(scores(found)));
    let comparison = placed("comparison", "Comparison", comparison(found));
    let volumes = placed("volumes", "Volumes", Some(volumes(found)));
    let text = [&scores, &comparison, &volumes].into_iter().flatten().map(|placed| placed.html.len()).sum();
    let pictures = placed("pictures", "Pictures", pictures(found, text));
    let count_of = found.runs.first().map_or(0, |run| run.evaluation.volumes.len());
    let facts = format!("{} volumes, references in {}", count(count_of), found.references);
    let sections = [scores, comparison, pictures, volumes].into_iter().flatten().collect();
    document("Segmentations", "How good are the segmentations?".into(), found.version, facts, sections)
}

fn scores(found: &Segmentation) -> Scores<'_> {
    let mut notes = Notes::new("scores");
    let mut rows = Vec::new();
    for run in found.runs.iter().chain(&found.against) {
        for label in &run.evaluation.labels {
            let measured = [
                &label.dice,
                &label.jaccard,
                &label.average_surface_distance,
                &label.average_symmetric_surface_distance,
                &label.hausdorff_95,
            ];
            rows.push(Row {
                name: &run.name,
                label: label.label,
                volumes: format!("{} of {}", label.scored, label.scored + label.absent),
                cells: measured.map(|outcome| Cell::outcome(outcome, Style::Decimal, &mut notes)),
                without: label.without_distance,
            });
        }
    }
    let (warnings, headlines) = (found.warnings(), found.headlines());
    Scores { warnings, headlines, rows, notes: notes.list(), methods: notes.methods() }
}

fn comparison(found: &Segmentation) -> Option<Comparison> {
    let mut notes = Notes::new("comparison");
    let p = |value: Option<f64>| value.map_or_else(|| "–".into(), probability);
    let rows: Vec<Compared> = found
        .comparison
        .iter()
        .map(|score| Compared {
            label: score.label,
            score: score.score.clone(),
            first: fixed(score.first, 4),
            second: fixed(score.second, 4),
            difference: Cell::outcome(&score.difference, Style::Decimal, &mut notes),
            better: score.better,
            p: p(score.p_value),
            wilcoxon: p(score.wilcoxon_p_value),
        })
        .collect();
    let runs = [found.runs.len(), found.against.len()];
    (!rows.is_empty()).then(|| Comparison { rows, runs, notes: notes.list(), methods: notes.methods() })
}

fn volumes(found: &Segmentation) -> Volumes<'_> {
    let runs = found.runs.iter().chain(&found.against).enumerate();
    let tables = runs.map(|(index, run)| {
        let rows = run.evaluation.volumes.iter();
        let rows = rows.flat_map(|volume| volume.labels.iter().map(|scores| row(&volume.name, scores)));
        Table { name: &run.name, anchor: format!("volumes-{index}"), rows: rows.collect() }
    });
    Volumes { tables: tables.collect() }
}

fn row<'a>(name: &'a str, scores: &LabelScores) -> Volume<'a> {
    let number = |value: f64| (fixed(value, 3), value);
    let surface = scores.surface;
    Volume {
        name,
        label: scores.label,
        predicted: count(scores.voxels.predicted as usize),
        reference: count(scores.voxels.reference as usize),
        numbers: [number(scores.dice), number(scores.jaccard)],
        distances: [
            surface.map(|surface| number(surface.average)),
            surface.map(|surface| number(surface.average_symmetric)),
            surface.map(|surface| number(surface.hausdorff_95)),
        ],
    }
}

fn pictures(found: &Segmentation, text: usize) -> Option<Pictures<'_>> {
    let run = found.runs.first()?;
    let mut budget = Budget::beside(text);
    let dice = |name: &str| {
        let volume = run.evaluation.volumes.iter().find(|volume| volume.name == name);
        let each = volume.into_iter().flat_map(|volume| &volume.labels);
        each.map(|scores| format!("{} (label {})", fixed(scores.dice, 3), scores.label)).collect::<Vec<_>>().join(", ")
    };
    let volumes: Vec<Pictured<'_>> = found
        .pictures
        .iter()
        .map(|volume| Pictured {
            name: &volume.name,
            dice: dice(&volume.name),
            planes: volume
                .overlays
                .iter()
                .map(|overlay| {
                    let plane = match overlay.plane {
                        Plane::Axial => "axial",
                        Plane::Coronal => "coronal",
                        Plane::Sagittal => "sagittal",
                    };
                    (plane, overlay.slice, budget.show(&overlay.png))
                })
                .collect(),
        })
        .collect();
    (!volumes.is_empty()).then_some(Pictures { run: &run.name, volumes })
}
