use askama::Template;
use standin_bench::summary::{MeasureRow, Summary};

use crate::cell::{Cell, Note, Notes};
use crate::fold::Prominent;
use crate::number::Style;

/// Fidelity, variety and copying, each against the training and the holdout images side by side.
#[derive(Template)]
#[template(path = "measures.html")]
pub(super) struct Section<'a> {
    tables: Vec<Table<'a>>,
    notes: Vec<Note>,
    methods: String,
}

/// The measures of one aspect, either those that compare or those that do not.
struct Table<'a> {
    anchor: String,
    caption: String,
    columns: Vec<Column>,
    rows: Vec<Row<'a>>,
    /// Rows of the releases that are not shown at once.
    folded: Vec<Row<'a>>,
    /// Every protocol of the table once; rows refer to them by number.
    protocols: Vec<&'a str>,
}

/// A comparison, or the reference of one, that at least one row of the table has.
#[derive(Clone, Copy)]
struct Column {
    heading: &'static str,
    side: &'static str,
    reference: bool,
}

struct Row<'a> {
    measure: &'a str,
    release: &'a str,
    better: &'a str,
    encoder: &'a str,
    /// Number of the protocol below the table, from 1.
    protocol: usize,
    cells: Vec<Cell>,
}

/// One measure of one release: its rows against different sides belong together.
struct Line<'a> {
    release: &'a str,
    first: &'a MeasureRow,
    rows: Vec<&'a MeasureRow>,
}

/// What a measure can be compared with, each followed by its reference.
const COLUMNS: [Column; 6] = [
    Column { heading: "Against training images", side: "train", reference: false },
    Column { heading: "Reference", side: "train", reference: true },
    Column { heading: "Against holdout images", side: "holdout", reference: false },
    Column { heading: "Reference", side: "holdout", reference: true },
    Column { heading: "Value", side: "", reference: false },
    Column { heading: "Reference", side: "", reference: true },
];

impl<'a> Section<'a> {
    pub(super) fn new(summary: &'a Summary) -> Self {
        let mut notes = Notes::new("measures");
        let prominent = Prominent::of(summary);
        let lines = lines(summary);
        let mut aspects: Vec<&str> = Vec::new();
        for line in &lines {
            if !aspects.contains(&line.first.aspect.as_str()) {
                aspects.push(&line.first.aspect);
            }
        }
        let mut tables = Vec::new();
        for aspect in aspects {
            let (alone, comparing): (Vec<&Line<'_>>, Vec<&Line<'_>>) = lines
                .iter()
                .filter(|line| line.first.aspect == aspect)
                .partition(|line| side_of(line.first).is_empty());
            for (lines, caption) in [(comparing, aspect.to_owned()), (alone, format!("{aspect}, without comparison"))] {
                if !lines.is_empty() {
                    tables.push(table(tables.len(), caption, lines, &prominent, &mut notes));
                }
            }
        }
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
                    && side_of(line.first).is_empty() == side_of(row).is_empty()
                    && line.row(side_of(row)).is_none()
            });
            match known {
                Some(line) => line.rows.push(row),
                None => lines.push(Line { release: &release.name, first: row, rows: vec![row] }),
            }
        }
    }
    lines
}

fn table<'a>(
    index: usize,
    caption: String,
    mut lines: Vec<&Line<'a>>,
    prominent: &Prominent<'_>,
    notes: &mut Notes,
) -> Table<'a> {
    // Releases are compared measure by measure and protocol by protocol, in the order of first appearance.
    let order: Vec<(&str, &str)> = lines.iter().map(|line| (&*line.first.measure, &*line.first.stamp)).collect();
    lines.sort_by_key(|line| {
        let measure = order.iter().position(|(measure, _)| *measure == line.first.measure);
        let protocol = order.iter().position(|key| *key == (&*line.first.measure, &*line.first.stamp));
        (measure, protocol)
    });
    let mut protocols: Vec<&str> = Vec::new();
    for line in &lines {
        if !protocols.contains(&line.first.stamp.as_str()) {
            protocols.push(&line.first.stamp);
        }
    }
    let used = |column: &Column| {
        lines.iter().filter_map(|line| line.row(column.side)).any(|row| !column.reference || row.reference.is_some())
    };
    let columns: Vec<Column> = COLUMNS.into_iter().filter(used).collect();
    let rows = lines.iter().map(|line| Row {
        measure: &line.first.measure,
        release: line.release,
        better: &line.first.better,
        encoder: line.first.stamp.split(" (").next().unwrap_or(&line.first.stamp),
        protocol: 1 + protocols.iter().position(|stamp| *stamp == line.first.stamp).unwrap_or(0),
        cells: columns.iter().map(|column| cell(line, *column, notes)).collect(),
    });
    let (rows, folded) = rows.partition(|row| prominent.shows(row.release));
    Table { anchor: format!("measures-{index}"), caption, columns, rows, folded, protocols }
}

impl<'a> Line<'a> {
    fn row(&self, side: &str) -> Option<&'a MeasureRow> {
        self.rows.iter().find(|row| side_of(row) == side).copied()
    }
}

/// The side a row belongs to; a comparison the page has no column for stands by itself.
fn side_of(row: &MeasureRow) -> &str {
    if matches!(row.against.as_str(), "train" | "holdout") { &row.against } else { "" }
}

fn cell(line: &Line<'_>, column: Column, notes: &mut Notes) -> Cell {
    let row = line.row(column.side);
    let outcome =
        if column.reference { row.and_then(|row| row.reference.as_ref()) } else { row.map(|row| &row.outcome) };
    Cell::optional(outcome, Style::Adaptive, notes)
}
