//! The scores as Markdown.

use standin_measure::Outcome;

use super::{Segmentation, SegmentationRun};
use crate::markdown::{inline, table};
use crate::number::{Style, fixed, probability};

/// The whole document.
pub(super) fn document(found: &Segmentation) -> String {
    let mut text = format!("# Segmentations against {}\n", inline(&found.references));
    for warning in found.warnings() {
        text.push_str(&format!("\n> {}\n", inline(&warning)));
    }
    for headline in found.headlines() {
        text.push_str(&format!("\n- {}\n", inline(&headline)));
    }
    let head = ["Predictions", "Label", "Volumes", "Dice", "Jaccard", "ASD mm", "ASSD mm", "95HD mm"];
    let rows = found.runs.iter().chain(&found.against).flat_map(rows).collect();
    text.push_str(&format!("\n## Scores\n\n{}", table(&head, rows)));
    if !found.comparison.is_empty() {
        let rows = found.comparison.iter().map(|score| {
            let p = |value: Option<f64>| value.map_or_else(|| "–".into(), probability);
            vec![
                score.label.to_string(),
                score.score.clone(),
                fixed(score.first, 4),
                fixed(score.second, 4),
                outcome(&score.difference),
                p(score.p_value),
                p(score.wilcoxon_p_value),
            ]
        });
        let head = ["Label", "Score", "Predictions", "Against", "Difference", "p (t)", "p (Wilcoxon)"];
        text.push_str(&format!("\n## Comparison\n\n{}", table(&head, rows.collect())));
    }
    text
}

fn rows(run: &SegmentationRun) -> Vec<Vec<String>> {
    run.evaluation
        .labels
        .iter()
        .map(|label| {
            vec![
                inline(&run.name),
                label.label.to_string(),
                format!("{} of {}", label.scored, label.scored + label.absent),
                outcome(&label.dice),
                outcome(&label.jaccard),
                outcome(&label.average_surface_distance),
                outcome(&label.average_symmetric_surface_distance),
                outcome(&label.hausdorff_95),
            ]
        })
        .collect()
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Measured(estimate) => Style::Decimal.full(estimate),
        Outcome::NotMeasurable(reason) => format!("not measurable: {}", inline(reason)),
    }
}
