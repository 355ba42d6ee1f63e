//! The audit as Markdown.

use standin_measure::Outcome;

use super::{Identities, IdentitySet};
use crate::markdown::{failed_gates, gates, inline, table};
use crate::number::{Style, fixed, probability};

/// The whole document.
pub(super) fn document(found: &Identities) -> String {
    let mut text = format!(
        "# {}: which identities leak\n\n{}. {}.\n",
        inline(&found.name),
        inline(&found.real),
        inline(&found.alignment)
    );
    for warning in found.warnings() {
        text.push_str(&format!("\n> {}\n", inline(&warning)));
    }
    text.push('\n');
    text.push_str(&failed_gates(&found.gates));
    for set in &found.sets {
        text.push_str(&format!("- {}\n", inline(&Identities::headline(set))));
    }
    let rows = found.sets.iter().map(row).collect();
    let head = ["Set", "Leaked", "By chance", "Named", "AUC", "Most alike", "By chance"];
    text.push_str(&format!("\n## Identities\n\n{}", table(&head, rows)));
    for set in found.sets.iter().filter(|set| !set.named.is_empty()) {
        let rows = set.named.iter().map(|found| {
            vec![
                inline(&found.identity),
                found.images.to_string(),
                fixed(found.similarity, 3),
                found.synthetic.to_string(),
                found.tail_p_value.map_or_else(|| "–".into(), probability),
                found.adjusted_p_value.map_or_else(|| "–".into(), probability),
            ]
        });
        let head = ["Identity", "Images", "Similarity", "Synthetic image", "p", "Adjusted p"];
        text.push_str(&format!("\n## {}: who leaked\n\n{}", inline(&set.name), table(&head, rows.collect())));
    }
    if let Some(gates) = gates(&found.gates) {
        text.push_str(&format!("\n## Gates\n\n{gates}"));
    }
    text
}

fn row(set: &IdentitySet) -> Vec<String> {
    let audit = &set.audit;
    let outcome = |outcome: &Outcome, style: Style| match outcome {
        Outcome::Measured(estimate) => style.full(estimate),
        Outcome::NotMeasurable(reason) => format!("not measurable: {}", inline(reason)),
    };
    vec![
        inline(&set.name),
        outcome(&audit.leaked, Style::Percent),
        outcome(&audit.matched_by_chance, Style::Percent),
        audit.discoveries.to_string(),
        outcome(&audit.auc, Style::Decimal),
        fixed(audit.highest, 3),
        audit.highest_by_chance.map_or_else(|| "–".into(), |highest| fixed(highest, 3)),
    ]
}
