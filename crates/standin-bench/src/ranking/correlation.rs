use standin_measure::{Estimate, Outcome, spearman, spearman_interval};

use super::{Candidate, candidates, images};
use crate::summary::{Correlations, Release};

/// Sets needed before a rank correlation says anything: of four, no order is rare enough.
const LEAST: usize = 5;

/// Sets below which only strong relations show.
const FEW: usize = 10;

/// Spearman's rank correlation (mid-ranks) of every figure with utility and with each other, over the sets of synthetic
/// images that have a utility: the accuracy of the first classifier that judged at least five of them. None where no
/// classifier did.
///
/// Figures are the measures against either side, the accuracies of the other classifiers and the AUC of attacks, each
/// under one protocol, as they are: a measure that is better where it is lower correlates negatively if it foretells
/// utility, and one with a best value inside its range is not folded. Those that fewer than five of the sets have under
/// one protocol are left out; those that some have not get no ρ.
///
/// The interval of a ρ with utility is Fisher's z with the variance of Bonett and Wright (2000, Psychometrika 65),
/// (1 + ρ²/2)/(s − 3) for s sets. A ρ of ±1, where z is infinite, is taken half a step nearer to 0 for the end towards 0.
/// On bivariate normal figures of 5 to 20 sets this covers in 95 to 99 of 100 repetitions. The sets count as a sample of
/// sets like them; that each figure has an interval of its own is not counted. Fewer than ten sets leave intervals that
/// exclude 0 for the strongest relations only, which the method says.
///
/// Time O(f²·s²) for f figures.
pub fn correlations(releases: &[Release]) -> Option<Correlations> {
    let with = |classifier: &str| -> Vec<&Release> {
        images(releases).filter(|release| accuracy(release, classifier).is_some()).collect()
    };
    let classifiers = images(releases).flat_map(|release| &release.utility).map(|utility| &*utility.classifier);
    let (classifier, sets) =
        classifiers.map(|classifier| (classifier, with(classifier))).find(|(_, sets)| sets.len() >= LEAST)?;

    let mut names = vec![format!("accuracy of {classifier}")];
    let mut columns: Vec<Vec<Option<f64>>> =
        vec![sets.iter().map(|release| accuracy(release, classifier).map(|found| found.value)).collect()];
    let owned: Vec<Release> = sets.into_iter().cloned().collect();
    let found = candidates(&owned);
    let several_protocols = |candidate: &Candidate<'_>| {
        let same = |other: &&Candidate<'_>| other.measure == candidate.measure && other.against == candidate.against;
        found.iter().filter(|other| other.values.len() >= LEAST).filter(same).count() > 1
    };
    for candidate in found.iter().filter(|candidate| candidate.values.len() >= LEAST) {
        if candidate.measure == classifier && candidate.stamp.starts_with("accuracy on") {
            continue;
        }
        names.push(name(candidate, several_protocols(candidate)));
        let value = |release: &Release| {
            candidate.values.iter().find(|(name, _)| *name == release.name).map(|(_, estimate)| estimate.value)
        };
        columns.push(owned.iter().map(value).collect());
    }

    let matrix: Vec<Vec<Option<f64>>> =
        columns.iter().map(|row| columns.iter().map(|column| correlation(row, column)).collect()).collect();
    let with_utility = columns.iter().map(|column| outcome(column, &columns[0])).collect();
    Some(Correlations { utility: names[0].clone(), names, matrix, with_utility, releases: owned.len() })
}

fn accuracy<'a>(release: &'a Release, classifier: &str) -> Option<&'a Estimate> {
    release.utility.iter().find(|utility| utility.classifier == classifier).map(|utility| &utility.accuracy)
}

/// What a figure is called, with the first part of its protocol where the name alone does not tell it from others.
fn name(candidate: &Candidate<'_>, with_protocol: bool) -> String {
    let Candidate { measure, against, stamp, .. } = candidate;
    let name = match (stamp.split("; ").next(), *against) {
        (Some("AUC"), "") => format!("AUC of {measure}"),
        (Some("accuracy on real test images"), "") => format!("accuracy of {measure}"),
        (_, "") => (*measure).to_owned(),
        (_, against) => format!("{measure} against {against}"),
    };
    if with_protocol { format!("{name} ({stamp})") } else { name }
}

/// ρ of two columns, if both are complete and vary.
fn correlation(x: &[Option<f64>], y: &[Option<f64>]) -> Option<f64> {
    spearman(&complete(x)?, &complete(y)?)
}

fn complete(column: &[Option<f64>]) -> Option<Vec<f64>> {
    column.iter().copied().collect()
}

/// ρ of a figure with utility, with its interval.
fn outcome(column: &[Option<f64>], utility: &[Option<f64>]) -> Outcome {
    let sets = column.len();
    let found = complete(column).zip(complete(utility)).and_then(|(x, y)| spearman_interval(&x, &y));
    match found {
        Some(estimate) if sets < FEW => Outcome::Measured(Estimate {
            method: format!("{}; with so few sets only strong relations show", estimate.method),
            ..estimate
        }),
        Some(estimate) => Outcome::Measured(estimate),
        None => Outcome::NotMeasurable(match column.iter().flatten().count() {
            measured if measured < sets => format!("measured for {measured} of the {sets} sets"),
            _ => "the same value for every set, of it or of the utility".into(),
        }),
    }
}

#[cfg(test)]
mod tests;
