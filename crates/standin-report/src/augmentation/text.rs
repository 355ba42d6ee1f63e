//! The report as Markdown.

use standin_bench::augmentation::{AugmentationSummary, ScenarioSummary};
use standin_measure::Outcome;

use super::Augmentation;
use crate::markdown::{inline, table};
use crate::number::{Style, probability};

/// The whole document.
pub(super) fn document(found: &AugmentationSummary) -> String {
    let mut text = format!(
        "# {}: do images of the minority help?\n\n{}\n",
        inline(&found.name),
        inline(&super::page::facts(found))
    );
    for warning in &found.warnings {
        text.push_str(&format!("\n> {}\n", inline(warning)));
    }
    text.push('\n');
    for scenario in &found.scenarios {
        text.push_str(&format!("- {}\n", inline(&Augmentation::headline(scenario))));
    }
    for scenario in &found.scenarios {
        text.push_str(&format!("\n## Scenario {}\n\n{}", inline(&scenario.name), arms(scenario)));
        for skipped in &scenario.skipped {
            let backbone =
                skipped.backbone.as_ref().map_or_else(String::new, |backbone| format!(" ({})", inline(backbone)));
            text.push_str(&format!("\nNot run: {}{backbone}, because {}.\n", skipped.arm, inline(&skipped.reason)));
        }
        if !scenario.comparisons.is_empty() {
            text.push_str(&format!("\n{}", comparisons(scenario)));
        }
        if !scenario.strengths.is_empty() {
            let rows = scenario.strengths.iter().map(|tried| {
                let share = |estimate| Style::Percent.full(estimate);
                vec![tried.strength.to_string(), share(&tried.of_class), share(&tried.of_minority)]
            });
            text.push_str(&format!(
                "\n{}",
                table(&["Strength", "Still of its class", "Of the minority"], rows.collect())
            ));
        }
        if !scenario.memorised.is_empty() {
            let rows = scenario.memorised.iter().map(|finding| {
                let auc = match &finding.auc {
                    Outcome::Measured(estimate) => Style::Decimal.full(estimate),
                    Outcome::NotMeasurable(reason) => format!("not measurable: {}", inline(reason)),
                };
                vec![finding.side.clone(), inline(&finding.encoder), finding.members.to_string(), auc]
            });
            text.push_str(&format!(
                "\n{}",
                table(&["Side", "Encoder", "Training images", "AUC by distance"], rows.collect())
            ));
        }
    }
    text
}

fn arms(scenario: &ScenarioSummary) -> String {
    let rows = scenario.arms.iter().map(|result| {
        let share = |estimate| Style::Percent.full(estimate);
        vec![
            inline(&result.backbone),
            result.arm.to_string(),
            share(&result.minority_balanced),
            share(&result.majority_balanced),
            Style::Points.full(&result.gap),
            Style::Decimal.full(&result.minority_calibration),
        ]
    });
    let head = ["Backbone", "Arm", "Minority, balanced", "Majority, balanced", "Gap", "Minority, calibration error"];
    table(&head, rows.collect())
}

fn comparisons(scenario: &ScenarioSummary) -> String {
    let rows = scenario.comparisons.iter().map(|comparison| {
        let p = |p: Option<f64>| p.map_or_else(|| "–".to_owned(), probability);
        vec![
            inline(&comparison.backbone),
            comparison.arm.to_string(),
            format!("{}{}", comparison.against, if comparison.best { " (best)" } else { "" }),
            Style::Points.full(&comparison.difference),
            p(comparison.p_value),
            p(comparison.corrected_p_value),
        ]
    });
    table(&["Backbone", "Arm", "Against", "Difference", "p", "Corrected"], rows.collect())
}
