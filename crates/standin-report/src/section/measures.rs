use askama::Template;
use standin_bench::summary::{MeasureRow, Summary};

use crate::cell::{Cell, Note, Notes};
use crate::number::Style;

/// Fidelity, variety and copying, each against the training and the holdout images side by side.
#[derive(Template)]
#[template(path = "measures.html")]
pub(super) struct Section<'a> {
    tables: Vec<Table<'a>>,
    notes: Vec<Note>,
    methods: String,
}

/// The measures of one aspect.
struct Table<'a> {
    anchor: String,
    aspect: &'a str,
    /// What is compared with, as it heads the columns; those without a value are not here.
    sides: Vec<&'static str>,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    measure: &'a str,
    release: &'a str,
    better: &'a str,
    stamp: &'a str,
    /// For each side, the value and its reference.
    cells: Vec<(Cell, Cell)>,
}

/// One measure of one release: its rows against different sides belong together.
struct Line<'a> {
    release: &'a str,
    first: &'a MeasureRow,
    rows: Vec<&'a MeasureRow>,
}

/// What a measure can be compared with, as the summary and as the page calls it.
const SIDES: [(&str, &str); 3] =
    [("train", "Against training images"), ("holdout", "Against holdout images"), ("", "By itself")];

impl<'a> Section<'a> {
    pub(super) fn new(summary: &'a Summary) -> Self {
        let mut notes = Notes::new("measures");
        let lines = lines(summary);
        let mut aspects: Vec<&str> = Vec::new();
        for line in &lines {
            if !aspects.contains(&line.first.aspect.as_str()) {
                aspects.push(&line.first.aspect);
            }
        }
        let tables = aspects.into_iter().enumerate();
        let tables = tables.map(|(index, aspect)| table(index, aspect, &lines, &mut notes)).collect();
        Self { tables, notes: notes.list(), methods: notes.methods() }
    }
}

/// The rows of all releases, those of one release, measure and protocol together.
fn lines(summary: &Summary) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for release in &summary.releases {
        for row in &release.measures {
            let known = lines.iter_mut().find(|line| {
                line.release == release.name
                    && line.first.measure == row.measure
                    && line.first.stamp == row.stamp
                    && line.first.aspect == row.aspect
                    && line.rows.iter().all(|other| other.against != row.against)
            });
            match known {
                Some(line) => line.rows.push(row),
                None => lines.push(Line { release: &release.name, first: row, rows: vec![row] }),
            }
        }
    }
    lines
}

fn table<'a>(index: usize, aspect: &'a str, lines: &[Line<'a>], notes: &mut Notes) -> Table<'a> {
    let mut lines: Vec<&Line<'a>> = lines.iter().filter(|line| line.first.aspect == aspect).collect();
    // Releases are compared measure by measure, in the order in which the measures first appear.
    let order: Vec<&str> = lines.iter().map(|line| line.first.measure.as_str()).collect();
    lines.sort_by_key(|line| order.iter().position(|measure| *measure == line.first.measure));
    let used = |side: &str| lines.iter().any(|line| line.rows.iter().any(|row| side_of(row) == side));
    let sides: Vec<(&str, &str)> = SIDES.into_iter().filter(|(side, _)| used(side)).collect();
    let rows = lines.iter().map(|line| Row {
        measure: &line.first.measure,
        release: line.release,
        better: &line.first.better,
        stamp: &line.first.stamp,
        cells: sides.iter().map(|(side, _)| pair(line, side, notes)).collect(),
    });
    let rows = rows.collect();
    Table {
        anchor: format!("measures-{index}"),
        aspect,
        sides: sides.iter().map(|(_, heading)| *heading).collect(),
        rows,
    }
}

/// The side a row belongs to; a comparison the page has no column for stands by itself.
fn side_of(row: &MeasureRow) -> &str {
    if matches!(row.against.as_str(), "train" | "holdout") { &row.against } else { "" }
}

fn pair(line: &Line<'_>, side: &str, notes: &mut Notes) -> (Cell, Cell) {
    match line.rows.iter().find(|row| side_of(row) == side) {
        Some(row) => (
            Cell::outcome(&row.outcome, Style::Adaptive, notes),
            Cell::optional(row.reference.as_ref(), Style::Adaptive, notes),
        ),
        None => (Cell::empty(), Cell::empty()),
    }
}
