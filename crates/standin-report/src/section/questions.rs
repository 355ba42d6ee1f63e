use askama::Template;
use standin_bench::summary::{Answer, Mitigation, PostProcessing, Summary};
use standin_measure::Estimate;

use crate::cell::{Cell, Note, Notes};
use crate::number::Style;
use crate::words;

/// The four questions with their answers, every mitigation beside the same run without it, and the order of post-processing.
#[derive(Template)]
#[template(path = "questions.html")]
pub(super) struct Section<'a> {
    questions: Vec<Question<'a>>,
    mitigations: Vec<Compared<'a>>,
    pairs: Vec<Pair<'a>>,
    notes: Vec<Note>,
    methods: String,
}

struct Question<'a> {
    answer: &'a Answer,
    /// Lines shown at once, and the others.
    first: &'a [String],
    others: &'a [String],
}

struct Compared<'a> {
    mitigation: &'a Mitigation,
    differences: String,
    accuracy: Cell,
    auc: Cell,
    effect: &'static str,
}

struct Pair<'a> {
    found: &'a PostProcessing,
    derived: Cell,
    source: Cell,
}

/// Lines of evidence shown at once.
const LINES: usize = 6;

impl<'a> Section<'a> {
    /// None where nothing was asked and nothing compared.
    pub(super) fn new(summary: &'a Summary) -> Option<Self> {
        if summary.questions.is_empty() && summary.mitigations.is_empty() && summary.post_processing.is_empty() {
            return None;
        }
        let mut notes = Notes::new("questions");
        let mitigations = summary.mitigations.iter().map(|mitigation| Compared {
            mitigation,
            differences: mitigation.differences.join("; "),
            accuracy: difference(mitigation.accuracy.as_ref(), Style::Points, &mut notes),
            auc: difference(mitigation.auc.as_ref(), Style::Difference, &mut notes),
            effect: words::effect(mitigation.effect),
        });
        let mitigations = mitigations.collect();
        let pairs = summary.post_processing.iter().map(|found| Pair {
            found,
            derived: Cell::estimate(&found.derived_auc, Style::Decimal, &mut notes),
            source: Cell::estimate(&found.source_auc, Style::Decimal, &mut notes),
        });
        let pairs = pairs.collect();
        let questions = summary.questions.iter().map(|answer| {
            let (first, others) = answer.evidence.split_at(answer.evidence.len().min(LINES));
            Question { answer, first, others }
        });
        Some(Self { questions: questions.collect(), mitigations, pairs, notes: notes.list(), methods: notes.methods() })
    }
}

/// A difference, marked where its interval leaves out 0.
fn difference(found: Option<&Estimate>, style: Style, notes: &mut Notes) -> Cell {
    let Some(found) = found else { return Cell::empty() };
    let mut cell = Cell::estimate(found, style, notes);
    if found.low > 0.0 || found.high < 0.0 {
        cell.class.push_str(" beyond");
    }
    cell
}
