//! The report as Markdown for a pull request: verdict, gates, the tables that compare releases, warnings.

use standin_bench::leakage::{contradictions, strongest_attack};
use standin_bench::ranking::unequal_sizes;
use standin_bench::summary::{
    Answer, CanaryRow, Gate, Mitigation, Place, PostProcessing, Ranking, Release, ReleaseVerdict, Summary,
};
use standin_measure::{Estimate, Outcome};

use crate::number::{Style, count, fixed, plain, significant};
use crate::words;

/// The whole document.
pub(crate) fn document(summary: &Summary) -> String {
    let found = contradictions(&summary.releases);
    let mut text = format!("# {}\n\n", inline(&summary.name));
    for failure in &found.failures {
        text.push_str(&format!("**This run has failed.** {}\n\n", inline(failure)));
    }
    text.push_str(&failed_gates(&summary.gates));
    text.push_str(&format!("**{}**\n\n", inline(&summary.verdict.headline)));
    if summary.releases.iter().any(|release| !(release.utility.is_empty() && release.attacks.is_empty())) {
        text.push_str(&format!("{}\n\n", words::thresholds(summary)));
    }
    text.push_str(&releases(summary));
    let sections = [
        ("Gates", gates(&summary.gates)),
        ("The questions", questions(summary)),
        ("Mitigations", mitigations(summary)),
        ("Order of post-processing", post_processing(summary)),
        ("Comparison", comparison(summary)),
        ("Utility", utility(summary)),
        ("Accuracy of groups", groups(summary)),
        ("What foretells utility", correlations(summary)),
        ("Canaries", canaries(summary)),
        ("Copies", copies(summary)),
    ];
    for (title, section) in sections {
        if let Some(section) = section {
            text.push_str(&format!("\n## {title}\n\n{section}"));
        }
    }
    let warnings = words::warnings(summary, &found);
    if !warnings.is_empty() {
        text.push_str("\n## Before believing a number\n\n");
        for warning in &warnings {
            text.push_str(&format!("- {}\n", inline(warning)));
        }
    }
    text.push_str(&format!("\nstandin {}; intervals are 95 %.\n", inline(&summary.version)));
    text
}

pub(crate) fn failed_gates(gates: &[Gate]) -> String {
    let failed = gates.iter().filter(|gate| !gate.passed);
    let line = |gate: &Gate| {
        let figure = gate.figures.first().map_or(String::new(), |figure| format!(": {}", inline(figure)));
        format!("**Gate failed: {}**{figure}\n\n", inline(&gate.expression))
    };
    failed.map(line).collect()
}

/// A table with aligned columns.
pub(crate) fn table(head: &[&str], body: Vec<Vec<String>>) -> String {
    let mut rows: Vec<Vec<String>> = vec![head.iter().map(|cell| (*cell).to_owned()).collect()];
    rows.extend(body);
    let widths: Vec<usize> =
        (0..head.len()).map(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let padded =
            |(cell, width_wanted): (&String, &usize)| format!("{cell}{}", " ".repeat(width_wanted - width(cell)));
        format!("| {} |\n", row.iter().zip(&widths).map(padded).collect::<Vec<_>>().join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width.max(1))).collect();
    rows.insert(1, rule);
    rows.iter().map(line).collect()
}

fn releases(summary: &Summary) -> String {
    let head = [
        "Release",
        "What is released",
        "Outcome",
        "Accuracy",
        "Ratio",
        "Strongest attack",
        "AUC",
        "Pareto front",
        "Guarantee",
    ];
    let judged = summary.releases.iter().zip(&summary.verdict.releases);
    table(&head, judged.map(|(release, verdict)| row(release, verdict)).collect())
}

pub(crate) fn gates(gates: &[Gate]) -> Option<String> {
    let (passed, mut ordered): (Vec<&Gate>, Vec<&Gate>) = gates.iter().partition(|gate| gate.passed);
    ordered.extend(passed);
    let row = |gate: &&Gate| {
        let mark = if gate.passed { "✓ passed" } else { "✗ failed" };
        let figures: Vec<String> = gate.figures.iter().map(|figure| inline(figure)).collect();
        vec![inline(&gate.expression), mark.into(), figures.join("<br>")]
    };
    (!gates.is_empty()).then(|| table(&["Gate", "Outcome", "Tested on"], ordered.iter().map(row).collect()))
}

/// The four questions with their answers; the tables have the numbers.
fn questions(summary: &Summary) -> Option<String> {
    let entry = |answer: &Answer| format!("**{}** {}\n", inline(&answer.question), inline(&answer.answer));
    let entries: Vec<String> = summary.questions.iter().map(entry).collect();
    (!entries.is_empty()).then(|| entries.join("\n"))
}

/// Every mitigation beside the same run without it.
fn mitigations(summary: &Summary) -> Option<String> {
    let row = |mitigation: &Mitigation| {
        let difference =
            |found: &Option<Estimate>, style: Style| found.as_ref().map_or("–".into(), |f| style.full(f));
        vec![
            inline(&mitigation.release),
            inline(&mitigation.without),
            inline(&mitigation.differences.join("; ")),
            difference(&mitigation.accuracy, Style::Points),
            difference(&mitigation.auc, Style::Difference),
            words::effect(mitigation.effect).into(),
        ]
    };
    let rows: Vec<Vec<String>> = summary.mitigations.iter().map(row).collect();
    let head = ["Release", "Beside", "What differs", "Accuracy, points", "AUC of the strongest attack", "Effect"];
    (!rows.is_empty()).then(|| table(&head, rows))
}

/// Pairs of one pipeline: what is computed from the other leaks no more to the best attacker.
fn post_processing(summary: &Summary) -> Option<String> {
    let row = |pair: &PostProcessing| {
        vec![
            inline(&pair.derived),
            Style::Decimal.full(&pair.derived_auc),
            inline(&pair.source),
            Style::Decimal.full(&pair.source_auc),
            if pair.reversed { "**reversed**: weak attacks on the latter" } else { "as it must be, within chance" }
                .into(),
        ]
    };
    let rows: Vec<Vec<String>> = summary.post_processing.iter().map(row).collect();
    let head = ["Release", "AUC", "Computed from", "AUC there", "Order"];
    (!rows.is_empty()).then(|| table(&head, rows))
}

/// Ranks of the sets by each measure.
fn comparison(summary: &Summary) -> Option<String> {
    // Where it stands among the warnings it is not said twice.
    let sizes = unequal_sizes(&summary.releases).filter(|sizes| !summary.warnings.contains(sizes));
    let sizes = sizes.map(|sizes| format!("{}\n", inline(&sizes)));
    if summary.rankings.is_empty() {
        return sizes;
    }
    let ranked = |release: &&Release| {
        summary.rankings.iter().flat_map(|ranking| &ranking.places).any(|place| place.release == release.name)
    };
    let names: Vec<&str> = summary.releases.iter().filter(ranked).map(|release| release.name.as_str()).collect();
    let escaped: Vec<String> = names.iter().map(|name| inline(name)).collect();
    let mut head = vec!["By", "Better"];
    head.extend(escaped.iter().map(String::as_str));
    let cell = |place: &Place| {
        let (best, worst) = place.rank_interval;
        format!("{} [{best}, {worst}], best {}", plain(place.rank), words::chance(place.best))
    };
    let row = |ranking: &Ranking| {
        let mut cells = vec![inline(&words::ranking(ranking)), words::better(&ranking.better)];
        cells.extend(names.iter().map(|name| {
            let place = ranking.places.iter().find(|place| place.release == *name);
            place.map_or_else(|| "–".into(), cell)
        }));
        cells
    };
    let text = "Rank, ranks that chance leaves possible, chance of being the best.";
    let ranks = table(&head, summary.rankings.iter().map(row).collect());
    let sizes = sizes.map_or(String::new(), |sizes| format!("{sizes}\n"));
    Some(format!("{sizes}{text}\n\n{ranks}"))
}

/// Private and synthetic images in the place of each other.
fn utility(summary: &Summary) -> Option<String> {
    let judged = summary.releases.iter().flat_map(|release| release.utility.iter().map(move |found| (release, found)));
    let rows: Vec<Vec<String>> = judged
        .filter_map(|(release, found)| {
            let others = [&found.real, &found.real_on_synthetic, &found.augmented];
            others.iter().any(|outcome| outcome.is_some()).then(|| {
                let mut cells = vec![inline(&release.name), inline(&found.classifier)];
                cells.push(Style::Percent.full(&found.accuracy));
                cells.extend(others.map(|outcome| share(outcome.as_ref())));
                cells
            })
        })
        .collect();
    (!rows.is_empty()).then(|| table(&["Release", "Classifier", "TSTR", "TRTR", "TRTS", "T+S"], rows))
}

fn groups(summary: &Summary) -> Option<String> {
    let judged = summary.releases.iter().flat_map(|release| release.utility.iter().map(move |found| (release, found)));
    let rows: Vec<Vec<String>> = judged
        .flat_map(|(release, found)| {
            found.per_group.iter().map(move |group| {
                let of = [&release.name, &found.classifier, &group.column, &group.group].map(|name| inline(name));
                let mut cells = of.to_vec();
                cells.extend([count(group.images), share(Some(&group.accuracy)), share(group.real.as_ref())]);
                cells
            })
        })
        .collect();
    let head = ["Release", "Classifier", "Column", "Group", "Images", "Accuracy", "Private images"];
    (!rows.is_empty()).then(|| table(&head, rows))
}

/// An outcome as a percentage.
fn share(outcome: Option<&Outcome>) -> String {
    match outcome {
        None => "–".into(),
        Some(Outcome::Measured(estimate)) => Style::Percent.full(estimate),
        Some(Outcome::NotMeasurable(reason)) => format!("not measurable: {}", inline(reason)),
    }
}

fn correlations(summary: &Summary) -> Option<String> {
    let found = summary.correlations.as_ref()?;
    let row = |(name, rho): (&String, &Outcome)| {
        let text = match rho {
            Outcome::Measured(rho) => Style::Correlation.full(rho),
            Outcome::NotMeasurable(reason) => format!("not measurable: {}", inline(reason)),
        };
        vec![inline(name), text]
    };
    let rows = found.names.iter().zip(&found.with_utility).skip(1).map(row).collect();
    let head = format!("ρ with the {}, over {} sets", inline(&found.utility), found.releases);
    Some(table(&["Figure", &head], rows))
}

fn canaries(summary: &Summary) -> Option<String> {
    let audits = summary.releases.iter().flat_map(|release| release.canaries.iter().map(move |audit| (release, audit)));
    let row = |(release, audit): (&Release, &CanaryRow)| {
        vec![
            inline(&release.name),
            audit.kind.clone(),
            format!("{} × {}", count(audit.canaries), audit.runs),
            Style::Decimal.full(&audit.auc),
            fixed(audit.epsilon_lower.epsilon, 2),
            audit.epsilon_claimed.map_or("–".into(), plain),
        ]
    };
    let rows: Vec<Vec<String>> = audits.map(row).collect();
    let head = ["Release", "Canaries", "Number × runs", "AUC", "ε demonstrated", "ε promised"];
    (!rows.is_empty()).then(|| table(&head, rows))
}

fn copies(summary: &Summary) -> Option<String> {
    let rows: Vec<Vec<String>> = summary
        .releases
        .iter()
        .filter_map(|release| {
            let scores = release.scores.as_ref()?;
            let copies = scores.threshold.map_or("–".into(), |_| count(scores.copies));
            let expected = scores.threshold.map_or("–".into(), |_| fixed(scores.expected_copies, 1));
            let threshold = scores.threshold.map_or("none without holdout".into(), significant);
            let near_holdout = scores.near_holdout.map_or("–".into(), count);
            let (name, images, each) = (inline(&release.name), count(scores.images), inline(&scores.table));
            Some(vec![name, images, copies, expected, near_holdout, threshold, each])
        })
        .collect();
    let head =
        ["Set", "Images", "Copies", "Expected by chance", "As near to the holdout", "Threshold distance", "Each image"];
    (!rows.is_empty()).then(|| table(&head, rows))
}

fn row(release: &Release, verdict: &ReleaseVerdict) -> Vec<String> {
    let dash = || "–".to_owned();
    let utility = release.utility.first();
    let attack = strongest_attack(release);
    let mark = words::mark(release, verdict);
    vec![
        inline(&release.name),
        words::kind(release.kind).into(),
        format!("{mark} {}", words::outcome(release, verdict)),
        utility.map_or_else(dash, |utility| Style::Percent.full(&utility.accuracy)),
        utility
            .and_then(|utility| utility.replacement_ratio.as_ref())
            .map_or_else(dash, |ratio| Style::Decimal.full(ratio)),
        attack.map_or_else(dash, |attack| inline(&attack.attack)),
        attack.map_or_else(dash, |attack| Style::Decimal.full(&attack.auc)),
        inline(&words::front(verdict)),
        inline(&words::guarantee_in_brief(release.guarantee.as_ref())),
    ]
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Text that Markdown shows as it is: on one line, with the characters that mean something escaped.
pub(crate) fn inline(text: &str) -> String {
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
