use std::cmp::Ordering;

use askama::Template;
use standin_bench::leakage::Contradictions;
use standin_bench::summary::{AttackRow, Front, Release, ReleaseVerdict, Summary, Thresholds};
use standin_measure::Estimate;

use super::copies::is_excess;
use super::gates::Gates;
use crate::fold::{Folded, Prominent, group};
use crate::number::{Style, count, fixed, plain, rate};
use crate::words;

/// What may be released, why, and what must be known before believing it.
#[derive(Template)]
#[template(path = "verdict.html")]
pub(super) struct Section<'a> {
    failures: &'a [String],
    gates: Gates<'a>,
    reproducible: String,
    headline: &'a str,
    /// Empty where nothing was held against them.
    thresholds: String,
    cards: Folded<Card<'a>>,
    warnings: Vec<String>,
}

struct Card<'a> {
    name: &'a str,
    what: String,
    mark: &'static str,
    outcome: &'static str,
    front: &'static str,
    group: String,
    facts: Vec<Fact>,
    reasons: &'a [String],
}

/// One number of a card: what it is, what the verdict makes of it, and against what.
struct Fact {
    name: &'static str,
    value: String,
    judgement: &'static str,
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
        let mut warnings = words::warnings(summary, found);
        if training_pictures > 0 {
            warnings.push(format!(
                "This page shows {training_pictures} private training pictures, in the gallery of near copies: do not pass it \
                 on where the private images may not go."
            ));
        }
        let judged = summary.releases.iter().any(|release| !(release.utility.is_empty() && release.attacks.is_empty()));
        let judged_releases = summary.releases.iter().zip(&summary.verdict.releases);
        let cards = judged_releases.map(|(release, verdict)| (release, card(summary, release, verdict)));
        Self {
            failures: &found.failures,
            gates: Gates::of(&summary.gates),
            reproducible: if reproducible.is_empty() { String::new() } else { words::listed(&reproducible) },
            headline: &summary.verdict.headline,
            thresholds: if judged { words::thresholds(summary) } else { String::new() },
            cards: Prominent::of(summary).fold(cards),
            warnings,
        }
    }
}

fn card<'a>(summary: &Summary, release: &'a Release, verdict: &'a ReleaseVerdict) -> Card<'a> {
    let mut facts = Vec::new();
    facts.extend(usefulness(release, verdict.useful, &summary.thresholds));
    facts.extend(leakage(release, &summary.thresholds));
    facts.extend(canaries(release, &summary.thresholds));
    facts.extend(copies(release, summary.data.holdout));
    facts.push(Fact {
        name: "Guarantee",
        value: words::guarantee_in_brief(release.guarantee.as_ref()),
        judgement: "",
        needed: if release.guarantee.is_some() { String::new() } else { "rests on the attacks alone".into() },
    });
    Card {
        name: &release.name,
        what: words::kind_and_origin(release),
        mark: words::mark(release, verdict),
        outcome: words::outcome(release, verdict),
        front: match verdict.front() {
            Some(Front::Certain) => "certain",
            Some(Front::Possible) => "possible",
            Some(Front::Unlikely) | None => "",
        },
        group: group(release),
        facts,
        reasons: &verdict.reasons,
    }
}

/// How much of the accuracy is kept, or the accuracy itself where there is nothing to compare with.
fn usefulness(release: &Release, useful: bool, thresholds: &Thresholds) -> Option<Fact> {
    let utility = release.utility.first()?;
    let judgement = if useful { "✓ useful: " } else { "✗ not useful enough: " };
    Some(match &utility.replacement_ratio {
        Some(ratio) => Fact {
            name: "Accuracy kept",
            value: Style::Percent.full(ratio),
            judgement,
            needed: format!("{}, needed {}", utility.classifier, rate(thresholds.replacement_ratio)),
        },
        None => Fact {
            name: "Accuracy",
            value: Style::Percent.full(&utility.accuracy),
            judgement,
            needed: format!("{}, on real test images", utility.classifier),
        },
    })
}

/// The attacks nearest to or farthest above each threshold, by the upper ends of their intervals as the rules say.
fn leakage(release: &Release, thresholds: &Thresholds) -> Vec<Fact> {
    let area = release.attacks.iter().map(|attack| (&attack.attack, &attack.auc)).max_by(highest);
    let share =
        release.attacks.iter().filter_map(|attack| Some((&attack.attack, at_one_percent(attack)?))).max_by(highest);
    let area = area.map(|(name, auc)| Fact {
        name: "Highest AUC",
        value: Style::Decimal.full(auc),
        judgement: judgement(auc.high, thresholds.attack_auc),
        needed: format!("{name}, allowed {}", plain(thresholds.attack_auc)),
    });
    let share = share.map(|(name, found)| Fact {
        name: "Members found",
        value: Style::Percent.full(found),
        judgement: judgement(found.high, thresholds.attack_tpr_at_1_percent),
        needed: format!("{name} at {} false alarms, allowed {}", rate(0.01), rate(thresholds.attack_tpr_at_1_percent)),
    });
    area.into_iter().chain(share).collect()
}

fn judgement(high: f64, allowed: f64) -> &'static str {
    if high <= allowed { "✓ low enough: " } else { "✗ too high: " }
}

/// The canaries that were told apart best.
fn canaries(release: &Release, thresholds: &Thresholds) -> Option<Fact> {
    let found = release.canaries.iter().max_by(|a, b| a.auc.high.total_cmp(&b.auc.high))?;
    Some(Fact {
        name: "AUC of canaries",
        value: Style::Decimal.full(&found.auc),
        judgement: judgement(found.auc.high, thresholds.canary_auc),
        needed: format!("{} ones, allowed {}", found.kind, plain(thresholds.canary_auc)),
    })
}

/// Synthetic images nearer to training images than real ones come by chance; of no effect on the verdict.
fn copies(release: &Release, holdout: usize) -> Option<Fact> {
    let scores = release.scores.as_ref()?;
    scores.threshold?;
    Some(Fact {
        name: "Copies",
        value: format!("{} of {}", count(scores.copies), count(scores.images)),
        judgement: if is_excess(scores, holdout) { "more than chance: " } else { "" },
        needed: match scores.near_holdout {
            Some(near) => {
                format!(
                    "{} expected by chance, {} as near to the holdout",
                    fixed(scores.expected_copies, 1),
                    count(near)
                )
            }
            None => format!("{} expected by chance", fixed(scores.expected_copies, 1)),
        },
    })
}

fn highest(a: &(&String, &Estimate), b: &(&String, &Estimate)) -> Ordering {
    a.1.high.total_cmp(&b.1.high)
}

fn at_one_percent(attack: &AttackRow) -> Option<&Estimate> {
    attack.true_positive_rates.iter().find(|at| at.false_positive_rate == 0.01)?.outcome.estimate()
}
