//! The report as Markdown for a pull request: verdict, one table of releases, warnings.

use standin_bench::summary::{Release, ReleaseVerdict, Summary};

use crate::leakage::{contradictions, strongest};
use crate::number::Style;
use crate::words;

/// The whole document.
pub(crate) fn document(summary: &Summary) -> String {
    let found = contradictions(summary);
    let mut text = format!("# {}\n\n", inline(&summary.name));
    for failure in &found.failures {
        text.push_str(&format!("**This run has failed.** {}\n\n", inline(failure)));
    }
    text.push_str(&format!(
        "**{}**\n\n{}\n\n",
        inline(&summary.verdict.headline),
        words::thresholds(&summary.thresholds)
    ));
    text.push_str(&table(summary));
    let warnings: Vec<&String> = summary.warnings.iter().chain(&found.weak_attacks).collect();
    if !warnings.is_empty() {
        text.push_str("\n## Before believing a number\n\n");
        for warning in warnings {
            text.push_str(&format!("- {}\n", inline(warning)));
        }
    }
    text.push_str(&format!("\nstandin {}; intervals are 95 %.\n", inline(&summary.version)));
    text
}

fn table(summary: &Summary) -> String {
    let head = ["Release", "What is released", "Outcome", "Accuracy", "Ratio", "Strongest attack", "AUC", "Guarantee"];
    let mut rows: Vec<Vec<String>> = vec![head.map(String::from).to_vec()];
    rows.extend(summary.releases.iter().zip(&summary.verdict.releases).map(|(release, verdict)| row(release, verdict)));
    let widths: Vec<usize> =
        (0..head.len()).map(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let padded =
            |(cell, width_wanted): (&String, &usize)| format!("{cell}{}", " ".repeat(width_wanted - width(cell)));
        format!("| {} |\n", row.iter().zip(&widths).map(padded).collect::<Vec<_>>().join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
    rows.insert(1, rule);
    rows.iter().map(line).collect()
}

fn row(release: &Release, verdict: &ReleaseVerdict) -> Vec<String> {
    let dash = || "–".to_owned();
    let utility = release.utility.first();
    let attack = strongest(release);
    let mark = if verdict.useful && verdict.resists_attacks { "✓" } else { "✗" };
    vec![
        inline(&release.name),
        words::kind(release.kind).into(),
        format!("{mark} {}", words::outcome(verdict)),
        utility.map_or_else(dash, |utility| Style::Percent.full(&utility.accuracy)),
        utility
            .and_then(|utility| utility.replacement_ratio.as_ref())
            .map_or_else(dash, |ratio| Style::Decimal.full(ratio)),
        attack.map_or_else(dash, |attack| inline(&attack.attack)),
        attack.map_or_else(dash, |attack| Style::Decimal.full(&attack.auc)),
        inline(&words::guarantee_in_brief(release.guarantee.as_ref())),
    ]
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Text that Markdown shows as it is: on one line, with the characters that mean something escaped.
fn inline(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '#' | '~' | '&' => shown.extend(['\\', character]),
            '\n' | '\r' | '\t' => shown.push(' '),
            _ => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_is_shown_as_text() {
        assert_eq!(inline("a|b <i>*x*</i>\nnext"), "a\\|b \\<i\\>\\*x\\*\\</i\\> next");
    }
}
