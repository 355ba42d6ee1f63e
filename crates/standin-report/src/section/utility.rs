use askama::Template;
use standin_bench::summary::{Release, Summary, Utility};

use crate::cell::{Cell, Note, Notes};
use crate::number::{Style, fixed};
use crate::words;

/// How well classifiers do on real test images, overall and for each class.
#[derive(Template)]
#[template(path = "utility.html")]
pub(super) struct Section<'a> {
    rows: Vec<Row<'a>>,
    columns: Vec<(&'a str, &'a str)>,
    classes: Vec<(&'a str, Vec<Cell>)>,
    notes: Vec<Note>,
    methods: String,
}

struct Row<'a> {
    release: &'a str,
    kind: &'static str,
    classifier: &'a str,
    accuracy: Cell,
    balanced_accuracy: Cell,
    replacement_ratio: Cell,
    per_seed: String,
}

impl<'a> Section<'a> {
    pub(super) fn new(summary: &'a Summary) -> Self {
        let mut notes = Notes::new("utility");
        let all: Vec<(&Release, &Utility)> = summary
            .releases
            .iter()
            .flat_map(|release| release.utility.iter().map(move |utility| (release, utility)))
            .collect();
        let rows = all.iter().map(|(release, utility)| row(release, utility, &mut notes)).collect();
        let classes = summary.data.classes.iter().enumerate().map(|(class, name)| {
            let cells = all.iter().map(|(_, utility)| class_cell(utility, class, &mut notes)).collect();
            (name.as_str(), cells)
        });
        let classes = classes.collect();
        Self {
            rows,
            columns: all
                .iter()
                .map(|(release, utility)| (release.name.as_str(), utility.classifier.as_str()))
                .collect(),
            classes,
            notes: notes.list(),
            methods: notes.methods(),
        }
    }
}

fn row<'a>(release: &'a Release, utility: &'a Utility, notes: &mut Notes) -> Row<'a> {
    let ratio = utility.replacement_ratio.as_ref();
    let per_seed: Vec<_> = utility.per_seed.iter().map(|accuracy| fixed(100.0 * accuracy, 1)).collect();
    Row {
        release: &release.name,
        kind: words::kind(release.kind),
        classifier: &utility.classifier,
        accuracy: Cell::estimate(&utility.accuracy, Style::Percent, notes),
        balanced_accuracy: Cell::estimate(&utility.balanced_accuracy, Style::Percent, notes),
        replacement_ratio: ratio.map_or_else(Cell::empty, |ratio| Cell::estimate(ratio, Style::Decimal, notes)),
        per_seed: per_seed.join(" · "),
    }
}

fn class_cell(utility: &Utility, class: usize, notes: &mut Notes) -> Cell {
    let outcome = utility.per_class.get(class);
    let cell = Cell::optional(outcome, Style::Percent, notes);
    match outcome.and_then(|outcome| outcome.estimate()) {
        Some(estimate) => cell.with_heat(estimate.value),
        None => cell,
    }
}
