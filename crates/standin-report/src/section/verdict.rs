use askama::Template;
use standin_bench::summary::{Release, ReleaseVerdict, Summary};

use crate::leakage::{Contradictions, strongest};
use crate::number::{Style, plain, rate};
use crate::words;

/// What may be released, why, and what must be known before believing it.
#[derive(Template)]
#[template(path = "verdict.html")]
pub(super) struct Section<'a> {
    failures: &'a [String],
    reproducible: String,
    headline: &'a str,
    thresholds: String,
    cards: Vec<Card<'a>>,
    warnings: Vec<String>,
}

struct Card<'a> {
    name: &'a str,
    what: String,
    passes: bool,
    outcome: &'static str,
    pareto: bool,
    facts: Vec<Fact>,
    reasons: &'a [String],
}

/// One number of a card: what it is, whether it is good enough, and against what.
struct Fact {
    name: &'static str,
    value: String,
    good: Option<bool>,
    needed: String,
}

impl<'a> Section<'a> {
    pub(super) fn new(summary: &'a Summary, found: &'a Contradictions, training_pictures: usize) -> Self {
        let reproducible: Vec<&str> = summary
            .releases
            .iter()
            .filter(|release| release.guarantee.as_ref().is_some_and(|guarantee| !guarantee.holds()))
            .map(|release| release.name.as_str())
            .collect();
        let mut warnings = summary.warnings.clone();
        warnings.extend(found.weak_attacks.iter().cloned());
        if training_pictures > 0 {
            warnings.push(format!(
                "This page shows {training_pictures} private training pictures, in the gallery of near copies: do not pass it \
                 on where the private images may not go."
            ));
        }
        let cards = summary.releases.iter().zip(&summary.verdict.releases);
        Self {
            failures: &found.failures,
            reproducible: if reproducible.is_empty() { String::new() } else { words::listed(&reproducible) },
            headline: &summary.verdict.headline,
            thresholds: words::thresholds(&summary.thresholds),
            cards: cards.map(|(release, verdict)| card(summary, release, verdict)).collect(),
            warnings,
        }
    }
}

fn card<'a>(summary: &Summary, release: &'a Release, verdict: &'a ReleaseVerdict) -> Card<'a> {
    let thresholds = &summary.thresholds;
    let mut facts = Vec::new();
    let ratio = release.utility.first().and_then(|utility| Some((utility, utility.replacement_ratio.as_ref()?)));
    match (ratio, release.utility.first()) {
        (Some((_, ratio)), _) => facts.push(Fact {
            name: "Accuracy kept",
            value: Style::Percent.full(ratio),
            good: Some(verdict.useful),
            needed: format!("at least {}", rate(thresholds.replacement_ratio)),
        }),
        (None, Some(utility)) => facts.push(Fact {
            name: "Accuracy",
            value: Style::Percent.full(&utility.accuracy),
            good: Some(verdict.useful),
            needed: "on real test images".into(),
        }),
        (None, None) => {}
    }
    if let Some(attack) = strongest(release) {
        facts.push(Fact {
            name: "Strongest attack",
            value: format!("AUC {}", Style::Decimal.full(&attack.auc)),
            good: Some(verdict.resists_attacks),
            needed: format!("{}; at most {}", attack.attack, plain(thresholds.attack_auc)),
        });
    }
    facts.push(Fact {
        name: "Guarantee",
        value: words::guarantee_in_brief(release.guarantee.as_ref()),
        good: None,
        needed: if release.guarantee.is_some() { String::new() } else { "rests on the attacks alone".into() },
    });
    Card {
        name: &release.name,
        what: words::kind_and_generator(release),
        passes: verdict.useful && verdict.resists_attacks,
        outcome: words::outcome(verdict),
        pareto: verdict.pareto,
        facts,
        reasons: &verdict.reasons,
    }
}
