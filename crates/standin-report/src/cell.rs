//! Table cells: a value with its interval, or "not measurable" with a note that says why.

use std::collections::BTreeSet;

use askama::Template;
use standin_measure::{Estimate, Outcome};

use crate::number::{Style, count};

/// One cell of a table. Renders as a `td`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "cell.html")]
pub(crate) struct Cell {
    /// What the cell says.
    pub(crate) text: String,
    /// The interval, on a line of its own.
    pub(crate) interval: String,
    /// What distinguishes the cell from its neighbours, on a line of its own.
    pub(crate) remark: String,
    /// The full value, for sorting and for machines; empty where there is none.
    pub(crate) value: String,
    /// How the interval was computed and from how many observations.
    pub(crate) basis: String,
    /// The note that explains the cell: the identifier of its anchor and its mark.
    pub(crate) note: Option<(String, String)>,
    /// Classes of the element.
    pub(crate) class: String,
    /// Depth of the background from 0 to 100, in heat tables.
    pub(crate) heat: Option<String>,
    /// A drawing behind the numbers, which it repeats.
    pub(crate) drawing: String,
}

impl Cell {
    /// A cell with nothing to report.
    pub(crate) fn empty() -> Self {
        Self { text: "–".into(), class: "number none".into(), ..Self::default() }
    }

    /// An estimate with its interval.
    pub(crate) fn estimate(estimate: &Estimate, style: Style, notes: &mut Notes) -> Self {
        notes.methods.insert(estimate.method.clone());
        Self {
            text: style.value(estimate),
            interval: style.interval(estimate),
            value: estimate.value.to_string(),
            basis: format!("{}, n = {}", estimate.method, count(estimate.n)),
            class: "number".into(),
            ..Self::default()
        }
    }

    /// An outcome: the estimate, or "not measurable" with a mark that leads to the reason.
    pub(crate) fn outcome(outcome: &Outcome, style: Style, notes: &mut Notes) -> Self {
        match outcome {
            Outcome::Measured(estimate) => Self::estimate(estimate, style, notes),
            Outcome::NotMeasurable(reason) => Self {
                text: "not measurable".into(),
                note: Some(notes.mark(reason)),
                class: "number none".into(),
                ..Self::default()
            },
        }
    }

    /// An outcome where there may be none.
    pub(crate) fn optional(outcome: Option<&Outcome>, style: Style, notes: &mut Notes) -> Self {
        outcome.map_or_else(Self::empty, |outcome| Self::outcome(outcome, style, notes))
    }

    /// The cell with a remark below its number.
    pub(crate) fn with_remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = remark.into();
        self
    }

    /// The cell with a background as deep as `share`, from 0 to 1.
    pub(crate) fn with_heat(mut self, share: f64) -> Self {
        self.heat = Some(format!("{:.0}", 100.0 * share.clamp(0.0, 1.0)));
        self
    }
}

/// The notes under one table.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    prefix: &'static str,
    /// Why cells are not measurable, each reason once, in the order of first use.
    pub(crate) reasons: Vec<String>,
    /// How the intervals of the table were computed.
    pub(crate) methods: BTreeSet<String>,
}

/// One note as the page prints it.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) anchor: String,
    pub(crate) mark: String,
    pub(crate) text: String,
}

impl Notes {
    /// No notes yet; anchors start with `prefix`, unique on the page.
    pub(crate) fn new(prefix: &'static str) -> Self {
        Self { prefix, reasons: Vec::new(), methods: BTreeSet::new() }
    }

    /// The anchor and the mark of a reason, which is kept if it is new.
    fn mark(&mut self, reason: &str) -> (String, String) {
        let known = self.reasons.iter().position(|other| other == reason);
        let index = known.unwrap_or_else(|| {
            self.reasons.push(reason.into());
            self.reasons.len() - 1
        });
        (self.anchor(index), letters(index))
    }

    fn anchor(&self, index: usize) -> String {
        format!("{}-note-{}", self.prefix, letters(index))
    }

    /// The notes in the order of their marks.
    pub(crate) fn list(&self) -> Vec<Note> {
        let note = |(index, reason): (usize, &String)| Note {
            anchor: self.anchor(index),
            mark: letters(index),
            text: reason.clone(),
        };
        self.reasons.iter().enumerate().map(note).collect()
    }

    /// How the intervals were computed, in one line.
    pub(crate) fn methods(&self) -> String {
        self.methods.iter().cloned().collect::<Vec<_>>().join("; ")
    }
}

/// a, b, …, z, aa, ab, ….
fn letters(index: usize) -> String {
    let last = char::from(b'a' + (index % 26) as u8);
    if index < 26 { last.into() } else { format!("{}{last}", letters(index / 26 - 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_reasons_share_one_note() {
        let mut notes = Notes::new("attacks");
        let outcome = |reason: &str| Outcome::NotMeasurable(reason.into());
        let first = Cell::outcome(&outcome("too few"), Style::Percent, &mut notes);
        let other = Cell::outcome(&outcome("no labels"), Style::Percent, &mut notes);
        let again = Cell::outcome(&outcome("too few"), Style::Percent, &mut notes);
        assert_eq!(first.note, again.note);
        assert_ne!(first.note, other.note);
        assert_eq!(notes.list().len(), 2);
    }

    #[test]
    fn marks_do_not_run_out() {
        assert_eq!([0, 25, 26, 51, 52].map(letters), ["a", "z", "aa", "az", "ba"]);
    }
}
