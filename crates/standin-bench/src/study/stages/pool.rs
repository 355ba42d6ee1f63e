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
    let mut pooled = pool_rows(
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
            let p_values = rows.iter().map(|row| row.p_value).sum::<f64>();
            let bounds: Vec<Outcome> = rows.iter().filter_map(|row| row.epsilon_lower.clone()).collect();
            AttackRow {
                auc: estimates(|row| &row.auc),
                per_seed: match rows.len() == repetitions.len() {
                    true => rows.iter().map(|row| row.auc.value).collect(),
                    false => Vec::new(),
                },
                p_value: match rows.len() {
                    1 => p_values,
                    count => (2.0 * p_values / count as f64).min(1.0),
                },
                balanced_accuracy: estimates(|row| &row.balanced_accuracy),
                true_positive_rates: rates.collect(),
                epsilon_lower: median_bound(bounds),
                ..rows[0].clone()
            }
        },
    );
    let corrected = standin_attack::holm(&pooled.iter().map(|row| row.p_value).collect::<Vec<_>>());
    pooled.iter_mut().zip(corrected).for_each(|(row, corrected)| row.corrected_p_value = corrected);
    pooled
}

/// The median repetition's bound: the largest of several would claim more confidence than each of them has.
fn median_bound(mut bounds: Vec<Outcome>) -> Option<Outcome> {
    let value = |outcome: &Outcome| outcome.estimate().map_or(0.0, |estimate| estimate.value);
    bounds.sort_by(|a, b| value(a).total_cmp(&value(b)));
    let middle = bounds.len().checked_sub(1)? / 2;
    Some(bounds.swap_remove(middle))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(attack: &str, p_value: f64) -> AttackRow {
        let half = Estimate { value: 0.5, low: 0.4, high: 0.6, n: 20, method: String::new() };
        AttackRow {
            attack: attack.to_owned(),
            access: "images".to_owned(),
            stamp: "pixels".to_owned(),
            members: 10,
            non_members: 10,
            auc: half.clone(),
            per_seed: Vec::new(),
            p_value,
            corrected_p_value: p_value,
            balanced_accuracy: half,
            true_positive_rates: Vec::new(),
            roc: Vec::new(),
            epsilon_lower: None,
        }
    }

    #[test]
    fn p_values_of_repetitions_are_twice_their_mean_and_corrected_for_the_attacks() {
        let pooled = pool_attacks(&[vec![row("a", 0.01), row("b", 0.9)], vec![row("a", 0.03), row("b", 0.7)]]);
        let found: Vec<(f64, f64)> = pooled.iter().map(|row| (row.p_value, row.corrected_p_value)).collect();
        assert!((found[0].0 - 0.04).abs() < 1e-12 && (found[0].1 - 0.08).abs() < 1e-12, "{found:?}");
        assert_eq!(found[1], (1.0, 1.0));
        let once = pool_attacks(&[vec![row("a", 0.01), row("b", 0.9)]]);
        assert_eq!((once[0].p_value, once[0].corrected_p_value, once[1].corrected_p_value), (0.01, 0.02, 0.9));
    }
}
