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
    /// Accuracies by class: one row a class, or one row a release and classifier where there are many of these.
    classes: Vec<(&'a str, Vec<Cell>)>,
    turned: Vec<(&'a str, &'a str, Vec<Cell>)>,
    class_names: Vec<&'a str>,
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

/// The test images of one group with one classifier.
struct Group<'a> {
    found: &'a GroupAccuracy,
    images: String,
    release: &'a str,
    classifier: &'a str,
    accuracy: Cell,
    real: Cell,
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
        let classes: Vec<(&str, Vec<Cell>)> = classes.collect();
        let class_names: Vec<&str> = classes.iter().map(|(name, _)| *name).collect();
        let (classes, turned) =
            if all.len() > MOST_COLUMNS { (Vec::new(), turn(&all, classes)) } else { (classes, Vec::new()) };
        let groups = groups(&all, &mut notes);
        Some(Self {
            rows,
            exchanges,
            columns: all
                .iter()
                .map(|(release, utility)| (release.name.as_str(), utility.classifier.as_str()))
                .collect(),
            classes,
            turned,
            class_names,
            groups,
            notes: notes.list(),
            methods: notes.methods(),
        })
    }
}

/// Releases and classifiers that stand beside each other; more stand below each other.
const MOST_COLUMNS: usize = 6;

/// Rows by class as rows by release.
fn turn<'a>(all: &[Judged<'a>], classes: Vec<(&'a str, Vec<Cell>)>) -> Vec<(&'a str, &'a str, Vec<Cell>)> {
    let mut rows: Vec<(&str, &str, Vec<Cell>)> =
        all.iter().map(|(release, utility)| (release.name.as_str(), utility.classifier.as_str(), Vec::new())).collect();
    for (_, cells) in classes {
        rows.iter_mut().zip(cells).for_each(|((.., row), cell)| row.push(cell));
    }
    rows
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

/// Every group with each classifier that was judged on it, the groups of one column together.
fn groups<'a>(all: &[Judged<'a>], notes: &mut Notes) -> Vec<Group<'a>> {
    let mut order: Vec<(&str, &str)> = Vec::new();
    let mut groups = Vec::new();
    for (release, utility) in all {
        for found in &utility.per_group {
            let column: Vec<&GroupAccuracy> =
                utility.per_group.iter().filter(|other| other.column == found.column).collect();
            let weakest = lowest(column.iter().map(|group| &group.accuracy)).map(|index| column[index]);
            let accuracy = accuracy_cell(Some(&found.accuracy), notes);
            let is_weakest = weakest.is_some_and(|weakest| std::ptr::eq(weakest, found));
            let key = (found.column.as_str(), found.group.as_str());
            if !order.contains(&key) {
                order.push(key);
            }
            groups.push(Group {
                found,
                images: count(found.images),
                release: &release.name,
                classifier: &utility.classifier,
                accuracy: if is_weakest { accuracy.with_remark("lowest group") } else { accuracy },
                real: match &found.real {
                    Some(outcome) => accuracy_cell(Some(outcome), notes),
                    None => Cell::empty(),
                },
            });
        }
    }
    let place = |group: &Group<'_>| {
        order.iter().position(|key| *key == (group.found.column.as_str(), group.found.group.as_str()))
    };
    groups.sort_by_key(place);
    groups
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
