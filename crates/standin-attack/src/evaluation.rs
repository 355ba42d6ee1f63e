use serde::{Deserialize, Serialize};
use standin_data::Seed;
use standin_measure::{Estimate, Outcome};

use crate::{Error, Result};

mod area;
pub mod epsilon;
mod exchange;
pub mod holm;
mod rates;
mod roc;
mod threshold;

/// The false-positive rates at which true-positive rates are reported.
pub const FALSE_POSITIVE_RATES: [f64; 4] = [0.1, 0.01, 0.001, 0.0];

/// How well scores tell members from non-members.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Number of members.
    pub members: usize,
    /// Number of non-members.
    pub non_members: usize,
    /// Area under the ROC curve: the chance that a member scores above a non-member, ties counting half. 0.5 is no leak.
    pub auc: Estimate,
    /// One-sided p-value of the hypothesis that members and non-members are exchangeable, against an AUC above 0.5.
    pub p_value: f64,
    /// Mean of true-positive and true-negative rate, of a threshold chosen on one half and reported on the other.
    pub balanced_accuracy: Estimate,
    /// True-positive rates at [`FALSE_POSITIVE_RATES`].
    pub true_positive_rates: Vec<RateAt>,
    /// ROC curve, at most 200 points (false-positive rate, true-positive rate) from (0, 0) to (1, 1), all of them
    /// attained by some threshold and dense where false positives are few.
    pub roc: Vec<(f64, f64)>,
}

/// True-positive rate at one false-positive rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateAt {
    /// The false-positive rate.
    pub false_positive_rate: f64,
    /// The true-positive rate there, or why it cannot be measured.
    pub outcome: Outcome,
}

/// Evaluates the scores of members against those of non-members from the same population; higher means more likely a
/// member.
///
/// - **AUC**: DeLong's variance (DeLong, DeLong & Clarke-Pearson 1988) on the logit scale, so that the interval stays
///   in [0, 1]; where that variance is 0, an exact interval from disjoint pairs.
/// - **p-value**: the rank-sum test with ties; by permutation where few scores differ.
/// - **Balanced accuracy**: the best threshold of a random half of either side, on the other half; Wilson intervals of
///   both rates, combined by Newcombe's (1998) rule. `seed` makes the halves.
/// - **True-positive rate at a false-positive rate α**: members strictly above the non-member of rank ⌊α(n+1)⌋ from the
///   top. A new non-member is above it with probability ⌊α(n+1)⌋/(n+1) ≤ α, so the claimed rate holds on average over
///   the non-members drawn, where taking rank ⌊αn⌋ + 1 would exceed it. The threshold comes from non-members alone and
///   the rate from members alone, so the Clopper–Pearson interval is exact for that threshold. Not measurable with
///   fewer than 1/α non-members. At α = 0: members above *all* n non-members, whose expected rate is 1/(n+1), not 0;
///   not measurable below 100 non-members, where that is no longer under 1 %.
///
/// Time O(n log n), memory O(n).
///
/// # Errors
/// If there are fewer than 2 members or 2 non-members, or a score is NaN. Infinite scores are allowed.
pub fn evaluate(member_scores: &[f64], non_member_scores: &[f64], seed: Seed) -> Result<Evaluation> {
    check(member_scores, non_member_scores)?;
    let sorted = |scores: &[f64]| {
        let mut scores = scores.to_vec();
        scores.sort_unstable_by(f64::total_cmp);
        scores
    };
    let (members, non_members) = (sorted(member_scores), sorted(non_member_scores));
    Ok(Evaluation {
        members: members.len(),
        non_members: non_members.len(),
        auc: area::under_curve(&members, &non_members),
        p_value: exchange::p_value(&members, &non_members, seed.derive("exchange")),
        balanced_accuracy: threshold::balanced_accuracy(member_scores, non_member_scores, seed.derive("halves")),
        true_positive_rates: FALSE_POSITIVE_RATES
            .map(|rate| RateAt { false_positive_rate: rate, outcome: rates::at(rate, &members, &non_members) })
            .into(),
        roc: roc::curve(&members, &non_members),
    })
}

/// Checks that the scores can be evaluated at all.
fn check(member_scores: &[f64], non_member_scores: &[f64]) -> Result<()> {
    for (what, scores) in [("members", member_scores), ("non-members", non_member_scores)] {
        if scores.len() < 2 {
            return Err(Error::TooFewScores { what, found: scores.len() });
        }
        if let Some(index) = scores.iter().position(|score| score.is_nan()) {
            return Err(Error::NanScore { what, index });
        }
    }
    Ok(())
}

/// A run of equal scores, with how many are members' and how many non-members'.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tie {
    score: f64,
    members: usize,
    non_members: usize,
}

/// All distinct scores, ascending; −0 and 0 are one. Both inputs are ascending.
fn ties(members: &[f64], non_members: &[f64]) -> Vec<Tie> {
    let mut ties: Vec<Tie> = Vec::with_capacity(members.len() + non_members.len());
    let (mut m, mut n) = (0, 0);
    while m < members.len() || n < non_members.len() {
        let member_next = n == non_members.len() || (m < members.len() && members[m] <= non_members[n]);
        let score = if member_next { members[m] } else { non_members[n] };
        if ties.last().is_none_or(|tie| tie.score != score) {
            ties.push(Tie { score, members: 0, non_members: 0 });
        }
        let tie = ties.last_mut().expect("one was pushed if there was none");
        if member_next {
            tie.members += 1;
            m += 1;
        } else {
            tie.non_members += 1;
            n += 1;
        }
    }
    ties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_found_across_and_within_sides() {
        let found = ties(&[-0.0, 1.0, 1.0, f64::INFINITY], &[f64::NEG_INFINITY, 0.0, 1.0]);
        let expected = [(f64::NEG_INFINITY, 0, 1), (0.0, 1, 1), (1.0, 2, 1), (f64::INFINITY, 1, 0)]
            .map(|(score, members, non_members)| Tie { score, members, non_members });
        assert_eq!(found, expected);
    }

    #[test]
    fn scores_that_cannot_be_ranked_are_refused() {
        let message = |m: &[f64], n: &[f64]| evaluate(m, n, Seed::new(1)).unwrap_err().to_string();
        assert!(message(&[1.0], &[0.0, 1.0]).contains("1 scores of members"));
        assert!(message(&[1.0, 2.0], &[]).contains("0 scores of non-members"));
        assert!(message(&[1.0, 2.0], &[0.0, f64::NAN]).contains("score 1 of the non-members"));
    }

    #[test]
    fn only_the_order_of_scores_matters() {
        let members = [0.3, 2.0, -1.0, 0.3, 4.0, 0.9, 1.1];
        let non_members = [0.1, 0.3, -2.0, 1.0, -1.0, 0.0];
        let cubed = |scores: &[f64]| scores.iter().map(|score| 7.0 * score.powi(3) - 3.0).collect::<Vec<_>>();
        let plain = evaluate(&members, &non_members, Seed::new(3)).unwrap();
        assert_eq!(plain, evaluate(&cubed(&members), &cubed(&non_members), Seed::new(3)).unwrap());
    }

    #[test]
    fn evaluation_survives_json() {
        let evaluation = evaluate(&[1.0, 2.0, 3.0], &[0.0, f64::NEG_INFINITY, 2.0], Seed::new(3)).unwrap();
        let text = serde_json::to_string(&evaluation).unwrap();
        assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), evaluation);
    }
}
