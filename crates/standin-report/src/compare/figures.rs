//! The figures of one release in two studies.

use standin_bench::difference::{independent, of_accuracies, of_attacks};
use standin_bench::leakage::strongest_attack;
use standin_bench::summary::{AttackRow, MeasureRow, Release};
use standin_measure::{Estimate, Outcome};

use super::Figure;

/// What may be formed from two studies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Whether figures are about the same images at all.
    pub(super) comparable: bool,
    /// Whether repetitions belong together seed by seed.
    pub(super) paired: bool,
}

/// The remark on figures of different protocols.
pub(super) const OTHER: &str = "different protocols: not compared";

/// The remark on figures of different images.
const IMAGES: &str = "different images: not compared";

/// The figures of a release of two studies, those of A in order and then those only B has.
pub(super) fn figures(a: &Release, b: &Release, rules: Rules) -> Vec<Figure> {
    let mut found = utility(a, b, rules);
    found.extend(attacks(a, b, rules));
    found.extend(canaries(a, b, rules));
    found.extend(measures(a, b, rules));
    found
}

/// A figure that both may have, with the difference where it may be formed.
fn figure(
    name: String,
    protocol: &str,
    [a, b]: [Option<Outcome>; 2],
    difference: impl FnOnce(&Estimate, &Estimate) -> Estimate,
    rules: Rules,
) -> Figure {
    let both = a.as_ref().and_then(Outcome::estimate).zip(b.as_ref().and_then(Outcome::estimate));
    let remark = match (&a, &b) {
        (None, _) => "only in B",
        (_, None) => "only in A",
        _ if !rules.comparable => IMAGES,
        _ => "",
    };
    let difference = both.filter(|_| rules.comparable).map(|(a, b)| difference(b, a));
    Figure { figure: name, protocol: protocol.into(), a, b, difference, remark: remark.into() }
}

fn measured(estimate: &Estimate) -> Outcome {
    Outcome::Measured(estimate.clone())
}

/// Those of A in order, then those that only B has.
fn keys<T, K: PartialEq>(a: &[T], b: &[T], key: impl Fn(&T) -> K) -> Vec<K> {
    let mut keys: Vec<K> = Vec::new();
    for key in a.iter().chain(b).map(key) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

fn utility(a: &Release, b: &Release, rules: Rules) -> Vec<Figure> {
    let mut found = Vec::new();
    for classifier in keys(&a.utility, &b.utility, |utility| utility.classifier.clone()) {
        let [a, b] = [a, b].map(|release| release.utility.iter().find(|utility| utility.classifier == classifier));
        let accuracies = [a, b].map(|utility| utility.map(|utility| measured(&utility.accuracy)));
        let difference = |of: &Estimate, from: &Estimate| match (a, b) {
            (Some(a), Some(b)) => of_accuracies(b, a, rules.paired),
            _ => independent(of, from),
        };
        found.push(figure(format!("accuracy of {classifier}"), "", accuracies, difference, rules));
        let ratios = [a, b].map(|utility| utility?.replacement_ratio.as_ref().map(measured));
        if ratios.iter().any(Option::is_some) {
            found.push(figure(format!("replacement ratio of {classifier}"), "", ratios, independent, rules));
        }
    }
    found
}

fn attacks(a: &Release, b: &Release, rules: Rules) -> Vec<Figure> {
    let mut found = Vec::new();
    let strongest = [strongest_attack(a), strongest_attack(b)];
    if strongest.iter().any(Option::is_some) {
        found.push(attack("AUC of the strongest attack".into(), strongest, rules));
        if let [Some(a), Some(b)] = strongest {
            let last = found.len() - 1;
            if found[last].remark.is_empty() && a.attack != b.attack {
                found[last].remark = format!("{} in A, {} in B", a.attack, b.attack);
            }
        }
        let rates = strongest.map(|attack| {
            let rates = &attack?.true_positive_rates;
            rates.iter().find(|rate| rate.false_positive_rate == 0.01).map(|rate| rate.outcome.clone())
        });
        if rates.iter().any(Option::is_some) {
            found.push(figure("its TPR at 1 % FPR".into(), "", rates, independent, rules));
        }
    }
    let key = |row: &AttackRow| (row.attack.clone(), row.access.clone());
    for (name, access) in keys(&a.attacks, &b.attacks, key) {
        let rows = [a, b].map(|release| {
            let same = |row: &&AttackRow| row.attack == name && row.access == access;
            release.attacks.iter().filter(same).collect::<Vec<_>>()
        });
        for [a, b] in matched(&rows, |row| &row.stamp) {
            found.push(attack(format!("AUC of {name}"), [a, b], rules));
        }
    }
    found
}

fn attack(name: String, rows: [Option<&AttackRow>; 2], rules: Rules) -> Figure {
    let areas = rows.map(|row| row.map(|row| measured(&row.auc)));
    let protocol = rows.into_iter().flatten().next().map_or("", |row| row.stamp.as_str());
    match rows {
        [Some(a), Some(b)] if a.attack == b.attack && a.stamp != b.stamp => {
            other_protocol(name, &a.stamp, &b.stamp, areas)
        }
        [Some(a), Some(b)] => figure(name, protocol, areas, |_, _| of_attacks(b, a, rules.paired), rules),
        _ => figure(name, protocol, areas, independent, rules),
    }
}

/// Two figures of different protocols, side by side.
fn other_protocol(name: String, a: &str, b: &str, [of_a, of_b]: [Option<Outcome>; 2]) -> Figure {
    let protocol = format!("A: {a}. B: {b}");
    Figure { figure: name, protocol, a: of_a, b: of_b, difference: None, remark: OTHER.into() }
}

fn canaries(a: &Release, b: &Release, rules: Rules) -> Vec<Figure> {
    let kinds = keys(&a.canaries, &b.canaries, |row| row.kind.clone());
    let of = |kind: String| {
        let rows = [a, b].map(|release| release.canaries.iter().find(|row| row.kind == kind));
        let areas = rows.map(|row| row.map(|row| measured(&row.auc)));
        figure(format!("AUC of {kind} canaries"), "", areas, independent, rules)
    };
    kinds.into_iter().map(of).collect()
}

fn measures(a: &Release, b: &Release, rules: Rules) -> Vec<Figure> {
    let key = |row: &MeasureRow| (row.measure.clone(), row.against.clone(), encoder(&row.stamp).to_owned());
    let mut found = Vec::new();
    for (measure, against, encoder_name) in keys(&a.measures, &b.measures, key) {
        let rows = [a, b].map(|release| {
            let same = |row: &&MeasureRow| {
                row.measure == measure && row.against == against && encoder(&row.stamp) == encoder_name
            };
            release.measures.iter().filter(same).collect::<Vec<_>>()
        });
        let name = match against.as_str() {
            "" => format!("{measure}, {encoder_name}"),
            against => format!("{measure} against {against}, {encoder_name}"),
        };
        for [a, b] in matched(&rows, |row| &row.stamp) {
            let outcomes = [a, b].map(|row| row.map(|row| row.outcome.clone()));
            found.push(match (a, b) {
                (Some(a), Some(b)) if a.stamp != b.stamp => other_protocol(name.clone(), &a.stamp, &b.stamp, outcomes),
                _ => {
                    let protocol = a.or(b).map_or("", |row| row.stamp.as_str());
                    figure(name.clone(), protocol, outcomes, independent, rules)
                }
            });
        }
    }
    found
}

/// The encoder at the start of a stamp.
fn encoder(stamp: &str) -> &str {
    stamp.split([';', ',', '(']).next().unwrap_or(stamp).trim()
}

/// Rows of one name from both sides: those of equal stamps together, then the others in order.
fn matched<'a, R>([a, b]: &[Vec<&'a R>; 2], stamp: impl Fn(&R) -> &String) -> Vec<[Option<&'a R>; 2]> {
    let equal = |row: &R| b.iter().find(|other| stamp(other) == stamp(row)).copied();
    let mut found: Vec<[Option<&R>; 2]> =
        a.iter().filter_map(|row| equal(row).map(|other| [Some(*row), Some(other)])).collect();
    let left_a: Vec<&R> = a.iter().filter(|row| equal(row).is_none()).copied().collect();
    let left_b: Vec<&R> = b.iter().filter(|row| !a.iter().any(|other| stamp(other) == stamp(row))).copied().collect();
    for at in 0..left_a.len().max(left_b.len()) {
        found.push([left_a.get(at).copied(), left_b.get(at).copied()]);
    }
    found
}
