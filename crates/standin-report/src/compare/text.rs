//! The comparison as Markdown.

use super::{Comparison, Figure};
use crate::markdown::{inline, table};
use crate::number::{Style, plain};
use standin_measure::Outcome;

/// The whole document.
pub(super) fn document(comparison: &Comparison) -> String {
    let Comparison { a, b, .. } = comparison;
    let mut text = format!("# {} against {}\n\n", inline(&b.study), inline(&a.study));
    text.push_str(&format!(
        "A: {} ({}). B: {} ({}). ",
        inline(&a.study),
        inline(&a.label),
        inline(&b.study),
        inline(&b.label)
    ));
    text.push_str("Differences are B less A; those beyond chance are in bold.\n");
    for warning in &comparison.warnings {
        text.push_str(&format!("\n> {}\n", inline(warning)));
    }
    let outcomes: Vec<Vec<String>> = comparison
        .releases
        .iter()
        .map(|release| {
            let epsilon = release.epsilon.map(|epsilon| epsilon.map_or("–".into(), plain));
            let mut cells = vec![inline(&release.name)];
            cells.extend(release.outcome.map(str::to_owned));
            cells.push(if release.changed { "**changed**".into() } else { "the same".into() });
            cells.extend(release.front.clone());
            cells.extend(epsilon);
            cells
        })
        .collect();
    if !outcomes.is_empty() {
        let head = ["Release", "Outcome, A", "Outcome, B", "Verdict", "Front, A", "Front, B", "ε, A", "ε, B"];
        text.push_str(&format!("\n## Verdicts\n\n{}", table(&head, outcomes)));
    }
    for (names, side) in [(&comparison.only_in_a, "A"), (&comparison.only_in_b, "B")] {
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(|name| inline(name)).collect();
            text.push_str(&format!("\nOnly in {side}: {}.\n", names.join(", ")));
        }
    }
    if !comparison.configuration.is_empty() {
        let value = |value: &Option<String>| value.as_deref().map_or("–".into(), inline);
        let rows = comparison.configuration.iter();
        let rows = rows.map(|setting| vec![inline(&setting.setting), value(&setting.a), value(&setting.b)]).collect();
        text.push_str(&format!("\n## Configuration\n\n{}", table(&["Setting", "A", "B"], rows)));
    }
    for release in &comparison.releases {
        let rows: Vec<Vec<String>> = release.figures.iter().map(row).collect();
        if !rows.is_empty() {
            let figures = table(&["Figure", "A", "B", "Difference", "Remark"], rows);
            text.push_str(&format!("\n## {}\n\n{figures}", inline(&release.name)));
        }
    }
    text
}

fn row(figure: &Figure) -> Vec<String> {
    let (value, change) = styles(figure);
    let outcome = |outcome: Option<&Outcome>| match outcome {
        None => "–".into(),
        Some(Outcome::Measured(estimate)) => value.full(estimate),
        Some(Outcome::NotMeasurable(reason)) => format!("not measurable: {}", inline(reason)),
    };
    let difference = figure.difference.as_ref().map_or("–".into(), |difference| change.full(difference));
    let difference = if figure.is_beyond_chance() { format!("**{difference}**") } else { difference };
    vec![
        inline(&figure.figure),
        outcome(figure.a.as_ref()),
        outcome(figure.b.as_ref()),
        difference,
        inline(&figure.remark),
    ]
}

/// How a figure and a difference of it are written.
pub(super) fn styles(figure: &Figure) -> (Style, Style) {
    if figure.figure.starts_with("accuracy of") || figure.figure.contains("TPR") {
        (Style::Percent, Style::Points)
    } else if figure.figure.starts_with("AUC") || figure.figure.starts_with("replacement ratio") {
        (Style::Decimal, Style::Difference)
    } else {
        (Style::Adaptive, Style::Adaptive)
    }
}
