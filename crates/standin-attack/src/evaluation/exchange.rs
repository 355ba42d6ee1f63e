use rand::RngExt;
use standin_data::Seed;
use statrs::distribution::{ContinuousCDF, Normal};

use super::{Tie, ties};

/// Scores outside the largest tie up to which labels are permuted instead of trusting the normal distribution.
const FEW: usize = 200;

/// Permutations.
const PERMUTATIONS: usize = 9999;

/// One-sided p-value of the rank-sum test (Wilcoxon; Mann & Whitney 1947) that members do not score higher. Both sides
/// ascending.
///
/// Normal approximation with tie and continuity corrections. Where at most 200 scores lie outside the largest tie, the
/// normal distribution may be far off (an attack that scores almost everybody 0), and seeded permutations of the labels
/// give (1 + #{permuted ≥ observed})/(1 + 9999), which is valid for any sample size.
pub(super) fn p_value(members: &[f64], non_members: &[f64], seed: Seed) -> f64 {
    let ties = ties(members, non_members);
    let size = |tie: &Tie| tie.members + tie.non_members;
    let total = members.len() + non_members.len();
    let largest = ties.iter().map(size).max().unwrap_or(0);
    if total - largest <= FEW {
        permuted(&ties, members.len(), total, seed)
    } else {
        normal(&ties, members.len(), total)
    }
}

/// Twice the rank of each tie less that of the largest tie: an integer, and 0 for the many.
fn centred_ranks(ties: &[Tie]) -> Vec<i64> {
    let size = |tie: &Tie| (tie.members + tie.non_members) as i64;
    let mut below = 0;
    let ranks: Vec<i64> = ties
        .iter()
        .map(|tie| {
            let rank = 2 * below + size(tie);
            below += size(tie);
            rank
        })
        .collect();
    let largest = (0..ties.len()).max_by_key(|&at| size(&ties[at])).unwrap_or(0);
    ranks.iter().map(|rank| rank - ranks[largest]).collect()
}

fn permuted(ties: &[Tie], members: usize, total: usize, seed: Seed) -> f64 {
    let ranks = centred_ranks(ties);
    let observed: i64 = ties.iter().zip(&ranks).map(|(tie, rank)| tie.members as i64 * rank).sum();
    let counted = ties.iter().zip(&ranks).filter(|(_, rank)| **rank != 0);
    let counted: Vec<i64> =
        counted.flat_map(|(tie, &rank)| std::iter::repeat_n(rank, tie.members + tie.non_members)).collect();
    let mut rng = seed.rng();
    let as_extreme = (0..PERMUTATIONS)
        .filter(|_| {
            // Labels are dealt without replacement; those dealt to the largest tie change nothing.
            let (mut members_left, mut left) = (members, total);
            let sum: i64 = counted
                .iter()
                .map(|&rank| {
                    let member = rng.random_range(0..left) < members_left;
                    left -= 1;
                    members_left -= usize::from(member);
                    if member { rank } else { 0 }
                })
                .sum();
            sum >= observed
        })
        .count();
    (1 + as_extreme) as f64 / (1 + PERMUTATIONS) as f64
}

fn normal(ties: &[Tie], members: usize, total: usize) -> f64 {
    let (m, n, all) = (members as f64, (total - members) as f64, total as f64);
    let (mut below, mut won, mut cubes) = (0.0, 0.0, 0.0);
    for tie in ties {
        let size = (tie.members + tie.non_members) as f64;
        won += tie.members as f64 * (below + 0.5 * tie.non_members as f64);
        below += tie.non_members as f64;
        cubes += size.powi(3) - size;
    }
    let variance = m * n / 12.0 * (all + 1.0 - cubes / (all * (all - 1.0)));
    let standardised = (won - 0.5 * m * n - 0.5) / variance.sqrt();
    Normal::standard().sf(standardised)
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    fn sorted(mut values: Vec<f64>) -> Vec<f64> {
        values.sort_by(f64::total_cmp);
        values
    }

    #[test]
    fn permutation_and_normal_agree_where_both_hold() {
        let mut rng = Seed::new(1).rng();
        for shift in [-0.2, 0.0, 0.3] {
            let mut draw = |count, shift: f64| -> Vec<f64> {
                let draw = |_| -> f64 { StandardNormal.sample(&mut rng) };
                sorted((0..count).map(draw).map(|x| ((x + shift) * 4.0).round()).collect())
            };
            let (members, non_members) = (draw(90, shift), draw(110, 0.0));
            let ties = ties(&members, &non_members);
            let (permuted, normal) = (permuted(&ties, 90, 200, Seed::new(2)), normal(&ties, 90, 200));
            // Four standard errors of 9999 permutations at p = 1/2.
            assert!((permuted - normal).abs() < 0.02, "{permuted} and {normal} at {shift}");
        }
    }

    #[test]
    fn all_equal_scores_are_no_evidence() {
        assert_eq!(p_value(&[1.0; 30], &[1.0; 40], Seed::new(1)), 1.0);
    }

    #[test]
    fn a_perfect_separation_of_few_has_the_exact_p_value() {
        // Of the 6 choose 3 = 20 ways to deal the labels one is as extreme.
        let p = p_value(&[4.0, 5.0, 6.0], &[1.0, 2.0, 3.0], Seed::new(1));
        assert!((p - 0.05).abs() < 0.01, "{p}");
    }

    #[test]
    fn p_values_are_uniform_under_the_null() {
        // The second attack scores nearly everybody 0, like Monte Carlo with a small radius.
        for (name, sparse) in [("dense", false), ("sparse", true)] {
            let mut rng = Seed::new(5).derive(name).rng();
            let mut p_values: Vec<f64> = (0..300)
                .map(|repetition| {
                    let mut draw = |count| -> Vec<f64> {
                        let draw = |_| if sparse && rng.random_bool(0.7) { 0.0 } else { rng.random::<f64>() };
                        sorted((0..count).map(draw).collect())
                    };
                    p_value(&draw(150), &draw(220), Seed::new(repetition))
                })
                .collect();
            p_values.sort_by(f64::total_cmp);
            let distance = p_values
                .iter()
                .enumerate()
                .map(|(rank, p)| (p - rank as f64 / 300.0).abs().max((p - (rank + 1) as f64 / 300.0).abs()))
                .fold(0.0, f64::max);
            // Kolmogorov–Smirnov at level 0.01.
            assert!(distance < 1.63 / 300_f64.sqrt(), "{name}: {distance}");
        }
    }
}
