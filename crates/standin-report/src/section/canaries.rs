use askama::Template;
use standin_bench::summary::{CanaryRow, Release, Summary};

use crate::cell::{Cell, Note, Notes};
use crate::number::{Style, count, fixed, probability};
use crate::plot::interval_bar;

/// What audits with canaries found, beside what is promised.
#[derive(Template)]
#[template(path = "canaries.html")]
pub(super) struct Section<'a> {
    rows: Vec<Row<'a>>,
    scores: Vec<String>,
    notes: Vec<Note>,
    methods: String,
}

struct Row<'a> {
    release: &'a str,
    audit: &'a CanaryRow,
    runs: String,
    auc: Cell,
    p_value: String,
    rate: Cell,
    guesses: String,
    lower: String,
    claimed: String,
}

impl<'a> Section<'a> {
    /// None where nothing was audited.
    pub(super) fn new(summary: &'a Summary) -> Option<Self> {
        let mut notes = Notes::new("canaries");
        let audits =
            || summary.releases.iter().flat_map(|release| release.canaries.iter().map(move |row| (release, row)));
        let rows: Vec<Row<'a>> = audits().map(|(release, audit)| row(release, audit, &mut notes)).collect();
        if rows.is_empty() {
            return None;
        }
        let mut scores: Vec<String> = Vec::new();
        for (release, audit) in audits() {
            let text = format!("{}: canaries are scored by the {}", release.name, audit.score);
            if !scores.contains(&text) {
                scores.push(text);
            }
        }
        Some(Self { rows, scores, notes: notes.list(), methods: notes.methods() })
    }
}

/// A promised ε, never below what is promised.
fn claimed(epsilon: f64) -> String {
    fixed((100.0 * epsilon).ceil() / 100.0, 2)
}

fn row<'a>(release: &'a Release, audit: &'a CanaryRow, notes: &mut Notes) -> Row<'a> {
    let mut auc = Cell::estimate(&audit.auc, Style::Decimal, notes);
    auc.drawing = interval_bar(&audit.auc, (0.4, 1.0), 0.5, 0.5);
    let at_1_percent = audit.true_positive_rates.iter().find(|rate| rate.false_positive_rate == 0.01);
    Row {
        release: &release.name,
        audit,
        runs: format!("{} × {} runs, {} guessed", count(audit.canaries), audit.runs, audit.guessed_runs),
        auc,
        p_value: probability(audit.p_value),
        rate: Cell::optional(at_1_percent.map(|rate| &rate.outcome), Style::Percent, notes),
        guesses: format!("{} of {}", audit.right_guesses, audit.guesses),
        lower: fixed(audit.epsilon_lower.epsilon, 2),
        claimed: audit.epsilon_claimed.map_or("–".into(), claimed),
    }
}
