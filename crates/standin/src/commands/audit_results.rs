//! What an audit found, as tables for people.

use std::fmt::Write;

use standin_bench::summary::{MeasureRow, Release, Summary};
use standin_measure::Outcome;

use super::run_study::gate_line;
use crate::output::{Align, table};

/// The tables of an audit: measures, copies, attacks, utility, rankings; then gates, verdict and warnings.
pub fn results(summary: &Summary) -> String {
    let mut text = String::new();
    for section in
        [measures(summary), copies(summary), attacks(summary), utility(summary), groups(summary), rankings(summary)]
            .into_iter()
            .flatten()
    {
        text.push_str(&section);
        text.push_str("\n\n");
    }
    text.push_str("95 % intervals in brackets; n/m: not measurable, the report says why.\n");
    for gate in &summary.gates {
        text.push_str(&gate_line(gate));
    }
    let _ = writeln!(text, "{}", summary.verdict.headline);
    for verdict in &summary.verdict.releases {
        for reason in &verdict.reasons {
            let _ = writeln!(text, "  {}: {reason}", verdict.name);
        }
    }
    for warning in &summary.warnings {
        let _ = writeln!(text, "Note: {warning}");
    }
    text
}

/// The encoder of a stamp, without its parameters.
fn encoder(stamp: &str) -> &str {
    stamp.split(' ').next().unwrap_or(stamp)
}

fn figure(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Measured(estimate) => {
            // Three figures, and of what is small as many as tell it from 0.
            let size = estimate.value.abs().max(estimate.high.abs() / 10.0);
            let digits = if size > 0.0 { 2.0 - size.log10().floor() } else { 3.0 };
            format!("{estimate:.0$}", digits.clamp(1.0, 9.0) as usize)
        }
        Outcome::NotMeasurable(_) => "n/m".to_owned(),
    }
}

/// One line per measure, real images compared with and encoder; one column per set.
fn measures(summary: &Summary) -> Option<String> {
    let mut keys: Vec<(&str, &str, &str)> = Vec::new();
    for row in summary.releases.iter().flat_map(|release| &release.measures) {
        let key = (row.measure.as_str(), row.against.as_str(), encoder(&row.stamp));
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return None;
    }
    let find = |release: &'_ Release, key: (&str, &str, &str)| -> Option<MeasureRow> {
        release
            .measures
            .iter()
            .find(|row| (row.measure.as_str(), row.against.as_str(), encoder(&row.stamp)) == key)
            .cloned()
    };
    let mut header = vec![("measure", Align::Left), ("against", Align::Left), ("encoder", Align::Left)];
    header.extend(summary.releases.iter().map(|release| (release.name.as_str(), Align::Left)));
    header.extend([("real images get", Align::Left), ("better", Align::Left)]);
    let rows = keys.iter().map(|&key| {
        let (measure, against, encoder) = key;
        let found: Vec<Option<MeasureRow>> = summary.releases.iter().map(|release| find(release, key)).collect();
        let first = found.iter().flatten().next();
        let mut row = vec![measure.to_owned(), against.to_owned(), encoder.to_owned()];
        row.extend(found.iter().map(|found| found.as_ref().map_or_else(missing, |row| figure(&row.outcome))));
        row.push(first.and_then(|row| row.reference.as_ref()).map_or_else(String::new, figure));
        row.push(first.map_or_else(String::new, |row| row.better.clone()));
        row
    });
    Some(table(&header, rows))
}

fn missing() -> String {
    "–".to_owned()
}

fn copies(summary: &Summary) -> Option<String> {
    let scored: Vec<_> =
        summary.releases.iter().filter_map(|release| Some((&release.name, release.scores.as_ref()?))).collect();
    if scored.iter().all(|(_, scores)| scores.threshold.is_none()) {
        return None;
    }
    let header = [
        ("copies", Align::Left),
        ("found", Align::Right),
        ("of", Align::Right),
        ("by chance", Align::Right),
        ("as near to holdout", Align::Right),
        ("nearer than", Align::Right),
    ];
    let rows = scored.into_iter().map(|(name, scores)| {
        vec![
            name.clone(),
            scores.copies.to_string(),
            scores.images.to_string(),
            format!("{:.1}", scores.expected_copies),
            scores.near_holdout.map_or_else(missing, |near| near.to_string()),
            scores.threshold.map_or_else(missing, |threshold| format!("{threshold:.3}")),
        ]
    });
    Some(table(&header, rows))
}

fn attacks(summary: &Summary) -> Option<String> {
    let header = [
        ("attack", Align::Left),
        ("on", Align::Left),
        ("through", Align::Left),
        ("AUC", Align::Left),
        ("TPR at 1 % FPR", Align::Left),
        ("ε at least", Align::Left),
    ];
    let rows: Vec<Vec<String>> = summary
        .releases
        .iter()
        .flat_map(|release| {
            release.attacks.iter().map(|attack| {
                let rate = attack.true_positive_rates.iter().find(|rate| rate.false_positive_rate == 0.01);
                vec![
                    attack.attack.clone(),
                    release.name.clone(),
                    encoder(&attack.stamp).to_owned(),
                    format!("{:.3}", attack.auc),
                    rate.map_or_else(missing, |rate| figure(&rate.outcome)),
                    attack
                        .epsilon_lower
                        .as_ref()
                        .and_then(Outcome::estimate)
                        .map_or_else(missing, |estimate| format!("{:.2}", estimate.value)),
                ]
            })
        })
        .collect();
    (!rows.is_empty()).then(|| table(&header, rows))
}

fn utility(summary: &Summary) -> Option<String> {
    let header = [
        ("accuracy of", Align::Left),
        ("with", Align::Left),
        ("synthetic → real", Align::Left),
        ("real → real", Align::Left),
        ("ratio", Align::Left),
        ("real → synthetic", Align::Left),
        ("both → real", Align::Left),
    ];
    let rows: Vec<Vec<String>> = summary
        .releases
        .iter()
        .flat_map(|release| {
            release.utility.iter().map(|utility| {
                let shown = |outcome: &Option<Outcome>| outcome.as_ref().map_or_else(missing, figure);
                vec![
                    utility.classifier.clone(),
                    release.name.clone(),
                    format!("{:.3}", utility.accuracy),
                    shown(&utility.real),
                    utility.replacement_ratio.as_ref().map_or_else(missing, |ratio| format!("{ratio:.3}")),
                    shown(&utility.real_on_synthetic),
                    shown(&utility.augmented),
                ]
            })
        })
        .collect();
    (!rows.is_empty()).then(|| table(&header, rows))
}

fn groups(summary: &Summary) -> Option<String> {
    let header = [
        ("group", Align::Left),
        ("images", Align::Right),
        ("accuracy of", Align::Left),
        ("with", Align::Left),
        ("synthetic → real", Align::Left),
        ("real → real", Align::Left),
    ];
    let rows: Vec<Vec<String>> = summary
        .releases
        .iter()
        .flat_map(|release| release.utility.iter().map(move |utility| (release, utility)))
        .flat_map(|(release, utility)| {
            utility.per_group.iter().map(|group| {
                vec![
                    format!("{} {}", group.column, group.group),
                    group.images.to_string(),
                    utility.classifier.clone(),
                    release.name.clone(),
                    figure(&group.accuracy),
                    group.real.as_ref().map_or_else(missing, figure),
                ]
            })
        })
        .collect();
    (!rows.is_empty()).then(|| table(&header, rows))
}

/// Best first, with the ranks that chance leaves possible.
fn rankings(summary: &Summary) -> Option<String> {
    let header =
        [("ranking by", Align::Left), ("against", Align::Left), ("through", Align::Left), ("best first", Align::Left)];
    let rows: Vec<Vec<String>> = summary
        .rankings
        .iter()
        .map(|ranking| {
            let places: Vec<String> = ranking
                .places
                .iter()
                .map(|place| match place.rank_interval {
                    (low, high) if low == high => format!("{} ({low})", place.release),
                    (low, high) => format!("{} ({low}–{high})", place.release),
                })
                .collect();
            vec![
                ranking.measure.clone(),
                ranking.against.clone(),
                encoder(&ranking.stamp).to_owned(),
                places.join(", "),
            ]
        })
        .collect();
    (!rows.is_empty()).then(|| table(&header, rows))
}
