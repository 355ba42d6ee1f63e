use askama::Template;
use standin_bench::leakage::strongest_attack;
use standin_bench::summary::{Front, Release, ReleaseKind, Summary};
use standin_measure::Estimate;

use crate::cell::{Cell, Notes};
use crate::fold::{FEW, Prominent};
use crate::number::Style;
use crate::plot::{Marker, Point, Scatter, certainty_sample, front_sample, marker_sample};
use crate::words;

/// Utility against the strongest attack, as a plot and as a table.
#[derive(Template)]
#[template(path = "trade_off.html")]
pub(super) struct Section {
    wide: String,
    narrow: String,
    key: Vec<(String, &'static str)>,
    /// Whether some points have no name beside them.
    unnamed: bool,
    utility: String,
    rows: Vec<Row>,
    methods: String,
    left_out: String,
}

struct Row {
    name: String,
    kind: &'static str,
    accuracy: Cell,
    attack: String,
    auc: Cell,
    front: String,
    probability: Option<f64>,
    outcome: &'static str,
}

impl Section {
    /// None where no release has both an accuracy and an attack.
    pub(super) fn new(summary: &Summary) -> Option<Self> {
        let mut notes = Notes::new("trade-off");
        let mut points = Vec::new();
        let mut rows = Vec::new();
        let mut left_out = Vec::new();
        let prominent = Prominent::of(summary);
        for (release, verdict) in summary.releases.iter().zip(&summary.verdict.releases) {
            let (Some(utility), Some(attack)) = (release.utility.first(), strongest_attack(release)) else {
                left_out.push(release.name.as_str());
                continue;
            };
            points.push(Point {
                name: &release.name,
                marker: marker(release.kind),
                passes: verdict.useful && verdict.resists_attacks,
                pareto: verdict.pareto,
                front: verdict.front(),
                labelled: prominent.shows(&release.name),
                leakage: &attack.auc,
                utility: &utility.accuracy,
            });
            rows.push(Row {
                name: release.name.clone(),
                kind: words::kind(release.kind),
                accuracy: Cell::estimate(&utility.accuracy, Style::Percent, &mut notes),
                attack: attack.attack.clone(),
                auc: Cell::estimate(&attack.auc, Style::Decimal, &mut notes),
                front: words::front(verdict),
                probability: verdict.pareto_probability,
                outcome: words::outcome(release, verdict),
            });
        }
        if points.is_empty() {
            return None;
        }
        let classifiers = plotted_classifiers(&summary.releases);
        let utility_threshold = match classifiers.as_slice() {
            [only] => {
                accuracy_on_real(summary, only).map(|accuracy| accuracy.value * summary.thresholds.replacement_ratio)
            }
            _ => None,
        };
        let scatter = Scatter { points, leakage_threshold: summary.thresholds.attack_auc, utility_threshold };
        let title = "Utility against leakage of each release";
        let description = "Accuracy on real test images against the AUC of the strongest attack, with 95 % intervals, the \
                           thresholds and the Pareto front. The table below has the same numbers.";
        Some(Self {
            wide: scatter.draw("trade-off-wide", title, description, (760.0, 430.0)),
            narrow: scatter.draw("trade-off-narrow", title, description, (340.0, 380.0)),
            key: vec![
                (marker_sample(Marker::Circle, false), "synthetic images"),
                (marker_sample(Marker::Diamond, false), "classifier trained on synthetic images"),
                (marker_sample(Marker::Square, false), "classifier trained on the private images"),
                (marker_sample(Marker::Triangle, false), "generator with its weights"),
                (marker_sample(Marker::Circle, true), "filled: passes the thresholds"),
                (front_sample(), "Pareto front of the values"),
                (certainty_sample(Front::Certain), "certainly on the front"),
                (certainty_sample(Front::Possible), "dashed: possibly"),
                (certainty_sample(Front::Unlikely), "faint: in at most 5 % of the draws"),
            ],
            utility: format!("Accuracy is that of the classifier {}.", words::listed(&classifiers)),
            unnamed: summary.releases.len() > FEW,
            rows,
            methods: notes.methods(),
            left_out: if left_out.is_empty() { String::new() } else { words::listed(&left_out) },
        })
    }
}

fn marker(kind: ReleaseKind) -> Marker {
    match kind {
        ReleaseKind::Images => Marker::Circle,
        ReleaseKind::ClassifierOnSynthetic => Marker::Diamond,
        ReleaseKind::ClassifierOnReal => Marker::Square,
        ReleaseKind::Generator => Marker::Triangle,
    }
}

/// The first classifier of each release: fixed by the configuration, so the plot does not choose on the test images.
fn plotted_classifiers(releases: &[Release]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for utility in releases.iter().filter_map(|release| release.utility.first()) {
        if !names.contains(&utility.classifier.as_str()) {
            names.push(&utility.classifier);
        }
    }
    names
}

/// The accuracy the private images give without a mitigation.
fn accuracy_on_real<'a>(summary: &'a Summary, classifier: &str) -> Option<&'a Estimate> {
    let unmitigated = |release: &&Release| release.kind == ReleaseKind::ClassifierOnReal && release.guarantee.is_none();
    let release = summary.releases.iter().find(unmitigated)?;
    release.utility.iter().find(|utility| utility.classifier == classifier).map(|utility| &utility.accuracy)
}
