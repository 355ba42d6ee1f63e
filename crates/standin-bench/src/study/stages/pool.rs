//! Repetitions with different seeds become one estimate each.

use standin_classify::{Answers, replacement_ratio};
use standin_data::Seed;
use standin_measure::{Estimate, MEASURES, Outcome, pool_outcomes, pool_outcomes_within, pool_within};

use crate::summary::{AttackRow, MeasureRow, RateAt, Utility};

/// What the repetitions of one classifier say together.
pub(super) fn pool_utility(classifier: &str, own: &[Answers], real: &[Answers]) -> Utility {
    let shares = |part: fn(&Answers) -> Estimate| pool_within(&own.iter().map(part).collect::<Vec<_>>(), 0.0, 1.0);
    let ratios: Vec<Outcome> = own
        .iter()
        .zip(real)
        .enumerate()
        .map(|(repetition, (own, real))| {
            replacement_ratio(own, real, Seed::new(repetition as u64).derive("replacement ratio"))
        })
        .collect();
    let ratio = if ratios.is_empty() { None } else { pool_outcomes(&ratios).estimate().cloned() };
    let classes = own.first().map_or(0, |answers| answers.classes);
    let by_class: Vec<Vec<Outcome>> = own.iter().map(Answers::per_class).collect();
    Utility {
        classifier: classifier.to_owned(),
        accuracy: shares(Answers::accuracy),
        balanced_accuracy: shares(Answers::balanced_accuracy),
        replacement_ratio: ratio,
        per_class: (0..classes)
            .map(|class| {
                let outcomes: Vec<Outcome> = by_class.iter().map(|outcomes| outcomes[class].clone()).collect();
                pool_outcomes_within(&outcomes, 0.0, 1.0)
            })
            .collect(),
        per_seed: own.iter().map(|answers| answers.accuracy().value).collect(),
        real: None,
        real_on_synthetic: None,
        augmented: None,
        per_group: Vec::new(),
    }
}

/// Rows with one key from all repetitions, in the order of the first.
fn pool_rows<R: Clone>(repetitions: &[Vec<R>], same: impl Fn(&R, &R) -> bool, merge: impl Fn(&[&R]) -> R) -> Vec<R> {
    let Some((first, _)) = repetitions.split_first() else { return Vec::new() };
    first
        .iter()
        .map(|row| {
            let rows: Vec<&R> = repetitions.iter().flatten().filter(|other| same(row, other)).collect();
            merge(&rows)
        })
        .collect()
}

/// The measures of all repetitions as one table.
pub(super) fn pool_measures(repetitions: &[Vec<MeasureRow>]) -> Vec<MeasureRow> {
    let key = |row: &MeasureRow| (row.measure.clone(), row.against.clone(), row.stamp.clone());
    pool_rows(
        repetitions,
        |a, b| key(a) == key(b),
        |rows| {
            let outcomes = |part: fn(&MeasureRow) -> Option<&Outcome>| -> Vec<Outcome> {
                rows.iter().filter_map(|row| part(row).cloned()).collect()
            };
            let family = MEASURES.iter().find(|family| family.name == rows[0].measure);
            let (least, most) = family.map_or((f64::NEG_INFINITY, f64::INFINITY), |family| (family.least, family.most));
            let references = outcomes(|row| row.reference.as_ref());
            MeasureRow {
                outcome: pool_outcomes_within(&outcomes(|row| Some(&row.outcome)), least, most),
                reference: (!references.is_empty()).then(|| pool_outcomes_within(&references, least, most)),
                ..rows[0].clone()
            }
        },
    )
}

/// The attacks of all repetitions as one table.
pub(super) fn pool_attacks(repetitions: &[Vec<AttackRow>]) -> Vec<AttackRow> {
    let key = |row: &AttackRow| (row.attack.clone(), row.stamp.clone());
    pool_rows(
        repetitions,
        |a, b| key(a) == key(b),
        |rows| {
            let estimates = |part: fn(&AttackRow) -> &Estimate| {
                pool_within(&rows.iter().map(|row| part(row).clone()).collect::<Vec<_>>(), 0.0, 1.0)
            };
            let rates = rows[0].true_positive_rates.iter().enumerate().map(|(position, rate)| RateAt {
                false_positive_rate: rate.false_positive_rate,
                outcome: pool_outcomes_within(
                    &rows.iter().map(|row| row.true_positive_rates[position].outcome.clone()).collect::<Vec<_>>(),
                    0.0,
                    1.0,
                ),
            });
            let bounds: Vec<Outcome> = rows.iter().filter_map(|row| row.epsilon_lower.clone()).collect();
            AttackRow {
                auc: estimates(|row| &row.auc),
                balanced_accuracy: estimates(|row| &row.balanced_accuracy),
                true_positive_rates: rates.collect(),
                epsilon_lower: median_bound(bounds),
                ..rows[0].clone()
            }
        },
    )
}

/// The median repetition's bound: the largest of several would claim more confidence than each of them has.
fn median_bound(mut bounds: Vec<Outcome>) -> Option<Outcome> {
    let value = |outcome: &Outcome| outcome.estimate().map_or(0.0, |estimate| estimate.value);
    bounds.sort_by(|a, b| value(a).total_cmp(&value(b)));
    let middle = bounds.len().checked_sub(1)? / 2;
    Some(bounds.swap_remove(middle))
}
