//! Differences of two figures, with intervals.

use standin_measure::{Estimate, t_quantile};

use crate::chance::{CONFIDENCE, two_sided_quantile};
use crate::summary::{AttackRow, Utility};

/// `of` less `from`, where the two were measured independently of each other: the interval is made from both their
/// intervals (method of variance estimates recovery; Zou and Donner 2008, Statistics in Medicine 27).
pub fn independent(of: &Estimate, from: &Estimate) -> Estimate {
    let value = of.value - from.value;
    Estimate {
        value,
        low: value - (of.value - of.low).hypot(from.high - from.value),
        high: value + (of.high - of.value).hypot(from.value - from.low),
        n: of.n + from.n,
        method: "difference of independent estimates (Zou & Donner 2008)".into(),
    }
}

/// The accuracy of `of` less that of `from`. With `same_seeds` the repetitions are paired: seed by seed both were trained
/// on the same division and tested on the same images.
///
/// Within a repetition the two accuracies count as independent, which errs on the wide side: classifiers mostly fail on the
/// same images.
pub fn of_accuracies(of: &Utility, from: &Utility, same_seeds: bool) -> Estimate {
    let seeds = of.per_seed.len().max(1);
    let within = |utility: &Utility| {
        let images = (utility.accuracy.n / seeds).max(1) as f64;
        utility.accuracy.value * (1.0 - utility.accuracy.value) / images
    };
    paired(&of.per_seed, &from.per_seed, within(of) + within(from), of.accuracy.n)
        .filter(|_| same_seeds)
        .unwrap_or_else(|| independent(&of.accuracy, &from.accuracy))
}

/// The AUC of `of` less that of `from`, paired as in [`of_accuracies`]. The variance within a repetition is that of Hanley
/// and McNeil (1982, Radiology 143).
pub fn of_attacks(of: &AttackRow, from: &AttackRow, same_seeds: bool) -> Estimate {
    let within = |attack: &AttackRow| area_variance(attack.auc.value, attack.members, attack.non_members);
    paired(&of.per_seed, &from.per_seed, within(of) + within(from), of.auc.n)
        .filter(|_| same_seeds)
        .unwrap_or_else(|| independent(&of.auc, &from.auc))
}

/// The mean difference over repetitions by Rubin's rules ("Multiple Imputation for Nonresponse in Surveys", 1987, §3.1): the
/// variance between repetitions is that of the differences, that within one is given. None with fewer than two pairs.
fn paired(of: &[f64], from: &[f64], within: f64, n: usize) -> Option<Estimate> {
    if of.len() < 2 || of.len() != from.len() {
        return None;
    }
    let m = of.len() as f64;
    let differences: Vec<f64> = of.iter().zip(from).map(|(of, from)| of - from).collect();
    let value = differences.iter().sum::<f64>() / m;
    let squares = differences.iter().map(|difference| (difference - value).powi(2)).sum::<f64>();
    let between = (1.0 + 1.0 / m) * squares / (m - 1.0);
    let quantile = match between > 0.0 {
        true => t_quantile((m - 1.0) * (1.0 + within / between).powi(2)),
        false => two_sided_quantile(CONFIDENCE),
    };
    let half = quantile * (within + between).sqrt();
    let method = format!("{} seeds paired, Rubin's rules; within a seed as if independent", of.len());
    Some(Estimate { value, low: value - half, high: value + half, n, method })
}

/// The variance of an area under the ROC curve between so many members and non-members.
fn area_variance(auc: f64, members: usize, non_members: usize) -> f64 {
    let (members, non_members) = (members.max(1) as f64, non_members.max(1) as f64);
    let square = auc * auc;
    let (above, below) = (auc / (2.0 - auc) - square, 2.0 * square / (1.0 + auc) - square);
    ((auc * (1.0 - auc) + (members - 1.0) * above + (non_members - 1.0) * below) / (members * non_members)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::ReleaseKind;
    use crate::summary::testing::{estimate, release};

    #[test]
    fn independent_halves_add_as_squares_and_stay_asymmetric() {
        let of = Estimate { low: 0.86, high: 0.93, ..estimate(0.9, 0.0) };
        let from = Estimate { low: 0.77, high: 0.84, ..estimate(0.8, 0.0) };
        let found = independent(&of, &from);
        assert!((found.value - 0.1).abs() < 1e-12);
        assert!((found.low - (0.1 - 0.04_f64.hypot(0.04))).abs() < 1e-12);
        assert!((found.high - (0.1 + 0.03_f64.hypot(0.03))).abs() < 1e-12);
    }

    /// Differences 1, 2, 3 and a variance within of 0.25, as the test of Rubin's rules has it: half = t·√(.25 + 4/3).
    #[test]
    fn paired_values_by_hand() {
        let found = paired(&[2.0, 5.0, 9.0], &[1.0, 3.0, 6.0], 0.25, 9).unwrap();
        let half = t_quantile(2.820_312_5) * (0.25_f64 + 4.0 / 3.0).sqrt();
        assert!((found.value - 2.0).abs() < 1e-12 && (found.high - 2.0 - half).abs() < 1e-12, "{found}");
        assert_eq!(paired(&[1.0], &[2.0], 0.1, 1), None);
        assert_eq!(paired(&[1.0, 2.0], &[2.0], 0.1, 1), None);
    }

    #[test]
    fn what_moves_both_with_the_seed_does_not_widen_their_difference() {
        let mut runs = ["a", "b"].map(|name| release(name, ReleaseKind::Images, 0.9, 0.6, 0.0).utility.remove(0));
        for (utility, shift) in runs.iter_mut().zip([0.03, 0.0]) {
            utility.per_seed = [0.75, 0.85, 0.95].map(|accuracy| accuracy + shift).to_vec();
            utility.accuracy = Estimate { n: 30_000, ..estimate(0.85 + shift, 0.2) };
        }
        let [of, from] = runs;
        let found = of_accuracies(&of, &from, true);
        assert!(found.low > 0.0 && (found.value - 0.03).abs() < 1e-12, "{found}");
        assert!(of_accuracies(&of, &from, false).low < 0.0, "unpaired, the seeds hide it");
    }

    /// sklearn-style check by hand: AUC 0.8, 50 + 60; Q1 = 2/3, Q2 = 1.28/1.8.
    #[test]
    fn area_variance_by_hand() {
        let by_hand = (0.16 + 49.0 * (2.0 / 3.0 - 0.64) + 59.0 * (1.28 / 1.8 - 0.64)) / 3000.0;
        assert!((area_variance(0.8, 50, 60) - by_hand).abs() < 1e-15);
    }
}
