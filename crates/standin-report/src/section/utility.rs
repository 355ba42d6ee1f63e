use std::collections::BTreeSet;

use askama::Template;
use standin_bench::summary::{GroupAccuracy, Release, Summary, Utility};
use standin_measure::Outcome;

use crate::cell::{Cell, Note, Notes};
use crate::number::{Style, count, fixed};
use crate::words;

/// How well classifiers do on real test images: overall, for each class and for each group of images.
#[derive(Template)]
#[template(path = "utility.html")]
pub(super) struct Section<'a> {
    rows: Vec<Row<'a>>,
    exchanges: Vec<Exchange<'a>>,
    columns: Vec<(&'a str, &'a str)>,
    classes: Vec<(&'a str, Vec<Cell>)>,
    groups: Vec<Group<'a>>,
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

/// One classifier with private and synthetic images in the place of each other.
struct Exchange<'a> {
    release: &'a str,
    classifier: &'a str,
    /// TSTR, TRTR, TRTS, T+S.
    cells: [Cell; 4],
}

/// The test images of one group, with each classifier trained on each release, then on the private images.
struct Group<'a> {
    column: &'a str,
    name: &'a str,
    images: usize,
    images_text: String,
    cells: Vec<Cell>,
}

/// A release with one of its classifiers.
type Judged<'a> = (&'a Release, &'a Utility);

impl<'a> Section<'a> {
    /// None where no classifier ran.
    pub(super) fn new(summary: &'a Summary) -> Option<Self> {
        let mut notes = Notes::new("utility");
        let all: Vec<Judged<'a>> = summary
            .releases
            .iter()
            .flat_map(|release| release.utility.iter().map(move |utility| (release, utility)))
            .collect();
        if all.is_empty() {
            return None;
        }
        let rows = all.iter().map(|(release, utility)| row(release, utility, &mut notes)).collect();
        let exchanges = all.iter().filter_map(|judged| exchange(*judged, &mut notes)).collect();
        let lowest: Vec<Option<usize>> = all.iter().map(|(_, utility)| lowest(&utility.per_class)).collect();
        let classes = summary.data.classes.iter().enumerate().map(|(class, name)| {
            let cells = all.iter().zip(&lowest).map(|((_, utility), lowest)| {
                let cell = accuracy_cell(utility.per_class.get(class), &mut notes);
                if *lowest == Some(class) { cell.with_remark("lowest class") } else { cell }
            });
            (name.as_str(), cells.collect())
        });
        let classes = classes.collect();
        let groups = groups(&all, &mut notes);
        Some(Self {
            rows,
            exchanges,
            columns: all
                .iter()
                .map(|(release, utility)| (release.name.as_str(), utility.classifier.as_str()))
                .collect(),
            classes,
            groups,
            notes: notes.list(),
            methods: notes.methods(),
        })
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

fn exchange<'a>((release, utility): Judged<'a>, notes: &mut Notes) -> Option<Exchange<'a>> {
    let others = [&utility.real, &utility.real_on_synthetic, &utility.augmented];
    if others.iter().all(|outcome| outcome.is_none()) {
        return None;
    }
    let mut other = |index: usize| Cell::optional(others[index].as_ref(), Style::Percent, notes);
    let [real, on_synthetic, augmented] = [other(0), other(1), other(2)];
    let own = Cell::estimate(&utility.accuracy, Style::Percent, notes);
    Some(Exchange {
        release: &release.name,
        classifier: &utility.classifier,
        cells: [own, real, on_synthetic, augmented],
    })
}

/// An accuracy with a background as deep as it is high.
fn accuracy_cell(outcome: Option<&Outcome>, notes: &mut Notes) -> Cell {
    let cell = Cell::optional(outcome, Style::Percent, notes);
    match outcome.and_then(|outcome| outcome.estimate()) {
        Some(estimate) => cell.with_heat(estimate.value),
        None => cell,
    }
}

/// Which of several measured outcomes is the lowest, where they differ.
fn lowest<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Option<usize> {
    let measured: Vec<(usize, f64)> = outcomes
        .into_iter()
        .enumerate()
        .filter_map(|(index, outcome)| Some((index, outcome.estimate()?.value)))
        .collect();
    let (index, least) = *measured.iter().min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    measured.iter().any(|(_, value)| *value > least).then_some(index)
}

/// Every group that a classifier was judged on, with one cell for each classifier of each release.
fn groups<'a>(all: &[Judged<'a>], notes: &mut Notes) -> Vec<Group<'a>> {
    let mut known: Vec<&'a GroupAccuracy> = Vec::new();
    let same = |a: &GroupAccuracy, b: &GroupAccuracy| a.column == b.column && a.group == b.group;
    for group in all.iter().flat_map(|(_, utility)| &utility.per_group) {
        if !known.iter().any(|other| same(other, group)) {
            known.push(group);
        }
    }
    let columns: BTreeSet<&str> = known.iter().map(|group| group.column.as_str()).collect();
    let mut weakest: Vec<Vec<&str>> = Vec::new();
    for (_, utility) in all {
        let within = |column: &&str| {
            let groups: Vec<&GroupAccuracy> =
                utility.per_group.iter().filter(|group| group.column == **column).collect();
            lowest(groups.iter().map(|group| &group.accuracy)).map(|index| groups[index].group.as_str())
        };
        weakest.push(columns.iter().map(|column| within(column).unwrap_or_default()).collect());
    }
    let row = |group: &&'a GroupAccuracy| {
        let column = columns.iter().position(|name| *name == group.column).unwrap_or(0);
        let cells = all.iter().zip(&weakest).map(|((_, utility), weakest)| {
            let found = utility.per_group.iter().find(|other| same(other, group));
            let cell = accuracy_cell(found.map(|found| &found.accuracy), notes);
            let mut remarks = Vec::new();
            if found.is_some() && weakest[column] == group.group {
                remarks.push("lowest group".to_owned());
            }
            if let Some(real) = found.and_then(|found| found.real.as_ref()).and_then(Outcome::estimate) {
                remarks.push(format!("private images: {}", Style::Percent.full(real)));
            }
            cell.with_remark(remarks.join("; "))
        });
        let cells = cells.collect();
        let images_text = count(group.images);
        Group { column: &group.column, name: &group.group, images: group.images, images_text, cells }
    };
    known.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use standin_measure::wilson;

    use super::*;

    #[test]
    fn the_lowest_is_marked_only_where_something_is_higher() {
        let found = |successes: usize| Outcome::Measured(wilson(successes, 100));
        let missing = Outcome::NotMeasurable("no images".into());
        assert_eq!(lowest(&[missing.clone(), found(80), found(60), found(70)]), Some(2));
        assert_eq!(lowest(&[found(80), found(80)]), None);
        assert_eq!(lowest(&[found(80), missing]), None);
        assert_eq!(lowest(&[]), None);
    }
}
