//! The comparison as a page.

use askama::Template;

use super::text::styles;
use super::{ComparedRelease, Comparison, Figure};
use crate::cell::{Cell, Note, Notes};
use crate::fold::FEW;
use crate::number::{Style, plain};
use crate::section::{document, placed};

#[derive(Template)]
#[template(path = "compare_verdicts.html")]
struct Verdicts<'a> {
    comparison: &'a Comparison,
    rows: Vec<Row<'a>>,
    changed: usize,
    methods: String,
}

struct Row<'a> {
    release: &'a ComparedRelease,
    accuracy: [Cell; 3],
    auc: [Cell; 3],
    epsilon: [String; 2],
}

#[derive(Template)]
#[template(path = "compare_configuration.html")]
struct Configuration<'a> {
    comparison: &'a Comparison,
}

#[derive(Template)]
#[template(path = "compare_figures.html")]
struct Figures<'a> {
    releases: Vec<Entry<'a>>,
    open: bool,
    notes: Vec<Note>,
    methods: String,
}

struct Entry<'a> {
    release: &'a ComparedRelease,
    anchor: String,
    beyond: usize,
    rows: Vec<(&'a Figure, [Cell; 3])>,
}

/// The whole page, one HTML document.
pub(super) fn page(comparison: &Comparison) -> String {
    let Comparison { a, b, .. } = comparison;
    let name = format!("{} against {}", b.study, a.study);
    let facts = format!("A: {} ({}). B: {} ({}). Differences are B less A.", a.study, a.label, b.study, b.label);
    let configuration = (!comparison.configuration.is_empty()).then_some(Configuration { comparison });
    let sections = [
        placed("verdict", "Verdicts", Some(verdicts(comparison))),
        placed("configuration", "Configuration", configuration),
        placed("figures", "Figures", (!comparison.releases.is_empty()).then(|| figures(comparison))),
    ];
    let title = format!("{name}: two studies compared");
    document(&name, title, env!("CARGO_PKG_VERSION"), facts, sections.into_iter().flatten().collect())
}

fn verdicts(comparison: &Comparison) -> Verdicts<'_> {
    let mut notes = Notes::new("verdicts");
    let mut first = |release: &ComparedRelease, start: &str| {
        let figure = release.figures.iter().find(|figure| figure.figure.starts_with(start));
        figure.map_or_else(|| [Cell::empty(), Cell::empty(), Cell::empty()], |figure| cells(figure, &mut notes))
    };
    let row = |release| Row {
        release,
        accuracy: first(release, "accuracy of"),
        auc: first(release, "AUC of the strongest"),
        epsilon: release.epsilon.map(|epsilon| epsilon.map_or("–".into(), plain)),
    };
    let rows = comparison.releases.iter().map(row).collect();
    Verdicts { comparison, rows, changed: comparison.changed().count(), methods: notes.methods() }
}

fn figures(comparison: &Comparison) -> Figures<'_> {
    let mut notes = Notes::new("figures");
    let entry = |(index, release): (usize, &'_ ComparedRelease)| {
        let rows: Vec<[Cell; 3]> = release.figures.iter().map(|figure| cells(figure, &mut notes)).collect();
        (index, rows)
    };
    let filled: Vec<(usize, Vec<[Cell; 3]>)> = comparison.releases.iter().enumerate().map(entry).collect();
    let releases = filled
        .into_iter()
        .map(|(index, cells)| {
            let release = &comparison.releases[index];
            Entry {
                release,
                anchor: format!("figures-{index}"),
                beyond: release.figures.iter().filter(|figure| figure.is_beyond_chance()).count(),
                rows: release.figures.iter().zip(cells).collect(),
            }
        })
        .collect();
    Figures { releases, open: comparison.releases.len() <= FEW, notes: notes.list(), methods: notes.methods() }
}

/// A, B and the difference.
fn cells(figure: &Figure, notes: &mut Notes) -> [Cell; 3] {
    let (value, change) = styles(figure);
    let [a, b] = [&figure.a, &figure.b].map(|outcome| Cell::optional(outcome.as_ref(), value, notes));
    [a, b, difference(figure, change, notes)]
}

fn difference(figure: &Figure, style: Style, notes: &mut Notes) -> Cell {
    let Some(found) = &figure.difference else { return Cell::empty() };
    let mut cell = Cell::estimate(found, style, notes);
    if figure.is_beyond_chance() {
        cell.class.push_str(" beyond");
    }
    cell
}
